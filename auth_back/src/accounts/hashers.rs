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
//! A thread also keeps its arenas for as long as hashes wait. To wipe an arena is to write all of it once more, a tenth of
//! what a hash takes; the next hash overwrites what the last one has left, at once. So an arena is wiped when no hash
//! waits, before it goes back to its pool: one that lies there unused is always clean.
//!
//! While many hashes wait, those who go on with one that is done are called for a few at a time. A thread that wakes on a
//! busy core interrupts a hash, and finds the core's caches full of that hash's memory; those that run right after it find
//! what they have in common. When few wait, each is called at once: who is answered brings the next hash, before the queue
//! is empty.

use std::mem;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use pool::{AcquireError, Lent, Pool};
use service::lane::{Inbox, Lane, LaneError, LaneOptions, LaneStats, Niceness};
use service::sparing;

use super::{AccountError, Answer, InternalError};
use crate::credentials::argon2id::ArenaError;
use crate::credentials::{Arena, ArenaManager, HashError, Params, Password, Salt, Tag};
use crate::limits::HASHES_CALLED_TOGETHER;

/// Hashes on threads of its own. They end when this is dropped and what was begun is done.
pub struct Hashers {
    lane: Lane<Task>,
    threads: usize,
    /// Hashes that were submitted and have not come to anything.
    wanted: Arc<AtomicUsize>,
    begun: Arc<AtomicU64>,
    together: Arc<AtomicU64>,
}

impl Hashers {
    /// Starts so many threads, for as many as `callers` that may want a hash at the same time. Each computes two hashes
    /// together, while others wait, if there are two arenas for each.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(
        arenas: Pool<ArenaManager>,
        threads: NonZeroUsize,
        callers: NonZeroUsize,
        niceness: Niceness,
    ) -> Result<Self, LaneError> {
        let options = LaneOptions::new("hash", threads, callers)?.niceness(niceness);
        let threads = threads.get();
        let (wanted, begun, together) = (Arc::default(), Arc::default(), Arc::default());
        let in_twos = arenas.config().size() >= 2 * threads;
        let thread = Thread {
            arenas,
            in_twos,
            threads,
            calls: Calls::among(threads as u64),
            wanted: Arc::clone(&wanted),
            begun: Arc::clone(&begun),
            together: Arc::clone(&together),
        };
        // Nobody waits for these threads to end: whoever waits for a hash has a thread that is waited for.
        let (lane, _) = Lane::start(options, move |inbox| thread.hash(inbox))?;
        Ok(Self { lane, threads, wanted, begun, together })
    }

    /// Does `work`, and blocks until it is done; or until `deadline`, if it has not begun by then. While many hashes wait,
    /// several return at once, when a few are done.
    ///
    /// # Errors
    /// [`AccountError::TimedOut`] when it was not begun in time; [`InternalError::Arena`] when there is no arena;
    /// [`InternalError::Dropped`] when it panicked.
    pub(super) fn run<T: Send + 'static>(&self, deadline: Instant, work: Work<T>) -> Answer<T> {
        let desk = Arc::new(Desk { outcome: Mutex::new(None), bell: Condvar::new() });
        let posted_to = Arc::clone(&desk);
        self.submit(deadline, work, move |outcome| {
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
        work: Work<T>,
        then: impl FnOnce(Answer<T>) -> Call + Send + 'static,
    ) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let wanted = Arc::clone(&self.wanted);
        let clerk = Clerk(Some(Box::new(move |outcome| {
            wanted.fetch_sub(1, Ordering::Relaxed);
            then(outcome)
        })));
        let job = match work {
            Work::Usual { password, salt, params, after } => {
                let post = Box::new(move |tag: Answer<HashOutcome>| clerk.post(tag.map(after)));
                Job::Usual(Usual { password, salt, params, post })
            }
            Work::Unknown(work) => {
                Job::Unknown(Box::new(move |arena: Answer<&mut Arena>| clerk.post(arena.map(work))))
            }
        };
        // A task that is refused answers from its drop.
        if self.lane.try_submit(Task { deadline, job }).is_err() {
            sparing!(ERROR, "more want hashes than were announced");
        }
    }

    /// How many threads hash.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether a hash would begin at once, as far as can be seen.
    pub(super) fn is_free(&self) -> bool {
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

    /// The figures of the lane of these threads.
    pub fn stats(&self) -> LaneStats {
        self.lane.stats()
    }
}

/// What is to be hashed, and what is to be made of it. It has all that it needs as its own, because it is done on another
/// thread.
pub(super) enum Work<T> {
    /// As nearly all of them: with the parameters of new records, for which each arena is large enough.
    Usual {
        password: Arc<Password>,
        salt: Salt,
        params: Params,
        /// Gets the tag. It takes microseconds.
        after: Box<dyn FnOnce(HashOutcome) -> T + Send>,
    },
    /// Another system's or an old one, and perhaps many times as long.
    Unknown(Box<dyn FnOnce(&mut Arena) -> T + Send>),
}

pub(super) type HashOutcome = Result<Tag, HashError>;

/// A hash that waits for a thread.
struct Task {
    /// It is not begun after this.
    deadline: Instant,
    job: Job,
}

/// [`Work`], and whom its outcome goes to, also if there is none. If it is dropped, they are told.
enum Job {
    Usual(Usual),
    /// Gets an arena, or why there is none.
    Unknown(Box<UnknownJob>),
}

type UnknownJob = dyn FnOnce(Answer<&mut Arena>) -> Call + Send;

struct Usual {
    password: Arc<Password>,
    salt: Salt,
    params: Params,
    post: Box<dyn FnOnce(Answer<HashOutcome>) -> Call + Send>,
}

