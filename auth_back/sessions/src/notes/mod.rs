//! Notes that sessions were seen, on their way to the store.
//!
//! A check is answered first. That its session is in use is collected here and written a moment later, many together,
//! by a thread of its own ([`NoteWriter`]). So a store that takes no writes (a full disk, a read-only server) ends
//! nobody's session, and a thousand sessions that are seen together are a few commits.
//!
//! Until it is written, a note counts in this process: the session is live for it as if the row said so. What was
//! ended in the store stays ended: a note is looked at only beside a row that the store still has, and the update that
//! writes it finds no other.
//!
//! The notes that wait are bounded ([`NOTES_PENDING_MAX`]). One that is lost costs little: its session ends early,
//! unless it is seen again.

#[cfg(test)]
mod tests;
mod writer;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::{Condvar, Mutex};

pub use self::writer::NoteWriter;
use store::Refresh;
use store::limits::NOTES_TOGETHER_MAX;

use super::limits::{NOTES_GATHER, NOTES_PENDING_MAX};

type Digest = [u8; 32];

/// That a session was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) seen_at_ms: u64,
    /// Not to be written if the session was noted as seen after this.
    pub(super) unless_seen_after_ms: u64,
    pub(super) expires_at_ms: u64,
}

/// Notes that wait to be written, and how many there were. Shared by all threads.
pub struct Notes {
    state: Mutex<State>,
    /// Wakes the writer.
    wakeup: Condvar,
    capacity: usize,
    /// The length of [`State::pending`], to be read without the lock.
    pending: AtomicUsize,
    written: AtomicU64,
    superseded: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
struct State {
    pending: HashMap<Digest, Note, RandomState>,
    /// Those of [`pending`](Self::pending) that nobody is writing, the oldest first.
    queue: VecDeque<Digest>,
    /// The store has refused the last that were tried.
    is_refused: bool,
    stop_by: Option<Instant>,
}

/// What was pending of some sessions at one moment.
#[derive(Default)]
pub(super) struct Pending {
    /// In the order in which they were asked for; empty when nothing was pending at all.
    notes: Vec<Option<Note>>,
    /// Whether the store refuses what is pending. Then it may lack what others have seen, too.
    pub(super) is_refused: bool,
}

impl Pending {
    /// What was pending of the session at this place.
    pub(super) fn note(&self, place: usize) -> Option<&Note> {
        self.notes.get(place)?.as_ref()
    }
}

impl Notes {
    pub(super) fn new() -> Self {
        Self::with_capacity(NOTES_PENDING_MAX)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            wakeup: Condvar::new(),
            capacity,
            pending: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            superseded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Notes that wait to be written.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// Notes that were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Notes that were not needed: another server had noted the session, or it has ended.
    #[must_use]
    pub fn superseded(&self) -> u64 {
        self.superseded.load(Ordering::Relaxed)
    }

    /// Notes that were given up: too many waited, the session's time was over before the store took it, or it never
    /// will.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How often a note was tried and the store did not take it.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// What is pending of these sessions. To be asked *before* their rows are read: a note is forgotten after it was
    /// written, so it is found either here or there.
    pub(super) fn of(&self, digests: &[Digest]) -> Pending {
        if self.pending() == 0 {
            return Pending::default();
        }
        let state = self.state.lock();
        let notes = digests.iter().map(|digest| state.pending.get(digest).copied()).collect();
        Pending { notes, is_refused: state.is_refused && !state.pending.is_empty() }
    }

    /// Collects notes. Of two of one session the later holds.
    pub(super) fn add(&self, notes: &[(Digest, Note)]) {
        if notes.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let before = state.queue.len();
        for (digest, note) in notes {
            state.add(digest, *note);
        }
        let mut dropped = 0;
        // There is room for more than are being written, so the queue has one to give.
        while state.pending.len() > self.capacity
            && let Some(oldest) = state.queue.pop_front()
        {
            state.pending.remove(&oldest);
            dropped += 1;
        }
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.count(&state);
        let after = state.queue.len();
        // The writer waits for the first, then a while for a full batch.
        if before == 0 || (before < NOTES_TOGETHER_MAX && after >= NOTES_TOGETHER_MAX) {
            self.wakeup.notify_one();
        }
    }

    /// The oldest notes, to be written together. Those of sessions whose time is over by now are given up.
    fn take(&self, now_ms: u64) -> Batch<'_> {
        let mut state = self.state.lock();
        let mut batch = Batch { notes: Vec::with_capacity(NOTES_TOGETHER_MAX), of: self };
        let mut dropped = 0;
        while batch.notes.len() < NOTES_TOGETHER_MAX
            && let Some(digest) = state.queue.pop_front()
        {
            match state.pending.entry(digest) {
                Entry::Occupied(note) if note.get().expires_at_ms <= now_ms => {
                    note.remove();
                    dropped += 1;
                }
                Entry::Occupied(note) => batch.notes.push((digest, *note.get())),
                Entry::Vacant(_) => debug_assert!(false, "what is queued is pending"),
            }
        }
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.count(&state);
        batch
    }

