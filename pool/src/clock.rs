//! The time, as an argument, so that tests need not wait for it.

use std::time::Instant;

/// Tells the pool the time. Time must not run backwards.
///
/// A thread that waits for an item looks at this clock again at the latest when the remaining time has
/// passed in real time. A clock that runs slower than real time therefore delays nothing but that look.
pub trait Clock: Send + Sync + 'static {
    /// The time now. Deadlines are held against it.
    fn now(&self) -> Instant;

    /// The time now or a little while ago, never ahead of [`now`](Self::now), for less than that costs.
    /// The age of items is judged by it, twice for each borrow.
    fn now_roughly(&self) -> Instant {
        self.now()
    }
}

/// The operating system's monotonic clock, and roughly, as of its last tick: 1 to 10 ms ago at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        ::clock::now()
    }

    fn now_roughly(&self) -> Instant {
        ::clock::roughly()
    }
}
