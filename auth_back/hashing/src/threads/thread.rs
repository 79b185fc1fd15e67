//! What each thread that hashes does.
//!
//! A thread keeps its arenas for as long as hashes wait. To wipe an arena is to write all of it once more, a tenth of
//! what a hash takes; the next hash overwrites what the last one has left, at once. So an arena is wiped when no hash
//! waits, before it goes back to its pool: one that lies there unused is always clean.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use lane::{Inbox, Wakeup};
use pool::{AcquireError, Lent, Pool};

use super::held::Held;
use super::outcome::NotHashed;
use super::pace::HashPace;
use super::task::{Job, Task, Usual};
use crate::{Annex, Arena, ArenaError, ArenaManager};

/// What the threads for usual hashes have in common.
pub(super) struct Thread {
    pub(super) arenas: Pool<ArenaManager>,
    /// Whether two hashes are computed together: there are two arenas for each thread.
    pub(super) in_twos: bool,
    pub(super) threads: usize,
    pub(super) pace: Arc<HashPace>,
    pub(super) held: Held,
    pub(super) wanted: Arc<AtomicUsize>,
    pub(super) begun: Arc<AtomicU64>,
    pub(super) together: Arc<AtomicU64>,
}

impl Thread {
    /// Hashes until there is nothing more, and will be nothing.
    ///
    /// There are two places where it leaves others waiting: where it sleeps, and where it hashes. Before the first it
    /// fires all that is held back, before the second what cannot wait for so long. What it does in between takes
    /// microseconds.
    pub(super) fn hash(&self, inbox: &mut Inbox<Task>) {
        // A hash that panics ends this; nobody is to wait for the next one because of it.
        let _left_behind = LeftBehind(&self.held);
        let (mut rooms, mut next) = (None, None);
        loop {
            let Some(task) = next.take().or_else(|| inbox.try_recv()) else {
                self.held.fire();
                rooms = None;
                next = inbox.recv();
                if next.is_none() {
                    return;
                }
                continue;
            };
            let Some(task) = self.unless_late(task) else { continue };
            let rooms = match &mut rooms {
                Some(rooms) => rooms,
                none => {
                    // Whoever has the arenas may take their time.
                    self.held.fire();
                    match Rooms::acquire(&self.arenas, self.in_twos, task.deadline) {
                        Ok(acquired) => none.insert(acquired),
                        Err(error) => {
                            task.refuse(error.into()).fire();
                            continue;
                        }
                    }
                }
            };
            next = self.hash_one_or_two(task, inbox, rooms);
        }
    }

    /// Gives a task that was found on the way and has not been begun.
    fn hash_one_or_two(
        &self,
        task: Task,
        inbox: &mut Inbox<Task>,
        rooms: &mut Rooms<'_>,
    ) -> Option<Task> {
        // Where another thread is free, that takes it.
        let is_crowded = self.wanted.load(Ordering::Relaxed) > self.threads;
        let may_be_two = self.in_twos && is_crowded && task.job.is_usual();
        let beside = if may_be_two { self.next_in_time(inbox) } else { None };
        let began = clock::now();
        let takes = self.pace.takes(began);
        // Whoever is answered brings the next hash, so none is held while too few wait behind this one.
        let are_few = inbox.queued() < self.threads as u64;
        match are_few || takes.is_zero() || !task.job.is_usual() {
            // Or it may take any time.
            true => self.held.fire(),
            false => self.held.fire_unless_it_can_wait(began + takes),
        }
        let deadline = task.deadline;
        match (task.job, beside, rooms.two()) {
            (
                Job::Usual(one),
                Some(Task { deadline: other_deadline, job: Job::Usual(other) }),
                Some(two),
            ) if one.params == other.params => {
                self.begun.fetch_add(2, Ordering::Relaxed);
                self.together.fetch_add(2, Ordering::Relaxed);
                let [one, other] = together([one, other], two);
                let now = clock::now();
                self.pace.measured(2, now - began, now);
                self.hold_or_fire(one, now, deadline, inbox);
                self.hold_or_fire(other, now, other_deadline, inbox);
                None
            }
            (job, beside, _) => {
                self.begun.fetch_add(1, Ordering::Relaxed);
                let is_usual = job.is_usual();
                let wakeup = job.alone(rooms.one());
                let now = clock::now();
                if is_usual {
                    self.pace.measured(1, now - began, now);
                }
                self.hold_or_fire(wakeup, now, deadline, inbox);
                beside
            }
        }
    }

