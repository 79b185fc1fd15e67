//! What a store knows of sessions.

use std::time::Instant;

use super::{CacheEra, ListedSession, NewSession, Refresh, SessionRow, StoreError};

/// What keeping a session came to: the digests of those that made room.
pub type Kept = Result<Vec<[u8; 32]>, StoreError>;

/// The sessions of a [`Store`](super::Store), which says what holds for every call.
pub trait Sessions {
    /// Whether any session is there that has not expired by `now_ms`. Costs the same however many there are.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn has_sessions(&self, now_ms: u64, deadline: Instant) -> Result<bool, StoreError>;

    /// Inserts a session. When this returns, the row is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if there is no such user or the digest is taken.
    fn insert_session(&self, session: &NewSession<'_>, deadline: Instant)
    -> Result<(), StoreError>;

    /// [Inserts](Self::insert_session) each of these sessions, at most
    /// [`COMMIT_TOGETHER_MAX`](super::limits::COMMIT_TOGETHER_MAX), with one commit where that can be, and
    /// [trims](Self::trim_sessions) those of its user. When this returns, the rows are durable. What each came to, in their order; one that is refused leaves the others as they
    /// are.
    ///
    /// # Errors
    ///
    /// As for both. The session may be there.
    fn keep_sessions(&self, sessions: &[NewSession<'_>], keep: u32, deadline: Instant)
    -> Vec<Kept>;

    /// Looks up the session with this digest if it is live: it expires after `now_ms`, it has
    /// its user's epoch, and that user is not disabled. With 0 for `now_ms` the caller judges by itself whether its
    /// time is over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row cannot be read.
    fn session(
        &self,
        token_digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError>;

    /// The same for several digests at once, at most
    /// [`limits::SESSIONS_TOGETHER_MAX`](super::limits::SESSIONS_TOGETHER_MAX): the session of each, in
    /// their order, all as of one moment after the call began. Costs one round trip, or one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if one of the rows cannot be read; [`StoreError::Internal`] if there are
    /// too many.
    fn sessions(
        &self,
        token_digests: &[[u8; 32]],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Vec<Option<SessionRow>>, StoreError>;

    /// Notes that these sessions were seen, at most
    /// [`limits::NOTES_TOGETHER_MAX`](super::limits::NOTES_TOGETHER_MAX), in one transaction or statement. Returns how
    /// many were noted.
    ///
    /// A session that was deleted, is of an earlier epoch, or whose user is disabled is left as it is: what was ended
    /// stays so, however late a note comes. So is one that another server has noted meanwhile. A row whose time is over
    /// and that nobody has deleted yet is noted: it was live when it was seen, and its caller answers for that.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if there are too many. None of them was noted, or, where the database could not be asked,
    /// that is not known; a note may be written twice.
    fn refresh_sessions(
        &self,
        refreshes: &[Refresh<'_>],
        deadline: Instant,
    ) -> Result<u32, StoreError>;

    /// The live sessions of a user, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn sessions_of_user(
        &self,
        user_id: u64,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<ListedSession>, StoreError>;

    /// Deletes the oldest live sessions of the user and epoch of `newest`, which was just inserted,
    /// until `keep` are left, at most [`limits::PURGE_BATCH_MAX`](super::limits::PURGE_BATCH_MAX) at
    /// a time. Called after each insert, so of any number at once the last leaves no more than
    /// `keep`. Where there are fewer rows it costs one lookup in an index.
    ///
    /// Ids tell which are old. `newest` stays whatever its id: clocks of servers differ, and one that
    /// is behind would else make sessions that are dead from the start.
    ///
    /// Returns the digests of those that may be gone. When it fails half way, that is not an error
    /// but fewer deletions: what is gone has to be known, and the next login goes on.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn trim_sessions(
        &self,
        newest: &NewSession<'_>,
        keep: u32,
        deadline: Instant,
    ) -> Result<Vec<[u8; 32]>, StoreError>;

    /// Deletes a user's session by its id. Returns its digest, or `None` if the user has no such
    /// session. When this returns, the deletion is durable.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn delete_session_by_id(
        &self,
        user_id: u64,
        session_id: u64,
        deadline: Instant,
    ) -> Result<Option<[u8; 32]>, StoreError>;

    /// Deletes sessions of a user that belong to an earlier epoch than `epoch`, at most `limit` and at
    /// most [`limits::PURGE_BATCH_MAX`](super::limits::PURGE_BATCH_MAX). They are dead already.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn delete_superseded_sessions(
        &self,
        user_id: u64,
        epoch: u32,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError>;

    /// Deletes the session with this digest. False if there was none. When this returns, the deletion
    /// is durable.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn delete_session(
        &self,
        token_digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// Deletes sessions that expired at `now_ms` or before, the oldest first, at most `limit` and at most
    /// [`limits::PURGE_BATCH_MAX`](super::limits::PURGE_BATCH_MAX). Returns how many; fewer than the limit means that none is left.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn delete_expired_sessions(
        &self,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError>;

    /// Which contents of a cache may be believed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row is missing.
    fn cache_era(&self, deadline: Instant) -> Result<CacheEra, StoreError>;

    /// Begins the generation after `generation` with the cache server `instance`, if that is still
    /// the one. Returns whether it was.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn begin_cache_era(
        &self,
        generation: u64,
        instance: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// Begins the next generation with the same cache server, whichever it is. When this returns, it
    /// is durable.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn end_cache_era(&self, deadline: Instant) -> Result<(), StoreError>;

    /// Begins a generation that is higher than the present one and at least `generation`, with the same cache server. When
    /// this returns, it is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if the number does not fit its column.
    fn skip_cache_eras(&self, generation: u64, deadline: Instant) -> Result<(), StoreError>;
}
