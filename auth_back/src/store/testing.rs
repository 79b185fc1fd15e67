//! Databases for tests: a SQLite file in a temporary directory, and MariaDB.
//!
//! `GATEHOUSE_TEST_MYSQL=mysql://root@127.0.0.1:PORT` names a server that tests may make databases on.
//! Without it a private one is started: own data directory, port and socket, killed when the last test
//! that uses it ends. A missing `mariadbd` fails the test. Tests that stop the server or change its
//! settings always start their own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use mysql::prelude::Queryable as _;
use mysql::{Conn, Opts, OptsBuilder};
use tempfile::TempDir;

use super::{MySqlStore, MySqlUrl, SqliteStore, Store};

/// Connections of a store under test: few, so that threads compete for them.
const CONNECTIONS: usize = 3;

/// How long anything may take that should not fail. Far above what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

const EXTERNAL_SERVER: &str = "GATEHOUSE_TEST_MYSQL";

/// A database of a test's own.
pub(super) trait Fixture: Sync {
    /// A store on the database: as if another server were started. Does not migrate.
    fn open(&self) -> Arc<dyn Store>;

    /// Runs a statement on the database, past any store.
    fn execute(&self, sql: &str);

    /// A store on the database, ready for use.
    fn store(&self) -> Arc<dyn Store> {
        let store = self.open();
        store.migrate(patient()).unwrap();
        store
    }
}

/// A deadline that only a fault lets pass.
pub(super) fn patient() -> Instant {
    clock::now() + PATIENCE
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
        Arc::new(SqliteStore::open(&self.path(), CONNECTIONS).unwrap())
    }

    fn execute(&self, sql: &str) {
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }
}

/// A database on a MariaDB server, dropped at the end.
pub(super) struct MariaDbFixture {
    server: Server,
    database: String,
}

enum Server {
    External(Opts),
    Private(Arc<MariaDb>),
}

impl MariaDbFixture {
    /// On the server that all tests of this process share.
    pub(super) fn new() -> Self {
        Self::on(match env::var(EXTERNAL_SERVER) {
            Ok(url) => Server::External(Opts::from_url(&url).expect(EXTERNAL_SERVER)),
            Err(_) => Server::Private(MariaDb::shared()),
        })
    }

    /// On a server of its own, which it may stop.
    pub(super) fn on_private(server: Arc<MariaDb>) -> Self {
        Self::on(Server::Private(server))
    }

    fn on(server: Server) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let database = format!("gatehouse_test_{}_{number}", process::id());
        let fixture = Self { server, database };
        // Left over from a killed run whose process id came round again.
        fixture.admin(&format!("DROP DATABASE IF EXISTS {}", fixture.database));
        fixture.admin(&format!("CREATE DATABASE {}", fixture.database));
        fixture
    }

    fn opts(&self) -> OptsBuilder {
        match &self.server {
            Server::External(opts) => OptsBuilder::from_opts(opts.clone()),
            Server::Private(server) => OptsBuilder::from_opts(server.root()),
        }
    }

    fn admin(&self, sql: &str) {
        Conn::new(self.opts()).unwrap().query_drop(sql).unwrap();
    }

    pub(super) fn url(&self) -> MySqlUrl {
        let opts = Opts::from(self.opts());
        let password = opts.get_pass().map(|password| format!(":{password}")).unwrap_or_default();
        self.url_as(&format!("{}{password}", opts.get_user().unwrap_or("root")))
    }

    pub(super) fn url_as(&self, user_and_password: &str) -> MySqlUrl {
        let opts = Opts::from(self.opts());
        let (host, port) = (opts.get_ip_or_hostname(), opts.get_tcp_port());
        format!("mysql://{user_and_password}@{host}:{port}/{}", self.database).parse().unwrap()
    }

    /// A connection to the database, past any store.
    pub(super) fn connect(&self) -> Conn {
        Conn::new(self.opts().db_name(Some(&self.database))).unwrap()
    }
}

impl Drop for MariaDbFixture {
    fn drop(&mut self) {
        // The server may be gone, and then so is the database.
        if let Ok(mut conn) = Conn::new(self.opts()) {
            let _ = conn.query_drop(format!("DROP DATABASE IF EXISTS {}", self.database));
        }
    }
}

impl Fixture for MariaDbFixture {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(MySqlStore::new(self.url(), CONNECTIONS).unwrap())
    }

    fn execute(&self, sql: &str) {
        self.connect().query_drop(sql).unwrap();
    }
}

/// A private MariaDB server.
pub(super) struct MariaDb {
    directory: TempDir,
    port: u16,
    process: Mutex<Option<Child>>,
}

impl MariaDb {
    /// The server that tests of this process share while any of them runs.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Makes a data directory and starts a server on it.
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = command("mariadb-install-db", directory.path())
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            // Syncing each of a hundred small files takes most of the time and guards nothing here.
            .args(["--skip-name-resolve", "--sync-frm=0"])
            .output()
            .unwrap_or_else(|error| not_installed("mariadb-install-db", &error));
        assert!(output.status.success(), "mariadb-install-db: {output:?}");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { directory, port, process: Mutex::new(None) };
        server.restart();
        server
    }

    /// Starts the server on the same data and port, and returns when it takes connections.
    pub(super) fn restart(&self) {
        let socket = self.directory.path().join("mariadb.sock");
        let mut child = command("mariadbd", self.directory.path())
            .arg(format!("--port={}", self.port))
            .arg(format!("--socket={}", socket.display()))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| not_installed("mariadbd", &error));
        let log = BufReader::new(child.stderr.take().expect("stderr is piped"));
        *self.process.lock().unwrap() = Some(child);

        let (ready, wait) = mpsc::channel();
        // Reads on to the end, lest the server block on a full pipe.
        thread::spawn(move || {
            let mut lines = Vec::new();
            for line in log.lines().map_while(Result::ok) {
                if line.contains("ready for connections") {
                    let _ = ready.send(Ok(()));
                }
                lines.push(line);
            }
            let _ = ready.send(Err(lines.join("\n")));
        });
        match wait.recv_timeout(PATIENCE) {
            Ok(Ok(())) => {}
            Ok(Err(log)) => panic!("mariadbd ended:\n{log}"),
            Err(_) => panic!("mariadbd did not get ready within {PATIENCE:?}"),
        }
    }

    /// Kills the server as a power cut would.
    pub(super) fn kill(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn root(&self) -> Opts {
        OptsBuilder::new()
            .ip_or_hostname(Some("127.0.0.1"))
            .tcp_port(self.port)
            .user(Some("root"))
            .prefer_socket(false)
            .into()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A MariaDB program that reads no configuration of the machine's and writes nothing outside `directory`.
fn command(program: &str, directory: &Path) -> Command {
    // A server that starts clears its temporary directory of tables that it takes for a dead server's. In
    // the machine's own, those may be another test's.
    let temporary = directory.join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    // Debian keeps servers where an ordinary user's PATH does not look.
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    let mut command = Command::new(program);
    command
        .env("PATH", path)
        .arg("--no-defaults")
        .arg(format!("--datadir={}", directory.join("data").display()))
        .arg(format!("--tmpdir={}", temporary.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // The server refuses to run as root unless told so by name.
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        command.arg("--user=root");
    }
    command
}

fn not_installed(program: &str, error: &std::io::Error) -> ! {
    panic!(
        "cannot start {program} ({error}): install it (apt-get install mariadb-server), or name a \
         server in {EXTERNAL_SERVER}, such as mysql://root@127.0.0.1:3306"
    )
}
