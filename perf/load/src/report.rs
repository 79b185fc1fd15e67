//! What a run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

/// Latencies are kept to three significant digits up to this.
const LATENCY_MAX: Duration = Duration::from_secs(3600);

/// A request that goes out later than this after it could have is late by this program's fault.
pub(crate) const LATE: Duration = Duration::from_millis(1);

/// Of the requests, one in so many may still wait when the last was due.
const BACKLOG_SHARE_MAX: u64 = 100;

const PERCENTILES: [(&str, f64); 7] = [
    ("p50", 50.0),
    ("p75", 75.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p999", 99.9),
    ("p9999", 99.99),
    ("max", 100.0),
];

/// Counts of the measured part of a run.
#[derive(Debug)]
pub(crate) struct Report {
    /// Requests that were due.
    pub(crate) due: u64,
    pub(crate) rate: f64,
    /// How long the measured part took, until its last answer.
    pub(crate) took: Duration,
    pub(crate) connections: usize,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) broken: u64,
    pub(crate) unreadable: u64,
    pub(crate) timed_out: u64,
    pub(crate) unsent: u64,
    /// Connections that were opened anew, whatever for, in the whole run.
    pub(crate) reconnects: u64,
    /// Requests that waited because no connection was idle.
    pub(crate) waited: u64,
    /// Requests that went out more than [`LATE`] after they could have: this program was late.
    pub(crate) late: u64,
    /// Requests that were due and not sent when the last was due.
    pub(crate) backlog: u64,
    /// CPU time of this program, in the whole run.
    pub(crate) cpu: Duration,
    /// From when requests were due, and from when they were sent, to their answers' end; and how late this program
    /// sent them.
    pub(crate) from_due: Latencies,
    pub(crate) from_sent: Latencies,
    pub(crate) lateness: Latencies,
}

impl Report {
    /// Whether the rate was kept: nearly nothing waited any more when the last request was due.
    pub(crate) fn kept_up(&self) -> bool {
        self.unsent == 0 && self.backlog.saturating_mul(BACKLOG_SHARE_MAX) <= self.due
    }

    /// What stood in the way, in words.
    pub(crate) fn shortfall(&self) -> String {
        format!(
            "of {} requests {} waited when the last was due and {} were never sent; {} had waited for an idle connection, \
             with {} this program was late",
            self.due, self.backlog, self.unsent, self.waited, self.late
        )
    }

    fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    fn failed(&self) -> u64 {
        let refused: u64 = self
            .statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .map(|(_, n)| n)
            .sum();
        refused + self.broken + self.unreadable + self.timed_out + self.unsent
    }

    pub(crate) fn to_json(&self) -> Value {
        let statuses: Map<String, Value> =
            self.statuses.iter().map(|(k, n)| (k.to_string(), json!(n))).collect();
        json!({
            "rate": self.rate,
            "connections": self.connections,
            "due": self.due,
            "answered": self.answered(),
            "answered_per_second": self.answered() as f64 / self.took.as_secs_f64(),
            "kept_up": self.kept_up(),
            "failed": self.failed(),
            "statuses": statuses,
            "broken": self.broken,
            "unreadable": self.unreadable,
            "timed_out": self.timed_out,
            "unsent": self.unsent,
            "reconnects": self.reconnects,
            "waited": self.waited,
            "late": self.late,
            "backlog": self.backlog,
            "generator_cpu_us": micros(self.cpu.as_nanos() as u64),
            "latency_us": self.from_due.percentiles(),
            "sent_latency_us": self.from_sent.percentiles(),
            "lateness_us": self.lateness.percentiles(),
            "histogram_us": self.from_due.histogram(),
        })
    }
}

/// Latencies in nanoseconds.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        let max = LATENCY_MAX.as_nanos() as u64;
        Self(Histogram::new_with_bounds(1, max, 3).expect("bounds that are constants"))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    fn percentiles(&self) -> Value {
        PERCENTILES
            .iter()
            .map(|(name, percentile)| {
                ((*name).to_owned(), micros(self.0.value_at_percentile(*percentile)))
            })
            .collect::<Map<String, Value>>()
            .into()
    }

    /// Pairs of a latency and how many were up to it and above the one before.
    fn histogram(&self) -> Value {
        self.0
            .iter_recorded()
            .map(|step| {
                json!([micros(step.value_iterated_to()), step.count_since_last_iteration()])
            })
            .collect::<Vec<_>>()
            .into()
    }
}

/// Microseconds to a tenth.
fn micros(nanos: u64) -> Value {
    json!((nanos as f64 / 100.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new();
        for us in 1..=10_000 {
            latencies.record(Duration::from_micros(us));
        }
        let percentiles = latencies.percentiles();
        for (name, expected) in
            [("p50", 5000.0), ("p99", 9900.0), ("p9999", 9999.0), ("max", 10_000.0)]
        {
            let value = percentiles[name].as_f64().expect("a number");
            // Three significant digits.
            assert!((value - expected).abs() / expected < 0.001, "{name}: {value}");
        }
        let counts: u64 = latencies
            .histogram()
            .as_array()
            .expect("pairs")
            .iter()
            .filter_map(|p| p[1].as_u64())
            .sum();
        assert_eq!(counts, 10_000);
    }
}
