//! The lists of keys.

use std::time::Instant;

use rusqlite::params;

use super::{SqliteStore, unsigned};
use crate::rows::sql_integer;
use crate::{KeyList, KeyRow, Keys, StoreError};

const fn table(list: KeyList) -> &'static str {
    match list {
        KeyList::Peppers => "pepper",
        KeyList::TokenKeys => "token_key",
    }
}

impl Keys for SqliteStore {
    fn keys(&self, list: KeyList, deadline: Instant) -> Result<Vec<KeyRow>, StoreError> {
        let sql = format!("SELECT id, since_ms, check_value FROM {} ORDER BY id", table(list));
        self.read(deadline, |connection| {
            connection
                .prepare_cached(&sql)?
                .query_map([], |row| {
                    Ok(KeyRow {
                        id: row.get(0)?,
                        since_ms: unsigned(row, 1)?,
                        check_value: row.get(2)?,
                    })
                })?
                .collect()
        })
    }

    fn insert_key(&self, list: KeyList, key: &KeyRow, deadline: Instant) -> Result<(), StoreError> {
        let since_ms = sql_integer(key.since_ms, "the time")?;
        let sql = format!(
            "INSERT INTO {} (id, since_ms, check_value) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
            table(list)
        );
        self.write(deadline, |connection| {
            let row = params![key.id, since_ms, key.check_value];
            connection.prepare_cached(&sql)?.execute(row).map(drop)
        })
    }

    fn delete_key(&self, list: KeyList, id: u16, deadline: Instant) -> Result<bool, StoreError> {
        let sql = format!("DELETE FROM {} WHERE id = ?", table(list));
        self.write(deadline, |connection| {
            connection.prepare_cached(&sql)?.execute([id]).map(|deleted| deleted == 1)
        })
    }
}
