//! A ring that can be exchanged while it is used.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use credentials::{KeyId, KeySource, Keyring, KeysError, OnMissing, Ring};
use parking_lot::{Mutex, MutexGuard, RwLock};
use service::rare;
use store::StoreError;

use super::bell::Bell;
use super::register::KeyFault;
use crate::limits::{
    KEY_ABSENT_FOR, KEY_COMMAND_INTERVAL, KEY_FAULT_LOG_INTERVAL, KEY_LIST_INTERVAL,
    KEY_LOOKUP_INTERVAL, KEY_LOOKUP_TIME_MAX, KEY_REREAD_INTERVAL,
};

/// Whether a ring may be used, beyond what can be told from its keys. Blocks.
type Admit<R> = Box<dyn Fn(&R) -> Result<(), RingFault> + Send + Sync>;

/// Whether the store lists a key; none when that is not known. Blocks.
type Lists = Box<dyn Fn(KeyId) -> Option<bool> + Send + Sync>;

/// A ring of keys and where it is read again.
pub struct LiveRing<R> {
    /// Held for as long as it takes to copy or exchange a pointer.
    current: RwLock<Arc<R>>,
    /// `None` for a ring that never changes.
    origin: Option<Origin<R>>,
    reading: Mutex<Reading>,
    /// When the store's list was last asked for a key that is not here.
    list_asked: Mutex<Option<Instant>>,
    failures: AtomicU64,
    /// Why this server could not be started again with its keys, as of the last reading.
    fault: Mutex<Option<String>>,
}

struct Origin<R> {
    source: KeySource,
    admit: Admit<R>,
    /// Other servers' keys, where all servers have the same.
    lists: Option<Lists>,
    /// Has the ring read again soon, by a thread that may wait for a command.
    bell: Bell,
}

/// The last reading. Its lock is held while one is under way.
struct Reading {
    began: Instant,
    succeeded: Option<Instant>,
    /// What was logged last, and when: a fault that stays is repeated now and then, not every time.
    logged: Option<(String, Instant)>,
}

/// What came of looking for a key.
#[derive(Debug)]
pub enum Lookup<R> {
    /// This ring has it.
    Has(Arc<R>),
    /// This is the ring, and there is no such key.
    Lacks(Arc<R>),
    /// Not known: the keys could not be read, or not yet.
    Unsure,
}

/// Why what was read is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RingFault {
    /// It could not be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// An id that stood for another key.
    #[error(
        "{place} has another {purpose} key {id} than before: a key never changes, make a new one"
    )]
    Changed {
        /// `pepper` or `token`.
        purpose: &'static str,
        /// The key.
        id: KeyId,
        /// Where it was read.
        place: String,
    },
    /// The store knows better.
    #[error(transparent)]
    Listed(#[from] KeyFault),
}

impl RingFault {
    /// Whether the store could not say: then it is no fault of the keys.
    fn is_of_store(&self) -> bool {
        matches!(self, Self::Listed(KeyFault::Store(StoreError::Unavailable(_))))
    }
}

impl<R: Ring> LiveRing<R> {
    /// A ring that was read from `source` just now, and is read again from there. `admit` has the last
    /// word about each ring that is read later.
    pub fn new(
        ring: R,
        source: KeySource,
        bell: Bell,
        admit: impl Fn(&R) -> Result<(), RingFault> + Send + Sync + 'static,
    ) -> Self {
        Self::with(ring, Some(Origin { source, admit: Box::new(admit), lists: None, bell }))
    }

    /// The same, with the store's list: a key that is on it and not here is another server's, and what is under
    /// it may be good.
    #[must_use]
    pub fn listed_by(self, lists: impl Fn(KeyId) -> Option<bool> + Send + Sync + 'static) -> Self {
        let origin = self.origin.map(|origin| Origin { lists: Some(Box::new(lists)), ..origin });
        Self { origin, ..self }
    }

    /// A ring that never changes.
    #[must_use]
    pub fn fixed(ring: R) -> Self {
        Self::with(ring, None)
    }