impl Task {
    fn refuse(self, why: AccountError) -> Call {
        match self.job {
            Job::Usual(usual) => (usual.post)(Err(why)),
            Job::Unknown(job) => job(Err(why)),
        }
    }
}

impl Job {
    fn is_usual(&self) -> bool {
        matches!(self, Self::Usual(_))
    }

    fn alone(self, arena: &mut Arena) -> Call {
        match self {
            Self::Usual(Usual { password, salt, params, post }) => {
                post(Ok(arena.hash(&password, &salt, params)))
            }
            Self::Unknown(job) => job(Ok(arena)),
        }
    }
}

/// Two hashes together. One that panics takes the other with it.
fn together([one, other]: [Usual; 2], arenas: [&mut Arena; 2]) -> [Call; 2] {
    let inputs = [(&*one.password, &one.salt), (&*other.password, &other.salt)];
    let [first, second] = match Arena::hash_two(arenas, inputs, one.params) {
        Ok(tags) => tags.map(Ok),
        Err(error) => [Err(error), Err(error)],
    };
    [(one.post)(Ok(first)), (other.post)(Ok(second))]
}

/// What each of the threads does, and what they have in common.
struct Thread {
    arenas: Pool<ArenaManager>,
    in_twos: bool,
    threads: usize,
    calls: Calls,
    wanted: Arc<AtomicUsize>,
    begun: Arc<AtomicU64>,
    together: Arc<AtomicU64>,
}

impl Thread {
    fn hash(&self, inbox: &mut Inbox<Task>) {
        // A hash that panics ends this; nobody is to wait for the next one because of it.
        let _left_behind = LeftBehind(&self.calls);
        while let Some(task) = inbox.recv() {
            match Rooms::acquire(&self.arenas, self.in_twos, task.deadline) {
                Err(error) => drop(task.refuse(error.into())),
                Ok(mut rooms) => {
                    let mut next = Some(task);
                    while let Some(task) = next {
                        next = self.hash_one_or_two(task, inbox, &mut rooms);
                    }
                }
            }
        }
    }

    /// Gives what comes next, if there is anything.
    fn hash_one_or_two(
        &self,
        task: Task,
        inbox: &mut Inbox<Task>,
        rooms: &mut Rooms<'_>,
    ) -> Option<Task> {
        let Some(Task { job, .. }) = unless_late(task) else { return inbox.try_recv() };
        // Where another thread is free, that takes it.
        let is_crowded = self.wanted.load(Ordering::Relaxed) > self.threads;
        let may_be_two = self.in_twos && is_crowded && job.is_usual();
        let beside = if may_be_two { inbox.try_recv().and_then(unless_late) } else { None };
        match (job, beside, rooms.two()) {
            (Job::Usual(one), Some(Task { job: Job::Usual(other), .. }), Some(two))
                if one.params == other.params =>
            {
                self.begun.fetch_add(2, Ordering::Relaxed);
                self.together.fetch_add(2, Ordering::Relaxed);
                let calls = together([one, other], two);
                let next = inbox.try_recv();
                self.calls.add(calls, true, next.as_ref(), inbox.queued());
                next
            }
            (job, beside, _) => {
                self.begun.fetch_add(1, Ordering::Relaxed);
                let is_usual = job.is_usual();
                let call = job.alone(rooms.one());
                let next = beside.or_else(|| inbox.try_recv());
                self.calls.add([call], is_usual, next.as_ref(), inbox.queued());
                next
            }
        }
    }
}

/// A hash that nobody waits for is not begun.
fn unless_late(task: Task) -> Option<Task> {
    if clock::now() < task.deadline {
        return Some(task);
    }
    drop(task.refuse(AccountError::TimedOut));
    None
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

    /// Adds those of hashes that are done, usual ones or not, and makes all calls if they are enough. So it does if the
    /// thread that adds them will not soon add another; if there are not hashes `queued` for all threads, which would soon
    /// have nothing to do; or if one may hold the [annex](crate::credentials::Annex), for which others wait.
    fn add<const N: usize>(
        &self,
        calls: [Call; N],
        are_usual: bool,
        next: Option<&Task>,
        queued: u64,
    ) {
        let mut waiting = self.waiting.lock();
        waiting.extend(calls);
        let is_due = !next.is_some_and(|next| next.job.is_usual())
            || queued < self.threads
            || !are_usual
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

/// The arenas of a thread for a row of hashes.
struct Rooms<'pool> {
    one: Room<'pool>,
    /// For two hashes together.
    other: Option<Room<'pool>>,
}

impl<'pool> Rooms<'pool> {
    /// Waits for them until `deadline`.
    fn acquire(
        arenas: &'pool Pool<ArenaManager>,
        two: bool,
        deadline: Instant,
    ) -> Result<Self, AcquireError<ArenaError>> {
        let one = Room::acquire(arenas, deadline)?;
        let other = if two { Some(Room::acquire(arenas, deadline)?) } else { None };
        Ok(Self { one, other })
    }

    /// For a hash alone. They take turns, so that what a hash has left is overwritten by the one after the next at the latest.
    fn one(&mut self) -> &mut Arena {
        if let Some(other) = &mut self.other {
            mem::swap(&mut self.one, other);
        }
        &mut self.one.0
    }

    fn two(&mut self) -> Option<[&mut Arena; 2]> {
        self.other.as_mut().map(|other| [&mut *self.one.0, &mut *other.0])
    }
}

/// An arena on loan for a row of hashes. It is wiped before it goes back to its pool.
struct Room<'pool>(Lent<'pool, ArenaManager>);

impl<'pool> Room<'pool> {
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
