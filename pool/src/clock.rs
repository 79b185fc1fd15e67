//! The time, as an argument, so that tests need not wait for it.

use std::time::Instant;

/// Tells the pool the time. Time must not run backwards.
///
/// A thread that waits for an item looks at this clock again at the latest when the remaining time has
/// passed in real time. A clock that runs slower than real time therefore delays nothing but that look.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Instant;
}

/// The operating system's monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}
