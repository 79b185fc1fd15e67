//! Databases for tests: a SQLite file in a temporary directory, and MariaDB.

use std::path::PathBuf;
use std::sync::Arc;

use ::mysql::Conn;
use ::mysql::prelude::Queryable as _;
use harness::{Database, MariaDb};
use tempfile::TempDir;

use super::migrations::{MYSQL, Migration, SQLITE};
pub(super) use super::testing::patient;
use super::{Absent, MySqlStore, MySqlUrl, SqliteStore, Store, mysql, sqlite};

/// Connections of a store under test: few, so that threads compete for them.
const CONNECTIONS: usize = 3;

/// A database of a test's own.
pub(super) trait Fixture: Sync {
    /// A store on the database: as if another server were started. Does not migrate.
    fn open(&self) -> Arc<dyn Store>;

    /// The statement that makes the record of migrations, and the migrations.
    fn history(&self) -> (&'static str, &'static [Migration]);

    /// Runs a statement on the database, past any store.
    fn try_execute(&self, sql: &str) -> Result<(), String>;

    /// Runs a statement that does not fail.
    fn execute(&self, sql: &str) {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// A store on the database, ready for use.
    fn store(&self) -> Arc<dyn Store> {
        let store = self.open();
        store.migrate(patient()).unwrap();
        store
    }
}

/// A SQLite file in a directory of its own.
pub(super) struct SqliteFixture {
    directory: TempDir,
}

impl SqliteFixture {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("gatehouse.db")
    }
}

impl Fixture for SqliteFixture {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path(), CONNECTIONS, Absent::Create).unwrap())
    }

    fn history(&self) -> (&'static str, &'static [Migration]) {
        (sqlite::CREATE_RECORD, SQLITE)
    }

    fn try_execute(&self, sql: &str) -> Result<(), String> {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.execute_batch(sql).map_err(|error| error.to_string())
    }
}

/// A database on a MariaDB server, dropped at the end.
pub(super) struct MariaDbFixture {
    database: Database,
}

impl MariaDbFixture {
    /// On the server that tests share.
    pub(super) fn new() -> Self {
        Self { database: Database::new() }
    }

    /// On a server of the test's own, which it may stop.
    pub(super) fn on_private(server: &MariaDb) -> Self {
        Self { database: server.database() }
    }

    pub(super) fn url(&self) -> MySqlUrl {
        self.database.url().parse().unwrap()
    }

    pub(super) fn url_as(&self, user_and_password: &str) -> MySqlUrl {
        let (_, place) = self.database.url().rsplit_once('@').unwrap();
        format!("mysql://{user_and_password}@{place}").parse().unwrap()
    }

    /// A connection to the database, past any store.
    pub(super) fn connect(&self) -> Conn {
        self.database.connect()
    }
}

impl Fixture for MariaDbFixture {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(MySqlStore::new(self.url(), CONNECTIONS).unwrap())
    }

    fn history(&self) -> (&'static str, &'static [Migration]) {
        (mysql::CREATE_RECORD, MYSQL)
    }

    fn try_execute(&self, sql: &str) -> Result<(), String> {
        self.connect().query_drop(sql).map_err(|error| error.to_string())
    }
}
