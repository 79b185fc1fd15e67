//! One connection to Redis, and what is looked at before it is used.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pool::Manager;
use redis::{Client, ConnectionLike, RedisResult, Script, Value, cmd};
use sha2::{Digest as _, Sha256};

use super::RedisUrl;
use super::error::ConnectError;
use super::limits::{CONNECT_TIMEOUT, IO_TIMEOUT};
use super::uses::{Trial, Use};

/// A connection, for commands and scripts of the driver. Each answer is waited for for
/// [`IO_TIMEOUT`] at the most.
pub struct Connection {
    conn: redis::Connection,
    instance: Instance,
    connected_at: Instant,
    /// [`Connector::round`] when it was made.
    round: u64,
}

/// One run of one server, as 32 hex digits: another after a restart, a failover, or a change of the
/// server's place in its replication.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Instance(String);

impl Connection {
    /// Whether it leads to the same server as ever, which may still be used.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub(super) fn look(&mut self) -> Result<bool, ConnectError> {
        let instance = judge(&ask_for_info(&mut self.conn)?)?;
        Ok(instance == self.instance)
    }

    /// Which run of which server it leads to.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// When it was made.
    #[must_use]
    pub fn connected_at(&self) -> Instant {
        self.connected_at
    }

    /// The driver's connection.
    pub fn driver(&mut self) -> &mut (dyn ConnectionLike + 'static) {
        &mut self.conn
    }

    /// One command and its answer.
    ///
    /// # Errors
    /// What the driver says; then the connection must not be used again.
    pub fn ask(&mut self, command: &redis::Cmd) -> RedisResult<Value> {
        command.query(&mut self.conn)
    }
}

impl Instance {
    /// As it was printed; anything else is an instance that no server is.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The run id changes with each start. The replication id changes when a replica becomes a
    /// master or a master a replica, which may take writes back without a restart.
    fn of(run_id: &str, replication_id: &str) -> Self {
        let digest = Sha256::digest(format!("{run_id} {replication_id}"));
        Self(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opens connections to one Redis.
#[derive(Debug)]
pub(super) struct Connector {
    url: RedisUrl,
    trial: Trial,
    /// Raised when every connection that there is has to go.
    round: AtomicU64,
}

impl Connector {
    pub(super) fn new(url: RedisUrl, name_of_use: Use) -> Self {
        Self { url, trial: name_of_use.trial(), round: AtomicU64::new(0) }
    }

    pub(super) fn forget_all(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }
}

impl Manager for Connector {
    type Item = Connection;
    type Error = ConnectError;

    fn connect(&self, _deadline: Instant) -> Result<Connection, ConnectError> {
        let round = self.round.load(Ordering::Relaxed);
        let connected_at = clock::now();
        let mut conn = Client::open(self.url.connection_info())?
            .get_connection_with_timeout(CONNECT_TIMEOUT)?;
        conn.set_read_timeout(Some(IO_TIMEOUT))?;
        conn.set_write_timeout(Some(IO_TIMEOUT))?;
        self.greet(&mut conn)?;
        let instance = judge(&ask_for_info(&mut conn)?)?;
        self.trial.run(&mut conn).map_err(ConnectError::of)?;
        Ok(Connection { conn, instance, connected_at, round })
    }

    fn is_alive(&self, connection: &mut Connection, _deadline: Instant) -> bool {
        connection.round == self.round.load(Ordering::Relaxed)
    }
}

impl Connector {
    /// Says who we are and which database we mean. The driver would do so too, and keep Redis' own words to itself: one
    /// that is out of connections would have a wrong password.
    fn greet(&self, conn: &mut redis::Connection) -> Result<(), ConnectError> {
        if let Some(command) = self.url.auth() {
            command.exec(conn).map_err(ConnectError::of_greeting)?;
        }
        if self.url.database() != 0 {
            cmd("SELECT").arg(self.url.database()).exec(conn).map_err(ConnectError::of_greeting)?;
        }
        Ok(())
    }
}

impl Trial {
    /// Does what is done in normal operation to a key of its own, of which nothing is left. A connection that may not, or
    /// whose server takes no writes, is never used: so whoever asks later is spared one failure after the other.
    fn run(&self, conn: &mut redis::Connection) -> RedisResult<()> {
        let script = Script::new(self.script);
        let mut pipeline = redis::pipe();
        for command in self.commands {
            pipeline.cmd(command[0]);
            for argument in &command[1..] {
                pipeline.arg(*argument);
            }
            pipeline.ignore();
        }
        pipeline.load_script(&script).ignore();
        pipeline.invoke_script(&script.key(self.key)).ignore();
        pipeline.exec(conn)
    }
}

fn ask_for_info(conn: &mut redis::Connection) -> Result<String, ConnectError> {
    cmd("INFO").query(conn).map_err(ConnectError::of)
}

/// What the answer to INFO says about whether the server may be used, and which it is.
fn judge(info: &str) -> Result<Instance, ConnectError> {
    let value = |name: &'static str| {
        let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim_end).ok_or(ConnectError::Unknown(name))
    };
    if value("role")? != "master" {
        return Err(ConnectError::Replica);
    }
    let policy = value("maxmemory_policy")?;
    if value("maxmemory")? != "0" && policy != "noeviction" {
        return Err(ConnectError::Evicts(policy.to_owned()));
    }
    Ok(Instance::of(value("run_id")?, value("master_replid")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(info: &str, expected: Result<(), &str>) {
        let judged = judge(&info.replace(' ', "\r\n")).map(drop).map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(judged, Ok(()), "{info}"),
            Err(part) => {
                assert!(judged.as_ref().is_err_and(|text| text.contains(part)), "{judged:?}");
            }
        }
    }

    #[test]
    fn servers_that_may_forget_are_refused() {
        let id = "run_id:a master_replid:b";
        check(&format!("{id} role:master maxmemory:0 maxmemory_policy:noeviction"), Ok(()));
        check(&format!("{id} role:master maxmemory:0 maxmemory_policy:allkeys-lru"), Ok(()));
        check(&format!("{id} role:master maxmemory:9 maxmemory_policy:noeviction"), Ok(()));
        check(
            &format!("{id} role:master maxmemory:9 maxmemory_policy:volatile-ttl"),
            Err("volatile-ttl"),
        );
        check(&format!("{id} role:slave maxmemory:0 maxmemory_policy:noeviction"), Err("replica"));
        check("role:master maxmemory:0 maxmemory_policy:noeviction", Err("run_id"));
        check("", Err("role"));
    }

    #[test]
    fn an_instance_is_a_run_in_a_place() {
        let of = Instance::of;
        assert_eq!(of("a", "b"), of("a", "b"));
        assert_ne!(of("a", "b"), of("a", "c"));
        assert_ne!(of("a", "b"), of("c", "b"));
        assert_eq!(of("a", "b").as_str().len(), 32);
    }
}
