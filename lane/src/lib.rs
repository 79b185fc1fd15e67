//! Lanes: a fixed set of threads behind a bounded queue (the bulkhead pattern; Nygard, *Release
//! It!*, chapter 5).
//!
//! An event loop hands blocking work to a [`Lane`] and never waits for it: a lane that is full says
//! so at once and gives the job back. Each kind of work has a lane of its own, so that a flood of
//! one kind leaves the others free.
//!
//! A worker is one function that the lane runs on each of its threads. It builds what it needs and
//! takes jobs from its [`Inbox`] until there are no more:
//!
//! ```
//! use std::{num::NonZeroUsize, time::{Duration, Instant}};
//! use lane::{Inbox, Job, Lane, LaneOptions};
//!
//! struct Square(u64);
//! impl Job for Square {}
//!
//! let two = NonZeroUsize::new(2).expect("two is not zero");
//! let options = LaneOptions::new("sums", two, two)?;
//! let (answers, answered) = std::sync::mpsc::channel();
//! let (lane, workers) = Lane::start(&options, move |inbox: &mut Inbox<Square>| {
//!     while let Some(Square(job)) = inbox.recv() {
//!         let _ = answers.send(job * job);
//!     }
//! })?;
//!
//! lane.try_submit(Square(12)).expect("the lane is empty");
//! assert_eq!(answered.recv(), Ok(144));
//!
//! drop(lane);
//! workers.join_by(Instant::now() + Duration::from_secs(5)).expect("the workers are idle");
//! # Ok::<(), lane::LaneError>(())
//! ```
//!
//! # Whose turn it is
//!
//! Many parties submit to one lane, and one of them may send more than all others together. So jobs wait in
//! turns ([`Flow`]): a network that has many waiting gets its next turn after a network that has none. When all
//! places are taken, the one that has most gives one up. When more comes in than can be served in time, what
//! would wait too long is refused at once ([`Admission`]).
//!
//! # Few are woken
//!
//! An event loop has many jobs a turn, and waking a thread costs more than most of them. So it
//! [queues](Lane::try_queue) them, and [notifies](Lane::notify) once, at the end of its turn. Workers find
//! them from then on, and what waits is taken by as few of them as it needs (`queue`).
//!
//! # A job owns its answer
//!
//! A job may be refused, at once or when it has to go for another, dropped unrun at the end, or cut off by a
//! panic. Whoever waits for it must hear of it in every case, so a job answers from its `Drop` unless it has
//! answered before. A lane promises that each job it was given is taken by a worker, [refused](Job::refuse),
//! given back ([`Rejected`]) or dropped, and only one of these.
//!
//! # Panics
//!
//! A panic of the worker is caught, logged and counted, and the worker starts again from its
//! beginning: what it had built may be half changed and is not used again. Jobs that it had taken are
//! dropped by the unwinding. A worker that panics before it has taken any job would do so for ever;
//! its thread ends.

mod admission;
mod backlog;
mod error;
mod flow;
mod in_work;
mod inbox;
mod job;
pub mod limits;
mod options;
mod permit;
mod queue;
mod rings;
mod stats;
mod turns;
mod wakeup;
mod worker;

use std::{fmt, sync::Arc};

use parking_lot::Mutex;

pub use admission::Admission;
pub use error::LaneError;
pub use flow::{Ask, Class, Flow, FlowKeys};
pub use inbox::Inbox;
pub use job::{Job, Refused, Rejected, Why};
pub use options::{LaneOptions, LaneSize, Niceness};
pub use permit::Permit;
pub use stats::{LaneSnapshot, LaneStats, LaneWaits, WAIT_BUCKETS_SECONDS};
pub use wakeup::{Wake, Wakeup};
pub use worker::{StillRunning, Workers};

use job::Asked;
use queue::Queue;
use stats::Counters;

