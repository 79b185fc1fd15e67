//! The receiving side of a lane.

use std::{fmt, sync::Arc};

use super::{queue::Queue, stats::Counters};

/// Where one worker takes its jobs from.
///
/// Taking more says that the jobs taken before are done: they count as in work until then.
pub struct Inbox<J> {
    queue: Arc<Queue<J>>,
    counters: Arc<Counters>,
    /// Where [`recv`](Self::recv) finds its job; empty in between.
    single: Vec<J>,
    in_hand: u64,
    taken_any: bool,
}

impl<J> Inbox<J> {
    pub(super) const fn new(queue: Arc<Queue<J>>, counters: Arc<Counters>) -> Self {
        Self { queue, counters, single: Vec::new(), in_hand: 0, taken_any: false }
    }

    /// The next job. Blocks until there is one; `None` when the lane has shut down and its queue is
    /// empty.
    #[must_use = "a job that is not worked on is lost"]
    pub fn recv(&mut self) -> Option<J> {
        let mut single = std::mem::take(&mut self.single);
        let job = if self.recv_batch(&mut single, 1) { single.pop() } else { None };
        self.single = single;
        job
    }

    /// The next job if one is queued. Never blocks; `None` says nothing of whether more will come.
    #[must_use = "a job that is not worked on is lost"]
    pub fn try_recv(&mut self) -> Option<J> {
        self.leave_behind();
        let job = self.queue.take_queued()?;
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
        self.recv_like(batch, max, |_, _| true)
    }

    /// The same, but a batch ends before the first job that does not go with its first; that job is left
    /// to the next who asks. So a worker can take many jobs of one kind, and none of another kind has to
    /// wait for them.
    ///
    /// # Panics
    ///
    /// When `max` is 0.
    #[must_use = "after false there are no more jobs"]
    pub fn recv_like(
        &mut self,
        batch: &mut Vec<J>,
        max: usize,
        goes_with: impl Fn(&J, &J) -> bool,
    ) -> bool {
        assert!(max > 0, "a batch has room for a job");
        let had = self.leave_behind();
        let before = batch.len();
        if !self.queue.take(batch, max, had, goes_with) {
            return false;
        }
        self.took((batch.len() - before) as u64);
        true
    }

    /// Jobs that wait for a worker. Others may take and bring some at any moment. Does not block.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.counters.queued()
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

    /// The jobs in hand are done. Returns how many they were.
    fn leave_behind(&mut self) -> usize {
        let had = std::mem::take(&mut self.in_hand);
        self.counters.finished(had);
        usize::try_from(had).unwrap_or(usize::MAX)
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
