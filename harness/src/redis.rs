//! A Redis server of one's own.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{limits::DATABASE_STARTS_MAX, wait::until};

/// A private server that a test may stop and start again. It keeps nothing unless it is told to
/// [save](Self::save). Dropping it kills it.
#[derive(Debug)]
pub struct Redis {
    server: Option<Child>,
    port: u16,
    directory: TempDir,
}

impl Redis {
    /// Starts an empty server. Takes well under a second.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        let mut redis = Self { server: None, port: 0, directory };
        for _ in 0..DATABASE_STARTS_MAX {
            redis.port = free_port();
            if redis.try_start() {
                return redis;
            }
        }
        panic!("redis-server does not start");
    }

    /// As `--sessions` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("it was stopped").id()
    }

    /// Where its snapshot is.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Ends it at once. What was not saved is lost.
    pub fn stop(&mut self) {
        let mut server = self.server.take().expect("it was stopped");
        server.kill().expect("a child can be killed");
        server.wait().expect("a child can be waited for");
    }

    /// Has it write what it holds to its disk.
    pub fn save(&self) {
        assert_eq!(self.ask("SAVE"), "+OK");
    }

    /// Starts it again on the same port, with what was last saved.
    pub fn start_again(&mut self) {
        assert!(self.try_start(), "redis-server does not start again");
    }

    /// Starts it again on the same port, with nothing.
    pub fn start_empty(&mut self) {
        let _ = fs::remove_file(self.directory.path().join("dump.rdb"));
        self.start_again();
    }

    /// One command, its words between blanks, and the answer as it comes over the wire: the first line,
    /// and what it announces if it is a bulk string.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The number that INFO has under this name.
    #[must_use]
    pub fn info(&self, name: &str) -> u64 {
        let info = self.ask("INFO");
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("INFO has no {name}"));
        value.trim().parse().unwrap_or_else(|_| panic!("{name} is no number: {value}"))
    }

    fn try_ask(&self, command: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut stream = BufReader::new(stream);
        let mut first = String::new();
        stream.read_line(&mut first)?;
        let first = first.trim_end();
        let Some(length) = first.strip_prefix('$').and_then(|length| length.parse().ok()) else {
            return Ok(first.to_owned());
        };
        let mut bulk = vec![0; length];
        stream.read_exact(&mut bulk)?;
        Ok(String::from_utf8_lossy(&bulk).into_owned())
    }

    /// Whether it takes connections before it ends.
    fn try_start(&mut self) -> bool {
        let mut server = match self.command("redis-server").spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.command("redis-check-rdb").spawn()
            }
            started => started,
        }
        .unwrap_or_else(|error| {
            panic!("redis-server does not run ({error}): install the package redis-tools")
        });
        let serves = until("redis-server", || match server.try_wait() {
            Ok(Some(_)) => Some(false),
            _ => (self.try_ask("PING").ok()? == "+PONG").then_some(true),
        });
        self.server = serves.then_some(server);
        serves
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            // Debian's package of tools has the server under the name of its checker.
            .arg0("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.stop();
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
