//! The figures of a lane.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::LaneOptions;

/// Counters that only grow; what is queued and in work are differences between them.
///
/// All accesses are relaxed: the counters order nothing, and the queue itself carries the jobs from
/// thread to thread.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) name: &'static str,
    queue: usize,
    threads: usize,
    submitted: AtomicU64,
    rejected: AtomicU64,
    taken: AtomicU64,
    finished: AtomicU64,
    panics: AtomicU64,
    threads_ended: AtomicU64,
}

impl Counters {
    pub(super) const fn new(options: &LaneOptions) -> Self {
        Self {
            name: options.name,
            queue: options.queue.get(),
            threads: options.threads.get(),
            submitted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            threads_ended: AtomicU64::new(0),
        }
    }

    pub(super) fn submitting(&self) {
        self.submitted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn taken(&self, jobs: u64) {
        self.taken.fetch_add(jobs, Ordering::Relaxed);
    }

    pub(super) fn finished(&self, jobs: u64) {
        self.finished.fetch_add(jobs, Ordering::Relaxed);
    }

    /// Jobs that wait for a worker. What follows is read first, so that a difference cannot come out negative by a job
    /// that moves on in between.
    pub(super) fn queued(&self) -> u64 {
        let taken = self.taken.load(Ordering::Relaxed);
        let rejected = self.rejected.load(Ordering::Relaxed);
        let submitted = self.submitted.load(Ordering::Relaxed);
        submitted.saturating_sub(rejected).saturating_sub(taken)
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn thread_ended(&self) {
        self.threads_ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A handle on the figures of a lane. It keeps neither the lane nor its threads alive.
#[derive(Clone)]
pub struct LaneStats(Arc<Counters>);

impl LaneStats {
    pub(super) const fn new(counters: Arc<Counters>) -> Self {
        Self(counters)
    }

    /// The name of the lane.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The figures now. Each is exact; read one after the other, they may be of slightly different
    /// moments.
    #[must_use]
    pub fn snapshot(&self) -> LaneSnapshot {
        let counters = &*self.0;
        // Those that follow are read first, so that a difference cannot come out negative by a job
        // that moves on in between.
        let finished = counters.finished.load(Ordering::Relaxed);
        let taken = counters.taken.load(Ordering::Relaxed);
        let rejected = counters.rejected.load(Ordering::Relaxed);
        let submitted = counters.submitted.load(Ordering::Relaxed);
        let threads_ended = counters.threads_ended.load(Ordering::Relaxed);
        LaneSnapshot {
            queue_capacity: counters.queue,
            threads: (counters.threads as u64).saturating_sub(threads_ended),
            queued: submitted.saturating_sub(rejected).saturating_sub(taken),
            in_work: taken.saturating_sub(finished),
            accepted: submitted.saturating_sub(rejected),
            finished,
            rejected,
            panics: counters.panics.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for LaneStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LaneStats").field(&self.0.name).field(&self.snapshot()).finish()
    }
}

/// The figures of a lane at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneSnapshot {
    /// Most jobs that may be queued.
    pub queue_capacity: usize,
    /// Threads that have not ended.
    pub threads: u64,
    /// Jobs that wait for a worker.
    pub queued: u64,
    /// Jobs that a worker has taken, and has not yet come back for more.
    pub in_work: u64,
    /// Jobs accepted since the start.
    pub accepted: u64,
    /// Jobs that a worker has taken and left behind since the start, panicked ones among them.
    pub finished: u64,
    /// Jobs refused since the start.
    pub rejected: u64,
    /// Panics of workers since the start.
    pub panics: u64,
}
