//! Databases on a private MariaDB, or on the one that the test run has started.

use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql::prelude::{FromRow, Queryable as _};
use mysql::{Conn, Opts};

use crate::limits::HANG_GUARD;
use crate::mariadb::MariaDb;

/// Names the server that the test run has started, as `mysql://root@127.0.0.1:PORT`.
const SHARED_SERVER: &str = "GATEHOUSE_TEST_MYSQL";

/// An empty database on a MariaDB server. Dropping it drops the database there, if the server still runs.
pub struct Database {
    server_url: String,
    name: String,
    url: String,
}

impl Database {
    /// A database on the server that `GATEHOUSE_TEST_MYSQL` names; where it names none, on one that all
    /// tests of this process share and that ends with it.
    #[must_use]
    pub fn new() -> Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        match env::var(SHARED_SERVER) {
            Ok(url) => Self::on(url.trim_end_matches('/')),
            Err(_) => SHARED.get_or_init(MariaDb::start).database(),
        }
    }

    fn on(server_url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gatehouse_{}_{count}", process::id());
        let url = format!("{server_url}/{name}");
        let database = Self { server_url: server_url.to_owned(), name, url };
        // One may be left over from a killed run whose process id has come round again.
        database.on_server("DROP DATABASE IF EXISTS").expect("a database that is left over goes");
        database.on_server("CREATE DATABASE").expect("a database can be made");
        database
    }

    /// The URL for `auth_back --store`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its server is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let opts = opts(&self.server_url);
        let ip = opts.get_ip_or_hostname().parse().expect("a test database is at an address");
        SocketAddr::new(ip, opts.get_tcp_port())
    }

    /// The URL of the same database for whoever reaches its server at `address`.
    #[must_use]
    pub fn url_through(&self, address: SocketAddr) -> String {
        self.url.replace(&self.address().to_string(), &address.to_string())
    }

    /// A connection to look into it.
    #[must_use]
    pub fn connect(&self) -> Conn {
        connect(&self.url).unwrap_or_else(|error| panic!("connect to {self:?}: {error}"))
    }

    fn on_server(&self, statement: &str) -> mysql::Result<()> {
        connect(&self.server_url)?.query_drop(format!("{statement} `{}`", self.name))
    }
}

impl MariaDb {
    /// A new database on this server.
    #[must_use]
    pub fn database(&self) -> Database {
        Database::on(&self.url())
    }

    /// A new database for an account of its own, which has all rights there and no other: [`read_only`](Self::read_only)
    /// holds for it.
    #[must_use]
    pub fn database_of_account(&self) -> Database {
        const ACCOUNT: &str = "app@'127.0.0.1'";
        let mut database = self.database();
        self.run(&format!("CREATE USER IF NOT EXISTS {ACCOUNT} IDENTIFIED BY ''"));
        self.run(&format!("GRANT ALL ON `{}`.* TO {ACCOUNT}", database.name));
        database.url = format!("mysql://app@{}/{}", self.address(), database.name);
        database
    }

    /// Has it take writes of administrators alone, or of everybody again.
    pub fn read_only(&self, is_on: bool) {
        self.run(&format!("SET GLOBAL read_only = {}", u8::from(is_on)));
    }

    /// Follows the writes of `primary`, from its first on, and takes none of others but administrators. Both were started
    /// by [`start_replicating`](Self::start_replicating).
    pub fn follow(&self, primary: &Self) {
        self.read_only(true);
        let (host, port) = (primary.address().ip(), primary.address().port());
        self.run(&format!(
            "CHANGE MASTER TO MASTER_HOST = '{host}', MASTER_PORT = {port}, MASTER_USER = 'root', \
             MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1"
        ));
        self.run("START SLAVE");
    }

    /// Waits until it has all that `primary` has, which takes no more writes, and takes its place.
    pub fn take_over_from(&self, primary: &Self) {
        let last: String = primary.ask("SELECT @@GLOBAL.gtid_binlog_pos");
        let timeout = HANG_GUARD.as_secs();
        let waited: i64 = self.ask(&format!("SELECT MASTER_GTID_WAIT('{last}', {timeout})"));
        assert_eq!(waited, 0, "it has not all writes of {:?}: {last}", primary.address());
        self.run("STOP SLAVE");
        self.run("RESET SLAVE ALL");
        self.read_only(false);
    }

    /// The only value of the only row that is the answer to a question of its administrator.
    #[track_caller]
    pub fn ask<T: FromRow>(&self, question: &str) -> T {
        let row = connect(&self.url()).and_then(|mut server| server.query_first(question));
        let row: Option<T> = row.unwrap_or_else(|error| panic!("{question}: {error}"));
        row.unwrap_or_else(|| panic!("{question}: no row"))
    }

    /// Runs a statement as its administrator.
    #[track_caller]
    pub fn run(&self, statement: &str) {
        let done = connect(&self.url()).and_then(|mut server| server.query_drop(statement));
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may be gone, and then so is the database.
        let _ = self.on_server("DROP DATABASE IF EXISTS");
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

fn connect(url: &str) -> mysql::Result<Conn> {
    Conn::new(opts(url))
}

fn opts(url: &str) -> Opts {
    Opts::from_url(url).expect("the URL of a test database is well formed")
}
