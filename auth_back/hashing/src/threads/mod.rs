//! The threads that hash, and do nothing else: one for each core that hashing may have.
//!
//! Workers wait for the store before a hash and for the disk after it. If they hashed as well, a hash that ends would
//! wake another worker on a core that is busy, and leave its own core idle until the kernel's balancing notices; and hashes
//! that share a core by time slices push each other out of its caches. A thread of these takes one hash after the other
//! for as long as there are any, and never waits for anything else.
//!
//! While more hashes wait than there are threads, each thread computes two together, if the engine gains from that: 7 to
//! 10% less time for each, though one alone would end sooner. So each thread has two arenas.
//!
//! **Dear hashes** have one thread and a short queue of their own: records that other systems made, or this one with a
//! higher cost, may take as long as hundreds of usual ones. So dear work never stands before cheap work, however much of it
//! is asked for. That thread gives way to the others, and takes memory beside the arenas, for one hash at a time
//! ([`Annex`]).

mod completion;
mod held;
mod outcome;
mod pace;
mod task;
mod thread;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use lane::{Ask, Flow, Lane, LaneError, LaneOptions, LaneStats, Wakeup};
use pool::Pool;
use sparing::sparing;
use wipe::Expose;

pub use outcome::{Answer, HashOutcome, NotHashed};
pub use pace::HashPace;

use crate::limits::{DEAR_HASHES_QUEUED_MAX, DEAR_HASHING_NICENESS, HASHING_NICENESS};
use crate::{Annex, Arena, ArenaManager, Need, Params, Salt};
use completion::{Completion, Waiter};
use held::Held;
use task::{Job, Task, UnknownJob, Usual, overloaded};
use thread::{DearThread, Thread};

/// Hashes on threads of its own. They end when this is dropped and what was begun is done.
pub struct Hashers {
    lane: Lane<Task>,
    dear: Lane<Task>,
    threads: usize,
    /// Usual hashes that were submitted and have not come to anything.
    wanted: Arc<AtomicUsize>,
    begun: Arc<AtomicU64>,
    together: Arc<AtomicU64>,
}

/// What the threads are given.
pub struct HashersOptions {
    /// Memory for usual hashes.
    pub arenas: Pool<ArenaManager>,
    /// Memory for dear ones.
    pub annex: Annex,
    /// How many threads there are for usual hashes.
    pub threads: NonZeroUsize,
    /// How many may want a usual hash at the same time.
    pub callers: NonZeroUsize,
    /// What measures the hashes.
    pub pace: Arc<HashPace>,
}

