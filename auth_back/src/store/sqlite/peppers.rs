//! The peppers.

use std::time::Instant;

use rusqlite::params;

use super::{SqliteStore, unsigned};
use crate::store::rows::sql_integer;
use crate::store::{PepperRow, Peppers, StoreError};

impl Peppers for SqliteStore {
    fn peppers(&self, deadline: Instant) -> Result<Vec<PepperRow>, StoreError> {
        self.read(deadline, |connection| {
            connection
                .prepare_cached("SELECT id, since_ms, check_value FROM pepper ORDER BY id")?
                .query_map([], |row| {
                    Ok(PepperRow {
                        id: row.get(0)?,
                        since_ms: unsigned(row, 1)?,
                        check_value: row.get(2)?,
                    })
                })?
                .collect()
        })
    }

    fn insert_pepper(&self, pepper: &PepperRow, deadline: Instant) -> Result<(), StoreError> {
        let since_ms = sql_integer(pepper.since_ms, "the time")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO pepper (id, since_ms, check_value) VALUES (?, ?, ?) \
                     ON CONFLICT (id) DO NOTHING",
                )?
                .execute(params![pepper.id, since_ms, pepper.check_value])
                .map(drop)
        })
    }

    fn delete_pepper(&self, id: u16, deadline: Instant) -> Result<bool, StoreError> {
        self.write(deadline, |connection| {
            connection
                .prepare_cached("DELETE FROM pepper WHERE id = ?")?
                .execute([id])
                .map(|deleted| deleted == 1)
        })
    }
}
