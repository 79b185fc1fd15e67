//! What this server counts. Handles are made once and cloned to each loop and worker.

use std::time::Duration;

use framing::v2::MessageType;
use service::metrics::{Counter, EncodeLabelSet, Family, Histogram, HistogramFamily, Registry};

use crate::accounts::AccountError;
use crate::job::Done;

/// The handles.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: HistogramFamily<SecondsLabels>,
    /// Connections closed for what their peers sent.
    pub protocol_errors: Counter,
    /// Requests refused because their lane was full.
    pub overloaded: Counter,
    /// What a usual hash takes of a thread.
    pub hash_seconds: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    request: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SecondsLabels {
    request: &'static str,
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        Self {
            requests: registry.counters("requests", "Requests served, by outcome"),
            seconds: registry
                .latencies("request_seconds", "From a worker taking a request to its answer"),
            protocol_errors: registry
                .counter("protocol_errors", "Connections closed for what their peers sent"),
            overloaded: registry
                .counter("overloaded", "Requests refused because they could not be served in time"),
            hash_seconds: registry.latency(
                "hash_seconds",
                "Time of a thread for a hash with the parameters of new records",
            ),
        }
    }

    /// Counts a request that a worker has served.
    pub fn served(
        &self,
        message_type: MessageType,
        outcome: &Result<Done, AccountError>,
        took: Duration,
    ) {
        let request = message_type.name();
        let outcome = match outcome {
            Ok(_) => "done",
            Err(AccountError::TimedOut) => "timed_out",
            Err(AccountError::StoreUnavailable(_) | AccountError::IdsUnavailable) => {
                "store_unavailable"
            }
            Err(AccountError::KeysUnavailable | AccountError::KeysUnreadable(_)) => {
                "keys_unavailable"
            }
            Err(AccountError::Internal(_)) => "failed",
            Err(_) => "refused",
        };
        self.requests.get_or_create(&RequestLabels { request, outcome }).inc();
        self.seconds.get_or_create(&SecondsLabels { request }).observe(took.as_secs_f64());
    }
}
