//! One auth server: its pool of connections, and what is known of its health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pool::{AcquireError, Config, ConfigError, Lent, Manager, Pool};
use service::log::Sparing;

use super::connection::{Connection, ConnectionError};
use crate::limits::{RETRY_AFTER_FAILURE, TRIAL_TIME_MAX};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pool: Pool<Connector>,
    hash_threads: Arc<AtomicU32>,
    pub(crate) health: Health,
    /// The log's share of them.
    pub(crate) failures: Sparing,
}

/// Connections live this long, so that a balancer or a new server between here and there gets its
/// share; less a random part, so that they do not end together.
const LIFETIME: Duration = Duration::from_secs(10 * 60);
const LIFETIME_JITTER: Duration = Duration::from_secs(2 * 60);

/// A connection that nobody needed for so long is closed. auth_back allows a longer idle time, so
/// it is this side that closes, at a moment when nothing is in flight.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

impl Server {
    /// A server with up to `connections` connections, none of them open yet.
    pub(crate) fn new(
        address: SocketAddr,
        connections: usize,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let config = Config::new(connections)?
            .lifetime(LIFETIME, LIFETIME_JITTER)?
            .idle_timeout(IDLE_TIMEOUT)?;
        let hash_threads = Arc::default();
        let pool =
            Pool::new(Connector { address, hash_threads: Arc::clone(&hash_threads) }, config);
        Ok(Self { address, pool, hash_threads, health: Health::new(now), failures: Sparing::new() })
    }

    /// How many passwords it hashes at a time, as it told when it was connected to last; `None` if it did not tell.
    pub(crate) fn hash_threads(&self) -> Option<usize> {
        let told = self.hash_threads.load(Ordering::Relaxed);
        usize::try_from(told).ok().filter(|&threads| threads > 0)
    }

    /// A connection that is not known to be from before a restart. Blocks until `deadline` at the
    /// most.
    pub(crate) fn borrow(
        &self,
        deadline: Instant,
    ) -> Result<Lent<'_, Connector>, AcquireError<ConnectionError>> {
        loop {
            let connection = self.pool.acquire(deadline)?;
            if !self.health.condemns(connection.opened_at()) {
                return Ok(connection);
            }
            connection.discard();
        }
    }
}

/// Opens connections for the pool.
pub(crate) struct Connector {
    address: SocketAddr,
    hash_threads: Arc<AtomicU32>,
}

impl Manager for Connector {
    type Item = Box<Connection>;
    type Error = ConnectionError;

    fn connect(&self, deadline: Instant) -> Result<Box<Connection>, ConnectionError> {
        let connection = Connection::open(self.address, deadline)?;
        self.hash_threads.store(connection.hash_threads(), Ordering::Relaxed);
        Ok(Box::new(connection))
    }

    fn is_alive(&self, connection: &mut Box<Connection>, _: Instant) -> bool {
        connection.is_quiet()
    }

    fn is_broken(&self, connection: &Box<Connection>) -> bool {
        connection.is_broken()
    }
}

/// What the exchanges with a server have shown of it. Shared by all workers, without a lock.
///
/// Times are microseconds since `epoch`, 0 for never.
pub(crate) struct Health {
    epoch: Instant,
    /// While this lies ahead, the server is passed over.
    retry_at: AtomicU64,
    /// Connections opened before it belong to a life of the server that has ended.
    broke_at: AtomicU64,
    /// The server stops before long, as it said when it was last asked.
    draining: AtomicBool,
}

impl Health {
    fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            retry_at: AtomicU64::new(0),
            broke_at: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        }
    }

    /// Whether a request may go there. After a failure one request at a time is let through, to
    /// find out; that is why asking changes something.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let retry_at = self.retry_at.load(Ordering::Relaxed);
        if retry_at == 0 {
            return true;
        }
        let next = self.micros(now + TRIAL_TIME_MAX);
        self.micros(now) >= retry_at
            && self
                .retry_at
                .compare_exchange(retry_at, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Whether the last exchange did not fail. Unlike [`admits`](Self::admits) it changes nothing.
    pub(crate) fn is_well(&self) -> bool {
        self.retry_at.load(Ordering::Relaxed) == 0
    }

    /// The server could not be reached, a fresh connection to it broke, or it says nothing.
    pub(crate) fn failed(&self, now: Instant) {
        self.retry_at.store(self.micros(now + RETRY_AFTER_FAILURE), Ordering::Relaxed);
    }

    /// The server has answered.
    pub(crate) fn answered(&self) {
        // Read first: a store would pull the cache line over for nothing, batch after batch.
        if self.retry_at.load(Ordering::Relaxed) != 0 {
            self.retry_at.store(0, Ordering::Relaxed);
        }
    }

    /// The server has said whether it stops before long.
    pub(crate) fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    /// Whether the server stops before long: it serves still, and should get nothing new if there is another.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// A connection broke, so those that are as old are most likely broken too.
    pub(crate) fn condemn_connections(&self, now: Instant) {
        self.broke_at.fetch_max(self.micros(now), Ordering::Relaxed);
    }

    /// Whether a connection was opened before others were seen to break.
    pub(crate) fn condemns(&self, opened_at: Instant) -> bool {
        self.micros(opened_at) < self.broke_at.load(Ordering::Relaxed)
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }
}
