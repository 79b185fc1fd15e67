//! The right of a job to be in work.

use std::{fmt, sync::Arc};

use super::{queue::Queue, stats::Counters};

/// Goes with a job that its worker leaves to others: the job counts as in work, for the
/// [window](super::Admission::set_window) of its lane, until this is dropped.
pub struct Permit<J> {
    queue: Arc<Queue<J>>,
    counters: Arc<Counters>,
}

impl<J> Permit<J> {
    pub(super) const fn new(queue: Arc<Queue<J>>, counters: Arc<Counters>) -> Self {
        Self { queue, counters }
    }
}

impl<J> Drop for Permit<J> {
    fn drop(&mut self) {
        self.counters.finished(1);
        self.queue.finish(1);
    }
}

impl<J> fmt::Debug for Permit<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("lane", &self.counters.name).finish_non_exhaustive()
    }
}
