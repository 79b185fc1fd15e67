//! What a store knows of sessions.

use std::time::Instant;

use super::{NewSession, SessionRow, StoreError};

/// The sessions of a [`Store`](super::Store), which says what holds for every call.
pub trait Sessions {
    /// Inserts a session. When this returns, the row is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if there is no such user or the digest is taken.
    fn insert_session(&self, session: &NewSession<'_>, deadline: Instant)
    -> Result<(), StoreError>;

    /// Looks up the session with this digest if it is live: it expires after `now_ms`, it has
    /// its user's epoch, and that user is not disabled.
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

    /// Deletes the session with this digest. False if there was none. When this returns, the deletion
    /// is durable.
    ///
    /// # Errors
    ///
    /// See [`Store`].
    fn delete_session(
        &self,
        token_digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// Deletes sessions that expired at `now_ms` or before, the oldest first, at most `limit` and at most
    /// [`limits::PURGE_BATCH_MAX`]. Returns how many; fewer than the limit means that none is left.
    ///
    /// # Errors
    ///
    /// See [`Store`].
    fn delete_expired_sessions(
        &self,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError>;
}
