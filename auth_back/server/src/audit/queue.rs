//! Lines on their way to the thread that writes them.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;
use service::sparing;

use super::entry::{Cost, Entry};
use super::failures::Failures;
use super::line::render;
use super::repeats::Success;
use crate::limits::AUDIT_FAILURES_QUEUED_MAX;

/// Lines on their way to the thread, and how many there were.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) lines: Sender<Line>,
    pub(super) failures: Failures,
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
}

/// A line, and what it tells of if it is a success.
pub(super) struct Line {
    pub(super) text: Box<str>,
    pub(super) success: Option<Success>,
}

impl Queue {
    /// Never blocks. What is a failure too many, or finds no room, is counted.
    pub(super) fn record(&self, entry: &Entry<'_>) {
        let cost = entry.cost();
        if cost != Cost::Kept && !self.has_room_for_failure(cost) {
            return self.failures.suppress(entry.event, entry.outcome);
        }
        let at = clock::wall();
        let success = if cost == Cost::Kept { Success::of(entry, at) } else { None };
        if self.lines.try_send(Line { text: render(entry, at), success }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            sparing!(ERROR, "the audit log is LOSING LINES: it is not written fast enough");
        }
    }

    /// The rest of the queue is for successes: they are what must not be missing when the disk stands still.
    fn has_room_for_failure(&self, cost: Cost) -> bool {
        self.failures.admits(cost, clock::roughly()) && self.lines.len() < AUDIT_FAILURES_QUEUED_MAX
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn suppressed(&self) -> u64 {
        self.failures.suppressed().count()
    }
}
