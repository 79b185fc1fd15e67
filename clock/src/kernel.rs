//! The clocks of the kernel that the standard library does not show.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Zero for what no such clock shows, a time before the boot.
pub(crate) fn since_boot(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
