//! Metrics in the OpenMetrics text format.
//!
//! A thin layer over `prometheus-client`: a server makes one [`Registry`], registers what it counts
//! and keeps the handles; `/metrics` answers with [`Registry::encode`]. Handles are atomics: counting
//! never locks and never allocates (a [`Family`] locks while it looks a label set up, so look up once
//! and keep the handle where it matters).
//!
//! What another part of the program counts already, such as a pool or a lane, is not counted twice:
//! [`Registry::observe_counter`] and [`Registry::observe_gauge`] read it when somebody asks.
//!
//! Names follow <https://prometheus.io/docs/practices/naming/>: a unit at the end, base units, and no
//! `_total` (the encoder adds it). Label values come from closed sets, never from clients: each new
//! one is a time series that is kept for ever.

mod observed;
mod process;

use std::{collections::BTreeSet, fmt::Debug, hash::Hash, sync::Arc};

use prometheus_client::{encoding::text, registry};

pub use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
pub use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};

use lane::{Class, LaneSnapshot, LaneStats, LaneWaits, WAIT_BUCKETS_SECONDS, Why};

use observed::{Distribution, Observed, Reader, Series};

/// The media type of [`Registry::encode`] (OpenMetrics 1.0, section "Overall Structure").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of latency histograms, in seconds: those of the waits that a lane counts itself.
pub const LATENCY_BUCKETS_SECONDS: [f64; WAIT_BUCKETS_SECONDS.len()] = WAIT_BUCKETS_SECONDS;

/// Histogram families need a function that makes one histogram.
pub type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// Everything that `/metrics` of one server shows.
///
/// Its metrics are registered while the server starts, by its programmer; a name that is given twice
/// is a panic, because the text would not be OpenMetrics any more.
#[derive(Debug)]
pub struct Registry {
    prefix: &'static str,
    /// Of what is in `inner`; what is observed keeps its own.
    names: BTreeSet<String>,
    inner: registry::Registry,
    observed: Arc<Observed>,
}

impl Registry {
    /// A registry whose metrics are all named `prefix_name`, and which holds the figures of the
    /// process already (`process_…`, without the prefix, as every Prometheus client names them).
    #[must_use]
    pub fn new(prefix: &'static str) -> Self {
        let mut inner = registry::Registry::default();
        let observed = Arc::new(Observed::default());
        inner.register_collector(Box::new(Arc::clone(&observed)));
        inner.register_collector(Box::new(process::ProcessCollector));
        Self { prefix, names: BTreeSet::new(), inner, observed }
    }

