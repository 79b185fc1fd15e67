//! Moments in four bytes.

use std::time::{Duration, Instant};

/// A moment, in tenths of a second since a little before the limiter was made; zero is before all
/// others. 13 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u32);

/// Tenths of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(u32);

/// Tells the time in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn starting(at: Instant) -> Self {
        Self(at)
    }

    /// The moment that `at` falls into; what is before the start counts as the start.
    pub(super) fn tick(&self, at: Instant) -> Tick {
        let elapsed = Span::whole(at.saturating_duration_since(self.0));
        Tick(elapsed.0.saturating_add(1))
    }
}

impl Tick {
    /// The moment of a number.
    pub(super) const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// Its number.
    pub(super) const fn raw(self) -> u32 {
        self.0
    }

    /// From `earlier` to here; nothing when it is later.
    pub(super) fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    pub(super) fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    pub(super) fn is_set(self) -> bool {
        self.0 != 0
    }
}

impl Span {
    /// The span of a number of tenths of a second.
    pub(super) const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// Its number.
    pub(super) const fn raw(self) -> u32 {
        self.0
    }

    /// Whole tenths of a second, rounded down.
    pub(super) fn whole(duration: Duration) -> Self {
        let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let tenths = duration.subsec_millis() / 100;
        Self(seconds.saturating_mul(10).saturating_add(tenths))
    }

    pub(super) fn times(self, factor: u32) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// An equal part, one tick at the least.
    pub(super) fn over(self, parts: u32) -> Self {
        Self((self.0 / parts.max(1)).max(1))
    }

    /// How often `part` fits in, rounded down.
    pub(super) fn divided(self, part: Self) -> u32 {
        self.0 / part.0.max(1)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(u64::from(span.0) * 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_tenths_of_a_second_and_never_zero() {
        let start = clock::now();
        let clock = Clock::starting(start);
        let check = |after_ms: u64, expected: u32| {
            assert_eq!(clock.tick(start + Duration::from_millis(after_ms)), Tick(expected));
        };
        check(0, 1);
        check(99, 1);
        check(100, 2);
        check(3_600_000, 36_001);
        assert!(!Tick::default().is_set());
        assert_eq!(clock.tick(start - Duration::from_secs(1)), Tick(1));
        assert_eq!(Tick(5).since(Tick(9)), Span(0));
    }
}
