//! A MariaDB server of one's own, and databases on it or on the one that the test run has started.

use std::{
    env, fmt, fs,
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio, id},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use mysql::{Conn, Opts, prelude::Queryable};
use tempfile::TempDir;

use crate::{limits::DATABASE_STARTS_MAX, wait::until};

/// Names the server that the test run has started, as `mysql://root@127.0.0.1:PORT`.
const SHARED_SERVER: &str = "GATEHOUSE_TEST_MYSQL";

/// A private server that a test may stop and start again. Dropping it kills it.
#[derive(Debug)]
pub struct MariaDb {
    server: Option<Child>,
    port: u16,
    directory: TempDir,
}

impl MariaDb {
    /// Makes an empty server and starts it. Takes about a second.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        let data = directory.path().join("data");
        // A server that starts clears its temporary directory of tables that it takes for a dead server's.
        // In the machine's own, those may be another test's.
        let temporary = directory.path().join("tmp");
        fs::create_dir_all(&temporary).expect("a directory can be made");
        let made = tool("mariadb-install-db")
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", temporary.display()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .output();
        let made = made.unwrap_or_else(|error| {
            panic!("mariadb-install-db does not run ({error}): install the package mariadb-server")
        });
        assert!(made.status.success(), "mariadb-install-db fails: {made:?}");
        // Clients over TCP are 127.0.0.1 to the server, for which a new server knows no account.
        let accounts = "CREATE USER IF NOT EXISTS root@'127.0.0.1' IDENTIFIED BY '';\n\
                        GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n";
        fs::write(directory.path().join("accounts.sql"), accounts).expect("a file can be written");

        let mut database = Self { server: None, port: 0, directory };
        for _ in 0..DATABASE_STARTS_MAX {
            database.port = free_port();
            if database.try_start() {
                return database;
            }
        }
        panic!("mariadbd does not start:\n{}", database.log());
    }

    /// Ends it at once, as a power cut would. Returns when it is gone.
    pub fn stop(&mut self) {
        let mut server = self.server.take().expect("it was stopped");
        server.kill().expect("a child can be killed");
        server.wait().expect("a child can be waited for");
    }

    /// Starts it again on the same port, and waits until it takes connections.
    pub fn start_again(&mut self) {
        assert!(self.try_start(), "mariadbd does not start again:\n{}", self.log());
    }

    /// A new database on this server. It goes with the server.
    #[must_use]
    pub fn database(&self) -> Database {
        Database::create(&self.url(), Home::OfTest)
    }

    fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port)
    }

    /// Whether it takes connections before it ends.
    fn try_start(&mut self) -> bool {
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        let log = File::options().create(true).append(true).open(at("log"));
        let log = log.expect("the log file can be opened");
        let mut server = tool(server_binary())
            .arg(format!("--datadir={}", at("data")))
            .arg(format!("--tmpdir={}", at("tmp")))
            .arg(format!("--socket={}", at("socket")))
            .arg(format!("--pid-file={}", at("pid")))
            .arg(format!("--init-file={}", at("accounts.sql")))
            .arg(format!("--port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"])
            // What is acknowledged has to survive a kill: durability is what is tested.
            .args(["--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=32M"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mariadbd runs");
        let url = self.url();
        let serves = until("mariadbd", || match server.try_wait().expect("a child can be asked") {
            Some(_) => Some(false),
            None => connect(&url).ok().map(|_| true),
        });
        self.server = serves.then_some(server);
        serves
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.stop();
        }
        if thread::panicking() {
            eprintln!("--- mariadbd on port {} logged:\n{}---", self.port, self.log());
        }
    }
}

/// An empty database on a MariaDB server.
pub struct Database {
    url: String,
    name: String,
    home: Home,
}

/// What becomes of a database that is no longer needed.
enum Home {
    /// Its server serves other tests too: the database is dropped there, at this URL.
    Shared(String),
    /// Its server is its own, and ends with it.
    Own { _server: MariaDb },
    /// Its server belongs to the test, which ends it.
    OfTest,
}

impl Database {
    /// A database on the server that `GATEHOUSE_TEST_MYSQL` names; where it names none, on a private
    /// server that goes with the database.
    #[must_use]
    pub fn new() -> Self {
        if let Ok(url) = env::var(SHARED_SERVER) {
            let url = url.trim_end_matches('/');
            return Self::create(url, Home::Shared(url.to_owned()));
        }
        let server = MariaDb::start();
        Self::create(&server.url(), Home::Own { _server: server })
    }

    /// The URL for `auth_back --store`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection to look into it.
    #[must_use]
    pub fn connect(&self) -> Conn {
        connect(&self.url).unwrap_or_else(|error| panic!("connect to {self:?}: {error}"))
    }

    fn create(server_url: &str, home: Home) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("e2e_{}_{count}", id());
        run(server_url, &format!("CREATE DATABASE `{name}`"));
        Self { url: format!("{server_url}/{name}"), name, home }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Home::Shared(url) = &self.home {
            run(url, &format!("DROP DATABASE `{}`", self.name));
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

fn connect(url: &str) -> mysql::Result<Conn> {
    Conn::new(Opts::from_url(url).expect("the URL of a test database is well formed"))
}

fn run(url: &str, statement: &str) {
    connect(url)
        .and_then(|mut connection| connection.query_drop(statement))
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// A program of MariaDB without the settings of the machine; it refuses to run as root unless told.
fn tool(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.arg("--no-defaults").stdin(Stdio::null());
    if fs::metadata("/proc/self")
        .is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
    {
        command.arg("--user=root");
    }
    command
}

/// Debian keeps it outside the search path of ordinary users.
fn server_binary() -> &'static Path {
    let sbin = Path::new("/usr/sbin/mariadbd");
    if sbin.exists() { sbin } else { Path::new("mariadbd") }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
