//! The whole of a store.

use std::time::Instant;

use crate::{
    Installation, Keys, Migrated, MigrationError, Operators, Product, Schema, Sessions, StoreError,
    Users,
};

/// Users, sessions and products in a database.
///
/// Every call blocks, and takes the moment after which its result is of no use. A call whose deadline has
/// passed sends nothing, and waiting for a connection ends at the deadline. What has been sent to MySQL
/// may overrun it: a statement by [`STATEMENT_TIMEOUT`](crate::limits::STATEMENT_TIMEOUT), after which the server gives it up, and
/// a server that falls silent by [`IO_TIMEOUT`](crate::limits::IO_TIMEOUT). A commit to SQLite may overrun it by the time
/// that the disk takes.
///
/// Every call can fail with [`StoreError::Unavailable`]; a database that comes back is used again
/// without a restart.
pub trait Store: Users + Operators + Sessions + Keys + Installation + Send + Sync {
    /// What the database has of the schema. To be called before anything else, and everything else only when it
    /// [fits](Schema::Fits). Changes nothing, and needs no right to.
    ///
    /// # Errors
    ///
    /// [`MigrationError`] if the database is so new that this program may not run on it, if it is not
    /// Gatehouse's, if a migration was edited after it was applied, or if the store failed: also while
    /// another server migrates.
    fn schema(&self, deadline: Instant) -> Result<Schema, MigrationError>;

    /// Brings the database to the schema that this program was built for, if it has an older one or none. Any
    /// number of servers may call it at once, and again. The deadline is for waiting for another that does so; the
    /// migration itself takes as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Store::schema`].
    fn migrate(&self, deadline: Instant) -> Result<Migrated, MigrationError>;

    /// All products, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn products(&self, deadline: Instant) -> Result<Vec<Product>, StoreError>;

    /// Whether the database answers: one round trip. Where it took no writes of late, also tries one that changes
    /// nothing that anybody reads; [`Store::condition`] then has what came of it.
    ///
    /// # Errors
    ///
    /// See [`Store`].
    fn ping(&self, deadline: Instant) -> Result<(), StoreError>;

    /// What time it is for all who share this store, in milliseconds since 1970, UTC: by the clock of the database, or
    /// of this machine where the store is a file. One round trip.
    ///
    /// # Errors
    ///
    /// See [`Store`].
    fn time(&self, deadline: Instant) -> Result<u64, StoreError>;

    /// How many connections there are and what they are doing. Does not block.
    fn connections(&self) -> pool::Stats;

    /// How it has fared of late. Does not block.
    fn condition(&self) -> Condition;
}

/// How a store has fared of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether it takes writes, as far as the last one has shown.
    pub takes_writes: bool,
    /// Calls that were refused at once because it has not answered others in time, since the start.
    pub spared_calls: u64,
}

/// What to do where `--store` names a SQLite file that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Make it.
    Create,
    /// Say so.
    Refuse,
}
