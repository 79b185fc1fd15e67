//! Figures that other parts of the program keep, read when somebody asks for them.

use std::fmt;

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

/// All observed metrics, in the order of their registration.
///
/// One collector for all of them: OpenMetrics wants the series of a metric together under one
/// description, and a collector for each series would describe it again and again.
#[derive(Debug, Default)]
pub(super) struct Observed {
    metrics: Mutex<Vec<ObservedMetric>>,
}

#[derive(Debug)]
struct ObservedMetric {
    name: String,
    help: String,
    series: Vec<Series>,
}

/// One label set and where its number is read.
pub(super) struct Series {
    labels: Vec<(&'static str, String)>,
    reader: Reader,
}

pub(super) enum Reader {
    Counter(Box<dyn Fn() -> u64 + Send + Sync>),
    Gauge(Box<dyn Fn() -> f64 + Send + Sync>),
    Histogram(Box<dyn Fn() -> Distribution + Send + Sync>),
}

/// What a histogram shows: how many values there are up to each bound and above the one before it, the last bound
/// being infinite, and their sum.
pub(super) struct Distribution {
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

impl Observed {
    pub(super) fn has(&self, name: &str) -> bool {
        self.metrics.lock().iter().any(|metric| metric.name == name)
    }

    pub(super) fn add(&self, name: String, help: &str, series: Series) {
        let mut metrics = self.metrics.lock();
        match metrics.iter_mut().find(|metric| metric.name == name) {
            Some(metric) => {
                let same = metric.series[0].metric_type().as_str() == series.metric_type().as_str();
                assert!(same, "{name} is of one type");
                metric.series.push(series);
            }
            None => {
                // The encoder adds the full stop itself.
                let help = format!("{help}.");
                metrics.push(ObservedMetric { name, help, series: vec![series] });
            }
        }
    }
}

impl Series {
    pub(super) fn new(labels: &[(&'static str, &str)], reader: Reader) -> Self {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { labels, reader }
    }

    const fn metric_type(&self) -> MetricType {
        match self.reader {
            Reader::Counter(_) => MetricType::Counter,
            Reader::Gauge(_) => MetricType::Gauge,
            Reader::Histogram(_) => MetricType::Histogram,
        }
    }
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in self.metrics.lock().iter() {
            let kind = metric.series[0].metric_type();
            let mut series = encoder.encode_descriptor(&metric.name, &metric.help, None, kind)?;
            for one in &metric.series {
                if one.labels.is_empty() {
                    one.encode(&mut series)?;
                } else {
                    one.encode(&mut series.encode_family(&one.labels)?)?;
                }
            }
        }
        Ok(())
    }
}

impl Series {
    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match &self.reader {
            Reader::Counter(read) => encoder.encode_counter::<NoLabelSet, _, f64>(&read(), None),
            Reader::Gauge(read) => encoder.encode_gauge(&read()),
            Reader::Histogram(read) => {
                let Distribution { buckets, sum } = read();
                let count = buckets.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            }
        }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("labels", &self.labels).finish_non_exhaustive()
    }
}