    fn with(ring: R, origin: Option<Origin<R>>) -> Self {
        let now = clock::now();
        Self {
            current: RwLock::new(Arc::new(ring)),
            origin,
            reading: Mutex::new(Reading { began: now, succeeded: Some(now), logged: None }),
            list_asked: Mutex::new(None),
            failures: AtomicU64::new(0),
            fault: Mutex::new(None),
        }
    }

    /// Whether this server, started again, would have its keys, as far as the last reading has shown.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        self.fault.lock().as_ref().map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// The ring of this moment. Never waits for a reading.
    #[must_use]
    pub fn current(&self) -> Arc<R> {
        Arc::clone(&self.current.read())
    }

    /// How many readings have failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// A ring that has the key of that id, if there is one. Reads the keys again if it may be new: files
    /// at once, which takes well under a millisecond; a command is left to the refresher's thread, and
    /// the answer is [`Lookup::Unsure`] until it has run.
    ///
    /// Anybody can send a token that names any id, so how often this reads is bounded.
    #[must_use]
    pub fn look_up(&self, id: KeyId) -> Lookup<R> {
        let ring = self.current();
        if ring.keys().has(id) {
            return Lookup::Has(ring);
        }
        let Some(origin) = &self.origin else { return Lookup::Lacks(ring) };
        match origin.source.may_have(R::PURPOSE, id) {
            Some(false) => self.not_here(id, origin, ring),
            Some(true) => self.look_again(id, origin),
            None => self.ask_for_it(id, origin),
        }
    }

    fn look_again(&self, id: KeyId, origin: &Origin<R>) -> Lookup<R> {
        let Some(mut reading) = self.reading.try_lock_for(KEY_LOOKUP_TIME_MAX) else {
            return Lookup::Unsure;
        };
        // Another thread may have found it meanwhile.
        let ring = self.current();
        if ring.keys().has(id) {
            return Lookup::Has(ring);
        }
        if clock::since(reading.began) < KEY_LOOKUP_INTERVAL && reading.succeeded.is_none() {
            return Lookup::Unsure;
        }
        let is_read = self.read(origin, &mut reading);
        let ring = self.current();
        match (ring.keys().has(id), is_read) {
            (true, _) => Lookup::Has(ring),
            (false, true) => self.not_here(id, origin, ring),
            (false, false) => Lookup::Unsure,
        }
    }

    fn ask_for_it(&self, id: KeyId, origin: &Origin<R>) -> Lookup<R> {
        let Some(reading) = self.reading.try_lock() else { return Lookup::Unsure };
        let ring = self.current();
        if ring.keys().has(id) {
            return Lookup::Has(ring);
        }
        if reading.succeeded.is_some_and(|at| clock::since(at) < KEY_ABSENT_FOR) {
            drop(reading);
            return self.not_here(id, origin, ring);
        }
        if clock::since(reading.began) >= KEY_LOOKUP_INTERVAL {
            origin.bell.ring();
        }
        Lookup::Unsure
    }

    /// What is known of a key that the source has not. Numbers only grow: one below the active one was retired. Any
    /// other may be another server's, which the list tells, read after somebody came with it.
    fn not_here(&self, id: KeyId, origin: &Origin<R>, ring: Arc<R>) -> Lookup<R> {
        let Some(lists) = &origin.lists else { return Lookup::Lacks(ring) };
        if id < ring.keys().active_id() {
            return Lookup::Lacks(ring);
        }
        {
            let mut asked = self.list_asked.lock();
            if asked.is_some_and(|at| clock::since(at) < KEY_LIST_INTERVAL) {
                return Lookup::Unsure;
            }
            *asked = Some(clock::now());
        }
        match lists(id) {
            Some(false) => Lookup::Lacks(ring),
            Some(true) | None => Lookup::Unsure,
        }
    }

