//! Waiting for what sends no event.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::limits::{HANG_GUARD, POLL_PAUSE};

/// Looks again and again until `probe` gives something. Blocks.
///
/// Only for what cannot be waited for directly: a readiness that is asked for, a line in a file.
///
/// # Panics
///
/// After [`HANG_GUARD`], naming `what` was waited for.
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + HANG_GUARD;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited {HANG_GUARD:?} in vain for {what}");
        thread::sleep(POLL_PAUSE);
    }
}

/// Tells other threads to stop when it is dropped. A panic does that too: a scope whose threads run
/// until they are told would otherwise never end.
#[derive(Debug)]
pub struct StopOnDrop<'a>(
    /// Becomes true.
    pub &'a AtomicBool,
);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
