//! Sessions: begun, found, kept alive, ended.
//!
//! The database is always written and always decides. With Redis beside it, sessions are found there
//! first; a miss, and a Redis that is away, go to the database, and what is found there is brought to
//! Redis. What ends a session commits in the database, then tells Redis, and if that fails makes every
//! server forget what Redis has (`generation`). So Redis can be slow, away, emptied, or restored from
//! an old snapshot: nobody sees an error, and no session that has ended is found.
//!
//! Ending returns for how long the session may still be answered for elsewhere: under leases of fronts,
//! and, rarely, in Redis. For so long it must not be acknowledged to its user.
//!
//! ```text
//! revocation                 database            Redis              another server's check
//! commit                     row gone
//! read the generation G      G
//! end_one.lua under G                            session gone,      a fill under G that read the row
//!                                                tombstone          before is refused by the tombstone
//! (or, if that fails)
//! raise to G + 1             G + 1                                  goes by G for one generation lease
//! acknowledge after the lease of fronts, and what is left of the generation lease if G is young
//! ```
//!
//! What if the database gives no answer, so that it is open whether it has committed, or will? Whoever asked for the
//! revocation is told that it failed, and the server raises the generation, once it can and a little later once more.
//!
//! What if a server dies between commit and script, or is stopped while the database gives no answer? The
//! revocation was not acknowledged, but Redis still has the session. Whenever a [note](Notes) is due that a session was seen, at least once in a tenth of its idle
//! time, its row is read from the database first; so within that time it is found dead.

mod cache;
mod generation;
mod layout;
pub mod limits;
mod lookup;
mod notes;
mod owners;
mod rules;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sparing::rare;
use unix_time::millis;

use self::cache::Cache;
use self::limits::SUPERSEDED_BATCH;
pub use self::lookup::{Lookup, Resolved, Sighting, StaleCopies, UNDATED, UNKNOWN, Unresolved};
pub use self::notes::{NoteWriter, Notes};
use redis_pool::RedisPool;
use store::{Kept, ListedSession, NewSession, PasswordChange, Store, StoreError};

pub use self::rules::{Learned, LiveRules, Seen, SessionRules};

/// Keeps sessions in the store, and a copy in Redis if there is one. Shared by all threads.
///
/// Everything that ends sessions has to go through here, or a copy in Redis outlives them. Calls block
/// and keep to deadlines as a [`Store`] does.
pub struct SessionKeeper {
    store: Arc<dyn Store>,
    cache: Option<Cache>,
    notes: Arc<Notes>,
    rules: LiveRules,
}