    /// Reads the keys again, if it is time: a directory is read more often than a command is run.
    /// Returns when that is done.
    pub(super) fn reread_if_due(&self) {
        let Some(origin) = &self.origin else { return };
        let interval = match origin.source {
            KeySource::Directory(_) => KEY_REREAD_INTERVAL,
            KeySource::Environment(_) => Duration::MAX,
            KeySource::Command(_) => KEY_COMMAND_INTERVAL,
        };
        let mut reading = self.reading.lock();
        if clock::since(reading.began) >= interval {
            self.read(origin, &mut reading);
        }
    }

    /// Reads the keys again now. True if the ring is now what the source has.
    pub fn reread(&self) -> bool {
        let Some(origin) = &self.origin else { return true };
        self.read(origin, &mut self.reading.lock())
    }

    fn read(&self, origin: &Origin<R>, reading: &mut MutexGuard<'_, Reading>) -> bool {
        let began = clock::now();
        reading.began = began;
        match self.try_read(origin) {
            Ok(()) => {
                if reading.logged.take().is_some() {
                    let purpose = R::PURPOSE.name();
                    rare!("after a failure below", INFO, purpose, "the keys can be read again");
                }
                reading.succeeded = Some(began);
                *self.fault.lock() = None;
                true
            }
            Err(fault) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                reading.succeeded = None;
                self.judge(&fault, origin);
                let text = fault.to_string();
                let known = reading.logged.as_ref().is_some_and(|(logged, at)| {
                    *logged == text && clock::since(*at) < KEY_FAULT_LOG_INTERVAL
                });
                if !known {
                    self.log(&fault);
                    reading.logged = Some((text, clock::now()));
                }
                false
            }
        }
    }

    fn log(&self, fault: &RingFault) {
        let ring = self.current();
        if fault.is_of_store() {
            rare!(
                "after a failure, KEY_LOOKUP_INTERVAL passes before the next reading",
                WARN,
                %fault,
                ?ring,
                "the keys could not be compared with the store, which is away; they stay as they are, and it is asked again"
            );
        } else {
            rare!(
                "after a failure, KEY_LOOKUP_INTERVAL passes before the next reading",
                ERROR,
                %fault,
                ?ring,
                "the keys could not be read again; the old ones stay"
            );
        }
    }

    /// Notes what a failed reading says of this server. Files that cannot be read, another key under a known number
    /// and a pepper that is missing stay until somebody mends them. A command that fails, such as a vault that is
    /// away, says nothing of the keys: with the store's list they are as good as they were.
    fn judge(&self, fault: &RingFault, origin: &Origin<R>) {
        let fault = match (fault, &origin.source) {
            (RingFault::Keys(_), KeySource::Command(_)) => match (origin.admit)(&self.current()) {
                Ok(()) => {
                    *self.fault.lock() = None;
                    return;
                }
                Err(lacking) if lacking.is_of_store() => return,
                Err(lacking) => lacking.to_string(),
            },
            // What was known before still holds; that the store is away is told by its own check.
            (fault, _) if fault.is_of_store() => return,
            (fault, _) => fault.to_string(),
        };
        *self.fault.lock() = Some(fault);
    }

    fn try_read(&self, origin: &Origin<R>) -> Result<(), RingFault> {
        let old = self.current();
        let keys = origin.source.load(R::PURPOSE, OnMissing::Refuse)?.keys;
        if let Some(id) = old.keys().conflict(&keys) {
            let (purpose, place) = (R::PURPOSE.name(), origin.source.to_string());
            return Err(RingFault::Changed { purpose, id, place });
        }
        let is_same = is_same(old.keys(), &keys);
        let ring = R::from(keys);
        // Also when nothing changed here: another server may have begun to use a key that is not here.
        (origin.admit)(&ring)?;
        if !is_same {
            rare!("when an operator changes them", INFO, ?old, new = ?ring, "keys have changed");
            *self.current.write() = Arc::new(ring);
        }
        Ok(())
    }
}

/// Whether two rings without a conflict are the same.
fn is_same(one: &Keyring, other: &Keyring) -> bool {
    one.active_id() == other.active_id() && one.ids() == other.ids()
}

impl<R: Ring> fmt::Debug for LiveRing<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveRing").field(&self.current()).finish()
    }
}

#[cfg(test)]
mod tests;
