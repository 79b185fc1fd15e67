//! The auth servers: choosing one, borrowing a connection, exchanging a batch, trying another.

mod balance;
mod connection;
mod messages;
mod server;
mod serving;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use framing::v2::Features;
use pool::{AcquireError, ConfigError};
use service::sparing;

use crate::limits::{IN_FLIGHT_MAX, IN_FLIGHT_MIN};
use crate::metrics::Metrics;
use crate::work::{Job, Outcome, Unanswered};
use balance::{Balance, RoundRobin, Tried};
use connection::ConnectionError;
use server::Server;
use serving::Serving;

/// The auth servers of this front, shared by all workers.
pub struct Upstreams {
    servers: Vec<Server>,
    balance: Box<dyn Balance>,
    metrics: Metrics,
}

/// How an attempt at one server ended.
enum Attempt {
    /// Every job is answered, but for those that are beyond the server.
    Done,
    /// The connection is of no more use, which says nothing of the server; another one may do.
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
        let now = clock::now();
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
    /// A job whose connection broke is sent again, to another server or over a fresh connection, if
    /// it may be: a session check can be repeated freely, and register and authenticate carry a
    /// request id that makes it safe. One that needs what a server has not announced goes to the
    /// next, so that old and new auth servers can run side by side.
    pub fn serve(&self, jobs: &mut Vec<Job>) {
        let began = clock::now();
        self.serve_all(jobs);
        self.metrics.batch_seconds.observe(clock::since(began).as_secs_f64());
    }

    fn serve_all(&self, jobs: &mut Vec<Job>) {
        let mut tried = Tried::default();
        let mut is_beyond_some = false;
        loop {
            let now = clock::now();
            answer_all(jobs.extract_if(.., |job| job.deadline <= now), Unanswered::TimedOut);
            if jobs.is_empty() {
                return;
            }
            let Some(index) = self.balance.pick(&self.servers, tried, now) else {
                if is_beyond_some {
                    let beyond = jobs.extract_if(.., |job| job.work.needs() != Features::NONE);
                    answer_all(beyond, Unanswered::Unsupported);
                }
                return answer_all(jobs.drain(..), Unanswered::Unreachable);
            };
            tried.add(index);
            let server = &self.servers[index];
            let attempt = match self.attempt(server, jobs) {
                Attempt::Stale if !jobs.is_empty() => self.attempt(server, jobs),
                attempt => attempt,
            };
            match attempt {
                Attempt::Done => {
                    server.health.answered();
                    is_beyond_some |= !jobs.is_empty();
                }
                Attempt::Stale => {}
                Attempt::Failed => server.health.failed(clock::now()),
            }
        }
    }