impl SessionKeeper {
    /// Keeps sessions in `store` under these rules, with a copy in `redis`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, redis: Option<RedisPool>, rules: LiveRules) -> Self {
        let cache = redis.map(|redis| Cache::new(redis, Arc::clone(&store)));
        Self { store, cache, notes: Arc::new(Notes::new()), rules }
    }

    /// The rules as they are now.
    #[must_use]
    pub fn rules(&self) -> SessionRules {
        self.rules.now()
    }

    /// The generation of what Redis has, as this server last learned it; 0 for none. Does not block.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.cache.as_ref().map_or(0, Cache::generation)
    }

    /// The Redis that has a copy, to be looked at.
    #[must_use]
    pub fn redis(&self) -> Option<&RedisPool> {
        self.cache.as_ref().map(Cache::redis)
    }

    /// Notes that sessions were seen: somebody has to [write](NoteWriter) them.
    #[must_use]
    pub fn notes(&self) -> &Arc<Notes> {
        &self.notes
    }

    /// When a session that is seen at `now_ms` expires unless it is seen again.
    #[must_use]
    pub fn expiry(&self, now_ms: u64, ends_at_ms: u64) -> u64 {
        now_ms.saturating_add(millis(self.rules().idle)).min(ends_at_ms)
    }

    /// Keeps new sessions, at most [`COMMIT_TOGETHER_MAX`](store::limits::COMMIT_TOGETHER_MAX); the oldest of their
    /// users make room. When this returns, they are durable. For each there are the digests of those that made room and
    /// are to be [settled](Self::settle): none without Redis.
    ///
    /// # Errors
    /// [`StoreError`]. The session may have been kept; nobody has its token.
    pub fn keep(&self, new: &[NewSession<'_>], deadline: Instant) -> Vec<Kept> {
        // None is left when nobody who logged in is let in.
        if new.is_empty() {
            return Vec::new();
        }
        let mut kept = self.store.keep_sessions(new, self.rules().per_user, deadline);
        debug_assert_eq!(kept.len(), new.len());
        if self.cache.is_none() && !self.rules.in_redis() {
            kept.iter_mut().flatten().for_each(Vec::clear);
        }
        kept
    }

    /// Ends sessions that have made room, in Redis too.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub fn settle(&self, gone: &[[u8; 32]]) -> Result<(), StoreError> {
        match &self.cache {
            _ if gone.is_empty() => Ok(()),
            Some(cache) => cache.end(gone).map(drop),
            None => self.end_copies().map(drop),
        }
    }

    /// The live sessions of a user, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(
        &self,
        user_id: u64,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<ListedSession>, StoreError> {
        self.store.sessions_of_user(user_id, now_ms, limit, deadline)
    }

    /// Ends a session; one that has ended is no error. Returns how long it may still be answered for.
    ///
    /// # Errors
    /// [`StoreError`]: it may have ended or not. To be called again.
    pub fn end(&self, digest: &[u8; 32], deadline: Instant) -> Result<Duration, StoreError> {
        self.doubting(self.store.delete_session(digest, deadline))?;
        self.settle_one(digest)
    }

    /// Ends a user's session by its id. Returns how long it may still be answered for, or `None` if the
    /// user has no such session.
    ///
    /// # Errors
    /// As for [`end`](Self::end), but that a second call may no longer find it. [`make_up`](Self::make_up) sees to what
    /// Redis then has; where this process has none, [`forget_copies`](Self::forget_copies).
    pub fn end_by_id(
        &self,
        user_id: u64,
        session_id: u64,
        deadline: Instant,
    ) -> Result<Option<Duration>, StoreError> {
        let digest =
            self.doubting(self.store.delete_session_by_id(user_id, session_id, deadline))?;
        digest.map(|digest| self.settle_one(&digest)).transpose()
    }

    /// Makes every server forget what Redis has: for whoever finds no session to end, because an end that failed half way
    /// may have left its copy there, and nobody knows any more which that is. Returns how long it may still be found.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub fn forget_copies(&self) -> Result<Duration, StoreError> {
        let elsewhere = match &self.cache {
            Some(cache) => cache.forget()?,
            None => self.end_copies()?,
        };
        Ok(self.rules.lease_settles_in() + elsewhere)
    }

    /// Makes every server forget what Redis has, if this one has left it open whether the database has ended something of
    /// that. To be called once a second, whether or not there are requests. Blocks.
    pub fn make_up(&self) {
        if let Some(Err(error)) = self.cache.as_ref().map(Cache::make_up) {
            tracing::debug!(%error, "what Redis has cannot be forgotten yet");
        }
    }

    /// The same for a server that stops, when nobody ends sessions any more. Blocks.
    pub fn make_up_at_last(&self) {
        if let Some(Err(error)) = self.cache.as_ref().map(Cache::make_up_at_last) {
            rare!("once, at the end", WARN, %error, "sessions that have ended without an answer may live on in Redis until they are noted as seen");
        }
    }

    /// Ends every session of a user. Returns how long one may still be answered for, or `None` if there
    /// is no such user.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub fn end_all(&self, user_id: u64, deadline: Instant) -> Result<Option<Duration>, StoreError> {
        let epoch = self.doubting(self.store.raise_session_epoch(user_id, deadline))?;
        epoch.map(|epoch| self.settle_all(user_id, epoch)).transpose()
    }

    /// Changes a password record, which ends every session of its user. Returns how long one may still
    /// be answered for, or `None` if record or epoch are no longer what they were.
    ///
    /// # Errors
    /// [`StoreError`]: it may have been changed or not.
    pub fn change_password(
        &self,
        change: &PasswordChange<'_>,
        deadline: Instant,
    ) -> Result<Option<Duration>, StoreError> {
        if !self.doubting(self.store.change_password_record(change, deadline))? {
            return Ok(None);
        }
        self.settle_all(change.user_id, change.epoch + 1).map(Some)
    }

    /// Follows up on an epoch that the caller has raised in the store by a statement of its own. Returns
    /// how long a session of an earlier one may still be answered for.
    ///
    /// # Errors
    /// [`StoreError`]: the sessions may be answered for longer. To be called again.
    pub fn settle_all(&self, user_id: u64, epoch: u32) -> Result<Duration, StoreError> {
        let elsewhere = match &self.cache {
            Some(cache) => cache.end_all(user_id, epoch)?,
            None => self.end_copies()?,
        };
        // They are dead; this is only tidiness, and what is left goes as it expires.
        let deadline = clock::now() + limits::FINISH_TIME;
        let tidied =
            self.store.delete_superseded_sessions(user_id, epoch, SUPERSEDED_BATCH, deadline);
        if let Err(error) = tidied {
            tracing::debug!(%error, "sessions that have ended are left for the purge");
        }
        Ok(self.rules.lease_settles_in() + elsewhere)
    }

    /// What the database said of an end. If that leaves it open, Redis may have what is no more. (A session that made room
    /// for another is not worth it: nobody asked for its end, and its next note finds out.)
    fn doubting<T>(&self, said: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Err(error), Some(cache)) = (&said, &self.cache)
            && error.leaves_open()
        {
            cache.doubt_end();
        }
        said
    }

    fn settle_one(&self, digest: &[u8; 32]) -> Result<Duration, StoreError> {
        let elsewhere = match &self.cache {
            Some(cache) => cache.end(&[*digest])?,
            None => self.end_copies()?,
        };
        Ok(self.rules.lease_settles_in() + elsewhere)
    }

    /// Makes every server forget what Redis has, where this process has none and others do. Returns how long they may
    /// still read it.
    fn end_copies(&self) -> Result<Duration, StoreError> {
        if !self.rules.in_redis() {
            return Ok(Duration::ZERO);
        }
        self.store.end_cache_era(clock::now() + limits::FINISH_TIME)?;
        Ok(limits::GENERATION_LEASE + limits::GENERATION_MARGIN)
    }
}

#[cfg(any(test, feature = "testing"))]
impl SessionKeeper {
    /// Writes all notes that wait, on this thread.
    ///
    /// # Panics
    ///
    /// If the store does not take them.
    pub fn write_notes(&self) {
        let now_ms = unix_time::unix_ms(clock::wall());
        self.notes.write_all(&*self.store, now_ms).expect("the store takes them");
    }
}
