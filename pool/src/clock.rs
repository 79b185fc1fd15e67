//! The time, as an argument, so that tests need not wait for it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

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
        Instant::now()
    }

    fn now_roughly(&self) -> Instant {
        /// The boot, or a moment before it: an `Instant` is not made of numbers, it can only be moved.
        static BOOT: LazyLock<Instant> = LazyLock::new(|| {
            let now = Instant::now();
            now - since_boot(ClockId::Monotonic)
        });
        *BOOT + since_boot(ClockId::MonotonicCoarse)
    }
}

/// Zero for what no such clock shows, a time before the boot.
fn since_boot(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn roughly_is_never_ahead_and_follows() {
        let begin = SystemClock.now();
        let mut last = SystemClock.now_roughly();
        // Until two ticks have come: nothing but a clock that stands still keeps it from ending.
        while last < begin + Duration::from_millis(20) {
            let roughly = SystemClock.now_roughly();
            assert!(roughly <= SystemClock.now(), "ahead");
            assert!(last <= roughly, "backwards");
            last = roughly;
            thread::yield_now();
        }
    }
}
