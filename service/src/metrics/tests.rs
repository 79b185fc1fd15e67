//! What a scrape of a registry reads like.

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::*;
use lane::{Inbox, Job, Lane, LaneOptions};

struct Nothing;

impl Job for Nothing {}

/// The metrics of the test itself, without those of the process.
fn check(registry: &Registry, expected: &str) {
    let text = registry.encode();
    let own: Vec<&str> = text.lines().filter(|line| line.contains("test_")).collect();
    assert_eq!(own.join("\n"), expected);
    check_well_formed(&text);
}

/// What OpenMetrics asks of the whole: one description for each metric, its series right below it,
/// no series twice, and `# EOF` at the end.
fn check_well_formed(text: &str) {
    let mut described = BTreeSet::new();
    let mut series = BTreeSet::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(description) = line.strip_prefix("# TYPE ") {
            current = description.split(' ').next().expect("a name");
            assert!(described.insert(current), "{current} is described twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(current), "{line} stands below {current}");
            let (name, value) = line.rsplit_once(' ').expect("a value");
            assert!(series.insert(name), "{name} stands twice");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[test]
fn handles_count_and_the_registry_shows() {
    let mut registry = Registry::new("test");
    let requests = registry.counters::<Route>("requests", "Requests by route");
    let open = registry.gauge("open_connections", "Open connections");
    requests.get_or_create(&Route { route: "login" }).inc_by(3);
    open.set(2);
    open.dec();
    check(
        &registry,
        "# HELP test_requests Requests by route.\n\
         # TYPE test_requests counter\n\
         test_requests_total{route=\"login\"} 3\n\
         # HELP test_open_connections Open connections.\n\
         # TYPE test_open_connections gauge\n\
         test_open_connections 1",
    );
}

#[test]
fn latencies_fall_into_their_buckets() {
    let mut registry = Registry::new("test");
    let latency = registry.latency("request_seconds", "Time to answer");
    [0.0001, 0.3, 1.0, 11.0].into_iter().for_each(|seconds| latency.observe(seconds));
    let text = registry.encode();
    check_well_formed(&text);
    for line in [
        "test_request_seconds_bucket{le=\"0.0001\"} 1",
        "test_request_seconds_bucket{le=\"0.25\"} 1",
        "test_request_seconds_bucket{le=\"0.5\"} 2",
        "test_request_seconds_bucket{le=\"1.0\"} 3",
        "test_request_seconds_bucket{le=\"10.0\"} 3",
        "test_request_seconds_bucket{le=\"+Inf\"} 4",
        "test_request_seconds_count 4",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
    }
    for pair in LATENCY_BUCKETS_SECONDS.windows(2) {
        let factor = pair[1] / pair[0];
        assert!(factor > 1.0 && factor < 2.51, "{pair:?}");
    }
}

#[test]
fn observed_figures_are_read_at_each_scrape_and_stand_together() {
    let mut registry = Registry::new("test");
    let count = Arc::new(AtomicU64::new(5));
    for lane in ["heavy", "light"] {
        let count = Arc::clone(&count);
        let labels = [("lane", lane)];
        registry.observe_counter("jobs", "Jobs", &labels, move || count.load(Ordering::Relaxed));
        registry.observe_gauge("load", "Load", &labels, || 0.5);
    }
    registry.observe_gauge("up", "Whether it is up", &[], || 1.0);
    count.store(6, Ordering::Relaxed);
    check(
        &registry,
        "# HELP test_jobs Jobs.\n\
         # TYPE test_jobs counter\n\
         test_jobs_total{lane=\"heavy\"} 6\n\
         test_jobs_total{lane=\"light\"} 6\n\
         # HELP test_load Load.\n\
         # TYPE test_load gauge\n\
         test_load{lane=\"heavy\"} 0.5\n\
         test_load{lane=\"light\"} 0.5\n\
         # HELP test_up Whether it is up.\n\
         # TYPE test_up gauge\n\
         test_up 1.0",
    );
}

#[test]
fn a_name_is_given_once_and_to_one_type() {
    fn check(register: impl FnOnce(&mut Registry) + std::panic::UnwindSafe, allowed: bool) {
        let registered = std::panic::catch_unwind(|| register(&mut Registry::new("test")));
        assert_eq!(registered.is_ok(), allowed);
    }
    let counter = |registry: &mut Registry| drop(registry.counter("jobs", "Jobs"));
    let gauge = |registry: &mut Registry| drop(registry.gauge("jobs", "Jobs"));
    let count =
        |registry: &mut Registry| registry.observe_counter("jobs", "Jobs", &[("a", "b")], || 1);
    let watch = |registry: &mut Registry| registry.observe_gauge("jobs", "Jobs", &[], || 1.0);
    check(|registry| (counter(registry), gauge(registry)).1, false);
    check(|registry| (counter(registry), count(registry)).1, false);
    check(|registry| (count(registry), counter(registry)).1, false);
    check(|registry| (count(registry), watch(registry)).1, false);
    check(|registry| registry.observe_counter("jobs", "Jobs", &[("a", "c")], || 1), true);
}

#[test]
fn a_lane_is_observed_under_its_name() {
    let size = NonZeroUsize::new(4).expect("not zero");
    let options = LaneOptions::new("heavy", NonZeroUsize::MIN, size).expect("a lane");
    let (lane, workers) =
        Lane::start(&options, |inbox: &mut Inbox<Nothing>| while inbox.recv().is_some() {})
            .expect("a thread");
    let mut registry = Registry::new("test");
    registry.observe_lane(&lane.stats());
    lane.try_submit(Nothing).expect("room");
    drop(lane);
    workers.join();
    let text = registry.encode();
    check_well_formed(&text);
    for line in [
        "test_lane_queued_jobs{lane=\"heavy\"} 0.0",
        "test_lane_queue_capacity_jobs{lane=\"heavy\"} 4.0",
        "test_lane_accepted_jobs_total{lane=\"heavy\"} 1",
        "test_lane_panics_total{lane=\"heavy\"} 0",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_process_is_shown_under_the_names_that_clients_agree_on() {
    let text = Registry::new("test").encode();
    check_well_formed(&text);
    for name in [
        "process_cpu_seconds_total ",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_max_fds ",
        "process_start_time_seconds ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is not in\n{text}");
    }
}
