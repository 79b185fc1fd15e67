//! Unix time: points in time as they are kept, sent and shown.
//!
//! Rows of the store, frames, JSON and the scripts in Redis all have a point in time as a number of milliseconds
//! since 1970, UTC, in a `u64` whose name ends in `_ms`. People read it as [RFC 3339](rfc3339()), and files of users
//! may [have it so](parse_rfc3339). What time it is now, is for crate `clock` to say.

mod rfc3339;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use self::rfc3339::{parse_rfc3339, rfc3339};

/// Milliseconds since 1970, UTC; a clock before that counts as 1970.
#[expect(clippy::disallowed_methods, reason = "the one named place, see clippy.toml")]
#[inline]
#[must_use]
pub fn unix_ms(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The same point in time as the standard library has it.
///
/// ```
/// let at = unix_time::system_time(1_764_000_788_042);
/// assert_eq!(unix_time::unix_ms(at), 1_764_000_788_042);
/// ```
#[inline]
#[must_use]
pub fn system_time(unix_ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(unix_ms)
}

/// Whole milliseconds, rounded down.
#[inline]
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for ms in [0, 1, 1_764_000_788_042, u64::MAX] {
            assert_eq!(unix_ms(system_time(ms)), ms);
        }
        assert_eq!(unix_ms(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(unix_ms(UNIX_EPOCH + Duration::from_nanos(1_999_999)), 1);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
