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
//! What if a server dies between commit and script? The revocation was not acknowledged, but Redis
//! still has the session. It is found dead at the next note in the database that it was seen, within a
//! tenth of its idle time.

mod cache;
mod generation;
mod layout;
pub mod limits;
mod owners;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::cache::{Cache, Found};
use self::limits::{NOTES_PER_IDLE_TIME, SUPERSEDED_BATCH};
use crate::accounts::millis;
use crate::limits::LEASE_MARGIN;
use crate::redis_pool::RedisPool;
use crate::store::{
    Kept, ListedSession, NewSession, PasswordChange, Refresh, SessionRow, Store, StoreError,
};

/// How sessions are kept.
#[derive(Clone, Copy, Debug)]
pub struct SessionRules {
    /// How long a session lives, however busy it is.
    pub lifetime: Duration,
    /// How long it lives without being seen.
    pub idle: Duration,
    /// How many a user may have; the oldest make room.
    pub per_user: u32,
    /// For how long a front may answer for a session by itself.
    pub lease: Duration,
}

/// Keeps sessions in the store, and a copy in Redis if there is one. Shared by all threads.
///
/// Everything that ends sessions has to go through here, or a copy in Redis outlives them. Calls block
/// and keep to deadlines as a [`Store`] does.
pub struct SessionKeeper {
    store: Arc<dyn Store>,
    cache: Option<Cache>,
    rules: SessionRules,
}

/// What one look at a session has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It is live.
    Live(SessionRow),
    /// It is not.
    Dead,
    /// One look is not enough; [`SessionKeeper::find`] does what else it takes.
    Unsettled,
}

impl SessionKeeper {
    /// Keeps sessions in `store` under these rules, with a copy in `redis`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, redis: Option<RedisPool>, rules: SessionRules) -> Self {
        let cache = redis.map(|redis| Cache::new(redis, Arc::clone(&store)));
        Self { store, cache, rules }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &SessionRules {
        &self.rules
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

    /// When a session that is seen at `now_ms` expires unless it is seen again.
    #[must_use]
    pub fn expiry(&self, now_ms: u64, ends_at_ms: u64) -> u64 {
        now_ms.saturating_add(millis(self.rules.idle)).min(ends_at_ms)
    }

    /// Keeps new sessions; the oldest of their users make room. When this returns, they are durable. For each there are the
    /// digests of those that made room and are to be [settled](Self::settle): none without Redis.
    ///
    /// # Errors
    /// [`StoreError`]. The session may have been kept; nobody has its token.
    pub fn keep(&self, new: &[NewSession<'_>], deadline: Instant) -> Vec<Kept> {
        // None is left when nobody who logged in is let in.
        if new.is_empty() {
            return Vec::new();
        }
        let mut kept = self.store.keep_sessions(new, self.rules.per_user, deadline);
        debug_assert_eq!(kept.len(), new.len());
        if self.cache.is_none() {
            kept.iter_mut().flatten().for_each(Vec::clear);
        }
        kept
    }

    /// How many new sessions are better [kept](Self::keep) by one call than by as many at the same time.
    #[must_use]
    pub fn kept_together_max(&self) -> usize {
        self.store.kept_together_max()
    }

    /// Ends sessions that have made room, in Redis too.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub fn settle(&self, gone: &[[u8; 32]]) -> Result<(), StoreError> {
        gone.iter().try_for_each(|digest| self.settle_one(digest).map(drop))
    }

    /// The session with this digest if it is live, and the note that it was seen, when one is due.
    ///
    /// # Errors
    /// [`StoreError`]: whether it is live is not known.
    pub fn find(
        &self,
        digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let Some(row) = self.look_up(digest, now_ms, deadline)? else { return Ok(None) };
        if !self.owes_note(&row, now_ms) {
            return Ok(Some(row));
        }
        self.note_seen(digest, row, now_ms, deadline)
    }

    /// The sessions with these digests, in their order, all looked up together; at most
    /// [`SESSIONS_TOGETHER_MAX`](crate::store::limits::SESSIONS_TOGETHER_MAX). What takes more than
    /// looking (a note that is due, a session that Redis misses) is left to [`find`](Self::find), so
    /// that the others do not wait for it.
    ///
    /// # Errors
    /// [`StoreError`]: of none it is known whether it is live.
    pub fn find_together(
        &self,
        digests: &[[u8; 32]],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Vec<Sighting>, StoreError> {
        // None is left when all tokens were forged, and Redis has no command that reads nothing.
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let cached = self.cache.as_ref().and_then(|cache| cache.find_together(digests, deadline));
        if let Some(found) = cached {
            let sighting = |found| match found {
                Some(row) => self.sighting(row, now_ms),
                None => Sighting::Unsettled,
            };
            return Ok(found.into_iter().map(sighting).collect());
        }
        let found = self.store.sessions(digests, now_ms, deadline)?;
        let sighting = |found: Option<SessionRow>| {
            found.map_or(Sighting::Dead, |row| self.sighting(row, now_ms))
        };
        Ok(found.into_iter().map(sighting).collect())
    }

    fn sighting(&self, row: SessionRow, now_ms: u64) -> Sighting {
        if now_ms < row.expires_at_ms && !self.owes_note(&row, now_ms) {
            Sighting::Live(row)
        } else {
            Sighting::Unsettled
        }
    }

    /// Whether the database is to be told that the session was seen.
    fn owes_note(&self, row: &SessionRow, now_ms: u64) -> bool {
        now_ms.saturating_sub(row.last_seen_at_ms) >= millis(self.rules.idle / NOTES_PER_IDLE_TIME)
    }

    /// Whose session it is, if it is live. Unlike [`find`](Self::find) it notes nothing: for a session
    /// that is about to end.
    ///
    /// # Errors
    /// [`StoreError`]: whether it is live is not known.
    pub fn owner(
        &self,
        digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.look_up(digest, now_ms, deadline)?.map(|session| session.user_id))
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
        self.store.delete_session(digest, deadline)?;
        self.settle_one(digest)
    }

    /// Ends a user's session by its id. Returns how long it may still be answered for, or `None` if the
    /// user has no such session.
    ///
    /// # Errors
    /// As for [`end`](Self::end), but that a second call may no longer find it.
    pub fn end_by_id(
        &self,
        user_id: u64,
        session_id: u64,
        deadline: Instant,
    ) -> Result<Option<Duration>, StoreError> {
        let digest = self.store.delete_session_by_id(user_id, session_id, deadline)?;
        digest.map(|digest| self.settle_one(&digest)).transpose()
    }

    /// Ends every session of a user. Returns how long one may still be answered for, or `None` if there
    /// is no such user.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub fn end_all(&self, user_id: u64, deadline: Instant) -> Result<Option<Duration>, StoreError> {
        let epoch = self.store.raise_session_epoch(user_id, deadline)?;
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
        if !self.store.change_password_record(change, deadline)? {
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
            None => Duration::ZERO,
        };
        // They are dead; this is only tidiness, and what is left goes as it expires.
        let deadline = clock::now() + limits::FINISH_TIME;
        let tidied =
            self.store.delete_superseded_sessions(user_id, epoch, SUPERSEDED_BATCH, deadline);
        if let Err(error) = tidied {
            tracing::debug!(%error, "sessions that have ended are left for the purge");
        }
        Ok(self.lease_settles_in() + elsewhere)
    }

