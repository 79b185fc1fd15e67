//! What time it is. Every crate asks here and nowhere else (`clippy.toml` at the root bans the others), so
//! that a test can move the time instead of waiting for it.
//!
//! | function | clock | for |
//! |---|---|---|
//! | [`now`] | `CLOCK_MONOTONIC` | deadlines, ages, waits within this process |
//! | [`roughly`] | `CLOCK_MONOTONIC_COARSE` | the same where a few milliseconds do not matter and the call does |
//! | [`boot`] | `CLOCK_BOOTTIME` | what has to go on while the machine sleeps: server time |
//! | [`slept`] | `CLOCK_BOOTTIME` less `CLOCK_MONOTONIC` | noticing that the machine slept: leases |
//! | [`wall`] | `CLOCK_REALTIME` | lines of logs, the header `Date`; the time of the store where that is a file |
//!
//! What is kept in the store is dated by none of them but by server time, which the crate `server_time`
//! makes of the time of the store and of [`boot`].
//!
//! # In tests
//!
//! With the feature `movable`, which only dev-dependencies switch on, a test installs a clock of its own
//! for its thread, and the threads that are started from there by [`spawn`] go by it too:
//!
//! ```
//! # #[cfg(feature = "movable")] {
//! use std::time::Duration;
//! let clock = clock::Movable::stopped();
//! let before = clock::now();
//! clock.advance(Duration::from_secs(3600));
//! assert_eq!(clock::since(before), Duration::from_secs(3600));
//! # }
//! ```
//!
//! Moving a clock wakes nobody: a thread that sleeps until a deadline sleeps by the kernel's clock. A test
//! that moves time drives the code whose time it moves by events.

use std::io;
use std::sync::LazyLock;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rustix::time::ClockId;

mod kernel;
#[cfg(feature = "movable")]
mod movable;

use kernel::since_boot;
#[cfg(feature = "movable")]
pub use movable::Movable;

/// The monotonic time. Does not block.
#[inline]
#[must_use]
pub fn now() -> Instant {
    #[cfg(feature = "movable")]
    if let Some(moved) = movable::now() {
        return moved;
    }
    Instant::now()
}

/// The monotonic time as of the kernel's last tick: 1 to 10 ms ago at most, and never ahead of [`now`].
/// Costs a few nanoseconds.
#[inline]
#[must_use]
pub fn roughly() -> Instant {
    /// The boot, or a moment before it: an `Instant` is not made of numbers, it can only be moved.
    static BOOT: LazyLock<Instant> = LazyLock::new(|| {
        let now = Instant::now();
        now - since_boot(ClockId::Monotonic)
    });
    #[cfg(feature = "movable")]
    if let Some(moved) = movable::now() {
        return moved;
    }
    *BOOT + since_boot(ClockId::MonotonicCoarse)
}

/// Time since the boot, counting the time that the machine slept. Never goes back. Does not block.
#[inline]
#[must_use]
pub fn boot() -> Duration {
    #[cfg(feature = "movable")]
    if let Some(moved) = movable::boot() {
        return moved;
    }
    since_boot(ClockId::Boottime)
}

/// How long the machine has slept since its boot: suspended, or stopped in another way that the kernel takes for that.
///
/// A thread that is interrupted in here may be told less, but never more, and the right time when it asks again. So what
/// grew by [`SLEEP_MIN`] since an earlier call was slept. Costs two readings of a clock, some 50 ns.
#[must_use]
pub fn slept() -> Duration {
    #[cfg(feature = "movable")]
    if let Some(moved) = movable::slept() {
        return moved;
    }
    // In this order: what passes in between shortens the difference.
    let boot = since_boot(ClockId::Boottime);
    boot.saturating_sub(since_boot(ClockId::Monotonic))
}

/// A shorter sleep is none. Without a sleep, the difference of the two clocks does not change by a nanosecond, so this is
/// only below what leases are taken to run longer by those who wait for them, 10 ms.
pub const SLEEP_MIN: Duration = Duration::from_millis(5);

/// The wall-clock time. It may be wrong, and may jump.
#[inline]
#[must_use]
pub fn wall() -> SystemTime {
    #[cfg(feature = "movable")]
    if let Some(moved) = movable::wall() {
        return moved;
    }
    SystemTime::now()
}

/// How long ago `then` was; nothing when it lies ahead.
#[inline]
#[must_use]
pub fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

/// Starts a thread that goes by the same clock as this one.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn<T, F>(thread: Builder, work: F) -> io::Result<JoinHandle<T>>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    #[cfg(feature = "movable")]
    {
        let inherited = movable::inherit();
        thread.spawn(move || {
            movable::adopt(inherited);
            work()
        })
    }
    #[cfg(not(feature = "movable"))]
    thread.spawn(work)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// No test puts the machine to sleep; that the two clocks never part otherwise is what leases need.
    #[test]
    fn boot_time_goes_on_and_nobody_has_slept_meanwhile() {
        let (begin, mut last) = (now(), boot());
        let mut most = slept();
        while since(begin) < Duration::from_millis(20) {
            let time = boot();
            assert!(last <= time, "backwards");
            last = time;
            most = most.max(slept());
            thread::yield_now();
        }
        let more = slept().saturating_sub(most);
        assert!(more < SLEEP_MIN, "{more:?}");
    }

    #[test]
    fn roughly_is_never_ahead_and_follows() {
        let begin = now();
        let mut last = roughly();
        // Until two ticks have come: nothing but a clock that stands still keeps it from ending.
        while last < begin + Duration::from_millis(20) {
            let roughly = roughly();
            assert!(roughly <= now(), "ahead");
            assert!(last <= roughly, "backwards");
            last = roughly;
            thread::yield_now();
        }
    }
}
