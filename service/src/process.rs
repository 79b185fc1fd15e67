//! The first steps of a server's process, the same for every server.

use std::fmt::Display;

use crate::hardening;
use crate::log::LogGuard;
use crate::metrics::Registry;

/// Makes the process fit for secrets and for many connections, and logs what was done. A step that
/// the system forbids is logged and passed over.
pub fn prepare() {
    let steps = [
        ("core dumps", hardening::forbid_core_dumps()),
        ("memory", hardening::hide_memory()),
        ("open files", hardening::raise_open_files()),
    ];
    for (step, outcome) in steps {
        match outcome {
            Ok(done) => tracing::info!(step, %done, "process prepared"),
            Err(error) => tracing::warn!(step, %error, "the process could not be prepared"),
        }
    }
}

/// Shows the lines of the log that nobody will read, and the version as a metric.
pub fn observe(registry: &mut Registry, log: &LogGuard, version: impl Display) {
    let dropped = log.dropped_lines();
    let help = "Log lines dropped because they could not be written in time";
    registry.observe_counter("log_dropped_lines", help, &[], move || dropped.count());
    let labels = [("version", &*version.to_string())];
    registry.observe_gauge("build", "1, labelled with the version", &labels, || 1.0);
}