impl Hashers {
    /// Starts the threads. Each computes two usual hashes together, while others wait, if there are two arenas for each.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(options: HashersOptions) -> Result<Self, LaneError> {
        let HashersOptions { arenas, annex, threads, callers, pace } = options;
        let lane_options = LaneOptions::new("hash", threads, callers)?.niceness(HASHING_NICENESS);
        let (wanted, begun, together) = (Arc::default(), Arc::default(), Arc::default());
        let thread = Thread {
            in_twos: arenas.config().size() >= 2 * threads.get(),
            arenas,
            threads: threads.get(),
            pace,
            held: Held::default(),
            wanted: Arc::clone(&wanted),
            begun: Arc::clone(&begun),
            together: Arc::clone(&together),
        };
        // Nobody waits for these threads to end: whoever waits for a hash has a thread that is waited for.
        let (lane, _) = Lane::start(&lane_options, move |inbox| thread.hash(inbox))?;
        let dear_options = LaneOptions::new("dear", NonZeroUsize::MIN, DEAR_HASHES_QUEUED_MAX)?
            .niceness(DEAR_HASHING_NICENESS);
        let thread = DearThread::new(annex, Arc::clone(&begun));
        let (dear, _) = Lane::start(&dear_options, move |inbox| thread.hash(inbox))?;
        Ok(Self { lane, dear, threads: threads.get(), wanted, begun, together })
    }

    /// Does `work`, and blocks until it is done, or until `deadline`.
    ///
    /// # Errors
    /// [`NotHashed::TimedOut`] when it was not done in time; [`NotHashed::Overloaded`] for a dear hash that has no
    /// place; [`NotHashed::Arena`] when there is no arena; [`NotHashed::Annex`] when there is no memory for a dear hash;
    /// [`NotHashed::Dropped`] when it panicked.
    pub fn run<T: Send + 'static>(
        &self,
        flow: Flow,
        deadline: Instant,
        work: Work<T>,
    ) -> Answer<T> {
        let waiter = Waiter::new();
        let put_to = Arc::clone(&waiter);
        self.submit(flow, deadline, work, move |outcome| put_to.put(outcome));
        waiter.wait(deadline)
    }

    /// The same, but nobody waits: `then` gets what it came to, also if that is an error. It runs on the thread that
    /// hashes, so it only puts the outcome somewhere; the [`Wakeup`] is for whoever takes it from there. Dear hashes wait
    /// for the turn of `flow`.
    pub fn submit<T: Send + 'static>(
        &self,
        flow: Flow,
        deadline: Instant,
        work: Work<T>,
        then: impl FnOnce(Answer<T>) -> Wakeup + Send + 'static,
    ) {
        match work {
            Work::Dear { need, work } => {
                let completion = Completion::new(then);
                let job = Job::Dear(need, unknown(completion, work));
                let ask = Ask::new(flow).by(deadline);
                match self.dear.try_queue(Task { deadline, job }, &ask) {
                    Ok(()) => self.dear.notify(),
                    Err(rejected) => rejected.job.refuse(overloaded(rejected.why)).fire(),
                }
            }
            Work::Usual { password, salt, params, after } => {
                let completion = self.wanted(then);
                let post =
                    Box::new(move |tag: Answer<HashOutcome>| completion.complete(tag.map(after)));
                self.submit_usual(deadline, Job::Usual(Usual { password, salt, params, post }));
            }
            Work::Unknown(work) => {
                let job = Job::Unknown(unknown(self.wanted(then), work));
                self.submit_usual(deadline, job);
            }
        }
    }

    fn submit_usual(&self, deadline: Instant, job: Job) {
        // A task that is refused answers from its drop.
        if self.lane.try_submit(Task { deadline, job }).is_err() {
            sparing!(ERROR, "more want hashes than were announced");
        }
    }

    /// Counts a hash as wanted until its outcome is there.
    fn wanted<T>(&self, then: impl FnOnce(Answer<T>) -> Wakeup + Send + 'static) -> Completion<T> {
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let wanted = Arc::clone(&self.wanted);
        Completion::new(move |outcome| {
            wanted.fetch_sub(1, Ordering::Relaxed);
            then(outcome)
        })
    }

    /// Whether a hash would begin at once, as far as can be seen.
    pub fn is_free(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) < self.threads
    }

    /// Hashes begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many of them were begun together with another.
    pub fn together(&self) -> u64 {
        self.together.load(Ordering::Relaxed)
    }

    /// The figures of the lanes of these threads.
    pub fn stats(&self) -> [LaneStats; 2] {
        [self.lane.stats(), self.dear.stats()]
    }
}

/// What is to be hashed, and what is to be made of it. It has all that it needs as its own, because it is done on another
/// thread.
pub enum Work<T> {
    /// As nearly all of them: with the parameters of new records, for which each arena is large enough.
    Usual {
        /// What is hashed.
        password: Arc<dyn Expose>,
        /// Of this password alone.
        salt: Salt,
        /// How much work it is.
        params: Params,
        /// Gets the tag. It takes microseconds.
        after: Box<dyn FnOnce(HashOutcome) -> T + Send>,
    },
    /// Another system's or an old one, that costs little more than a usual one and fits an arena.
    Unknown(Box<UnknownWork<T>>),
    /// One that may cost many times as much, or that fits no arena.
    Dear {
        /// The memory that it gets.
        need: Need,
        /// Gets it.
        work: Box<UnknownWork<T>>,
    },
}

type UnknownWork<T> = dyn FnOnce(&mut Arena) -> T + Send;

fn unknown<T: 'static>(completion: Completion<T>, work: Box<UnknownWork<T>>) -> Box<UnknownJob> {
    Box::new(move |arena: Answer<&mut Arena>| completion.complete(arena.map(work)))
}

#[cfg(test)]
mod tests;