    /// Blocks for `pause`, then until there is something to be written, then a moment longer for what comes with it.
    /// Returns the moment by which to be done, once somebody has said [`stop`](Self::stop); then it blocks no more.
    fn wait(&self, pause: Duration) -> Option<Instant> {
        let goes_on = |state: &State| state.stop_by.is_none();
        let mut state = self.state.lock();
        self.wakeup.wait_while_for(&mut state, |state| goes_on(state), pause);
        self.wakeup.wait_while(&mut state, |state| goes_on(state) && state.queue.is_empty());
        let is_short = |state: &State| state.queue.len() < NOTES_TOGETHER_MAX;
        let short = |state: &mut State| goes_on(state) && is_short(state);
        self.wakeup.wait_while_for(&mut state, short, NOTES_GATHER);
        state.stop_by
    }

    /// Has the writer write what is left, and end by then.
    fn stop(&self, by: Instant) {
        self.state.lock().stop_by = Some(by);
        self.wakeup.notify_one();
    }

    fn count(&self, state: &State) {
        self.pending.store(state.pending.len(), Ordering::Release);
    }
}

impl State {
    fn add(&mut self, digest: &Digest, note: Note) {
        match self.pending.entry(*digest) {
            // Wherever it is, in the queue or just being written: it will be looked at again.
            Entry::Occupied(mut pending) => {
                if pending.get().seen_at_ms < note.seen_at_ms {
                    pending.insert(note);
                }
            }
            Entry::Vacant(free) => {
                free.insert(note);
                self.queue.push_back(*digest);
            }
        }
    }
}

/// Notes that are being written. They still count. Dropped, they wait again, as the oldest.
struct Batch<'a> {
    notes: Vec<(Digest, Note)>,
    of: &'a Notes,
}

impl Batch<'_> {
    fn len(&self) -> usize {
        self.notes.len()
    }

    fn refreshes(&self) -> Vec<Refresh<'_>> {
        let notes = self.notes.iter();
        notes
            .map(|(token_digest, note)| Refresh {
                token_digest,
                seen_at_ms: note.seen_at_ms,
                unless_seen_after_ms: note.unless_seen_after_ms,
                expires_at_ms: note.expires_at_ms,
            })
            .collect()
    }

    /// The store has them, so many of them by these notes.
    fn written(self, count: u32) {
        let (count, all) = (u64::from(count), self.notes.len() as u64);
        self.of.written.fetch_add(count, Ordering::Relaxed);
        self.of.superseded.fetch_add(all.saturating_sub(count), Ordering::Relaxed);
        self.forget();
    }

    /// The store never takes them.
    fn given_up(self) {
        let all = self.notes.len() as u64;
        self.of.failed.fetch_add(all, Ordering::Relaxed);
        self.of.dropped.fetch_add(all, Ordering::Relaxed);
        self.forget();
    }

    /// The store does not take them now.
    fn refused(self) {
        self.of.failed.fetch_add(self.notes.len() as u64, Ordering::Relaxed);
        self.of.state.lock().is_refused = true;
    }

    fn forget(mut self) {
        let mut state = self.of.state.lock();
        state.is_refused = false;
        for (digest, note) in self.notes.drain(..) {
            match state.pending.entry(digest) {
                Entry::Occupied(pending) if *pending.get() == note => drop(pending.remove()),
                // It was seen again meanwhile.
                _ => state.queue.push_back(digest),
            }
        }
        self.of.count(&state);
    }

    /// Each alone.
    fn apart(mut self) -> Vec<Self> {
        self.notes.drain(..).map(|note| Self { notes: vec![note], of: self.of }).collect()
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.notes.is_empty() {
            return;
        }
        let mut state = self.of.state.lock();
        for (digest, _) in self.notes.drain(..).rev() {
            state.queue.push_front(digest);
        }
    }
}
