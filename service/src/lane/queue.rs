//! What lies between those who submit jobs and those who take them: a bounded queue, and the workers
//! that rest beside it.
//!
//! Waking a thread costs more than most jobs of the light lanes do, so it is done sparingly. One
//! resting worker at a time is called; until it has come, nobody calls another, and it takes whatever
//! has been queued meanwhile. If it leaves jobs behind, it calls the next. So a burst is taken by as few
//! workers as it needs, in batches, and no job waits while a worker rests that nobody has called.
//!
//! Going to rest and being called back costs more than a look at the queue. So a worker that comes from a
//! large batch first lets others run, who may have jobs for it: under a flood it then seldom rests.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use parking_lot::{Condvar, Mutex};

use crate::limits::{LANE_BUSY_BATCH_MIN, LANE_YIELDS};

/// A queue of at most `capacity` jobs. Its lock is held for as long as it takes to move jobs in or out.
///
/// Whoever has a job [reserves](Self::reserve) a place for it, and hands it over later, with others: a
/// worker that looks for jobs meanwhile finds all of them or none, and does not run off with the first.
pub(super) struct Queue<J> {
    capacity: usize,
    /// Places of jobs that are in the queue, or will be.
    reserved: AtomicUsize,
    /// The last worker has ended.
    deserted: AtomicBool,
    state: Mutex<State<J>>,
    bell: Condvar,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// Workers that rest and were not called.
    resting: usize,
    /// One was called and has not come yet.
    called: bool,
    /// Workers that have not ended.
    workers: usize,
    /// Nobody is left who could submit.
    closed: bool,
}

/// Why there is no place.
pub(super) enum Refused {
    Full,
    NoWorkers,
}

impl<J> Queue<J> {
    pub(super) fn new(capacity: usize) -> Self {
        let state =
            State { jobs: VecDeque::new(), resting: 0, called: false, workers: 0, closed: false };
        Self {
            capacity,
            reserved: AtomicUsize::new(0),
            deserted: AtomicBool::new(false),
            state: Mutex::new(state),
            bell: Condvar::new(),
        }
    }

    /// Reserves the place of a job, which is to be [handed over](Self::hand_over).
    pub(super) fn reserve(&self) -> Result<(), Refused> {
        if self.deserted.load(Ordering::Relaxed) {
            return Err(Refused::NoWorkers);
        }
        // The number orders nothing: jobs go through the lock.
        let next = |reserved| (reserved < self.capacity).then_some(reserved + 1);
        let reserved = self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        reserved.map(drop).map_err(|_| Refused::Full)
    }

    /// Queues jobs that have places, and calls a worker if one rests and none is on its way. Without
    /// workers the jobs are dropped.
    pub(super) fn hand_over(&self, jobs: &mut Vec<J>) {
        let mut state = self.state.lock();
        if state.workers == 0 {
            drop(state);
            return jobs.clear();
        }
        state.jobs.extend(jobs.drain(..));
        let calls = state.calls();
        drop(state);
        self.ring(calls);
    }

    /// Moves the first job to `batch`, and those behind it up to `max` in all, for as long as they go
    /// with the first. Waits for the first; false when there are no more and will be none. `had` is how
    /// many the worker has had in hand.
    pub(super) fn take(
        &self,
        batch: &mut Vec<J>,
        max: usize,
        had: usize,
        goes_with: impl Fn(&J, &J) -> bool,
    ) -> bool {
        let mut state = self.state.lock();
        if state.jobs.is_empty() && !state.closed {
            drop(state);
            // The last job is not to lie on the stack for as long as no other comes.
            reactor::wipe_stack();
            state = self.state.lock();
            let mut yields = if had < LANE_BUSY_BATCH_MIN { 0 } else { LANE_YIELDS };
            while yields > 0 && state.jobs.is_empty() && !state.closed {
                yields -= 1;
                drop(state);
                thread::yield_now();
                state = self.state.lock();
            }
        }
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.resting += 1;
            while !state.called && !state.closed {
                self.bell.wait(&mut state);
            }
            match std::mem::take(&mut state.called) {
                // Whoever called has counted it out.
                true => {}
                false => state.resting -= 1,
            }
        }
        let begin = batch.len();
        while batch.len() - begin < max
            && state
                .jobs
                .front()
                .is_some_and(|next| batch.get(begin).is_none_or(|first| goes_with(first, next)))
        {
            batch.extend(state.jobs.pop_front());
        }
        let calls = state.calls();
        drop(state);
        self.vacate(batch.len() - begin);
        self.ring(calls);
        true
    }

    /// The first job, if there is one.
    pub(super) fn take_queued(&self) -> Option<J> {
        let mut state = self.state.lock();
        let job = state.jobs.pop_front();
        let calls = state.calls();
        drop(state);
        self.vacate(usize::from(job.is_some()));
        self.ring(calls);
        job
    }

    /// A worker begins. Nothing is queued before the first has.
    pub(super) fn join(&self) {
        self.state.lock().workers += 1;
    }

    /// A worker has ended. With the last, jobs that are queued are dropped: nobody will take them.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock();
        state.workers -= 1;
        if state.workers == 0 {
            self.deserted.store(true, Ordering::Relaxed);
            let jobs = std::mem::take(&mut state.jobs);
            // Their tickets answer for them, and may call on anything.
            drop(state);
            drop(jobs);
            return;
        }
        // It may have been the one who was called.
        let calls = state.calls();
        drop(state);
        self.ring(calls);
    }

    /// Nobody submits any more: workers end when the queue is empty.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.bell.notify_all();
    }

    /// Jobs have left their places.
    fn vacate(&self, places: usize) {
        self.reserved.fetch_sub(places, Ordering::Relaxed);
    }

    fn ring(&self, calls: bool) {
        if calls {
            self.bell.notify_one();
        }
    }
}

impl<J> State<J> {
    /// Whether a worker is to be called now; it then counts as called.
    fn calls(&mut self) -> bool {
        let calls = !self.jobs.is_empty() && self.resting > 0 && !self.called;
        if calls {
            self.called = true;
            self.resting -= 1;
        }
        calls
    }
}
