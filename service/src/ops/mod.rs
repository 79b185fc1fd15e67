//! The ops listener: what operators and orchestrators ask a server.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the process serves at all; restart it when this fails |
//! | `/readyz` | 200 while it can serve users, else 503 and why; send it no traffic meanwhile |
//! | `/metrics` | OpenMetrics text |
//!
//! It runs on an event loop of its own, so that it answers when all others are busy, and it never
//! waits: readiness is what the [`Probe`] found last. Encoding metrics reads a few files of `/proc`,
//! which the loops of users must not do; here it delays operators alone.

mod faults;
pub mod limits;
mod probe;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http1::{
    Accepted, Answered, Connection, Exchange, Fault, Handler, Head, Method, PreparedResponse,
    Problem, Progress, Reply, Response, Shared, Status,
};
use parking_lot::{RwLock, RwLockWriteGuard};
use reactor::{Counters, Limits, Listener, Reactor};

pub use faults::Faults;
pub use probe::{Probe, Readiness, Serves};

use crate::metrics::{CONTENT_TYPE, Registry};
use limits::{OPS_BUFFER_BYTES_MAX, OPS_CONNECTIONS_MAX, OPS_IDLE_TIME};

/// A running ops listener. It serves from the first moment of a start: whoever asks a server that waits for its
/// database is told so.
pub struct OpsServer {
    reactor: Reactor<Connection<Ops>>,
    registry: Arc<RwLock<Registry>>,
}

impl OpsServer {
    /// Serves `registry` and `readiness` on `listener`.
    ///
    /// # Errors
    ///
    /// When the system gives no thread or no descriptors.
    pub fn start(
        listener: Listener,
        mut registry: Registry,
        readiness: Readiness,
    ) -> io::Result<Self> {
        let limits = Limits {
            connections_max: OPS_CONNECTIONS_MAX,
            connections_per_address_max: OPS_CONNECTIONS_MAX,
            buffer_bytes_max: OPS_BUFFER_BYTES_MAX,
        };
        let faults = Faults::observe(&mut registry, "ops");
        let registry = Arc::new(RwLock::new(registry));
        let shown = Arc::clone(&registry);
        let reactor = reactor::start("ops", listener, limits, move |_, _| {
            Shared::new(Ops::new(Arc::clone(&shown), readiness.clone(), faults.clone()))
                .with_idle_time(OPS_IDLE_TIME)
        })?;
        Ok(Self { reactor, registry })
    }

    /// What it shows, to add to it. Whoever asks for the metrics waits meanwhile, so keep it for a moment only.
    pub fn registry(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write()
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.reactor.local_addr()
    }

    /// Stops. Blocks until answers in flight were taken, or until `by`.
    pub fn shut_down(self, by: Instant) {
        self.reactor.shut_down(by.saturating_duration_since(clock::now()));
    }
}

/// Shows what a reactor counts, labelled with the name of its listener.
pub fn observe_reactor(registry: &mut Registry, listener: &str, counters: &Arc<Counters>) {
    let labels = [("listener", listener)];
    let open = Arc::clone(counters);
    registry.observe_gauge("connections_open", "Connections open now", &labels, move || {
        open.open() as f64
    });
    let bytes = Arc::clone(counters);
    let help = "Memory for what connections receive and send, spare buffers included";
    registry.observe_gauge("buffer_bytes", help, &labels, move || bytes.buffer_bytes() as f64);
    let mut count = |name, help, read: fn(&Counters) -> u64| {
        let counters = Arc::clone(counters);
        registry.observe_counter(name, help, &labels, move || read(&counters));
    };
    count("connections_accepted", "Connections accepted", Counters::accepted);
    count("connections_refused_full", "Connections over the cap of all", Counters::refused_full);
    count(
        "connections_refused_address",
        "Connections over the cap of their address or network",
        Counters::refused_address,
    );
    count("accept_pauses", "Pauses of accepting for want of descriptors", Counters::accept_pauses);
    count("connections_evicted", "Idle connections closed for new ones", Counters::evicted);
    count(
        "connections_closed_for_memory",
        "Connections closed because the memory for buffers was used up",
        Counters::closed_for_memory,
    );
    count(
        "connections_lingering_cut",
        "Connections closed while they lingered, because too many did",
        Counters::lingering_cut,
    );
    count("connections_stalled", "Peers that did not take their answers", Counters::stalled);
    count("connections_cut", "Connections cut at shutdown", Counters::cut);
}

