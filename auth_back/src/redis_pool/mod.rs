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
//! would be a yes. Such a server counts as away, and the log says what to change.
//!
//! Left out on purpose: TLS (`rediss://`; a private network or a tunnel is needed), Redis Cluster and
//! Sentinel's own protocol (an address that follows the master works).

mod connection;
pub mod limits;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod url;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::pool::{AcquireError, Config, ConfigError, Lent, Pool, Stats};
use ::redis::RedisResult;
use service::limits::LOG_SPARING_INTERVAL;
use service::rare;
use service::token_bucket::TokenBucket;

use self::connection::Connector;
pub use self::connection::{ConnectError, Connection, Instance};
use self::limits::{
    CONNECTION_IDLE_TIMEOUT, CONNECTION_LIFETIME, CONNECTION_LIFETIME_JITTER, LOG_LINES, REST,
    WAIT_MAX,
};
pub use self::url::{RedisUrl, RedisUrlError};
use crate::circuit::Circuit;

/// Connections to one Redis. Shared by all threads.
#[derive(Debug)]
pub struct RedisPool {
    pool: Pool<Connector>,
    circuit: Circuit,
    failures: AtomicU64,
    log: Log,
}

/// What the log was told of last. A Redis that comes and goes does not fill it, and what it says in the end is so.
#[derive(Debug)]
struct Log {
    away: AtomicBool,
    lines: TokenBucket,
}

/// Why Redis did not do it. Nobody's fault among users; the caller does without.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    /// It failed a moment ago and is left alone for a while. Nothing was sent.
    #[error("Redis failed a moment ago")]
    Resting,
    /// Every connection was lent, or the caller's deadline has passed. Nothing was sent.
    #[error("no connection to Redis was free in time")]
    Busy,
    /// There is no connection, or none that may be used. Nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It was sent, and whether it was done is unknown.
    #[error("Redis: {0}")]
    Failed(::redis::RedisError),
}

impl RedisPool {
    /// At most `connections` to the server at `url`. Does not connect: the first call does.
    ///
    /// # Errors
    /// [`ConfigError`] if `connections` is out of range.
    pub fn new(url: RedisUrl, connections: usize) -> Result<Self, ConfigError> {
        let config = Config::new(connections)?
            .lifetime(CONNECTION_LIFETIME, CONNECTION_LIFETIME_JITTER)?
            .idle_timeout(CONNECTION_IDLE_TIMEOUT)?
            // Costs nothing: it compares two numbers (`Connector::is_alive`).
            .liveness_after(Duration::ZERO)?;
        Ok(Self {
            pool: Pool::new(Connector::new(url), config),
            circuit: Circuit::new(REST, 1),
            failures: AtomicU64::new(0),
            log: Log {
                away: AtomicBool::new(false),
                lines: TokenBucket::new(LOG_SPARING_INTERVAL),
            },
        })
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
        let now = clock::now();
        if now >= deadline {
            return Err(Away::Busy);
        }
        if !self.circuit.admits(now) {
            return Err(Away::Resting);
        }
        let mut connection = self.acquire(deadline.min(now + WAIT_MAX))?;
        match work(&mut connection) {
            Ok(done) => {
                self.recovered();
                Ok(done)
            }
            Err(error) => {
                Lent::discard(connection);
                // The others lead to the same server.
                self.pool.manager().forget_all();
                let error = Away::Failed(error);
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Closes every connection as it is borrowed next: they lead to a server that is no longer the one.
    pub fn reconnect(&self) {
        self.pool.manager().forget_all();
    }

    /// How many connections there are and what they are doing. Does not block.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Whether it answered when it was last asked. Does not block.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.circuit.is_broken()
    }

    /// How many calls have failed. Does not block.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn acquire(&self, deadline: Instant) -> Result<Lent<'_, Connector>, Away> {
        self.pool.acquire(deadline).map_err(|error| match error {
            AcquireError::Connect(error) => {
                let error = Away::Connect(error);
                self.failed(&error);
                error
            }
            AcquireError::TimedOut | AcquireError::Closed => Away::Busy,
        })
    }

    fn failed(&self, error: &Away) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.circuit.failed(clock::now());
        if self.log.learns(true) {
            rare!("the log's share", WARN, %error, "Redis is away; it is done without");
        }
    }

    fn recovered(&self) {
        self.circuit.mends();
        if self.log.learns(false) {
            rare!("the log's share", INFO, "Redis is back");
        }
    }
}

impl Log {
    /// Whether to write a line, now that Redis is away or is not. Of several threads one is told so.
    fn learns(&self, away: bool) -> bool {
        self.away.load(Ordering::Relaxed) != away
            && self.lines.take(LOG_LINES, clock::now())
            && self.away.swap(away, Ordering::Relaxed) != away
    }
}
