//! The sessions.

use std::time::Instant;

use super::MySqlStore;
use super::query::Query;
use crate::store::limits::PURGE_BATCH_MAX;
use crate::store::rows::sql_integer;
use crate::store::{NewSession, SessionRow, Sessions, StoreError, UserAgent};

impl Sessions for MySqlStore {
    fn insert_session(
        &self,
        session: &NewSession<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let id = sql_integer(session.session_id, "the session id")?;
        let user_id = sql_integer(session.user_id, "the user id")?;
        let created_at_ms = sql_integer(session.created_at_ms, "the time")?;
        let expires_at_ms = sql_integer(session.expires_at_ms, "the time")?;
        self.run(deadline, |connection| {
            connection.execute(
                Query::InsertSession,
                (
                    &session.token_digest[..],
                    id,
                    user_id,
                    session.epoch,
                    created_at_ms,
                    expires_at_ms,
                    session.client_address.map(|address| address.to_string()),
                    session.user_agent.map(UserAgent::as_str),
                ),
            )
        })
        .map(drop)
    }

    fn session(
        &self,
        token_digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        let row = self.run(deadline, |connection| {
            connection.first(Query::Session, (&token_digest[..], now_ms))
        })?;
        Ok(row.map(|(session_id, user_id, username, created_at_ms, expires_at_ms)| SessionRow {
            session_id,
            user_id,
            username,
            created_at_ms,
            expires_at_ms,
        }))
    }

    fn delete_session(
        &self,
        token_digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let deleted = self.run(deadline, |connection| {
            connection.execute(Query::DeleteSession, (&token_digest[..],))
        })?;
        Ok(deleted == 1)
    }

    fn delete_expired_sessions(
        &self,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        let limit = limit.min(PURGE_BATCH_MAX);
        let deleted = self.run(deadline, |connection| {
            connection.execute(Query::DeleteExpiredSessions, (now_ms, limit))
        })?;
        // At most `limit`, so it fits.
        Ok(u32::try_from(deleted).unwrap_or(limit))
    }
}
