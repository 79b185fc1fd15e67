//! Counts of what a pool has done and holds.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::DiscardReason;

/// A snapshot of a pool. The first four are of one moment. The totals count since the pool was made, and
/// may differ from them by what is just happening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Most items that the pool may hold.
    pub size: usize,
    /// Items that wait in the pool to be lent.
    pub idle: usize,
    /// Items that are lent, and places where one is just being made, checked or closed.
    pub lent: usize,
    /// Threads in the queue.
    pub waiting: usize,
    /// Items lent.
    pub acquired: u64,
    /// Borrowers that had to join the queue.
    pub queued: u64,
    /// Borrowers whose deadline passed.
    pub timed_out: u64,
    /// Items made.
    pub connected: u64,
    /// Items that could not be made.
    pub connect_failed: u64,
    /// Items closed, by reason.
    pub discarded: Discarded,
}

/// How many items were closed for each [`DiscardReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discarded([u64; DiscardReason::ALL.len()]);

impl Discarded {
    /// Items closed for `reason`.
    #[must_use]
    pub fn of(&self, reason: DiscardReason) -> u64 {
        self.0[reason as usize]
    }

    /// Items closed for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Counters of what happens outside the lock.
#[derive(Default)]
pub(crate) struct Counters {
    /// After waiting, or after work on the item; the others are counted in the ledger.
    pub(crate) acquired: Counter,
    pub(crate) queued: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) connected: Counter,
    pub(crate) connect_failed: Counter,
    discarded: [Counter; DiscardReason::ALL.len()],
}

impl Counters {
    pub(crate) fn discarded(&self, reason: DiscardReason) -> &Counter {
        &self.discarded[reason as usize]
    }

    pub(crate) fn all_discarded(&self) -> Discarded {
        Discarded(DiscardReason::ALL.map(|reason| self.discarded(reason).total()))
    }
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        // Nothing is ordered by a statistic.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
