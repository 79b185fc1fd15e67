//! A Redis server of one's own.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::{fs, sync::LazyLock};

use crate::daemon::{Daemon, Kind, is_installed, server_command};
use crate::error::Error;
use crate::limits::PROBE_MAX;
use crate::scratch::Scratch;

/// Debian's package of tools has the server under the name of its checker of snapshots, and looks at the
/// name that it is called by.
static PROGRAM: LazyLock<&str> =
    LazyLock::new(|| if is_installed("redis-server") { "redis-server" } else { "redis-check-rdb" });

/// A private server. It keeps nothing unless it is told to [save](Self::save).
#[derive(Debug)]
pub struct Redis {
    daemon: Daemon,
}

impl Redis {
    /// Starts an empty server. Takes well under a second.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Vec::new()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts an empty server with these flags of `redis-server` beside those that make it private.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start_with(flags: Vec<String>) -> Result<Self, Error> {
        let command = move |address: SocketAddr, directory: &Scratch| {
            let mut command = server_command(*PROGRAM);
            command
                .arg0("redis-server")
                .args(["--port", &address.port().to_string(), "--bind", &address.ip().to_string()])
                .args(["--save", "", "--appendonly", "no", "--dir", &directory.at("")])
                .args(&flags);
            command
        };
        let (name, package) = ("redis-server", "redis-tools");
        let kind = Kind { name, package, command: Box::new(command), serves: answers };
        Ok(Self { daemon: Daemon::start(kind, Scratch::new("redis")?)? })
    }

    /// As `--sessions` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// Has it write what it holds to its disk.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn save(&self) {
        assert_eq!(self.ask("SAVE"), "+OK");
    }

    /// Starts it again on the same port, with nothing.
    ///
    /// # Panics
    ///
    /// When it runs, or does not start.
    pub fn start_empty(&self) {
        let _ = fs::remove_file(self.directory().join("dump.rdb"));
        self.start_again();
    }

    /// One command, its words between blanks, and the answer as it comes over the wire: the first line,
    /// and what it announces if it is a bulk string.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        ask(self.address(), command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The number that INFO has under this name.
    ///
    /// # Panics
    ///
    /// When it has none.
    #[must_use]
    pub fn info(&self, name: &str) -> u64 {
        let info = self.ask("INFO");
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("INFO has no {name}"));
        value.trim().parse().unwrap_or_else(|_| panic!("{name} is no number: {value}"))
    }
}

impl Deref for Redis {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

fn answers(address: SocketAddr) -> bool {
    ask(address, "PING").is_ok_and(|answer| answer == "+PONG")
}

fn ask(address: SocketAddr, command: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PROBE_MAX))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_was_saved_and_nothing_else() {
        let redis = Redis::start();
        assert_eq!(redis.ask("SET kept yes"), "+OK");
        redis.save();
        assert_eq!(redis.ask("SET lost yes"), "+OK");
        redis.kill();
        assert!(TcpStream::connect(redis.address()).is_err());
        redis.start_again();
        assert_eq!(
            (redis.ask("GET kept").as_str(), redis.ask("EXISTS lost").as_str()),
            ("yes", ":0")
        );
        assert_eq!(redis.info("tcp_port"), u64::from(redis.address().port()));
        redis.kill();
        redis.start_empty();
        assert_eq!(redis.ask("DBSIZE"), ":0");
    }
}