    /// Registers a counter. Its name ends without `_total`.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.register(name, help, Counter::default())
    }

    /// Registers a gauge.
    pub fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        self.register(name, help, Gauge::default())
    }

    /// Registers a histogram of seconds with [`LATENCY_BUCKETS_SECONDS`]; its name ends in `_seconds`.
    pub fn latency(&mut self, name: &str, help: &str) -> Histogram {
        self.register(name, help, latency_histogram())
    }

    /// Registers a histogram with bounds of its own, in ascending order.
    pub fn histogram(&mut self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.register(name, help, Histogram::new(buckets.iter().copied()))
    }

    /// Registers one counter for each label set. Label sets are small types that derive
    /// [`EncodeLabelSet`].
    pub fn counters<L: Labels>(&mut self, name: &str, help: &str) -> Family<L, Counter> {
        self.register(name, help, Family::default())
    }

    /// Registers one gauge for each label set.
    pub fn gauges<L: Labels>(&mut self, name: &str, help: &str) -> Family<L, Gauge> {
        self.register(name, help, Family::default())
    }

    /// Registers one histogram of seconds for each label set; the name ends in `_seconds`.
    pub fn latencies<L: Labels>(&mut self, name: &str, help: &str) -> HistogramFamily<L> {
        self.register(name, help, Family::new_with_constructor(latency_histogram as fn() -> _))
    }

    /// Shows a number that only grows and that something else counts.
    ///
    /// `read` is called for every scrape and must not block. Several calls with one name make one
    /// metric with several label sets; the first one's help counts.
    ///
    /// # Panics
    ///
    /// When `name` is that of a metric of another type.
    pub fn observe_counter(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let reader = Reader::Counter(Box::new(read));
        self.observe(name, help, Series::new(labels, reader));
    }

    /// Shows a number that goes up and down and that something else keeps. As
    /// [`observe_counter`](Self::observe_counter) otherwise.
    ///
    /// # Panics
    ///
    /// When `name` is that of a metric of another type.
    pub fn observe_gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let reader = Reader::Gauge(Box::new(read));
        self.observe(name, help, Series::new(labels, reader));
    }

    /// Shows the figures of a lane, labelled with its name.
    pub fn observe_lane(&mut self, stats: &LaneStats) {
        let labels = [("lane", stats.name())];
        for (name, help, read) in LANE_GAUGES {
            let stats = stats.clone();
            self.observe_gauge(name, help, &labels, move || read(&stats.snapshot()));
        }
        for (name, help, read) in LANE_COUNTERS {
            let stats = stats.clone();
            self.observe_counter(name, help, &labels, move || read(&stats.snapshot()));
        }
        for why in Why::ALL {
            let (stats, labels) = (stats.clone(), [labels[0], ("reason", why.name())]);
            let help = "Jobs refused, by reason";
            self.observe_counter("lane_refused_jobs", help, &labels, move || stats.refused(why));
        }
        for class in Class::ALL {
            let (stats, labels) = (stats.clone(), [labels[0], ("class", class.name())]);
            let reader = Reader::Histogram(Box::new(move || distribution(&stats.waits(class))));
            let help = "How long jobs waited until a worker took them, by class";
            self.observe("lane_wait_seconds", help, Series::new(&labels, reader));
        }
    }

    /// Everything as OpenMetrics text, to be sent as [`CONTENT_TYPE`].
    ///
    /// Reads a few small files under `/proc/self` for the figures of the process, some tens of
    /// microseconds in all; nothing here waits for anything.
    ///
    /// # Panics
    ///
    /// When a label set's own way of encoding itself fails, which a derived one never does.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.inner)
            .expect("writing to a String cannot fail, and neither can a derived label set");
        out
    }

    fn register<M: registry::Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        let name = self.full_name(name);
        assert!(!self.observed.has(&name) && self.names.insert(name.clone()), "{name} exists");
        self.inner.register(name, help, metric.clone());
        metric
    }

    fn observe(&mut self, name: &str, help: &str, series: Series) {
        let name = self.full_name(name);
        assert!(!self.names.contains(&name), "{name} exists");
        self.observed.add(name, help, series);
    }

    fn full_name(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }
}

/// Name, help and value of what is shown of a lane.
type LaneFigure<T> = (&'static str, &'static str, fn(&LaneSnapshot) -> T);

const LANE_GAUGES: [LaneFigure<f64>; 5] = [
    (
        "lane_waiting_networks",
        "Addresses, or /48 networks, that have jobs waiting in turns",
        |lane| lane.parties as f64,
    ),
    ("lane_queued_jobs", "Jobs that wait for a worker", |lane| lane.queued as f64),
    ("lane_queue_capacity_jobs", "Most jobs that may wait", |lane| lane.queue_capacity as f64),
    ("lane_in_work_jobs", "Jobs that a worker has taken", |lane| lane.in_work as f64),
    ("lane_threads", "Worker threads that run", |lane| lane.threads as f64),
];

const LANE_COUNTERS: [LaneFigure<u64>; 3] = [
    ("lane_accepted_jobs", "Jobs accepted, and not refused afterwards", |lane| lane.accepted),
    ("lane_rejected_jobs", "Jobs refused, for whatever reason", |lane| lane.rejected),
    ("lane_panics", "Panics of workers", |lane| lane.panics),
];

/// What a type of label sets has to be: derive all of it.
pub trait Labels: EncodeLabelSet + Clone + Debug + Hash + Eq + Send + Sync + 'static {}

impl<L: EncodeLabelSet + Clone + Debug + Hash + Eq + Send + Sync + 'static> Labels for L {}

fn distribution(waits: &LaneWaits) -> Distribution {
    let bounds = LATENCY_BUCKETS_SECONDS.into_iter().chain([f64::INFINITY]);
    Distribution { buckets: bounds.zip(waits.counts).collect(), sum: waits.sum.as_secs_f64() }
}

fn latency_histogram() -> Histogram {
    Histogram::new(LATENCY_BUCKETS_SECONDS)
}

#[cfg(test)]
mod tests;
