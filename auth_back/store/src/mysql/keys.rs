//! The lists of keys.

use std::time::Instant;

use super::MySqlStore;
use super::query::Query;
use crate::rows::sql_integer;
use crate::{Cause, KeyList, KeyRow, Keys, StoreError};

/// The statements for a list.
struct Statements {
    all: Query,
    insert: Query,
    delete: Query,
}

const fn statements(list: KeyList) -> Statements {
    match list {
        KeyList::Peppers => Statements {
            all: Query::Peppers,
            insert: Query::InsertPepper,
            delete: Query::DeletePepper,
        },
        KeyList::TokenKeys => Statements {
            all: Query::TokenKeys,
            insert: Query::InsertTokenKey,
            delete: Query::DeleteTokenKey,
        },
    }
}

impl Keys for MySqlStore {
    fn keys(&self, list: KeyList, deadline: Instant) -> Result<Vec<KeyRow>, StoreError> {
        let rows: Vec<(u16, u64, Vec<u8>)> =
            self.run(deadline, |connection| connection.all(statements(list).all, ()))?;
        let key = |(id, since_ms, check_value): (u16, u64, Vec<u8>)| {
            let corrupt = |_| StoreError::Corrupt(Cause::OutOfRange("a check value of a key"));
            let check_value = check_value.try_into().map_err(corrupt)?;
            Ok(KeyRow { id, since_ms, check_value })
        };
        rows.into_iter().map(key).collect()
    }

    fn insert_key(&self, list: KeyList, key: &KeyRow, deadline: Instant) -> Result<(), StoreError> {
        let since_ms = sql_integer(key.since_ms, "the time")?;
        self.run(deadline, |connection| {
            let row = (key.id, since_ms, &key.check_value[..]);
            connection.execute(statements(list).insert, row).map(drop)
        })
    }

    fn delete_key(&self, list: KeyList, id: u16, deadline: Instant) -> Result<bool, StoreError> {
        let deleted =
            self.run(deadline, |connection| connection.execute(statements(list).delete, (id,)))?;
        Ok(deleted == 1)
    }
}
