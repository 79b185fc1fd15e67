//! How long hashes take lately, so that none is begun that cannot be finished in time, and no more are on their way than
//! can be.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lane::Admission;
use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;

use crate::limits::{
    HASHES_IN_FLIGHT_PER_THREAD_MAX, HASHES_IN_FLIGHT_TIME, PACE_HASHES, PACE_KNOWN_FOR,
};

/// Measures usual hashes, those too that nobody waits for any more when they are done: a lane that only counted its
/// successes would never learn that all come too late.
///
/// What it finds it tells the lane of what hashes: how long each unit takes, so that what would wait too long is refused
/// at once, and how many may be in flight, so that what waits can still be overtaken.
#[derive(Debug)]
pub struct HashPace {
    threads: NonZeroUsize,
    admission: Admission,
    seconds: Histogram,
    recent: Mutex<Recent>,
}

/// The last hashes, the oldest of which is replaced next.
#[derive(Debug, Default)]
struct Recent {
    hashes: [Option<Measured>; PACE_HASHES],
    next: usize,
}

/// One hash, or several that were computed together.
#[derive(Clone, Copy, Debug)]
struct Measured {
    at: Instant,
    /// From begin to end.
    took: Duration,
    /// The time of a thread for each.
    each: Duration,
}

impl HashPace {
    /// For so many threads; `admission` is that of the lane which they serve. Each hash is noted in `seconds` as what it
    /// took of a thread.
    #[must_use]
    pub fn new(threads: NonZeroUsize, admission: Admission, seconds: Histogram) -> Self {
        Self { threads, admission, seconds, recent: Mutex::default() }
    }

    /// `hashes` that were computed together by one thread took so long.
    pub fn measured(&self, hashes: u32, took: Duration, now: Instant) {
        let each = took / hashes.max(1);
        (0..hashes).for_each(|_| self.seconds.observe(each.as_secs_f64()));
        let mut recent = self.recent.lock();
        let next = recent.next;
        recent.hashes[next] = Some(Measured { at: now, took, each });
        recent.next = (next + 1) % PACE_HASHES;
        let known = recent.hashes.iter().flatten();
        let count = u32::try_from(known.clone().count()).unwrap_or(1).max(1);
        let each = known.clone().map(|hash| hash.each).sum::<Duration>() / count;
        let took = known.map(|hash| hash.took).sum::<Duration>() / count;
        drop(recent);
        let threads = u32::try_from(self.threads.get()).unwrap_or(u32::MAX);
        self.admission.measured(each / threads, took, now);
        self.admission.set_window(self.window(each));
    }

    /// The time that a hash needs to be worth beginning: the shortest of the last ones, since a pause of the machine
    /// makes some of them long. Nothing is known, and so nothing needed, when none was measured for
    /// [`PACE_KNOWN_FOR`]: what was once too slow is tried again.
    #[must_use]
    pub fn takes(&self, now: Instant) -> Duration {
        let recent = self.recent.lock();
        let known = recent.hashes.iter().flatten();
        let lately = known.filter(|hash| now.saturating_duration_since(hash.at) < PACE_KNOWN_FOR);
        lately.map(|hash| hash.took).min().unwrap_or_default()
    }

    /// As many hashes as take [`HASHES_IN_FLIGHT_TIME`] together, one for each thread at the least.
    fn window(&self, each: Duration) -> NonZeroUsize {
        let threads = self.threads.get();
        let in_time = HASHES_IN_FLIGHT_TIME.as_nanos() * threads as u128 / each.as_nanos().max(1);
        let most = threads * HASHES_IN_FLIGHT_PER_THREAD_MAX.get();
        let window = usize::try_from(in_time).unwrap_or(usize::MAX).clamp(threads, most);
        NonZeroUsize::new(window).unwrap_or(self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hash_seconds;

    const MS: Duration = Duration::from_millis(1);

    fn pace(threads: usize) -> HashPace {
        let threads = NonZeroUsize::new(threads).unwrap();
        HashPace::new(threads, Admission::new(700 * MS, threads), hash_seconds())
    }

    #[track_caller]
    fn check_window(threads: usize, hashes: u32, took: Duration, expected: usize) {
        let pace = pace(threads);
        assert_eq!(pace.admission.window(), threads, "before anything is known");
        pace.measured(hashes, took, clock::now());
        assert_eq!(pace.admission.window(), expected, "{threads} threads, {hashes} in {took:?}");
    }

    #[test]
    fn hashes_in_flight_are_bounded_by_time() {
        check_window(2, 2, 24 * MS, 20);
        check_window(2, 1, 24 * MS, 16);
        check_window(1, 1, 300 * MS, 1);
        check_window(4, 1, 300 * MS, 4);
        check_window(1, 1, 90 * MS, 2);
        check_window(64, 1, 10 * MS, 640);
        check_window(1, 1, Duration::ZERO, 10);
    }

    #[test]
    fn the_shortest_of_late_counts_until_it_is_old() {
        let (pace, start) = (pace(1), clock::now());
        assert_eq!(pace.takes(start), Duration::ZERO);
        for (after, took) in [(0, 20), (1, 2_000), (2, 25)] {
            pace.measured(1, took * MS, start + after * MS);
        }
        assert_eq!(pace.takes(start + 3 * MS), 20 * MS);
        assert_eq!(pace.takes(start + PACE_KNOWN_FOR), 25 * MS);
        assert_eq!(pace.takes(start + PACE_KNOWN_FOR + 2 * MS), Duration::ZERO);
        // The oldest are forgotten when there are enough new ones.
        for _ in 0..PACE_HASHES {
            pace.measured(2, 40 * MS, start + 4 * MS);
        }
        assert_eq!(pace.takes(start + 5 * MS), 40 * MS);
    }
}
