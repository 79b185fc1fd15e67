//! The sessions.

use std::time::Instant;

use rusqlite::{OptionalExtension as _, params};

use super::{SqliteStore, unsigned};
use crate::store::limits::PURGE_BATCH_MAX;
use crate::store::rows::sql_integer;
use crate::store::{NewSession, SessionRow, Sessions, StoreError, UserAgent};

impl Sessions for SqliteStore {
    fn insert_session(
        &self,
        session: &NewSession<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let id = sql_integer(session.session_id, "the session id")?;
        let user_id = sql_integer(session.user_id, "the user id")?;
        let created_at_ms = sql_integer(session.created_at_ms, "the time")?;
        let expires_at_ms = sql_integer(session.expires_at_ms, "the time")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO session (token_digest, id, user_id, epoch, created_at_ms, \
                                          expires_at_ms, client_address, user_agent) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    session.token_digest,
                    id,
                    user_id,
                    session.epoch,
                    created_at_ms,
                    expires_at_ms,
                    session.client_address.map(|address| address.to_string()),
                    session.user_agent.map(UserAgent::as_str),
                ])
                .map(drop)
        })
    }

    fn session(
        &self,
        token_digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT session.id, user_id, username, session.created_at_ms, expires_at_ms \
                     FROM session JOIN user ON user.id = user_id \
                     WHERE token_digest = ? AND expires_at_ms > ? \
                       AND epoch = session_epoch AND disabled_at_ms IS NULL",
                )?
                .query_row(params![token_digest, now_ms], |row| {
                    Ok(SessionRow {
                        session_id: unsigned(row, 0)?,
                        user_id: unsigned(row, 1)?,
                        username: row.get(2)?,
                        created_at_ms: unsigned(row, 3)?,
                        expires_at_ms: unsigned(row, 4)?,
                    })
                })
                .optional()
        })
    }

    fn delete_session(
        &self,
        token_digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.write(deadline, |connection| {
            connection
                .prepare_cached("DELETE FROM session WHERE token_digest = ?")?
                .execute([token_digest])
                .map(|deleted| deleted == 1)
        })
    }

    fn delete_expired_sessions(
        &self,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        let limit = limit.min(PURGE_BATCH_MAX);
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "DELETE FROM session WHERE token_digest IN \
                     (SELECT token_digest FROM session WHERE expires_at_ms <= ? \
                      ORDER BY expires_at_ms LIMIT ?)",
                )?
                .execute(params![now_ms, limit])
                // At most `limit`, so it fits.
                .map(|deleted| u32::try_from(deleted).unwrap_or(limit))
        })
    }
}
