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
}

impl Observed {
    pub(super) fn has(&self, name: &str) -> bool {
        self.metrics.lock().iter().any(|metric| metric.name == name)
    }

    pub(super) fn add(&self, name: String, help: &str, series: Series) {
        let mut metrics = self.metrics.lock();
        match metrics.iter_mut().find(|metric| metric.name == name) {
            Some(metric) => {
                let same =
                    metric.series.iter().all(|other| other.is_counter() == series.is_counter());
                assert!(same, "{name} is a counter or a gauge, not both");
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

    const fn is_counter(&self) -> bool {
        matches!(self.reader, Reader::Counter(_))
    }

    fn metric_type(&self) -> MetricType {
        if self.is_counter() { MetricType::Counter } else { MetricType::Gauge }
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
        }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("labels", &self.labels).finish_non_exhaustive()
    }
}
