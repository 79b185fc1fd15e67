//! What HTTP itself refuses on a listener: counted by reason, and told to an operator where something may be
//! set up wrongly.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http1::{Fault, Reason};

use crate::log::Sparing;
use crate::metrics::Registry;

/// The counters of one listener. Clones count together; counting never locks.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    listener: &'static str,
    counts: [AtomicU64; Reason::ALL.len()],
    /// Apart, so that none of them hides another.
    tls: Sparing,
    http2: Sparing,
    proxy_protocol: Sparing,
}

impl Faults {
    /// Shows the counters of `listener`, one for each reason, under a name that all listeners of a server share.
    #[must_use]
    pub fn observe(registry: &mut Registry, listener: &'static str) -> Self {
        let inner = Arc::new(Inner {
            listener,
            counts: [const { AtomicU64::new(0) }; Reason::ALL.len()],
            tls: Sparing::new(),
            http2: Sparing::new(),
            proxy_protocol: Sparing::new(),
        });
        for &reason in Reason::ALL {
            let (inner, status) = (Arc::clone(&inner), reason.status().code().to_string());
            let labels = [("listener", listener), ("status", &status), ("reason", reason.name())];
            let help = "Requests that HTTP itself refused, by status and reason";
            registry.observe_counter("http_faults", help, &labels, move || {
                inner.counts[reason as usize].load(Ordering::Relaxed)
            });
        }
        Self(inner)
    }

    /// Counts a fault. What speaks another protocol than this listener is told, since somebody may have set up a
    /// proxy or a client for it; strangers can bring that about as well, so the line is sparing and no warning.
    pub fn note(&self, fault: Fault, peer: IpAddr) {
        let reason = fault.reason();
        self.0.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
        let (sparing, what) = match reason {
            Reason::Tls => (
                &self.0.tls,
                "TLS came to a port that speaks plain HTTP: TLS has to end in a proxy before it",
            ),
            Reason::Http2 => (
                &self.0.http2,
                "HTTP/2 came to a port that speaks HTTP/1.1: the proxy before it has to as well",
            ),
            Reason::ProxyProtocol => (
                &self.0.proxy_protocol,
                "the PROXY protocol came to a port that speaks plain HTTP: switch it off in the proxy before it",
            ),
            _ => return,
        };
        if let Some(withheld) = sparing.admit() {
            tracing::info!(listener = self.0.listener, %peer, withheld, "{what}");
        }
    }

    /// How often there was this reason.
    #[must_use]
    pub fn count(&self, reason: Reason) -> u64 {
        self.0.counts[reason as usize].load(Ordering::Relaxed)
    }
}
