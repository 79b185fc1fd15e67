//! What this server counts. Handles are made once and cloned to each loop and worker.

use http1::Status;
use service::metrics::{Counter, EncodeLabelSet, Histogram, Registry};
use service::ops::Faults;

use crate::proxies::Notices;
use crate::work::{Outcome, Unanswered};

/// The handles.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests answered on the loop from a lease.
    pub leased: Counter,
    /// Requests answered after a worker.
    pub outcomes: Outcomes,
    /// Requests that HTTP itself refused.
    pub faults: Faults,
    /// Answers of the API, of any kind.
    pub answers: Answers,
    /// Requests whose users cannot be told apart.
    pub proxy_notices: Notices,
    /// From a worker taking a batch to the last answer of it, in seconds.
    pub batch_seconds: Histogram,
    /// Exchanges with auth servers that broke.
    pub upstream_failures: Counter,
    /// Requests in one attempt at an auth server.
    pub batch_size: Histogram,
}

impl Answers {
    /// How many there were of each class, from 1xx to 5xx.
    #[must_use]
    pub fn by_class(&self) -> [u64; CLASSES.len()] {
        self.0.each_ref().map(Counter::get)
    }
}

/// What a loop has counted since it last told: plain numbers of its own. Counters that all loops share lie
/// in memory that the cores would take from each other with each request.
#[derive(Debug, Default)]
pub struct Tally {
    leased: u64,
    answers: [u64; CLASSES.len()],
}

/// Counts outcomes by what a client sees of them.
#[derive(Clone, Debug)]
pub struct Outcomes {
    done: Counter,
    refused: Counter,
    failed: Counter,
    timed_out: Counter,
    overloaded: Counter,
    unreachable: Counter,
}

/// Answers by the class of their status, each class with a handle of its own: a family would have to be
/// locked. [`Tally`] counts them.
#[derive(Clone, Debug)]
pub struct Answers([Counter; CLASSES.len()]);

/// The classes of statuses (RFC 9110 section 15).
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let outcomes = registry
            .counters::<OutcomeLabels>("requests", "Requests answered after a worker, by outcome");
        let outcome = |outcome| outcomes.get_or_create(&OutcomeLabels { outcome }).clone();
        // A stranger who sends CONNECT is no failure of ours: such answers are among the faults of HTTP.
        let answers = registry.counters::<AnswerLabels>(
            "answers",
            "Answers of the API, by class of status; those of HTTP itself are in http_faults",
        );
        let unknown = registry.counters::<ReasonLabels>(
            "unknown_client_address_requests",
            "Requests whose user's address is not known because of how a proxy is set up, by reason",
        );
        let unknown = |reason| unknown.get_or_create(&ReasonLabels { reason }).clone();
        Self {
            leased: registry.counter("leased_requests", "Requests answered from a lease"),
            outcomes: Outcomes {
                done: outcome("done"),
                refused: outcome("refused"),
                failed: outcome("failed"),
                timed_out: outcome("timed_out"),
                overloaded: outcome("overloaded"),
                unreachable: outcome("unreachable"),
            },
            answers: Answers(
                CLASSES.map(|class| answers.get_or_create(&AnswerLabels { class }).clone()),
            ),
            proxy_notices: Notices {
                untrusted: unknown("untrusted_proxy"),
                missing: unknown("header_missing"),
                unreadable: unknown("header_unreadable"),
            },
            faults: Faults::observe(registry, "http"),
            batch_seconds: registry
                .latency("batch_seconds", "From a worker taking a batch to the last answer of it"),
            upstream_failures: registry
                .counter("upstream_failures", "Exchanges with auth servers that broke"),
            batch_size: registry.histogram(
                "upstream_batch_requests",
                "Requests in one attempt at an auth server",
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0],
            ),
        }
    }
}

impl Outcomes {
    /// Counts one.
    pub fn count(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Refused(refusal) if refusal.status < 500 => &self.refused,
            Outcome::Unanswered(Unanswered::TimedOut) => &self.timed_out,
            Outcome::Unanswered(Unanswered::Overloaded { .. }) => &self.overloaded,
            Outcome::Unanswered(Unanswered::Unreachable) => &self.unreachable,
            Outcome::Refused(_) | Outcome::Unanswered(_) => &self.failed,
            _ => &self.done,
        };
        counter.inc();
    }
}

impl Tally {
    /// Counts a request that is answered from a lease.
    pub fn count_leased(&mut self) {
        self.leased += 1;
    }

    /// Counts an answer.
    pub fn count_answer(&mut self, status: Status) {
        // Statuses are from 100 to 599, so the class is there.
        if let Some(count) = self.answers.get_mut(usize::from(status.code() / 100 - 1)) {
            *count += 1;
        }
    }

    /// Adds what was counted to the counters that all loops share, and starts again.
    pub fn tell(&mut self, metrics: &Metrics) {
        let counted = std::mem::take(self);
        let counts = [counted.leased].into_iter().chain(counted.answers);
        let counters = [&metrics.leased].into_iter().chain(&metrics.answers.0);
        for (count, counter) in counts.zip(counters).filter(|(count, _)| *count > 0) {
            counter.inc_by(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_tells_each_counter_once() {
        let metrics = Metrics::new(&mut Registry::new("test"));
        let mut tally = Tally::default();
        tally.count_leased();
        for status in [Status::Ok, Status::Ok, Status::NotFound, Status::ServiceUnavailable] {
            tally.count_answer(status);
        }
        tally.tell(&metrics);
        let check = |leased, answers: [u64; CLASSES.len()]| {
            assert_eq!(metrics.leased.get(), leased);
            assert_eq!(metrics.answers.by_class(), answers);
        };
        check(1, [0, 2, 0, 1, 1]);
        tally.tell(&metrics);
        check(1, [0, 2, 0, 1, 1]);
        tally.count_answer(Status::Ok);
        tally.tell(&metrics);
        check(1, [0, 3, 0, 1, 1]);
    }
}
