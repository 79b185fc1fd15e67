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
//! use service::lane::{Inbox, Lane, LaneOptions};
//!
//! let two = NonZeroUsize::new(2).expect("two is not zero");
//! let options = LaneOptions::new("sums", two, two)?;
//! let (answers, answered) = std::sync::mpsc::channel();
//! let (lane, workers) = Lane::start(options, move |inbox: &mut Inbox<u64>| {
//!     while let Some(job) = inbox.recv() {
//!         let _ = answers.send(job * job);
//!     }
//! })?;
//!
//! lane.try_submit(12).expect("the lane is empty");
//! assert_eq!(answered.recv(), Ok(144));
//!
//! drop(lane);
//! workers.join_by(Instant::now() + Duration::from_secs(5)).expect("the workers are idle");
//! # Ok::<(), service::lane::LaneError>(())
//! ```
//!
//! # Few are woken
//!
//! An event loop has many jobs a turn, and waking a thread costs more than most of them. So it
//! [queues](Lane::try_queue) them, and [calls](Lane::call) once, at the end of its turn. Workers find
//! them from then on, and what waits is taken by as few of them as it needs (`queue`).
//!
//! # A job owns its answer
//!
//! A job may be refused, dropped unrun at the end, or cut off by a panic. Whoever waits for it must
//! hear of it in every case, so a job answers from its `Drop` unless it has answered before. A lane
//! promises that each job it accepted is either taken by a worker or dropped.
//!
//! # Panics
//!
//! A panic of the worker is caught, logged and counted, and the worker starts again from its
//! beginning: what it had built may be half changed and is not used again. Jobs that it had taken are
//! dropped by the unwinding. A worker that panics before it has taken any job would do so for ever;
//! its thread ends.

mod inbox;
mod options;
mod queue;
mod stats;
mod worker;

use std::{fmt, io, sync::Arc};

use parking_lot::Mutex;

pub use inbox::Inbox;
pub use options::{LaneOptions, Niceness};
pub use stats::{LaneSnapshot, LaneStats};
pub use worker::{StillRunning, Workers};

use queue::{Queue, Refused};
use stats::Counters;

/// The submitting side of a lane: cheap to clone, one for each event loop.
///
/// When the last clone is dropped, the workers finish what is queued and end.
pub struct Lane<J> {
    entrance: Arc<Entrance<J>>,
    counters: Arc<Counters>,
    /// What was [queued](Self::try_queue) here since the last [call](Self::call). A clone is used by one
    /// loop, so nobody waits for the lock.
    gathered: Mutex<Vec<J>>,
}

/// Shared by all clones of a lane. It closes behind the last.
struct Entrance<J>(Arc<Queue<J>>);

impl<J> Drop for Entrance<J> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<J: Send + 'static> Lane<J> {
    /// Starts the threads of a lane, each running `worker`.
    ///
    /// `worker` returns when [`Inbox::recv`] says that there are no more jobs; a worker that returns
    /// before that ends its thread, and the lane closes when all have.
    ///
    /// # Errors
    ///
    /// [`LaneError::Spawn`] when the system gives no more threads; those already started end.
    pub fn start<W>(options: LaneOptions, worker: W) -> Result<(Self, Workers), LaneError>
    where
        W: Fn(&mut Inbox<J>) + Send + Sync + 'static,
    {
        let queue = Arc::new(Queue::new(options.queue.get()));
        let entrance = Arc::new(Entrance(Arc::clone(&queue)));
        let counters = Arc::new(Counters::new(&options));
        let workers = Workers::spawn(&options, &queue, &counters, &Arc::new(worker))
            .map_err(|source| LaneError::Spawn { lane: options.name, source })?;
        Ok((Self::with(entrance, counters), workers))
    }
}

impl<J> Lane<J> {
    fn with(entrance: Arc<Entrance<J>>, counters: Arc<Counters>) -> Self {
        Self { entrance, counters, gathered: Mutex::default() }
    }

    /// Queues a job and has a worker take it. Never blocks.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with the job when the queue is full, or when no worker is left.
    pub fn try_submit(&self, job: J) -> Result<(), Rejected<J>> {
        self.try_queue(job).inspect(|()| self.call())
    }

    /// Queues a job. It has its place from now on, but no worker sees it before the next
    /// [`call`](Self::call): for who has more of them, and waits for none. Never blocks.
    ///
    /// # Errors
    ///
    /// As for [`try_submit`](Self::try_submit).
    pub fn try_queue(&self, job: J) -> Result<(), Rejected<J>> {
        // Counted before it is queued, so that what is queued cannot come out negative.
        self.counters.submitting();
        match self.entrance.0.reserve() {
            Ok(()) => {
                self.gathered.lock().push(job);
                Ok(())
            }
            Err(refused) => {
                self.counters.rejected();
                Err(match refused {
                    Refused::Full => Rejected::Full(job),
                    Refused::NoWorkers => Rejected::Closed(job),
                })
            }
        }
    }

    /// Has workers take what was [queued](Self::try_queue) through this clone. Costs next to nothing
    /// when nothing was, and a system call only when a worker has to be woken. Never blocks. Dropping
    /// the clone does the same.
    pub fn call(&self) {
        let mut gathered = self.gathered.lock();
        if !gathered.is_empty() {
            self.entrance.0.hand_over(&mut gathered);
        }
    }

    /// A handle on the lane's figures, for metrics. It does not keep the lane open.
    #[must_use]
    pub fn stats(&self) -> LaneStats {
        LaneStats::new(Arc::clone(&self.counters))
    }
}

impl<J> Drop for Lane<J> {
    fn drop(&mut self) {
        self.call();
    }
}

impl<J> Clone for Lane<J> {
    fn clone(&self) -> Self {
        Self::with(Arc::clone(&self.entrance), Arc::clone(&self.counters))
    }
}

impl<J> fmt::Debug for Lane<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("stats", &self.stats().snapshot()).finish_non_exhaustive()
    }
}

/// A job that a lane did not take.
#[derive(thiserror::Error)]
pub enum Rejected<J> {
    /// The queue is full: the system is overloaded, and the client should try again later.
    #[error("the lane's queue is full")]
    Full(J),
    /// No worker is left: the server is shutting down, or its workers could not work at all.
    #[error("the lane is closed")]
    Closed(J),
}

impl<J> Rejected<J> {
    /// The job, given back.
    pub fn into_job(self) -> J {
        match self {
            Self::Full(job) | Self::Closed(job) => job,
        }
    }
}

/// Without the job, which may hold a password.
impl<J> fmt::Debug for Rejected<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

/// Why there is no lane.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The name cannot name threads. The programmer is at fault.
    #[error("{0:?} cannot name a lane: want 1 to {max} bytes of a-z, 0-9, - and _", max = crate::limits::LANE_NAME_BYTES_MAX)]
    Name(&'static str),
    /// More threads than any lane may have. The operator is at fault.
    #[error("lane {lane}: {threads} threads, the most is {max}", max = crate::limits::LANE_THREADS_MAX)]
    Threads {
        /// The lane's name.
        lane: &'static str,
        /// The number asked for.
        threads: usize,
    },
    /// The system gave no thread: its limit on threads or memory is reached.
    #[error("lane {lane}: cannot start a thread: {source}")]
    Spawn {
        /// The lane's name.
        lane: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests;
