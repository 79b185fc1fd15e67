//! A token bucket that threads share without a lock.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Lets so many through at once and one each interval from then on: a token bucket, kept as the one number
/// that says when it will be full again (the generic cell rate algorithm).
///
/// A caller that is refused reads that number and writes nothing, so a flood costs its threads no cache line
/// that they would have to fight for.
///
/// ```
/// use std::time::Duration;
/// use sparing::token_bucket::TokenBucket;
/// let (bucket, now) = (TokenBucket::new(Duration::from_secs(1)), clock::now());
/// assert_eq!([1, 2, 3].map(|_| bucket.take(2, now)), [true, true, false]);
/// assert!(bucket.take(2, now + Duration::from_secs(1)));
/// ```
#[derive(Debug)]
pub struct TokenBucket {
    interval_ns: u64,
    /// When it will be full, in nanoseconds since [`START`]. In the past: it is full.
    full_at_ns: AtomicU64,
}

/// Instants are counted from here, a day before the first use: callers may have read the clock before. An instant
/// from before counts as this one.
#[expect(clippy::disallowed_methods, reason = "tests that move their clocks share it")]
static START: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(24 * 3600)).unwrap_or(now)
});

impl TokenBucket {
    /// A full bucket that gets one token back each `interval`; none, where that is longer than a century.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        // So that the sums below have room.
        const FOREVER_NS: u64 = u64::MAX / 4;
        let interval_ns = interval.as_nanos();
        let is_forever = interval_ns > FOREVER_NS as u128;
        #[expect(clippy::cast_possible_truncation, reason = "the larger ones are taken out before")]
        let interval_ns = if is_forever { FOREVER_NS } else { interval_ns as u64 };
        Self { interval_ns, full_at_ns: AtomicU64::new(0) }
    }

    /// Takes a token, if there is one for somebody who may use the first `burst` of a full bucket. Callers of a
    /// lower burst leave the rest to the others: of two that share a bucket, the one with the lower burst gets
    /// only what the other leaves. Never blocks.
    pub fn take(&self, burst: u32, now: Instant) -> bool {
        let now_ns = now.saturating_duration_since(*START).as_nanos();
        let now_ns = u64::try_from(now_ns).unwrap_or(u64::MAX);
        let full_by_ns = now_ns.saturating_add(self.interval_ns.saturating_mul(burst.into()));
        let after_one_more = |full_at_ns: u64| {
            let full_at_ns = full_at_ns.max(now_ns).saturating_add(self.interval_ns);
            (full_at_ns <= full_by_ns).then_some(full_at_ns)
        };
        // Tried again only when another thread has taken a token meanwhile.
        self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after_one_more).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of `tries` of each burst are let through at that time, in this order.
    #[track_caller]
    fn check(bucket: &TokenBucket, now: Instant, tries: &[(u32, u32)], expected: &[u32]) {
        let taken: Vec<u32> = tries
            .iter()
            .map(|(burst, tries)| (0..*tries).map(|_| u32::from(bucket.take(*burst, now))).sum())
            .collect();
        assert_eq!(taken, expected);
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let (bucket, start) = (TokenBucket::new(SECOND), clock::now());
        check(&bucket, start, &[(5, 9)], &[5]);
        check(&bucket, start + SECOND - Duration::from_nanos(1), &[(5, 9)], &[0]);
        check(&bucket, start + SECOND, &[(5, 9)], &[1]);
        check(&bucket, start + 4 * SECOND, &[(5, 9)], &[3]);
        // It never holds more than the burst.
        check(&bucket, start + 1000 * SECOND, &[(5, 9)], &[5]);
    }

    #[test]
    fn a_lower_burst_leaves_the_rest_to_the_others() {
        let (bucket, start) = (TokenBucket::new(SECOND), clock::now());
        check(&bucket, start, &[(2, 9), (5, 9), (2, 9)], &[2, 3, 0]);
        // What comes back is the others' until there is more than they left.
        check(&bucket, start + 3 * SECOND, &[(2, 9), (5, 1)], &[0, 1]);
        check(&bucket, start + 5 * SECOND, &[(2, 9), (5, 9)], &[1, 3]);
    }

    #[test]
    fn time_before_the_start_and_intervals_without_end() {
        let (bucket, start) = (TokenBucket::new(Duration::MAX), *START);
        check(&bucket, start + SECOND, &[(1, 2)], &[1]);
        let bucket = TokenBucket::new(SECOND);
        check(&bucket, start.checked_sub(SECOND).unwrap_or(start), &[(1, 2)], &[1]);
        check(&bucket, start, &[(1, 2)], &[0]);
    }

    #[test]
    fn threads_take_no_more_together() {
        let (bucket, now) = (TokenBucket::new(SECOND), clock::now());
        let taken: u32 = thread::scope(|scope| {
            let take = || (0..1000).map(|_| u32::from(bucket.take(100, now))).sum::<u32>();
            let threads = [0; 4].map(|_| scope.spawn(take));
            threads.map(|thread| thread.join().expect("no panic")).iter().sum()
        });
        assert_eq!(taken, 100);
    }
}