    /// The servers, in their order.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.iter().map(|server| server.address)
    }

    /// How many passwords the servers that are up hash at a time: of each what it told, [`IN_FLIGHT_MAX`] at the most,
    /// or [`IN_FLIGHT_MIN`] if it did not tell.
    #[must_use]
    pub fn hash_threads(&self) -> usize {
        let up = self.servers.iter().filter(|server| server.health.is_well());
        up.map(|server| server.hash_threads().unwrap_or(IN_FLIGHT_MIN).min(IN_FLIGHT_MAX)).sum()
    }

    /// Whether the server at this place of [`addresses`](Self::addresses) is not passed over at present.
    #[must_use]
    pub fn is_up(&self, index: usize) -> bool {
        self.servers.get(index).is_some_and(|server| server.health.is_well())
    }

    /// Whether a server can serve, and if none can, why. Blocks for `patience` a server at most. A
    /// server that answers is trusted with requests again.
    ///
    /// # Errors
    /// What the servers said, in one line.
    pub fn check_health(&self, patience: Duration) -> Result<(), String> {
        let mut reasons = Vec::new();
        for server in &self.servers {
            let deadline = clock::now() + patience;
            let asked = match self.ask_health(server, deadline) {
                Err(Unwell::Stale(_)) => self.ask_health(server, deadline),
                asked => asked,
            };
            let reason = match asked {
                // Nobody else's fault.
                Err(Unwell::Stale(error) | Unwell::Failed(error)) if error.is_local() => {
                    note_shortage(&error);
                    describe(&error)
                }
                Ok(Serving { draining }) => {
                    server.health.answered();
                    server.health.set_draining(draining);
                    continue;
                }
                Err(Unwell::NotReady(reason)) => reason,
                Err(Unwell::Stale(error) | Unwell::Failed(error)) => {
                    server.health.failed(clock::now());
                    describe(&error)
                }
                Err(Unwell::NoConnection) => "no connection was free in time".to_owned(),
            };
            reasons.push(format!("{}: {reason}", server.address));
        }
        if reasons.len() < self.servers.len() { Ok(()) } else { Err(reasons.join("; ")) }
    }

    fn attempt(&self, server: &Server, jobs: &mut Vec<Job>) -> Attempt {
        let Some(deadline) = jobs.iter().map(|job| job.deadline).max() else {
            return Attempt::Done;
        };
        let mut connection = match server.borrow(deadline) {
            Ok(connection) => connection,
            // Whoever has the connections took too long, or they had too little time.
            Err(AcquireError::TimedOut) => {
                answer_all(jobs.drain(..), Unanswered::TimedOut);
                return Attempt::Stale;
            }
            Err(AcquireError::Connect(error)) if error.is_local() => {
                note_shortage(&error);
                return Attempt::Stale;
            }
            Err(AcquireError::Connect(error)) => {
                self.note_failure(server, &error);
                return Attempt::Failed;
            }
            Err(AcquireError::Closed) => return Attempt::Failed,
        };
        let began = clock::now();
        let was_used = connection.is_used();
        self.metrics.batch_size.observe(jobs.len() as f64);
        let Err(error) = connection.exchange(jobs) else { return Attempt::Done };
        connection.discard();
        self.note_failure(server, &error);
        match error {
            ConnectionError::Late => Attempt::Stale,
            ConnectionError::TimedOut => Attempt::Failed,
            _ => {
                server.health.condemn_connections(began);
                if was_used { Attempt::Stale } else { Attempt::Failed }
            }
        }
    }

    fn note_failure(&self, server: &Server, error: &ConnectionError) {
        self.metrics.upstream_failures.inc();
        sparing!(
            by server.failures,
            WARN,
            server = %server.address,
            error = describe(error),
            "an exchange with an auth server failed"
        );
    }

    fn ask_health(&self, server: &Server, deadline: Instant) -> Result<Serving, Unwell> {
        let mut connection = server.borrow(deadline).map_err(|error| match error {
            AcquireError::Connect(error) => Unwell::Failed(error),
            AcquireError::TimedOut | AcquireError::Closed => Unwell::NoConnection,
        })?;
        let began = clock::now();
        let was_used = connection.is_used();
        match connection.health(deadline) {
            Ok(answer) => answer.map_err(Unwell::NotReady),
            Err(error) => {
                connection.discard();
                match error {
                    ConnectionError::TimedOut => Err(Unwell::Failed(error)),
                    _ if was_used => {
                        server.health.condemn_connections(began);
                        Err(Unwell::Stale(error))
                    }
                    _ => Err(Unwell::Failed(error)),
                }
            }
        }
    }
}

/// Why a health check did not come to a yes.
enum Unwell {
    /// The server says so itself.
    NotReady(String),
    /// A connection from before broke; a fresh one may do.
    Stale(ConnectionError),
    /// The server cannot be reached, or does not answer.
    Failed(ConnectionError),
    /// This side had no connection to ask over.
    NoConnection,
}

/// This process could not open a connection, whatever the auth servers are doing.
fn note_shortage(error: &ConnectionError) {
    let error = describe(error);
    sparing!(WARN, error, "out of file descriptors, memory or ports for auth servers");
}

/// The error and its cause, in one line.
fn describe(error: &ConnectionError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn answer_all(jobs: impl Iterator<Item = Job>, why: Unanswered) {
    for job in jobs {
        job.answer(Outcome::Unanswered(why));
    }
}
