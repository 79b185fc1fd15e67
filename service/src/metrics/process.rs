//! The figures of the process, from `/proc/self` (`proc(5)`), under the names that Prometheus
//! clients agree on: <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};
use rustix::process::{Resource, getrlimit};

/// Clock ticks in a second, as `/proc` counts them.
///
/// `USER_HZ`, which is part of the kernel's interface and 100 on every architecture that Rust's
/// standard library supports on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the figures at each scrape. One that cannot be read is left out.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let figures = ProcessFigures::read();
        let mut figure = |name, help, kind, value: Option<f64>| -> fmt::Result {
            let Some(value) = value else { return Ok(()) };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            match kind {
                MetricType::Counter => metric.encode_counter::<NoLabelSet, _, f64>(&value, None),
                _ => metric.encode_gauge(&value),
            }
        };
        let (counter, gauge) = (MetricType::Counter, MetricType::Gauge);
        let f = figures;
        figure("process_cpu_seconds", "CPU time, user and system.", counter, f.cpu_seconds)?;
        figure("process_resident_memory_bytes", "Resident memory.", gauge, f.resident_bytes)?;
        figure("process_virtual_memory_bytes", "Virtual memory.", gauge, f.virtual_bytes)?;
        figure("process_threads", "Threads.", gauge, f.threads)?;
        figure("process_open_fds", "Open file descriptors.", gauge, f.open_fds)?;
        figure("process_max_fds", "Most file descriptors that may be open.", gauge, f.max_fds)?;
        figure("process_start_time_seconds", "Start, in Unix time.", gauge, f.start_time_seconds)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct ProcessFigures {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    threads: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
    start_time_seconds: Option<f64>,
}

impl ProcessFigures {
    fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let (stat, status) = (text("/proc/self/stat"), text("/proc/self/status"));
        Self {
            cpu_seconds: cpu_seconds(&stat),
            resident_bytes: status_field(&status, "VmRSS").map(|kibibytes| kibibytes * 1024.0),
            virtual_bytes: status_field(&status, "VmSize").map(|kibibytes| kibibytes * 1024.0),
            threads: status_field(&status, "Threads"),
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current.map(|limit| limit as f64),
            start_time_seconds: start_time_seconds(&stat, &text("/proc/stat")),
        }
    }
}

/// `utime` and `stime`.
fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / TICKS_PER_SECOND)
}

/// `starttime` counts from the boot of the machine, whose time is `btime` of `/proc/stat`.
fn start_time_seconds(stat: &str, machine_stat: &str) -> Option<f64> {
    let boot = machine_stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + stat_field(stat, 22)? / TICKS_PER_SECOND)
}

/// A field of `/proc/self/stat` by its number in `proc_pid_stat(5)`, from 3 on.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    // The second field is the name in parentheses, which may itself hold spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// The number after `name:` in `/proc/self/status`.
fn status_field(status: &str, name: &str) -> Option<f64> {
    let mut fields = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(field, _)| *field == name)?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

fn open_fds() -> Option<f64> {
    // Since Linux 6.2 the size of this directory is the count; before, it is 0 and the entries have
    // to be counted, among them the one that reads them.
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (a) b (c) S 1 4242 4242 0 -1 4194560 913 0 0 0 1250 250 0 0 20 0 7 0 \
                        360000 241664000 1873 18446744073709551615";
    const STATUS: &str =
        "Name:\tauth_back\nVmSize:\t  236000 kB\nVmRSS:\t    7492 kB\nThreads:\t7\n";

    #[test]
    fn the_files_of_proc_are_understood() {
        assert_eq!(cpu_seconds(STAT), Some(15.0));
        assert_eq!(
            start_time_seconds(STAT, "cpu 1 2 3\nbtime 1700000000\n"),
            Some(1_700_003_600.0)
        );
        assert_eq!(status_field(STATUS, "VmRSS"), Some(7492.0));
        assert_eq!(status_field(STATUS, "Threads"), Some(7.0));
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        for text in
            ["", ")", "1 (x) S", "Name", "VmRSS:", "btime \n", "1 (x) S 1 1 1 1 1 1 1 1 1 1 x y"]
        {
            assert_eq!(cpu_seconds(text), None, "{text:?}");
            assert_eq!(start_time_seconds(text, text), None, "{text:?}");
            assert_eq!(status_field(text, "VmRSS"), None, "{text:?}");
        }
    }

    #[test]
    fn this_process_has_figures() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes > Some(100_000.0), "{figures:?}");
        assert!(figures.threads >= Some(1.0), "{figures:?}");
        assert!(figures.open_fds >= Some(3.0), "{figures:?}");
        assert!(figures.start_time_seconds > Some(1_600_000_000.0), "{figures:?}");
    }
}
