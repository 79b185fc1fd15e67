//! The figures of a lane.

use std::{
    array, fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::job::Why;
use super::{Class, LaneOptions};

/// Upper bounds of the buckets that waits are counted in, in seconds: 100 microseconds to 10 seconds.
///
/// No two neighbours are more than a factor of 2.5 apart; they are closer between 10 and 50 ms, where
/// hashing a password falls, and there is one at 1 s, in which every request has to be answered.
pub const WAIT_BUCKETS_SECONDS: [f64; 17] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0,
];

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
    refused: [AtomicU64; Why::ALL.len()],
    taken: AtomicU64,
    finished: AtomicU64,
    panics: AtomicU64,
    threads_ended: AtomicU64,
    parties: AtomicUsize,
    waits: [Waits; Class::ALL.len()],
}

/// How long jobs of a class waited: a count for each bucket and one for what is longer than all of them, and the
/// sum.
#[derive(Debug, Default)]
struct Waits {
    counts: [AtomicU64; WAIT_BUCKETS_SECONDS.len() + 1],
    sum_ns: AtomicU64,
}

/// Jobs of a class that have waited for the same time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waited {
    /// `None` before the first.
    pub(super) class: Option<Class>,
    pub(super) time: Duration,
    pub(super) jobs: u64,
}

impl Counters {
    pub(super) fn new(options: &LaneOptions) -> Self {
        Self {
            name: options.name,
            queue: options.queue.get(),
            threads: options.threads.get(),
            submitted: AtomicU64::new(0),
            refused: Default::default(),
            taken: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            threads_ended: AtomicU64::new(0),
            parties: AtomicUsize::new(0),
            waits: Default::default(),
        }
    }

    pub(super) fn submitting(&self) {
        self.submitted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, why: Why) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn taken(&self, jobs: u64) {
        self.taken.fetch_add(jobs, Ordering::Relaxed);
    }

    pub(super) fn finished(&self, jobs: u64) {
        self.finished.fetch_add(jobs, Ordering::Relaxed);
    }

    /// How many parties have jobs waiting in turns.
    pub(super) fn parties(&self, count: usize) {
        // Read first: a store would pull the cache line over for nothing.
        if self.parties.load(Ordering::Relaxed) != count {
            self.parties.store(count, Ordering::Relaxed);
        }
    }

    /// A job has waited. What came together has waited together, so it is counted together: at a change, and
    /// by [`waited_all`](Self::waited_all) at the end.
    pub(super) fn waited(&self, waited: &mut Waited, class: Class, time: Duration) {
        if (waited.class, waited.time) != (Some(class), time) {
            self.waited_all(waited);
            *waited = Waited { class: Some(class), time, jobs: 0 };
        }
        waited.jobs += 1;
    }

    /// So many jobs have waited.
    pub(super) fn waited_all(&self, waited: &Waited) {
        let Waited { class: Some(class), time, jobs } = *waited else { return };
        let waits = &self.waits[class as usize];
        let seconds = time.as_secs_f64();
        let bucket = WAIT_BUCKETS_SECONDS.partition_point(|&bound| bound < seconds);
        waits.counts[bucket].fetch_add(jobs, Ordering::Relaxed);
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        waits.sum_ns.fetch_add(ns.saturating_mul(jobs), Ordering::Relaxed);
    }

    /// Jobs that wait for a worker. What follows is read first, so that a difference cannot come out negative by a job
    /// that moves on in between.
    pub(super) fn queued(&self) -> u64 {
        let taken = self.taken.load(Ordering::Relaxed);
        let rejected = self.rejected();
        let submitted = self.submitted.load(Ordering::Relaxed);
        submitted.saturating_sub(rejected).saturating_sub(taken)
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn thread_ended(&self) {
        self.threads_ended.fetch_add(1, Ordering::Relaxed);
    }

    fn rejected(&self) -> u64 {
        self.refused.iter().map(|refused| refused.load(Ordering::Relaxed)).sum()
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

    /// Jobs refused for this reason since the start.
    #[must_use]
    pub fn refused(&self, why: Why) -> u64 {
        self.0.refused[why as usize].load(Ordering::Relaxed)
    }

    /// How long jobs of a class have waited until they were taken.
    #[must_use]
    pub fn waits(&self, class: Class) -> LaneWaits {
        let Waits { counts, sum_ns } = &self.0.waits[class as usize];
        LaneWaits {
            counts: array::from_fn(|bucket| counts[bucket].load(Ordering::Relaxed)),
            sum: Duration::from_nanos(sum_ns.load(Ordering::Relaxed)),
        }
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
        let rejected = counters.rejected();
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
            parties: counters.parties.load(Ordering::Relaxed),
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
    /// Jobs that a worker has taken and that are not done.
    pub in_work: u64,
    /// Jobs accepted since the start, but for those that had to go afterwards.
    pub accepted: u64,
    /// Jobs that a worker has taken and left behind since the start, panicked ones among them.
    pub finished: u64,
    /// Jobs refused since the start, for whatever reason.
    pub rejected: u64,
    /// Panics of workers since the start.
    pub panics: u64,
    /// Parties (addresses, or /48 networks) that have jobs waiting in turns: while no more jobs wait than are taken at
    /// once, nobody asks whose they are.
    pub parties: usize,
}

/// How long jobs have waited: see [`WAIT_BUCKETS_SECONDS`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneWaits {
    /// For each bucket how many fell into it and into none before; at the end those beyond all.
    pub counts: [u64; WAIT_BUCKETS_SECONDS.len() + 1],
    /// All waits together.
    pub sum: Duration,
}
