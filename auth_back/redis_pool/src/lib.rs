//! Redis beside the database: connections that are borrowed for one thing and never waited for long.
//!
//! What is kept there is a copy, or may be lost; so a Redis that is away is never an error to a user,
//! only a reason to do without. The costs of its being away are bounded: one failure closes the way
//! to it for [`limits::REST`], after which one caller tries again and the others still do without.
//!
//! A connection knows which run of which server it leads to ([`Connection::instance`]). Whoever keeps
//! something there that must not come back (a snapshot restored, a replica promoted that missed the
//! last writes) compares that with what it was when it wrote.
//!
//! Servers that may forget at will are not used: a replica, and one that evicts keys when its memory
//! is full. What is kept here has its own times to live, and some of it says *no*; an evicted no
//! would be a yes. Such a server counts as away, and the log says what to change. So does one that takes no writes, and
//! one that does not let us do all that we have to: each new connection tries (`scripts/`) before it is used.
//!
//! Left out on purpose: TLS (`rediss://`; a private network or a tunnel is needed), Redis Cluster and
//! Sentinel's own protocol (an address that follows the master works).

mod connection;
mod error;
pub mod limits;
mod refusal;
mod report;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod url;
mod uses;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::pool::{AcquireError, Config, ConfigError, Lent, Pool, Stats};
use ::redis::RedisResult;

use self::connection::Connector;
pub use self::connection::{Connection, Instance};
pub use self::error::{Away, ConnectError};
use self::limits::{
    CONNECTION_IDLE_TIMEOUT, CONNECTION_LIFETIME, CONNECTION_LIFETIME_JITTER, REST, WAIT_MAX,
};
pub use self::refusal::Refusal;
use self::report::{Kind, Report};
pub use self::url::{RedisUrl, RedisUrlError};
pub use self::uses::Use;
pub use self::watch::Watch;
use circuit::Circuit;

/// Connections to one Redis for one use. Clones share them.
#[derive(Clone, Debug)]
pub struct RedisPool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: Pool<Connector>,
    name_of_use: Use,
    circuit: Circuit,
    failures: AtomicU64,
    report: Report,
}

impl RedisPool {
    /// At most `connections` to the server at `url`. Does not connect: the first call does.
    ///
    /// # Errors
    /// [`ConfigError`] if `connections` is out of range.
    pub fn new(url: RedisUrl, connections: usize, name_of_use: Use) -> Result<Self, ConfigError> {
        let config = Config::new(connections)?
            .lifetime(CONNECTION_LIFETIME, CONNECTION_LIFETIME_JITTER)?
            .idle_timeout(CONNECTION_IDLE_TIMEOUT)?
            // Costs nothing: it compares two numbers (`Connector::is_alive`).
            .liveness_after(Duration::ZERO)?;
        Ok(Self(Arc::new(Shared {
            pool: Pool::new(Connector::new(url, name_of_use), config),
            name_of_use,
            circuit: Circuit::new(REST, 1),
            failures: AtomicU64::new(0),
            report: Report::new(name_of_use),
        })))
    }

    /// Borrows a connection, works, and gives it back unless the work failed: then it is closed, and
    /// with it every other, and Redis is left alone for [`limits::REST`].
    ///
    /// Blocks until `deadline` or for [`limits::WAIT_MAX`] to get a connection, whichever is earlier,
    /// then for [`limits::IO_TIMEOUT`] with each answer that does not come.
    ///
    /// # Errors
    /// [`Away`].
    pub fn run<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Connection) -> RedisResult<T>,
    ) -> Result<T, Away> {
        self.try_to(deadline, |connection| work(connection).map_err(Away::Failed))
    }

    /// Looks whether Redis is there, lets us do what we have to, and may be used. Blocks as [`run`](Self::run) does.
    ///
    /// # Errors
    /// [`Refusal`]; that it is away is none, and the log tells of it.
    pub fn look(&self) -> Result<(), Refusal> {
        let looked = self
            .try_to(clock::now() + WAIT_MAX, |connection| connection.look().map_err(Away::Connect));
        match looked {
            Ok(is_the_same) => {
                if !is_the_same {
                    self.reconnect();
                }
                Ok(())
            }
            Err(Away::Connect(ConnectError::Refused(refusal))) => Err(refusal),
            Err(_) => Ok(()),
        }
    }

    fn try_to<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Connection) -> Result<T, Away>,
    ) -> Result<T, Away> {
        let now = clock::now();
        if now >= deadline {
            return Err(Away::Busy);
        }
        if !self.0.circuit.admits(now) {
            return Err(Away::Resting);
        }
        let mut connection = self.acquire(deadline.min(now + WAIT_MAX))?;
        match work(&mut connection) {
            Ok(done) => {
                self.0.circuit.mends();
                self.0.report.succeeded();
                Ok(done)
            }
            Err(error) => {
                Lent::discard(connection);
                // The others lead to the same server.
                self.reconnect();
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Closes every connection as it is borrowed next: they lead to a server that is no longer the one.
    pub fn reconnect(&self) {
        self.0.pool.manager().forget_all();
    }

    /// What it is for.
    #[must_use]
    pub fn name_of_use(&self) -> Use {
        self.0.name_of_use
    }

    /// How many connections there are and what they are doing. Does not block.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.pool.stats()
    }

    /// Whether it answered when it was last asked, which a [`Watch`] does once a second. Does not block.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.0.circuit.is_broken()
    }

    /// Whether only an operator can have it used again. Does not block.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.0.report.trouble().is_some_and(|(kind, _)| kind == Kind::Refuses)
    }

    /// Why it is of no use, if it was not when it was last asked. One line; holds no secret.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.report.trouble().map(|(_, text)| text)
    }

    /// How many calls have failed. Does not block.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    fn acquire(&self, deadline: Instant) -> Result<Lent<'_, Connector>, Away> {
        self.0.pool.acquire(deadline).map_err(|error| match error {
            AcquireError::Connect(error) => {
                let error = Away::Connect(error);
                self.failed(&error);
                error
            }
            AcquireError::TimedOut | AcquireError::Closed => Away::Busy,
        })
    }

    fn failed(&self, error: &Away) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        self.0.circuit.failed(clock::now());
        self.0.report.failed(error);
    }
}
