//! A MariaDB server of one's own.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::process::{Command, Stdio};
use std::{fs, io};

use crate::daemon::{Daemon, Kind, is_root, server_command};
use crate::error::Error;
use crate::limits::PROBE_MAX;
use crate::port::Port;
use crate::scratch::Scratch;

const PACKAGE: &str = "mariadb-server-core";

/// As small as MariaDB takes it, for tests: many servers run side by side.
const SMALL: [&str; 2] = ["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"];

/// Clients over TCP are 127.0.0.1 to the server, for which a new one may know no account.
const FIRST_STATEMENTS: &str = "CREATE USER IF NOT EXISTS root@'127.0.0.1' IDENTIFIED BY '';\n\
                                GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n\
                                CREATE DATABASE IF NOT EXISTS gatehouse;\n";

/// A private server, in which there is an empty database `gatehouse`. It reads no configuration of the
/// machine's and writes nothing outside its directory. What it acknowledges survives a [`kill`](Daemon::kill).
#[derive(Debug)]
pub struct MariaDb {
    daemon: Daemon,
}

impl MariaDb {
    /// Makes an empty server that takes little memory, and starts it. Takes about a second.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(SMALL.map(str::to_owned).to_vec())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, with these variables in its environment.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with_variables(variables: Vec<(String, String)>) -> Self {
        Self::start_in(variables, SMALL.map(str::to_owned).to_vec())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes an empty server and starts it with these flags of `mariadbd` beside those that make it private.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start_with(flags: Vec<String>) -> Result<Self, Error> {
        Self::start_in(Vec::new(), flags)
    }

    fn start_in(variables: Vec<(String, String)>, flags: Vec<String>) -> Result<Self, Error> {
        let directory = Scratch::new("mariadb")?;
        make_data(&directory)?;
        let first = fs::write(directory.at("first.sql"), FIRST_STATEMENTS);
        first.map_err(Error::system("write to a scratch directory"))?;
        let command = move |address: SocketAddr, directory: &Scratch| {
            let mut command = tool("mariadbd", directory);
            command
                .arg(format!("--socket={}", directory.at("socket")))
                .arg(format!("--pid-file={}", directory.at("pid")))
                .arg(format!("--init-file={}", directory.at("first.sql")))
                .arg(format!("--bind-address={}", address.ip()))
                .arg(format!("--port={}", address.port()))
                .args(["--skip-name-resolve", "--skip-log-bin"])
                // What is acknowledged has to survive a kill: durability is what is tested.
                .arg("--innodb-flush-log-at-trx-commit=1")
                .args(&flags)
                .envs(variables.iter().cloned());
            command
        };
        let kind =
            Kind { name: "mariadbd", package: PACKAGE, command: Box::new(command), serves: greets };
        Ok(Self { daemon: Daemon::start(kind, directory)? })
    }

    /// The same, with plugins of MariaDB's that its core package lacks.
    ///
    /// # Panics
    ///
    /// When it does not start, or `GATEHOUSE_TEST_MARIADB_PLUGINS` does not say where they are.
    #[must_use]
    pub fn start_with_plugins() -> Self {
        let mut flags = SMALL.map(str::to_owned).to_vec();
        flags.push(format!("--plugin-dir={}", library("GATEHOUSE_TEST_MARIADB_PLUGINS")));
        Self::start_with(flags).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, as the only node of a Galera cluster.
    ///
    /// # Panics
    ///
    /// When it does not start, or `GATEHOUSE_TEST_GALERA` does not say where the cluster's library is.
    #[must_use]
    pub fn start_as_node() -> Self {
        let mut flags = SMALL.map(str::to_owned).to_vec();
        let replication = Port::free().expect("a port is free").address();
        flags.extend([
            "--wsrep-on=ON".to_owned(),
            "--wsrep-cluster-address=gcomm://".to_owned(),
            format!("--wsrep-provider={}", library("GATEHOUSE_TEST_GALERA")),
            format!("--wsrep-provider-options=gmcast.listen_addr=tcp://{replication}"),
            "--wsrep-node-address=127.0.0.1".to_owned(),
            "--binlog-format=ROW".to_owned(),
        ]);
        Self::start_with(flags).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, as a server whose writes others can follow. Each of a group needs a number of its own.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_replicating(number: u32) -> Self {
        let mut flags = SMALL.map(str::to_owned).to_vec();
        flags.extend([
            "--log-bin=binlog".to_owned(),
            "--log-slave-updates".to_owned(),
            format!("--server-id={number}"),
        ]);
        Self::start_with(flags).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The server, as `--store` names it, without a database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://root@{}", self.address())
    }
}

impl Deref for MariaDb {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

/// Where a library is that `./test` unpacks.
fn library(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is to say where it is: ./test unpacks it (perf/packages.sh) and sets it")
    })
}

fn make_data(directory: &Scratch) -> Result<(), Error> {
    // A server that starts clears its temporary directory of tables that it takes for a dead server's. In
    // the machine's own, those may be another test's.
    fs::create_dir_all(directory.at("tmp")).map_err(Error::system("make a directory"))?;
    let made = tool("mariadb-install-db", directory)
        .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
        // Syncing each of a hundred small files takes most of the time and guards nothing here.
        .arg("--sync-frm=0")
        .stdin(Stdio::null())
        .output();
    let program = "mariadb-install-db";
    let made = made.map_err(Error::not_run(program, PACKAGE))?;
    if made.status.success() {
        return Ok(());
    }
    let log = [made.stdout, made.stderr].concat();
    let log = String::from_utf8_lossy(&log).into_owned();
    Err(Error::DoesNotStart { program: program.to_owned(), status: made.status, log })
}

/// A program of MariaDB without the settings of the machine.
fn tool(program: &str, directory: &Scratch) -> Command {
    let mut command = server_command(program);
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", directory.at("data")))
        .arg(format!("--tmpdir={}", directory.at("tmp")));
    if is_root() {
        command.arg("--user=root");
    }
    command
}

/// Whether it greets who connects, which it does not before it has run its first statements.
fn greets(address: SocketAddr) -> bool {
    let greeting = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PROBE_MAX))?;
        // Length and number of the packet, then the version of the protocol.
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        io::Result::Ok(start[4])
    };
    greeting().is_ok_and(|version| version == 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_again_after_it_was_killed_and_after_it_was_paused() {
        let server = MariaDb::start();
        let (address, pid) = (server.address(), server.pid());
        assert!(greets(address));
        server.kill();
        assert!(TcpStream::connect(address).is_err());
        server.start_again();
        assert!(greets(address) && server.pid() != pid);

        server.pause();
        // The kernel takes connections for it, and nobody answers.
        let mut waiting = TcpStream::connect(address).unwrap();
        waiting.set_nonblocking(true).unwrap();
        assert_eq!(waiting.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        server.resume();
        waiting.set_nonblocking(false).unwrap();
        assert_eq!(waiting.read(&mut [0]).unwrap(), 1);
    }
}
