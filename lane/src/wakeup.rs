//! Waking whoever goes on with something, once it lies ready.

use std::fmt;
use std::sync::Arc;

use super::{Job, Lane};

/// Somebody who may sleep while there is nothing to do.
pub trait Wake: Send + Sync {
    /// Wakes them. They find what has been put ready for them before. Must not block.
    fn wake(&self);
}

impl<J: Job> Wake for Lane<J> {
    fn wake(&self) {
        self.notify();
    }
}

/// The duty to wake somebody. It cannot be forgotten: dropping it does it.
///
/// It is a value, so that whoever has put several things ready can wake once for all of them, later.
#[must_use = "somebody may be asleep"]
pub struct Wakeup(Arc<dyn Wake>);

impl Wakeup {
    /// Of `sleeper`. Several for one sleeper do no harm.
    pub fn of(sleeper: Arc<dyn Wake>) -> Self {
        Self(sleeper)
    }

    /// Wakes them now.
    pub fn fire(self) {
        drop(self);
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl fmt::Debug for Wakeup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wakeup")
    }
}
