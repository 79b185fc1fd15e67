//! The receiving side of a lane.

use std::{fmt, sync::Arc};

use crossbeam_channel::Receiver;

use super::stats::Counters;

/// Where one worker takes its jobs from.
///
/// Taking more says that the jobs taken before are done: they count as in work until then.
pub struct Inbox<J> {
    queue: Receiver<J>,
    counters: Arc<Counters>,
    in_hand: u64,
    taken_any: bool,
}

impl<J> Inbox<J> {
    pub(super) const fn new(queue: Receiver<J>, counters: Arc<Counters>) -> Self {
        Self { queue, counters, in_hand: 0, taken_any: false }
    }

    /// The next job. Blocks until there is one; `None` when the lane has shut down and its queue is
    /// empty.
    #[must_use = "a job that is not worked on is lost"]
    pub fn recv(&mut self) -> Option<J> {
        self.leave_behind();
        // The last job is not to lie on the stack for as long as no other comes.
        reactor::wipe_stack();
        let job = self.queue.recv().ok()?;
        self.took(1);
        Some(job)
    }

    /// Puts the next job into `batch`, and with it whatever is queued already, `max` in all.
    ///
    /// Blocks until there is one job, never for more; `false`, with nothing added, when the lane has
    /// shut down and its queue is empty. What a worker takes, its colleagues cannot: `max` is the
    /// number of jobs that are cheaper together.
    ///
    /// # Panics
    ///
    /// When `max` is 0.
    #[must_use = "after false there are no more jobs"]
    pub fn recv_batch(&mut self, batch: &mut Vec<J>, max: usize) -> bool {
        assert!(max > 0, "a batch has room for a job");
        let Some(first) = self.recv() else { return false };
        batch.push(first);
        let before = batch.len();
        batch.extend(self.queue.try_iter().take(max - 1));
        self.took((batch.len() - before) as u64);
        true
    }

    /// Whether a job was ever taken from here.
    pub(super) const fn taken_any(&self) -> bool {
        self.taken_any
    }

    fn took(&mut self, jobs: u64) {
        self.counters.taken(jobs);
        self.in_hand += jobs;
        self.taken_any = true;
    }

    fn leave_behind(&mut self) {
        self.counters.finished(std::mem::take(&mut self.in_hand));
    }
}

/// Jobs in hand are done, or given up by a panic.
impl<J> Drop for Inbox<J> {
    fn drop(&mut self) {
        self.leave_behind();
    }
}

impl<J> fmt::Debug for Inbox<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("lane", &self.counters.name)
            .field("in_hand", &self.in_hand)
            .finish_non_exhaustive()
    }
}
