//! Whether what waits can still be served in time (admission control).
//!
//! A queue that is served in order gives every job the same wait. When more comes in than can be served, that
//! wait grows to the deadline, and then each job is begun with almost no time left: all the work is done and none
//! of it is of use to anybody. So a job is refused at once when its wait would be too long; and what is in work
//! at a time is bounded by time too, since a job that is in work can no longer be overtaken.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::limits::LANE_PACE_KNOWN_FOR;

/// What a lane goes by, and whoever measures its work sets. Clones are the same.
///
/// The numbers order nothing: jobs go through the queue's lock, and a number that is a moment old does no harm.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Numbers>);

#[derive(Debug)]
struct Numbers {
    wait_max: Duration,
    /// How long the lane takes for a unit, all its workers together.
    unit_ns: AtomicU64,
    /// How long a unit is in work.
    work_ns: AtomicU64,
    /// Until when these are believed, in microseconds since `epoch`.
    known_until_us: AtomicU64,
    epoch: Instant,
    window: AtomicUsize,
}

impl Admission {
    /// Refuses what would wait longer than `wait_max`; at most `window` jobs are in work at a time. A job that
    /// would begin at once is refused only if its own deadline is too near.
    ///
    /// Until something is [measured](Self::measured), and when nothing was for [`LANE_PACE_KNOWN_FOR`], only
    /// what has no place is refused: nobody is kept out by what was once so.
    #[must_use]
    pub fn new(wait_max: Duration, window: NonZeroUsize) -> Self {
        Self(Arc::new(Numbers {
            wait_max,
            unit_ns: AtomicU64::new(0),
            work_ns: AtomicU64::new(0),
            known_until_us: AtomicU64::new(0),
            epoch: clock::now(),
            window: AtomicUsize::new(window.get()),
        }))
    }

    /// Refuses only what has no place.
    #[must_use]
    pub fn open() -> Self {
        Self::new(Duration::MAX, NonZeroUsize::MAX)
    }

    /// How long the lane takes for a unit at present, all its workers together (what is ahead of a job times this is
    /// its wait), and how long a unit then is in work.
    pub fn measured(&self, unit: Duration, work: Duration, now: Instant) {
        let Numbers { unit_ns, work_ns, known_until_us, .. } = &*self.0;
        unit_ns.store(nanos(unit), Ordering::Relaxed);
        work_ns.store(nanos(work), Ordering::Relaxed);
        known_until_us.store(self.micros(now + LANE_PACE_KNOWN_FOR), Ordering::Relaxed);
    }

    /// How many jobs may be in work at a time. A larger number shows when the next job is done or submitted.
    pub fn set_window(&self, jobs: NonZeroUsize) {
        self.0.window.store(jobs.get(), Ordering::Relaxed);
    }

    /// How many jobs may be in work at a time.
    #[must_use]
    pub fn window(&self) -> usize {
        self.0.window.load(Ordering::Relaxed)
    }

    /// The longest wait.
    #[must_use]
    pub fn wait_max(&self) -> Duration {
        self.0.wait_max
    }

    /// What is known at `now`.
    pub(super) fn pace(&self, now: Instant) -> Option<Pace> {
        let known_until_us = self.0.known_until_us.load(Ordering::Relaxed);
        (known_until_us > 0 && self.micros(now) < known_until_us).then(|| Pace {
            unit: Duration::from_nanos(self.0.unit_ns.load(Ordering::Relaxed)),
            work: Duration::from_nanos(self.0.work_ns.load(Ordering::Relaxed)),
        })
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.epoch).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

/// How fast a lane is at present.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    unit: Duration,
    work: Duration,
}

impl Pace {
    /// How long `units` have to wait for each other.
    pub(super) fn time_of(self, units: u64) -> Duration {
        Duration::from_nanos(nanos(self.unit).saturating_mul(units))
    }

    /// How many units fit into `time`.
    pub(super) fn units_in(self, time: Duration) -> u64 {
        nanos(time).checked_div(nanos(self.unit)).unwrap_or(u64::MAX)
    }

    /// How long a job of `units` is in work.
    pub(super) fn work(self, units: u32) -> Duration {
        self.work.saturating_mul(units)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
