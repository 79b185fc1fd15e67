//! The peppers.

use std::time::Instant;

use super::MySqlStore;
use super::query::Query;
use crate::store::rows::sql_integer;
use crate::store::{Cause, PepperRow, Peppers, StoreError};

impl Peppers for MySqlStore {
    fn peppers(&self, deadline: Instant) -> Result<Vec<PepperRow>, StoreError> {
        let rows: Vec<(u16, u64, Vec<u8>)> =
            self.run(deadline, |connection| connection.all(Query::Peppers, ()))?;
        let pepper = |(id, since_ms, check_value): (u16, u64, Vec<u8>)| {
            let corrupt = |_| StoreError::Corrupt(Cause::OutOfRange("a check value of a pepper"));
            let check_value = check_value.try_into().map_err(corrupt)?;
            Ok(PepperRow { id, since_ms, check_value })
        };
        rows.into_iter().map(pepper).collect()
    }

    fn insert_pepper(&self, pepper: &PepperRow, deadline: Instant) -> Result<(), StoreError> {
        let since_ms = sql_integer(pepper.since_ms, "the time")?;
        self.run(deadline, |connection| {
            let row = (pepper.id, since_ms, &pepper.check_value[..]);
            connection.execute(Query::InsertPepper, row).map(drop)
        })
    }

    fn delete_pepper(&self, id: u16, deadline: Instant) -> Result<bool, StoreError> {
        let deleted =
            self.run(deadline, |connection| connection.execute(Query::DeletePepper, (id,)))?;
        Ok(deleted == 1)
    }
}
