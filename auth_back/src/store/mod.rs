//! Where users and sessions are kept: SQLite or MySQL/MariaDB behind one trait.
//!
//! A store is the only thing that talks to a database. It knows rows; what a password record or a
//! token means is [`credentials`](crate::credentials)' affair.
//!
//! - [`SqliteStore`]: a file beside the program, so that it runs at once.
//! - [`MySqlStore`]: MariaDB or MySQL, shared by any number of servers. Tested on MariaDB 10.11; the
//!   statements keep to what MySQL 8 knows too.
//!
//! Each call is a single statement that commits by itself, or a short run of them that is safe to cut
//! anywhere. There are no transactions to leave open, and a call that failed may be made again.
//!
//! Both stores pass the same tests, `contract.rs`.

mod error;
mod fault;
mod installation;
mod keys;
pub mod limits;
mod migrations;
mod mysql;
mod operators;
mod rows;
mod sessions;
mod sqlite;
mod url;
mod users;
mod writes;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Instant;

pub use self::error::{Cause, StoreError};
pub use self::installation::{
    DeploymentRow, Installation, ListedServer, NO_RUN, ServerRow, Servers, Tag,
};
pub use self::keys::{KeyList, Keys};
pub use self::migrations::{Migrated, MigrationError, Schema};
pub use self::mysql::MySqlStore;
pub use self::operators::{Operators, Trial, UserRange};
pub use self::rows::{
    CacheEra, Imported, ImportedUser, Inserted, KeyRow, ListedSession, NewSession, NewUser,
    PasswordChange, Product, RecordChange, RecordRow, Refresh, SessionRow, UserAgent, UserProfile,
    UserRow,
};
pub use self::sessions::{Kept, Sessions};
pub use self::sqlite::{SqliteStore, backup, log_bytes as sqlite_log_bytes};
pub use self::url::{MySqlUrl, StoreUrl, StoreUrlError};
pub use self::users::Users;

/// Users, sessions and products in a database.
///
/// Every call blocks, and takes the moment after which its result is of no use. A call whose deadline has
/// passed sends nothing, and waiting for a connection ends at the deadline. What has been sent to MySQL
/// may overrun it: a statement by [`limits::STATEMENT_TIMEOUT`], after which the server gives it up, and
/// a server that falls silent by [`limits::IO_TIMEOUT`]. A commit to SQLite may overrun it by the time
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

/// Opens the store that `url` names, with at most `connections` connections (MySQL) or readers
/// (SQLite), `1..=`[`limits::CONNECTIONS_MAX`]. Does not connect to MySQL, so a server may start before its
/// database does.
///
/// # Errors
///
/// [`StoreError::Unavailable`] if the file cannot be used, [`StoreError::Internal`] if `connections` is
/// out of range.
pub fn open(
    url: &StoreUrl,
    connections: usize,
    absent: Absent,
) -> Result<Arc<dyn Store>, StoreError> {
    if !(1..=limits::CONNECTIONS_MAX).contains(&connections) {
        return Err(StoreError::Internal(Cause::OutOfRange("the number of connections")));
    }
    Ok(match url {
        StoreUrl::Sqlite(path) => Arc::new(SqliteStore::open(path, connections, absent)?),
        StoreUrl::MySql(url) => Arc::new(MySqlStore::new(url.clone(), connections)?),
    })
}

/// Refuses a call that comes too late, so that nothing is sent for nobody.
fn check_deadline(deadline: Instant) -> Result<(), StoreError> {
    if clock::now() < deadline { Ok(()) } else { Err(StoreError::Unavailable(Cause::Deadline)) }
}
