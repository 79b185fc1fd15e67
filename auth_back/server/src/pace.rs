//! How long requests of a lane take lately, so that none is begun that cannot be finished in time.
//!
//! A queue that is served in order gives every request the same wait. When more comes in than can be
//! served, that wait grows to the deadline, and then each request is begun with almost no time left:
//! all the work is done and none of it is of use to anybody. Refusing what has too little time left
//! keeps the useful work at what the machine can do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A moving average over about the last eight requests, shared by the threads of a lane.
#[derive(Debug, Default)]
pub struct Pace {
    average_us: AtomicU64,
}

/// How much of the average a new request replaces, as the divisor: an eighth follows a change of
/// load within a dozen requests and does not jump with each.
const WINDOW: u64 = 8;

impl Pace {
    /// Whether a request that has `left` until its deadline is likely to be finished in time. Each no
    /// brings the next yes closer, so a few slow requests cannot shut a lane.
    pub fn admits(&self, left: Duration) -> bool {
        let admits = left > Duration::from_micros(self.average_us.load(Ordering::Relaxed));
        if !admits {
            self.update(0);
        }
        admits
    }

    /// A request was served in `took`.
    pub fn served(&self, took: Duration) {
        self.update(u64::try_from(took.as_micros()).unwrap_or(u64::MAX / WINDOW));
    }

    /// Threads may overwrite each other's update; an average can lose one.
    fn update(&self, sample_us: u64) {
        let average = self.average_us.load(Ordering::Relaxed);
        let next = average - average / WINDOW + sample_us.min(u64::MAX / WINDOW) / WINDOW;
        self.average_us.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: Duration = Duration::from_millis(20);

    fn pace_of(took: Duration) -> Pace {
        let pace = Pace::default();
        for _ in 0..100 {
            pace.served(took);
        }
        pace
    }

    #[test]
    fn what_has_less_time_than_requests_take_is_refused() {
        let pace = pace_of(HASH);
        assert!(pace.admits(HASH * 2));
        assert!(pace.admits(HASH * 11 / 10));
        assert!(!pace.admits(HASH / 2));
        assert!(!pace.admits(Duration::ZERO));
    }

    #[test]
    fn a_fresh_lane_admits_what_has_any_time() {
        assert!(Pace::default().admits(Duration::from_micros(1)));
        assert!(!Pace::default().admits(Duration::ZERO));
    }

    #[test]
    fn a_lane_that_was_slow_is_tried_again() {
        let pace = pace_of(Duration::from_secs(60));
        let refused = (0..1000).take_while(|_| !pace.admits(HASH)).count();
        assert!((1..200).contains(&refused), "{refused}");
    }

    #[test]
    fn no_sample_overflows() {
        let pace = pace_of(Duration::MAX);
        assert!(!pace.admits(HASH));
    }
}
