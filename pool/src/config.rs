//! Settings of a pool, checked as they are made.

use std::time::Duration;

use crate::error::ConfigError;
use crate::limits::{
    LIFETIME_MAX, LIFETIME_MIN, LIVENESS_AFTER_DEFAULT, LIVENESS_AFTER_MAX, SIZE_MAX,
};

/// How many items a pool holds and how long each may live. A value of this type is always valid.
///
/// Ages are judged by [`Clock::now_roughly`](crate::Clock::now_roughly), so to a tick of the system's
/// clock: 1 to 10 ms.
///
/// ```
/// use std::time::Duration;
///
/// let connections = pool::Config::new(16)?
///     .lifetime(Duration::from_secs(30 * 60), Duration::from_secs(3 * 60))?
///     .idle_timeout(Duration::from_secs(10 * 60))?;
/// let arenas = pool::Config::new(2)?.without_liveness_check();
/// # Ok::<(), pool::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    size: usize,
    lifetime: Option<Lifetime>,
    idle_timeout: Option<Duration>,
    liveness_after: Option<Duration>,
}

/// A lifetime and the most that chance takes off it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) longest: Duration,
    pub(crate) jitter: Duration,
}

impl Config {
    /// A pool of `size` items, `1..=`[`SIZE_MAX`]: no lifetime, no idle timeout, a liveness check
    /// after [`LIVENESS_AFTER_DEFAULT`] of idling.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Size`] if `size` is out of range.
    pub fn new(size: usize) -> Result<Self, ConfigError> {
        if !(1..=SIZE_MAX).contains(&size) {
            return Err(ConfigError::Size { size });
        }
        Ok(Self {
            size,
            lifetime: None,
            idle_timeout: None,
            liveness_after: Some(LIVENESS_AFTER_DEFAULT),
        })
    }

    /// Replaces each item when it is `lifetime` old, or earlier by a random part of `jitter`, so that
    /// items made together do not all end together. An item is never closed while it is lent.
    ///
    /// `lifetime` is [`LIFETIME_MIN`]`..=`[`LIFETIME_MAX`]; `jitter` may be zero and must leave at
    /// least [`LIFETIME_MIN`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::Lifetime`] or [`ConfigError::Jitter`] if the value is out of range.
    pub fn lifetime(mut self, lifetime: Duration, jitter: Duration) -> Result<Self, ConfigError> {
        if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
            return Err(ConfigError::Lifetime { lifetime });
        }
        if jitter > lifetime - LIFETIME_MIN {
            return Err(ConfigError::Jitter { jitter, lifetime });
        }
        self.lifetime = Some(Lifetime { longest: lifetime, jitter });
        Ok(self)
    }

    /// Closes an item that nobody borrowed for `timeout`, [`LIFETIME_MIN`]`..=`[`LIFETIME_MAX`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::IdleTimeout`] if `timeout` is out of range.
    pub fn idle_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&timeout) {
            return Err(ConfigError::IdleTimeout { timeout });
        }
        self.idle_timeout = Some(timeout);
        Ok(self)
    }

    /// Has [`Manager::is_alive`](crate::Manager::is_alive) asked before an item is lent that idled
    /// for `window` or longer. Zero asks every time; the most is [`LIVENESS_AFTER_MAX`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::LivenessAfter`] if `window` is too long.
    pub fn liveness_after(mut self, window: Duration) -> Result<Self, ConfigError> {
        if window > LIVENESS_AFTER_MAX {
            return Err(ConfigError::LivenessAfter { window });
        }
        self.liveness_after = Some(window);
        Ok(self)
    }

    /// Never asks [`Manager::is_alive`](crate::Manager::is_alive): for items that cannot die, such as
    /// memory. With neither lifetime nor idle timeout, the pool then reads no clock to lend one.
    #[must_use]
    pub fn without_liveness_check(mut self) -> Self {
        self.liveness_after = None;
        self
    }

    /// Most items that the pool holds, lent ones included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn lifetime_and_jitter(&self) -> Option<Lifetime> {
        self.lifetime
    }

    pub(crate) fn idle_time_allowed(&self) -> Option<Duration> {
        self.idle_timeout
    }

    pub(crate) fn idle_time_unchecked(&self) -> Option<Duration> {
        self.liveness_after
    }

    /// Whether an item's age or idle time matters at all.
    pub(crate) fn is_timed(&self) -> bool {
        self.lifetime.is_some() || self.idle_timeout.is_some() || self.liveness_after.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NANOSECOND: Duration = Duration::from_nanos(1);

    #[track_caller]
    fn check(made: Result<Config, ConfigError>, expected: Result<(), ConfigError>) {
        assert_eq!(made.map(drop), expected);
    }

    fn base() -> Config {
        Config::new(1).unwrap()
    }

    #[test]
    fn size() {
        check(Config::new(1), Ok(()));
        check(Config::new(SIZE_MAX), Ok(()));
        check(Config::new(0), Err(ConfigError::Size { size: 0 }));
        check(Config::new(SIZE_MAX + 1), Err(ConfigError::Size { size: SIZE_MAX + 1 }));
    }

    #[test]
    fn lifetime() {
        let refused = |lifetime| Err(ConfigError::Lifetime { lifetime });
        check(base().lifetime(LIFETIME_MIN, Duration::ZERO), Ok(()));
        check(base().lifetime(LIFETIME_MAX, Duration::ZERO), Ok(()));
        let short = LIFETIME_MIN - NANOSECOND;
        check(base().lifetime(short, Duration::ZERO), refused(short));
        check(base().lifetime(Duration::MAX, Duration::ZERO), refused(Duration::MAX));
    }

    #[test]
    fn jitter() {
        let most = SECOND - LIFETIME_MIN;
        check(base().lifetime(SECOND, most), Ok(()));
        let jitter = most + NANOSECOND;
        check(
            base().lifetime(SECOND, jitter),
            Err(ConfigError::Jitter { jitter, lifetime: SECOND }),
        );
    }

    #[test]
    fn idle_timeout() {
        check(base().idle_timeout(LIFETIME_MIN), Ok(()));
        check(base().idle_timeout(LIFETIME_MAX), Ok(()));
        let timeout = Duration::ZERO;
        check(base().idle_timeout(timeout), Err(ConfigError::IdleTimeout { timeout }));
        let timeout = LIFETIME_MAX + NANOSECOND;
        check(base().idle_timeout(timeout), Err(ConfigError::IdleTimeout { timeout }));
    }

    #[test]
    fn liveness_after() {
        check(base().liveness_after(Duration::ZERO), Ok(()));
        check(base().liveness_after(LIVENESS_AFTER_MAX), Ok(()));
        let window = LIVENESS_AFTER_MAX + NANOSECOND;
        check(base().liveness_after(window), Err(ConfigError::LivenessAfter { window }));
    }

    #[test]
    fn only_a_pool_without_any_time_limit_is_untimed() {
        assert!(base().is_timed());
        assert!(!base().without_liveness_check().is_timed());
        assert!(base().without_liveness_check().idle_timeout(SECOND).unwrap().is_timed());
        assert!(
            base().without_liveness_check().lifetime(SECOND, Duration::ZERO).unwrap().is_timed()
        );
    }
}
