//! What a reactor has done so far, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since start, over all loops of a reactor. Loops add to them; anybody may read.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) refused_full: AtomicU64,
    pub(crate) refused_address: AtomicU64,
    pub(crate) accept_pauses: AtomicU64,
    pub(crate) stalled: AtomicU64,
    pub(crate) cut: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) lingering_cut: AtomicU64,
    pub(crate) closed_for_memory: AtomicU64,
    pub(crate) buffer_bytes: AtomicU64,
}

impl Counters {
    /// Connections accepted and served.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        let closed = self.closed.load(Ordering::Relaxed);
        self.accepted().saturating_sub(closed)
    }

    /// Connections closed at once because the reactor had as many as it may.
    pub fn refused_full(&self) -> u64 {
        self.refused_full.load(Ordering::Relaxed)
    }

    /// Connections closed at once because their party had as many as it may.
    pub fn refused_address(&self) -> u64 {
        self.refused_address.load(Ordering::Relaxed)
    }

    /// Times that accepting paused because the process was out of file descriptors.
    pub fn accept_pauses(&self) -> u64 {
        self.accept_pauses.load(Ordering::Relaxed)
    }

    /// Connections closed because the peer did not take its answers in time.
    pub fn stalled(&self) -> u64 {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Connections cut at the end of the grace period of a shutdown.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Idle connections closed for new ones.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Connections closed while they lingered, because too many did.
    pub fn lingering_cut(&self) -> u64 {
        self.lingering_cut.load(Ordering::Relaxed)
    }

    /// Connections closed because the memory for buffers was used up.
    pub fn closed_for_memory(&self) -> u64 {
        self.closed_for_memory.load(Ordering::Relaxed)
    }

    /// Memory allocated for buffers now, in bytes.
    pub fn buffer_bytes(&self) -> u64 {
        self.buffer_bytes.load(Ordering::Relaxed)
    }
}

/// Adds one; counters only, nothing is ordered by them.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
