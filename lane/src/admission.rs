//! Whether what waits can still be served in time (admission control).
//!
//! A queue that is served in order gives every job the same wait. When more comes in than can be served, that
//! wait grows to the deadline, and then each job is begun with almost no time left: all the work is done and none
//! of it is of use to anybody. So a job is refused at once when its wait would be too long; and what is in work
//! at a time is bounded by time too, since a job that is in work can no longer be overtaken.

use std::num::{NonZeroU32, NonZeroUsize};
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
    /// Refuses what would not be done within `wait_max`, its wait and its own work together, or by its deadline; at most
    /// `window` jobs are in work at a time. A job that would begin at once is let through.
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

    /// Whether anything is ever refused for its wait.
    pub(super) fn bounds_waits(&self) -> bool {
        self.0.wait_max < Duration::MAX
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
    /// How many units may be served before a job of `units` so that it is done within `left`; `None` if it is not even as
    /// the next. The rest as for [`wait`](Self::wait).
    pub(super) fn units_before(
        self,
        units: NonZeroU32,
        in_work: usize,
        under_way: Duration,
        left: Duration,
    ) -> Option<u64> {
        let work = self.work.saturating_mul(units.get());
        let left = left.checked_sub(work.saturating_add(self.wait(in_work, under_way, 0)))?;
        Some(self.units_in(left))
    }

    /// How long a job waits that has `units` before it, with `in_work` begun, the next of which is under way for so long.
    ///
    /// By Little's law (1961), as many are worked on as take `work` while one is done each `unit`; the others wait.
    pub(super) fn wait(self, in_work: usize, under_way: Duration, units: u64) -> Duration {
        let (unit, work) = (nanos(self.unit), nanos(self.work));
        let worked_on = work.saturating_add(unit / 2).checked_div(unit).unwrap_or(0);
        let waits = (in_work as u64).saturating_sub(worked_on).saturating_add(units);
        // A place is free, or is at the next end.
        let next = match in_work as u64 >= worked_on {
            true => self.unit.saturating_sub(under_way),
            false => Duration::ZERO,
        };
        Duration::from_nanos(unit.saturating_mul(waits)).saturating_add(next)
    }

    /// How many units fit into `time`.
    pub(super) fn units_in(self, time: Duration) -> u64 {
        nanos(time).checked_div(nanos(self.unit)).unwrap_or(u64::MAX)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
