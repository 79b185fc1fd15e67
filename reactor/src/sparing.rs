//! Log lines that every request or connection would bring while something is wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::limits::LOG_SPARING_INTERVAL;

/// Lets one line through each [`LOG_SPARING_INTERVAL`] and counts the others, so that a store that is
/// away for an hour does not push everything else out of the log. How many requests it concerns is in
/// the metrics.
///
/// One for each line: a `static` beside it, or a field of what it is about.
#[derive(Debug, Default)]
pub struct Sparing {
    withheld: AtomicU64,
    next_at: Mutex<Option<Instant>>,
}

impl Sparing {
    /// Lets the first line through.
    #[must_use]
    pub const fn new() -> Self {
        Self { withheld: AtomicU64::new(0), next_at: Mutex::new(None) }
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
            *next_at = Some(now + LOG_SPARING_INTERVAL);
            return Some(self.withheld.swap(0, Ordering::Relaxed));
        }
        self.withheld.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_line_an_interval_and_the_others_counted() {
        let (sparing, start) = (Sparing::new(), clock::now());
        let check = |after: Duration, expected| {
            assert_eq!(sparing.admit_at(start + after), expected, "after {after:?}");
        };
        let just_before = LOG_SPARING_INTERVAL - Duration::from_nanos(1);
        check(Duration::ZERO, Some(0));
        check(Duration::ZERO, None);
        check(just_before, None);
        check(LOG_SPARING_INTERVAL, Some(2));
        check(LOG_SPARING_INTERVAL + just_before, None);
        check(10 * LOG_SPARING_INTERVAL, Some(1));
    }
}
