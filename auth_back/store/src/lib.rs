//! Where users and sessions are kept: SQLite or MySQL/MariaDB behind one trait.
//!
//! A store is the only thing that talks to a database. It knows rows; what a password record or a
//! token means is for others to know.
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
mod store;
mod url;
mod users;
mod writes;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod fixtures;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::sync::Arc;

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
pub use self::store::{Absent, Condition, Store};
pub use self::url::{MySqlUrl, StoreUrl, StoreUrlError};
pub use self::users::Users;

/// The version of SQLite that is compiled in.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
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
