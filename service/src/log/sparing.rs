//! Lines that every request would bring while something is wrong.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::limits::LOG_SPARING_INTERVAL;

/// Lets one line through each interval and counts the others, so that a store that is away for an hour
/// does not push everything else out of the log. How many requests it concerns is in the metrics.
///
/// One for each line: a `static` beside it, or a field of what it is about.
#[derive(Debug)]
pub struct Sparing {
    interval: Duration,
    withheld: AtomicU64,
    next_at: Mutex<Option<Instant>>,
}

impl Sparing {
    /// Lets the first line through, then one each [`LOG_SPARING_INTERVAL`].
    #[must_use]
    pub const fn new() -> Self {
        Self::every(LOG_SPARING_INTERVAL)
    }

    /// Lets the first line through, then one each `interval`.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self { interval, withheld: AtomicU64::new(0), next_at: Mutex::new(None) }
    }

    /// Whether to write the line now, and how many were withheld since the last. Never blocks.
    #[must_use]
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(clock::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        // Whoever holds it is about to write the same line.
        if let Some(mut next_at) = self.next_at.try_lock()
            && next_at.is_none_or(|next_at| now >= next_at)
        {
            *next_at = Some(now + self.interval);
            return Some(self.withheld.swap(0, Ordering::Relaxed));
        }
        self.withheld.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Sparing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_an_interval_and_the_others_counted() {
        let check = |sparing: Sparing, interval: Duration| {
            let start = clock::now();
            let check = |after: Duration, expected| {
                assert_eq!(sparing.admit_at(start + after), expected, "after {after:?}");
            };
            let just_before = interval - Duration::from_nanos(1);
            check(Duration::ZERO, Some(0));
            check(Duration::ZERO, None);
            check(just_before, None);
            check(interval, Some(2));
            check(interval + just_before, None);
            check(10 * interval, Some(1));
        };
        check(Sparing::new(), LOG_SPARING_INTERVAL);
        check(Sparing::every(Duration::from_secs(60)), Duration::from_secs(60));
    }
}
