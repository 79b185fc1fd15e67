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
pub mod limits;
mod migrations;
mod mysql;
mod rows;
mod sqlite;
mod url;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Instant;

pub use self::error::{Cause, StoreError};
pub use self::migrations::{Migrated, MigrationError};
pub use self::mysql::MySqlStore;
pub use self::rows::{Inserted, NewSession, NewUser, Product, SessionRow, UserAgent, UserRow};
pub use self::sqlite::SqliteStore;
pub use self::url::{MySqlUrl, StoreUrl, StoreUrlError};

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
pub trait Store: Send + Sync {
    /// Brings the database to the schema that this program was built for. To be called before
    /// anything else; any number of servers may call it at once, and again.
    ///
    /// # Errors
    ///
    /// [`MigrationError`] if the database is newer than the program, if a migration was edited after it
    /// was applied, or if the store failed.
    fn migrate(&self, deadline: Instant) -> Result<Migrated, MigrationError>;

    /// Inserts a user unless the name has an owner. The unique index on the name decides, so of any
    /// number of callers one gets [`Inserted::Created`]. When this returns, the row is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if the id is taken or a value does not fit its column.
    fn insert_user(&self, user: &NewUser<'_>, deadline: Instant) -> Result<Inserted, StoreError>;

    /// Looks a user up by the exact name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row cannot be read.
    fn user_by_name(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserRow>, StoreError>;

    /// Whether anybody has ever registered. Costs the same however many have.
    ///
    /// # Errors
    ///
    /// See [`Store`].
    fn has_users(&self, deadline: Instant) -> Result<bool, StoreError>;

    /// Replaces a password record if it is still `old` (compare and swap). False if it is not, or if
    /// there is no such user. When this returns true, the change is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if `new` does not fit its column.
    fn replace_password_record(
        &self,
        user_id: u64,
        old: &str,
        new: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// Inserts a session. When this returns, the row is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if there is no such user or the digest is taken.
    fn insert_session(&self, session: &NewSession<'_>, deadline: Instant)
    -> Result<(), StoreError>;

    /// Looks up the session with this digest if it is live, that is, if it expires after `now_ms`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row cannot be read.
    fn session(
        &self,
        token_digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError>;

    /// Deletes the session with this digest. False if there was none. When this returns, the deletion
    /// is durable.
    ///
    /// # Errors
    ///
    /// See [`Store`].
    fn delete_session(
        &self,
        token_digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// Deletes sessions that expired at `now_ms` or before, the oldest first, at most `limit` and at most
    /// [`limits::PURGE_BATCH_MAX`]. Returns how many; fewer than the limit means that none is left.
    ///
    /// # Errors
    ///
    /// See [`Store`].
    fn delete_expired_sessions(
        &self,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError>;

    /// All products, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn products(&self, deadline: Instant) -> Result<Vec<Product>, StoreError>;

    /// Whether the database answers: one round trip.
    ///
    /// # Errors
    ///
    /// See [`Store`].
    fn ping(&self, deadline: Instant) -> Result<(), StoreError>;

    /// How many connections there are and what they are doing. Does not block.
    fn connections(&self) -> pool::Stats;
}

/// Makes the store that `url` names, with at most `connections` connections (MySQL) or readers
/// (SQLite), `1..=`[`limits::CONNECTIONS_MAX`]. Creates the SQLite file if there is none; does not
/// connect to MySQL, so a server may start before its database does.
///
/// # Errors
///
/// [`StoreError::Unavailable`] if the file cannot be used, [`StoreError::Internal`] if `connections` is
/// out of range.
pub fn open(url: &StoreUrl, connections: usize) -> Result<Arc<dyn Store>, StoreError> {
    if !(1..=limits::CONNECTIONS_MAX).contains(&connections) {
        return Err(StoreError::Internal(Cause::OutOfRange("the number of connections")));
    }
    Ok(match url {
        StoreUrl::Sqlite(path) => Arc::new(SqliteStore::open(path, connections)?),
        StoreUrl::MySql(url) => Arc::new(MySqlStore::new(url.clone(), connections)?),
    })
}

/// Refuses a call that comes too late, so that nothing is sent for nobody.
fn check_deadline(deadline: Instant) -> Result<(), StoreError> {
    if Instant::now() < deadline { Ok(()) } else { Err(StoreError::Unavailable(Cause::Deadline)) }
}
