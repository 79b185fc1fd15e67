//! Unix time: points in time as they are kept, sent and shown. What is kept and sent is a number of milliseconds
//! since 1970, UTC, in a `u64`; what is shown, and read from files, is [RFC 3339](rfc3339).
//!
//! What time it is, nobody learns here: that is crate `clock`.

pub mod rfc3339;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, UTC; a clock before that counts as 1970.
#[inline]
#[must_use]
pub fn unix_ms(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Whole milliseconds, rounded down.
#[inline]
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