/// The submitting side of a lane: cheap to clone, one for each event loop.
///
/// When the last clone is dropped, the workers finish what is queued and end.
pub struct Lane<J: Job> {
    entrance: Arc<Entrance<J>>,
    counters: Arc<Counters>,
    /// What was [queued](Self::try_queue) here since the last [notification](Self::notify). A clone is used by
    /// one loop, so nobody waits for the lock.
    gathered: Mutex<Vec<Asked<J>>>,
}

/// Shared by all clones of a lane. It closes behind the last.
struct Entrance<J>(Arc<Queue<J>>);

impl<J> Drop for Entrance<J> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<J: Job> Lane<J> {
    /// Starts the threads of a lane, each running `worker`.
    ///
    /// `worker` returns when [`Inbox::recv`] says that there are no more jobs; a worker that returns
    /// before that ends its thread, and the lane closes when all have.
    ///
    /// # Errors
    ///
    /// [`LaneError::Spawn`] when the system gives no more threads; those already started end.
    pub fn start<W>(options: &LaneOptions, worker: W) -> Result<(Self, Workers), LaneError>
    where
        W: Fn(&mut Inbox<J>) + Send + Sync + 'static,
    {
        let counters = Arc::new(Counters::new(options));
        let queue = Arc::new(Queue::new(options, Arc::clone(&counters)));
        let entrance = Arc::new(Entrance(Arc::clone(&queue)));
        let workers = Workers::spawn(options, &queue, &counters, &Arc::new(worker))
            .map_err(|source| LaneError::Spawn { lane: options.name, source })?;
        Ok((Self::with(entrance, counters), workers))
    }

    /// Queues a job of the [one flow](Flow::ONE) and has a worker take it. Never blocks.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with the job when the queue is full, or when no worker is left.
    pub fn try_submit(&self, job: J) -> Result<(), Rejected<J>> {
        self.try_queue(job, &Ask::new(Flow::ONE)).inspect(|()| self.notify())
    }

    /// Queues a job. No worker sees it before the next [`notify`](Self::notify), which may also
    /// [refuse](Job::refuse) it: for who has more of them, and waits for none. Never blocks.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with the job when it is known already that it would be refused.
    pub fn try_queue(&self, job: J, ask: &Ask) -> Result<(), Rejected<J>> {
        // Counted before it is queued, so that what is queued cannot come out negative.
        self.counters.submitting();
        let mut gathered = self.gathered.lock();
        match self.entrance.0.refuses(ask, gathered.len()) {
            Ok(()) => {
                gathered.push((job, *ask));
                Ok(())
            }
            Err(why) => {
                self.counters.refused(why.why);
                Err(Rejected { job, why })
            }
        }
    }

    /// Has workers take what was [queued](Self::try_queue) through this clone. Costs next to nothing
    /// when nothing was, and a system call only when a worker has to be woken. Never blocks. Dropping
    /// the clone does the same.
    pub fn notify(&self) {
        let mut gathered = self.gathered.lock();
        if gathered.is_empty() {
            return;
        }
        let mut refusals = Vec::new();
        self.entrance.0.hand_over(&mut gathered, &mut refusals);
        drop(gathered);
        for (job, refused) in refusals {
            job.refuse(refused);
        }
    }

    /// A handle on the lane's figures, for metrics. It does not keep the lane open.
    #[must_use]
    pub fn stats(&self) -> LaneStats {
        LaneStats::new(Arc::clone(&self.counters))
    }

    fn with(entrance: Arc<Entrance<J>>, counters: Arc<Counters>) -> Self {
        Self { entrance, counters, gathered: Mutex::default() }
    }
}

impl<J: Job> Drop for Lane<J> {
    fn drop(&mut self) {
        self.notify();
    }
}

impl<J: Job> Clone for Lane<J> {
    fn clone(&self) -> Self {
        Self::with(Arc::clone(&self.entrance), Arc::clone(&self.counters))
    }
}

impl<J: Job> fmt::Debug for Lane<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("stats", &self.stats().snapshot()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
