//! The receiving side of a lane.

use std::{fmt, sync::Arc};

use super::{Permit, job::Job, queue::Queue, queue::Refusals, stats::Counters};

/// Where one worker takes its jobs from.
///
/// Taking more says that the jobs taken before are done: they count as in work until then, but for those that
/// [have a permit](Self::recv_with_permit).
pub struct Inbox<J: Job> {
    queue: Arc<Queue<J>>,
    counters: Arc<Counters>,
    /// Where [`recv`](Self::recv) finds its job; empty in between.
    single: Vec<J>,
    /// Jobs that waited in vain, to be told so; empty in between.
    refusals: Refusals<J>,
    in_hand: usize,
    taken_any: bool,
}

impl<J: Job> Inbox<J> {
    pub(super) const fn new(queue: Arc<Queue<J>>, counters: Arc<Counters>) -> Self {
        Self {
            queue,
            counters,
            single: Vec::new(),
            refusals: Vec::new(),
            in_hand: 0,
            taken_any: false,
        }
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

    /// The next job, which counts as in work until its permit is dropped, whoever has it by then. As
    /// [`recv`](Self::recv) otherwise.
    #[must_use = "a job that is not worked on is lost"]
    pub fn recv_with_permit(&mut self) -> Option<(J, Permit<J>)> {
        let job = self.recv()?;
        self.in_hand -= 1;
        Some((job, Permit::new(Arc::clone(&self.queue), Arc::clone(&self.counters))))
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

    /// As [`recv_batch`](Self::recv_batch), and gives each job a permit by `with_permit`.
    ///
    /// # Panics
    ///
    /// When `max` is 0.
    #[must_use = "after false there are no more jobs"]
    pub fn recv_batch_with_permits(
        &mut self,
        batch: &mut Vec<J>,
        max: usize,
        mut with_permit: impl FnMut(&mut J, Permit<J>),
    ) -> bool {
        let begin = batch.len();
        if !self.recv_batch(batch, max) {
            return false;
        }
        for job in &mut batch[begin..] {
            with_permit(job, Permit::new(Arc::clone(&self.queue), Arc::clone(&self.counters)));
        }
        self.in_hand = 0;
        true
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
        let before = batch.len();
        while batch.len() == before {
            let done = self.leave_behind();
            let is_open = self.queue.take(batch, max, done, &goes_with, &mut self.refusals);
            // Told without a lock, and before the others are worked on.
            for (job, refused) in self.refusals.drain(..) {
                job.refuse(refused);
            }
            self.taken_any |= is_open;
            self.in_hand = batch.len() - before;
            if !is_open {
                return false;
            }
        }
        true
    }

    /// The next job if one is queued. Never blocks; `None` says nothing of whether more will come.
    #[must_use = "a job that is not worked on is lost"]
    pub fn try_recv(&mut self) -> Option<J> {
        let done = self.leave_behind();
        let job = self.queue.try_take(done)?;
        self.in_hand = 1;
        self.taken_any = true;
        Some(job)
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

    /// The jobs in hand are done. Returns how many they were; the queue is to be told.
    fn leave_behind(&mut self) -> usize {
        let done = std::mem::take(&mut self.in_hand);
        self.counters.finished(done as u64);
        done
    }
}

/// Jobs in hand are done, or given up by a panic.
impl<J: Job> Drop for Inbox<J> {
    fn drop(&mut self) {
        let done = self.leave_behind();
        self.queue.finish(done);
    }
}

impl<J: Job> fmt::Debug for Inbox<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("lane", &self.counters.name)
            .field("in_hand", &self.in_hand)
            .finish_non_exhaustive()
    }
}
