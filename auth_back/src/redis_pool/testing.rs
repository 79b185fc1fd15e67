//! A private Redis for tests: own port and directory, nothing kept unless a test saves it, killed at
//! the end.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use std::{io, thread};

use tempfile::TempDir;

use super::RedisUrl;

const PATIENCE: Duration = Duration::from_secs(60);

/// Tries on ports that were free a moment ago.
const STARTS_MAX: usize = 5;

pub(crate) struct Redis {
    directory: TempDir,
    port: u16,
    process: Mutex<Option<Child>>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut redis = Self { directory, port: 0, process: Mutex::default() };
        for _ in 0..STARTS_MAX {
            redis.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if redis.try_start() {
                return redis;
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn url(&self) -> RedisUrl {
        format!("redis://127.0.0.1:{}/0", self.port).parse().unwrap()
    }

    /// A connection of the test's own.
    pub(crate) fn connect(&self) -> redis::Connection {
        redis::Client::open(("127.0.0.1", self.port)).unwrap().get_connection().unwrap()
    }

    /// Ends it at once. What was not saved is lost.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Saves what it holds now; a restart brings it back.
    pub(crate) fn save(&self) {
        redis::cmd("SAVE").exec(&mut self.connect()).unwrap();
    }

    /// Starts it again on the same port, with what was last saved.
    pub(crate) fn restart(&self) {
        assert!(self.try_start(), "redis-server does not start again");
    }

    fn try_start(&self) -> bool {
        let start = |program: &str| {
            Command::new(program)
                // Debian's package of tools has the server under the name of its checker.
                .arg0("redis-server")
                .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no", "--dir"])
                .arg(self.directory.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
        };
        let child = match start("redis-server") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => start("redis-check-rdb"),
            started => started,
        };
        let mut child = child.unwrap_or_else(|error| {
            panic!("cannot start redis-server ({error}): install the package redis-tools")
        });
        let give_up = clock::now() + PATIENCE;
        let answers = loop {
            if child.try_wait().unwrap().is_some() {
                break false;
            }
            let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
            let conn = client.get_connection_with_timeout(PATIENCE);
            if conn.is_ok_and(|mut conn| redis::cmd("PING").exec(&mut conn).is_ok()) {
                break true;
            }
            assert!(clock::now() < give_up, "redis-server does not answer");
            thread::sleep(Duration::from_millis(2));
        };
        *self.process.lock().unwrap() = answers.then_some(child);
        answers
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
