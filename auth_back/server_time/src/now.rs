//! A time, or two where the clock is doubted.

use std::time::{Duration, SystemTime};

use unix_time::system_time;

/// What time it is, in milliseconds since 1970, UTC. While the clock is doubted, it is one of two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub(crate) ms: u64,
    pub(crate) doubted_ms: Option<u64>,
}

impl Now {
    /// A time that nobody doubts.
    #[must_use]
    pub const fn certain(ms: u64) -> Self {
        Self { ms, doubted_ms: None }
    }

    /// The time that is believed: what is made now is dated by it.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.ms
    }

    /// The same as others have it.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        system_time(self.ms)
    }

    /// Whether it is earlier than that; not known if the two times differ on it.
    #[must_use]
    pub fn is_before(self, at_ms: u64) -> Option<bool> {
        let is_before = self.ms < at_ms;
        let agrees = self.doubted_ms.is_none_or(|doubted_ms| (doubted_ms < at_ms) == is_before);
        agrees.then_some(is_before)
    }

    /// How long until then, by the later of the two times; zero if that has come.
    #[must_use]
    pub fn until(self, at_ms: u64) -> Duration {
        let latest_ms = self.doubted_ms.map_or(self.ms, |doubted_ms| doubted_ms.max(self.ms));
        Duration::from_millis(at_ms.saturating_sub(latest_ms))
    }
}
