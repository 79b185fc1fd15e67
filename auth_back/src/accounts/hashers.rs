//! The threads that hash, and do nothing else: one for each hash that may run at a time.
//!
//! Workers wait for the store before a hash and for the disk after it. If they hashed as well, a hash that ends would
//! wake another worker on a core that is busy, and leave its own core idle until the kernel's balancing notices; and hashes
//! that share a core by time slices push each other out of its caches. A thread of these takes one hash after the other
//! for as long as there are any, and never waits for anything else.
//!
//! It also keeps its arena for as long. To wipe an arena is to write all of it once more, a tenth of what a hash takes;
//! the next hash overwrites what the last one has left, at once. So an arena is wiped when no hash waits, before it goes
//! back to its pool: one that lies there unused is always clean.
//!
//! While many hashes wait, those who go on with one that is done are called for a few at a time. A thread that wakes on a busy core interrupts
//! a hash, and finds the core's caches full of that hash's memory; those that run right after it find what they have in
//! common. When few wait, each is called at once: who is answered brings the next hash, before the queue is empty.

use std::mem;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use pool::{AcquireError, Lent, Pool};
use service::lane::{Inbox, Lane, LaneError, LaneOptions, LaneStats, Niceness};

use super::{AccountError, Answer, InternalError};
use crate::credentials::argon2id::ArenaError;
use crate::credentials::{Arena, ArenaManager};
use crate::limits::HASHES_CALLED_TOGETHER;

/// Hashes on threads of its own. They end when this is dropped and what was begun is done.
pub struct Hashers {
    lane: Lane<Task>,
    threads: usize,
    /// Hashes that were submitted and have not come to anything.
    wanted: Arc<AtomicUsize>,
    begun: Arc<AtomicU64>,
}

impl Hashers {
    /// Starts a thread for each arena of the pool; for as many as `callers` that may want a hash at the same time.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(
        arenas: Pool<ArenaManager>,
        callers: NonZeroUsize,
        niceness: Niceness,
    ) -> Result<Self, LaneError> {
        let threads = NonZeroUsize::new(arenas.config().size()).unwrap_or(NonZeroUsize::MIN);
        let options = LaneOptions::new("hash", threads, callers)?.niceness(niceness);
        let begun = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&begun);
        let calls = Calls::among(threads.get() as u64);
        // Nobody waits for these threads to end: whoever waits for a hash has a thread that is waited for.
        let (lane, _) = Lane::start(options, move |inbox| hash(inbox, &arenas, &calls, &count))?;
        Ok(Self { lane, threads: threads.get(), wanted: Arc::default(), begun })
    }

    /// Runs `work` in an arena, and blocks until it is done; or until `deadline`, if it has not begun by then. It gets
    /// all that it needs as its own, because it runs on another thread. While many hashes wait, several return at once, when a
    /// few are done; hence `length`.
    ///
    /// # Errors
    /// [`AccountError::TimedOut`] when it was not begun in time; [`InternalError::Arena`] when there is no arena;
    /// [`InternalError::Dropped`] when it panicked.
    pub(super) fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        length: Length,
        work: impl FnOnce(&mut Arena) -> T + Send + 'static,
    ) -> Answer<T> {
        let desk = Arc::new(Desk { outcome: Mutex::new(None), bell: Condvar::new() });
        let posted_to = Arc::clone(&desk);
        self.submit(deadline, length, work, move |outcome| {
            *posted_to.outcome.lock() = Some(outcome);
            Call(posted_to)
        });
        desk.wait()
    }

    /// The same, but nobody waits: `then` gets what it came to, also if that is an error. It runs on the thread that
    /// hashes, so it only puts the outcome somewhere; the [`Call`] is for whoever takes it from there.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        deadline: Instant,
        length: Length,
        work: impl FnOnce(&mut Arena) -> T + Send + 'static,
        then: impl FnOnce(Answer<T>) -> Call + Send + 'static,
    ) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let wanted = Arc::clone(&self.wanted);
        let clerk = Clerk(Some(Box::new(move |outcome| {
            wanted.fetch_sub(1, Ordering::Relaxed);
            then(outcome)
        })));
        let work = Box::new(move |arena: Answer<&mut Arena>| clerk.post(arena.map(work)));
        // A task that is refused answers from its drop.
        if self.lane.try_submit(Task { deadline, length, work }).is_err() {
            tracing::error!("more want hashes than were announced");
        }
    }

    /// Whether a hash would begin at once, as far as can be seen.
    pub(super) fn is_free(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) < self.threads
    }

    /// Hashes begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// The figures of the lane of these threads.
    pub fn stats(&self) -> LaneStats {
        self.lane.stats()
    }
}

/// How long a hash takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// As long as nearly all of them.
    Usual,
    /// Another system's or an old one, and perhaps many times as long.
    Unknown,
}

/// A hash that waits for a thread.
struct Task {
    /// It is not begun after this.
    deadline: Instant,
    length: Length,
    /// Gets an arena, or why there is none. If it is dropped instead, whoever waits is told.
    work: Box<Work>,
}