    fn settle_one(&self, digest: &[u8; 32]) -> Result<Duration, StoreError> {
        let elsewhere = match &self.cache {
            Some(cache) => cache.end_one(digest)?,
            None => Duration::ZERO,
        };
        Ok(self.lease_settles_in() + elsewhere)
    }

    /// How long leases of fronts may run that were given before now. A lease counts from before the
    /// check that it was given for.
    fn lease_settles_in(&self) -> Duration {
        let lease = self.rules.lease;
        if lease.is_zero() { Duration::ZERO } else { lease + LEASE_MARGIN }
    }

    fn look_up(
        &self,
        digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let Some(cache) = &self.cache else { return self.store.session(digest, now_ms, deadline) };
        match cache.find(digest, deadline) {
            Found::Session(row) if now_ms < row.expires_at_ms => Ok(Some(row)),
            Found::Missing(ticket) => {
                let row = self.store.session(digest, now_ms, deadline)?;
                if let Some(row) = &row {
                    cache.fill(&ticket, digest, row, deadline);
                }
                Ok(row)
            }
            // An expired one may have been seen since by a server that could not tell Redis.
            Found::Session(_) | Found::Away => self.store.session(digest, now_ms, deadline),
        }
    }

    /// Notes in the store, then in Redis, that a session was seen. `row` may come from Redis; the note
    /// also finds out whether the store still has the session.
    fn note_seen(
        &self,
        digest: &[u8; 32],
        row: SessionRow,
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let expires_at_ms = self.expiry(now_ms, row.ends_at_ms);
        let last_seen_at_ms = row.last_seen_at_ms;
        let refresh = Refresh { token_digest: digest, last_seen_at_ms, now_ms, expires_at_ms };
        let row = if self.store.refresh_session(&refresh, deadline)? {
            Some(SessionRow { last_seen_at_ms: now_ms, expires_at_ms, ..row })
        } else {
            // Another server has just noted it, or it is dead.
            self.store.session(digest, now_ms, deadline)?
        };
        match (&self.cache, &row) {
            (Some(cache), Some(row)) => {
                let (seen, expires) = (row.last_seen_at_ms, row.expires_at_ms);
                let refresh = Refresh { now_ms: seen, expires_at_ms: expires, ..refresh };
                cache.refresh(row.user_id, &refresh, deadline);
            }
            // Redis had it, so it missed that it ended.
            (Some(cache), None) => drop(cache.end_one(digest)?),
            (None, _) => {}
        }
        Ok(row)
    }
}
