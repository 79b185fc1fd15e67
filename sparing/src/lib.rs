//! Log lines that load, a peer or an outage could multiply.
//!
//! A line that every request would bring fills a disk and hides all others. So every line from level info up is
//! logged by one of two macros: [`sparing!`] thins it out, and [`rare!`] wants to know why it need not.

pub mod limits;
pub mod token_bucket;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use limits::LOG_SPARING_INTERVAL;
use token_bucket::TokenBucket;

/// For the macros, in crates that do not name it.
#[doc(hidden)]
pub use tracing;

/// Lets one line through each interval and counts the others, so that a store that is away for an hour
/// does not push everything else out of the log. How many requests it concerns is in the metrics.
///
/// One for each line: [`sparing!`] makes it beside the line; a field of what the line is about,
/// where there are several of these.
#[derive(Debug)]
pub struct Sparing {
    burst: u32,
    lines: TokenBucket,
    withheld: AtomicU64,
}

impl Sparing {
    /// Lets the first line through, then one each [`LOG_SPARING_INTERVAL`].
    #[must_use]
    pub const fn new() -> Self {
        Self::after(1)
    }

    /// Lets the first `burst` lines through, for what rightly comes several times in a row.
    #[must_use]
    pub const fn after(burst: u32) -> Self {
        Self { burst, lines: TokenBucket::new(LOG_SPARING_INTERVAL), withheld: AtomicU64::new(0) }
    }

    /// Lets the first line through, then one each `interval`.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self { burst: 1, lines: TokenBucket::new(interval), withheld: AtomicU64::new(0) }
    }

    /// Whether to write the line now, and how many were withheld since the last. Never blocks.
    #[must_use]
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(clock::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        if self.lines.take(self.burst, now) {
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

/// Logs a line at a level, with fields and a message as `tracing` takes them, unless it was logged less than
/// [`LOG_SPARING_INTERVAL`] ago; `withheld` says how often it was not.
///
/// Every line from level info up is logged by this macro or by [`rare!`]; `./test` refuses those of
/// `tracing` elsewhere.
///
/// ```
/// # let error = "it is away";
/// sparing::sparing!(WARN, error, "the store was not there");
/// // The first four at once, for what rightly comes several times in a row.
/// sparing::sparing!(after 4, INFO, "a front has connected");
/// // By a field of what the line is about.
/// # struct Server { failures: sparing::Sparing }
/// # let server = Server { failures: sparing::Sparing::new() };
/// sparing::sparing!(by server.failures, WARN, error, "the server failed");
/// ```
#[macro_export]
macro_rules! sparing {
    (by $sparing:expr, $level:ident, $($event:tt)+) => {
        if let Some(withheld) = $sparing.admit() {
            $crate::tracing::event!($crate::tracing::Level::$level, withheld, $($event)+);
        }
    };
    (after $burst:expr, $level:ident, $($event:tt)+) => {{
        static SPARING: $crate::Sparing = $crate::Sparing::after($burst);
        $crate::sparing!(by SPARING, $level, $($event)+);
    }};
    ($level:ident, $($event:tt)+) => { $crate::sparing!(after 1, $level, $($event)+) };
}

/// Logs a line that no client, peer, proxy or outage can multiply. Its first argument says why, for whoever reads
/// the code; the others are as [`sparing!`] takes them.
///
/// ```
/// sparing::rare!("once, at the end", INFO, "stopped");
/// ```
#[macro_export]
macro_rules! rare {
    ($because:literal, $level:ident, $($event:tt)+) => {{
        const _: &str = $because;
        $crate::tracing::event!($crate::tracing::Level::$level, $($event)+);
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sparing: &Sparing, at: Instant, expected: Option<u64>) {
        assert_eq!(sparing.admit_at(at), expected);
    }

    #[test]
    fn one_line_an_interval_and_the_others_counted() {
        let start = clock::now();
        for (sparing, interval) in [
            (Sparing::new(), LOG_SPARING_INTERVAL),
            (Sparing::every(Duration::from_secs(60)), Duration::from_secs(60)),
        ] {
            let just_before = interval - Duration::from_nanos(1);
            check(&sparing, start, Some(0));
            check(&sparing, start, None);
            check(&sparing, start + just_before, None);
            check(&sparing, start + interval, Some(2));
            check(&sparing, start + interval + just_before, None);
            check(&sparing, start + 10 * interval, Some(1));
        }
    }

    #[test]
    fn several_at_once_where_that_is_right() {
        let (sparing, start) = (Sparing::after(3), clock::now());
        for expected in [Some(0), Some(0), Some(0), None, None] {
            check(&sparing, start, expected);
        }
        check(&sparing, start + LOG_SPARING_INTERVAL, Some(2));
        check(&sparing, start + LOG_SPARING_INTERVAL, None);
    }
}
