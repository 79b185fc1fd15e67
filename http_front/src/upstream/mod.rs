//! The auth servers: choosing one, borrowing a connection, exchanging a batch, trying another.

mod balance;
mod connection;
mod messages;
mod server;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pool::{AcquireError, ConfigError};

use crate::metrics::Metrics;
use crate::work::{Job, Outcome, Unanswered};
use balance::{Balance, RoundRobin, Tried};
use connection::ConnectionError;
use server::Server;

/// The auth servers of this front, shared by all workers.
pub struct Upstreams {
    servers: Vec<Server>,
    balance: Box<dyn Balance>,
    metrics: Metrics,
}

/// How an attempt at one server ended.
enum Attempt {
    /// Every job is answered.
    Done,
    /// A connection from before broke; a fresh one may do.
    Stale,
    /// This server cannot serve now.
    Failed,
}

impl Upstreams {
    /// Servers at `addresses`, with up to `connections` connections each.
    ///
    /// # Errors
    /// When a pool cannot have that size.
    pub fn new(
        addresses: &[SocketAddr],
        connections: usize,
        metrics: Metrics,
    ) -> Result<Self, ConfigError> {
        let now = Instant::now();
        let servers = addresses.iter().map(|&address| Server::new(address, connections, now));
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
            balance: Box::new(RoundRobin::default()),
            metrics,
        })
    }

    /// Has all of `jobs` served and answered, by as many servers as it takes. Blocks until then, or
    /// until their deadlines have passed.
    ///
    /// A job whose connection broke is sent again, to another server or over a fresh connection: a
    /// session check and a logout can be repeated freely, and register and authenticate carry a
    /// request id that makes it safe.
    pub fn serve(&self, jobs: &mut Vec<Job>) {
        let mut tried = Tried::default();
        loop {
            let now = Instant::now();
            answer_all(jobs.extract_if(.., |job| job.deadline <= now), Unanswered::TimedOut);
            if jobs.is_empty() {
                return;
            }
            let Some(index) = self.balance.pick(&self.servers, tried, now) else {
                return answer_all(jobs.drain(..), Unanswered::Unreachable);
            };
            tried.add(index);
            let server = &self.servers[index];
            let attempt = match self.attempt(server, jobs) {
                // The connection was from before a restart, which says nothing of the server now.
                Attempt::Stale => self.attempt(server, jobs),
                attempt => attempt,
            };
            match attempt {
                Attempt::Done => server.health.answered(),
                Attempt::Stale | Attempt::Failed => server.health.failed(Instant::now()),
            }
        }
    }

    /// Whether a server can serve, and if none can, why. Blocks for `patience` a server at most. A
    /// server that answers is trusted with requests again.
    ///
    /// # Errors
    /// What the servers said, in one line.
    pub fn check_health(&self, patience: Duration) -> Result<(), String> {
        let mut reasons = Vec::new();
        for server in &self.servers {
            match self.ask_health(server, Instant::now() + patience) {
                Ok(()) => server.health.answered(),
                Err(reason) => reasons.push(format!("{}: {reason}", server.address)),
            }
        }
        if reasons.len() < self.servers.len() { Ok(()) } else { Err(reasons.join("; ")) }
    }

    fn attempt(&self, server: &Server, jobs: &mut Vec<Job>) -> Attempt {
        let Some(deadline) = jobs.iter().map(|job| job.deadline).max() else {
            return Attempt::Done;
        };
        let mut connection = loop {
            match server.pool.acquire(deadline) {
                Ok(connection) if server.health.condemns(connection.opened_at()) => {
                    connection.discard();
                }
                Ok(connection) => break connection,
                Err(AcquireError::TimedOut) => {
                    answer_all(jobs.drain(..), Unanswered::TimedOut);
                    return Attempt::Done;
                }
                Err(AcquireError::Connect(error)) => {
                    return self.note_failure(server, &error, Attempt::Failed);
                }
                Err(AcquireError::Closed) => return Attempt::Failed,
            }
        };
        let began = Instant::now();
        let attempt_if_broken = if connection.is_used() { Attempt::Stale } else { Attempt::Failed };
        self.metrics.batch_size.observe(jobs.len() as f64);
        match connection.exchange(jobs) {
            Ok(()) => Attempt::Done,
            Err(error) => {
                connection.discard();
                server.health.condemn_connections(began);
                self.note_failure(server, &error, attempt_if_broken)
            }
        }
    }

    fn note_failure(&self, server: &Server, error: &ConnectionError, attempt: Attempt) -> Attempt {
        self.metrics.upstream_failures.inc();
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(server = %server.address, %error, cause, "an exchange with an auth server failed");
        attempt
    }

    fn ask_health(&self, server: &Server, deadline: Instant) -> Result<(), String> {
        let mut connection = server.pool.acquire(deadline).map_err(|error| match error {
            AcquireError::Connect(cause) => format!("cannot connect: {cause}"),
            other => other.to_string(),
        })?;
        match connection.health(deadline) {
            Ok(answer) => answer,
            Err(error) => {
                connection.discard();
                Err(error.to_string())
            }
        }
    }
}

fn answer_all(jobs: impl Iterator<Item = Job>, why: Unanswered) {
    for job in jobs {
        job.answer(Outcome::Unanswered(why));
    }
}