    /// While there are enough hashes for all threads, whoever goes on with one that is done may wait for others. When few
    /// wait, they are woken at once: who is answered brings the next hash, before the queue is empty.
    fn hold_or_fire(&self, wakeup: Wakeup, now: Instant, deadline: Instant, inbox: &Inbox<Task>) {
        self.held.add(wakeup, now, deadline);
        if inbox.queued() < self.threads as u64 {
            self.held.fire();
        }
    }

    /// The next task that is worth beginning, if one waits.
    fn next_in_time(&self, inbox: &mut Inbox<Task>) -> Option<Task> {
        loop {
            if let Some(task) = self.unless_late(inbox.try_recv()?) {
                return Some(task);
            }
        }
    }

    /// A hash that nobody waits for, or that cannot be done in the time that is left, is not begun.
    fn unless_late(&self, task: Task) -> Option<Task> {
        let now = clock::now();
        let takes = if task.job.is_usual() { self.pace.takes(now) } else { Default::default() };
        if now + takes < task.deadline {
            return Some(task);
        }
        task.refuse(NotHashed::TimedOut).fire();
        None
    }
}

/// The thread for dear hashes.
pub(super) struct DearThread {
    annex: Annex,
    begun: Arc<AtomicU64>,
}

impl DearThread {
    pub(super) const fn new(annex: Annex, begun: Arc<AtomicU64>) -> Self {
        Self { annex, begun }
    }

    /// Hashes until there is nothing more, and will be nothing.
    pub(super) fn hash(&self, inbox: &mut Inbox<Task>) {
        while let Some(task) = inbox.recv() {
            let Task { deadline, job: Job::Dear(need, job) } = task else {
                unreachable!("only dear hashes are submitted here");
            };
            if deadline <= clock::now() {
                job(Err(NotHashed::TimedOut)).fire();
                continue;
            }
            let wakeup = match self.annex.arena(need) {
                Err(error) => job(Err(NotHashed::Annex(error))),
                Ok(mut arena) => {
                    self.begun.fetch_add(1, Ordering::Relaxed);
                    job(Ok(&mut arena))
                }
            };
            wakeup.fire();
        }
    }
}

impl Job {
    fn is_usual(&self) -> bool {
        matches!(self, Self::Usual(_))
    }

    fn alone(self, arena: &mut Arena) -> Wakeup {
        match self {
            Self::Usual(Usual { password, salt, params, post }) => {
                post(Ok(arena.hash(&*password, &salt, params)))
            }
            Self::Unknown(job) | Self::Dear(_, job) => job(Ok(arena)),
        }
    }
}

/// Two hashes together. One that panics takes the other with it.
fn together([one, other]: [Usual; 2], arenas: [&mut Arena; 2]) -> [Wakeup; 2] {
    let inputs = [(&*one.password, &one.salt), (&*other.password, &other.salt)];
    let [first, second] = match Arena::hash_two(arenas, inputs, one.params) {
        Ok(tags) => tags.map(Ok),
        Err(error) => [Err(error), Err(error)],
    };
    [(one.post)(Ok(first)), (other.post)(Ok(second))]
}

/// Fires what is held back, whatever ends a thread.
struct LeftBehind<'h>(&'h Held);

impl Drop for LeftBehind<'_> {
    fn drop(&mut self) {
        self.0.fire();
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