type Work = dyn FnOnce(Answer<&mut Arena>) -> Call + Send;

/// What each of the threads does.
fn hash(inbox: &mut Inbox<Task>, arenas: &Pool<ArenaManager>, calls: &Calls, begun: &AtomicU64) {
    let run = |task: Task, arena: &mut Arena| {
        // A hash that nobody waits for is not begun.
        if Instant::now() >= task.deadline {
            return (task.work)(Err(AccountError::TimedOut));
        }
        begun.fetch_add(1, Ordering::Relaxed);
        (task.work)(Ok(arena))
    };
    // A hash that panics ends this; nobody is to wait for the next one because of it.
    let _left_behind = LeftBehind(calls);
    while let Some(task) = inbox.recv() {
        match Room::acquire(arenas, task.deadline) {
            Err(error) => drop((task.work)(Err(error.into()))),
            Ok(mut room) => {
                let mut next = Some(task);
                while let Some(task) = next {
                    let length = task.length;
                    let call = run(task, &mut room);
                    next = inbox.try_recv();
                    calls.add(call, length, next.as_ref().map(|next| next.length), inbox.queued());
                }
            }
        }
    }
}

/// Calls that are due for hashes that are done.
struct Calls {
    waiting: Mutex<Vec<Call>>,
    /// Threads that hash.
    threads: u64,
}

impl Calls {
    fn among(threads: u64) -> Self {
        Self { waiting: Mutex::default(), threads }
    }

    /// Adds one of a hash of this length, and calls all if they are enough. So it does if the thread that adds it will not
    /// soon add another; if there are not hashes `queued` for all threads, which would soon have nothing to do; or if the
    /// one may hold the [annex](crate::credentials::Annex), for which others wait.
    fn add(&self, call: Call, length: Length, next: Option<Length>, queued: u64) {
        let mut waiting = self.waiting.lock();
        waiting.push(call);
        let is_due = next != Some(Length::Usual)
            || queued < self.threads
            || length == Length::Unknown
            || waiting.len() >= HASHES_CALLED_TOGETHER;
        drop(waiting);
        if is_due {
            self.call();
        }
    }

    /// Calls them.
    fn call(&self) {
        let due = mem::take(&mut *self.waiting.lock());
        drop(due);
    }
}

/// Makes the calls that are left, whatever ends a thread.
struct LeftBehind<'c>(&'c Calls);

impl Drop for LeftBehind<'_> {
    fn drop(&mut self) {
        self.0.call();
    }
}

/// An arena on loan for a row of hashes. It is wiped before it goes back to its pool.
struct Room<'pool>(Lent<'pool, ArenaManager>);

impl<'pool> Room<'pool> {
    /// Waits for an arena until `deadline`.
    fn acquire(
        arenas: &'pool Pool<ArenaManager>,
        deadline: Instant,
    ) -> Result<Self, AcquireError<ArenaError>> {
        let mut lent = arenas.acquire(deadline)?;
        lent.keep_traces(true);
        Ok(Self(lent))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        // After a panic the pool drops the arena, which wipes itself.
        if !std::thread::panicking() {
            self.0.keep_traces(false);
            self.0.wipe();
        }
    }
}

impl Deref for Room<'_> {
    type Target = Arena;

    fn deref(&self) -> &Arena {
        &self.0
    }
}

impl DerefMut for Room<'_> {
    fn deref_mut(&mut self) -> &mut Arena {
        &mut self.0
    }
}

/// Where a caller waits for what its hash came to.
struct Desk<T> {
    outcome: Mutex<Option<Answer<T>>>,
    bell: Condvar,
}

impl<T> Desk<T> {
    fn wait(&self) -> Answer<T> {
        let mut outcome = self.outcome.lock();
        loop {
            match outcome.take() {
                Some(outcome) => return outcome,
                None => self.bell.wait(&mut outcome),
            }
        }
    }
}

/// Hands the outcome on, also if there is none.
struct Clerk<T>(Option<Box<Then<T>>>);

type Then<T> = dyn FnOnce(Answer<T>) -> Call + Send;

impl<T> Clerk<T> {
    fn post(mut self, outcome: Answer<T>) -> Call {
        let then = self.0.take().expect("only this takes it");
        then(outcome)
    }
}

impl<T> Drop for Clerk<T> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            drop(then(Err(InternalError::Dropped.into())));
        }
    }
}

/// Calls, when it is dropped, whoever is to go on with an outcome.
pub(crate) struct Call(Arc<dyn Bell>);

impl Call {
    /// Calls a worker of this lane for all that was queued there, however many of these are dropped.
    pub(crate) fn on<J: Send + 'static>(lane: Arc<Lane<J>>) -> Self {
        Self(lane)
    }
}

trait Bell: Send + Sync {
    fn ring(&self);
}

impl<J: Send> Bell for Lane<J> {
    fn ring(&self) {
        self.call();
    }
}

impl<T: Send> Bell for Desk<T> {
    fn ring(&self) {
        self.bell.notify_one();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.ring();
    }
}

#[cfg(test)]
mod tests;