/// The handler of the ops listener.
pub struct Ops {
    registry: Arc<RwLock<Registry>>,
    readiness: Readiness,
    faults: Faults,
    alive: PreparedResponse,
}

/// A page of the ops listener.
#[derive(Clone, Copy, Debug)]
pub enum Page {
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
}

const NOT_FOUND: Problem = Problem::new(
    Status::NotFound,
    "not_found",
    "There is no such resource",
    "There are /healthz, /readyz and /metrics.",
);
const METHOD_NOT_ALLOWED: Problem = Problem::new(
    Status::MethodNotAllowed,
    "method_not_allowed",
    "The resource does not have this method",
    "Ask with GET or HEAD.",
)
.with_field(&("Allow", "GET, HEAD"));
const NOT_READY: Problem = Problem::new(
    Status::ServiceUnavailable,
    "not_ready",
    "The server cannot serve users",
    "It has not found out yet whether it can.",
)
.with_retry_after(1);

const NO_STORE: &[(&str, &str)] = &[("Cache-Control", "no-store")];
const PLAIN: Response<'static> = Response::json(Status::Ok).fields(NO_STORE);
const METRICS: Response<'static> =
    Response::new(Status::Ok).content_type(CONTENT_TYPE).fields(NO_STORE);

impl Ops {
    /// The handler of one loop.
    #[must_use]
    pub fn new(registry: Arc<RwLock<Registry>>, readiness: Readiness, faults: Faults) -> Self {
        let alive = PreparedResponse::new(&PLAIN, br#"{"status":"ok"}"#);
        Self { registry, readiness, faults, alive }
    }
}

impl Handler for Ops {
    type Call = Page;
    /// Nothing is left for later.
    type Completion = std::convert::Infallible;

    fn on_head(&mut self, head: &Head<'_>, _: &Exchange) -> Result<Accepted<Page>, Problem> {
        let page = match head.path() {
            "/healthz" => Page::Health,
            "/readyz" => Page::Ready,
            "/metrics" => Page::Metrics,
            _ => return Err(NOT_FOUND),
        };
        if !matches!(head.method(), Method::Get | Method::Head) {
            return Err(METHOD_NOT_ALLOWED);
        }
        Ok(Accepted::without_body(page))
    }

    fn on_request(&mut self, page: Page, _: &[u8], _: &Exchange, reply: Reply<'_>) -> Progress {
        let answered = match page {
            Page::Health => reply.send_prepared(&self.alive),
            Page::Ready => match self.readiness.now() {
                Ok(Serves::All) => reply.send(&PLAIN, br#"{"status":"ready"}"#),
                Ok(Serves::Part(part)) => {
                    let text = format!(r#"{{"status":"ready","serves":"{part}"}}"#);
                    reply.send(&PLAIN, text.as_bytes())
                }
                Err(None) => reply.problem(&NOT_READY),
                Err(Some(reason)) => reply.problem(&NOT_READY.with_detail(reason)),
            },
            Page::Metrics => {
                let text = self.registry.read().encode();
                reply.send(&METRICS, text.as_bytes())
            }
        };
        answered.into()
    }

    fn on_completion(
        &mut self,
        completion: std::convert::Infallible,
        _: &Exchange,
        _: Reply<'_>,
    ) -> Answered {
        match completion {}
    }

    fn on_fault(&mut self, fault: Fault, exchange: &Exchange) {
        self.faults.note(fault, exchange.peer);
    }
}
