//! The sessions.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _, Statement, TransactionBehavior, params};

use super::{SqliteStore, returned, unsigned};
use crate::limits::PURGE_BATCH_MAX;
use crate::rows::{check_notes, check_together, sql_integer};
use crate::{
    CacheEra, Cause, Kept, ListedSession, NewSession, Refresh, SessionRow, Sessions, StoreError,
    UserAgent,
};

const LIVE_SESSION: &str = "SELECT session.id, user_id, username, epoch, session.created_at_ms, \
            COALESCE(last_seen_at_ms, session.created_at_ms), expires_at_ms, \
            COALESCE(ends_at_ms, expires_at_ms) \
     FROM session JOIN user ON user.id = user_id \
     WHERE token_digest = ? AND expires_at_ms > ? \
       AND epoch = session_epoch AND disabled_at_ms IS NULL";

impl Sessions for SqliteStore {
    fn has_sessions(&self, now_ms: u64, deadline: Instant) -> Result<bool, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        self.read(deadline, |connection| {
            connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM session WHERE expires_at_ms > ?)")?
                .query_row([now_ms], |row| row.get(0))
        })
    }

    fn insert_session(
        &self,
        session: &NewSession<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let session = Row::of(session)?;
        self.write(deadline, |connection| session.insert(connection))
    }

    fn keep_sessions(
        &self,
        sessions: &[NewSession<'_>],
        keep: u32,
        deadline: Instant,
    ) -> Vec<Kept> {
        let rows: Vec<_> = sessions.iter().map(Row::of).collect();
        self.write_together(deadline, &rows, |row, transaction| row.keep(transaction, keep))
    }

    fn session(
        &self,
        token_digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        self.read(deadline, |connection| {
            let mut statement = connection.prepare_cached(LIVE_SESSION)?;
            live_session(&mut statement, token_digest, now_ms)
        })
    }

    fn sessions(
        &self,
        token_digests: &[[u8; 32]],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Vec<Option<SessionRow>>, StoreError> {
        check_together(token_digests.len())?;
        let now_ms = sql_integer(now_ms, "the time")?;
        self.read(deadline, |connection| {
            // One transaction takes and gives back the locks of the log once, not for each row. It has
            // written nothing, and ends as it is dropped, whatever happens.
            let transaction = connection.unchecked_transaction()?;
            let mut statement = transaction.prepare_cached(LIVE_SESSION)?;
            token_digests
                .iter()
                .map(|digest| live_session(&mut statement, digest, now_ms))
                .collect()
        })
    }

    fn refresh_sessions(
        &self,
        refreshes: &[Refresh<'_>],
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        let notes = refreshes.iter().map(Note::of).collect::<Result<Vec<_>, _>>()?;
        check_notes(notes.len())?;
        self.write(deadline, |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut noted = 0;
            for note in &notes {
                noted += note.write(&transaction)?;
            }
            transaction.commit()?;
            // At most as many as there are notes.
            Ok(u32::try_from(noted).unwrap_or(u32::MAX))
        })
    }

    fn sessions_of_user(
        &self,
        user_id: u64,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<ListedSession>, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        let now_ms = sql_integer(now_ms, "the time")?;
        self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT session.id, token_digest, session.created_at_ms, \
                            COALESCE(last_seen_at_ms, session.created_at_ms), expires_at_ms, \
                            client_address, user_agent \
                     FROM session JOIN user ON user.id = user_id \
                     WHERE user_id = ? AND expires_at_ms > ? \
                       AND epoch = session_epoch AND disabled_at_ms IS NULL \
                     ORDER BY session.id DESC LIMIT ?",
                )?
                .query_map(params![user_id, now_ms, limit], |row| {
                    let address: Option<String> = row.get(5)?;
                    Ok(ListedSession {
                        session_id: unsigned(row, 0)?,
                        token_digest: row.get(1)?,
                        created_at_ms: unsigned(row, 2)?,
                        last_seen_at_ms: unsigned(row, 3)?,
                        expires_at_ms: unsigned(row, 4)?,
                        client_address: address.and_then(|text| text.parse().ok()),
                        user_agent: row.get(6)?,
                    })
                })?
                .collect()
        })
    }

    fn trim_sessions(
        &self,
        newest: &NewSession<'_>,
        keep: u32,
        deadline: Instant,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let newest = Row::of(newest)?;
        let surplus = self.read(deadline, |connection| newest.surplus(connection, keep))?;
        if !surplus.is_empty() {
            self.write(deadline, |connection| {
                let transaction = connection.transaction()?;
                delete(&transaction, &surplus)?;
                transaction.commit()
            })?;
        }
        Ok(surplus)
    }

    fn delete_session_by_id(
        &self,
        user_id: u64,
        session_id: u64,
        deadline: Instant,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        // A number that no session has.
        let Ok(session_id) = sql_integer(session_id, "the session id") else { return Ok(None) };
        self.write(deadline, |connection| {
            let mut statement = connection.prepare_cached(
                "DELETE FROM session WHERE user_id = ? AND id = ? RETURNING token_digest",
            )?;
            returned(&mut statement, params![user_id, session_id])
        })
    }

    fn delete_superseded_sessions(
        &self,
        user_id: u64,
        epoch: u32,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        let limit = limit.min(PURGE_BATCH_MAX);
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "DELETE FROM session WHERE token_digest IN \
                     (SELECT token_digest FROM session WHERE user_id = ? AND epoch < ? LIMIT ?)",
                )?
                .execute(params![user_id, epoch, limit])
                // At most `limit`, so it fits.
                .map(|deleted| u32::try_from(deleted).unwrap_or(limit))
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

    fn cache_era(&self, deadline: Instant) -> Result<CacheEra, StoreError> {
        let era = self.read(deadline, |connection| {
            connection
                .prepare_cached("SELECT generation, instance FROM session_cache WHERE id = 1")?
                .query_row([], |row| {
                    Ok(CacheEra { generation: unsigned(row, 0)?, instance: row.get(1)? })
                })
                .optional()
        })?;
        era.ok_or_else(|| StoreError::Corrupt(Cause::Database("session_cache is empty".to_owned())))
    }

    fn begin_cache_era(
        &self,
        generation: u64,
        instance: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let generation = sql_integer(generation, "the generation")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE session_cache SET generation = generation + 1, instance = ? \
                     WHERE id = 1 AND generation = ?",
                )?
                .execute(params![instance, generation])
                .map(|changed| changed == 1)
        })
    }

    fn end_cache_era(&self, deadline: Instant) -> Result<(), StoreError> {
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE session_cache SET generation = generation + 1 WHERE id = 1",
                )?
                .execute([])
                .map(drop)
        })
    }

    fn skip_cache_eras(&self, generation: u64, deadline: Instant) -> Result<(), StoreError> {
        let generation = sql_integer(generation, "the generation")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE session_cache SET generation = max(generation + 1, ?) WHERE id = 1",
                )?
                .execute([generation])
                .map(drop)
        })
    }
}

/// That a session was seen, in numbers that SQLite has.
struct Note<'a> {
    token_digest: &'a [u8; 32],
    seen_at_ms: i64,
    unless_seen_after_ms: i64,
    expires_at_ms: i64,
}

impl<'a> Note<'a> {
    fn of(refresh: &Refresh<'a>) -> Result<Self, StoreError> {
        Ok(Self {
            token_digest: refresh.token_digest,
            seen_at_ms: sql_integer(refresh.seen_at_ms, "the time")?,
            unless_seen_after_ms: sql_integer(refresh.unless_seen_after_ms, "the time")?,
            expires_at_ms: sql_integer(refresh.expires_at_ms, "the time")?,
        })
    }

    /// Returns how many rows it changed.
    fn write(&self, connection: &Connection) -> rusqlite::Result<usize> {
        connection
            .prepare_cached(
                "UPDATE session SET ends_at_ms = COALESCE(ends_at_ms, expires_at_ms), \
                                    last_seen_at_ms = ?, expires_at_ms = ? \
                 WHERE token_digest = ? AND COALESCE(last_seen_at_ms, created_at_ms) <= ? \
                   AND epoch = (SELECT session_epoch FROM user \
                                WHERE user.id = session.user_id AND disabled_at_ms IS NULL)",
            )?
            .execute(params![
                self.seen_at_ms,
                self.expires_at_ms,
                self.token_digest,
                self.unless_seen_after_ms
            ])
    }
}

/// A new session, in numbers that SQLite has.
struct Row<'a> {
    session: &'a NewSession<'a>,
    id: i64,
    user_id: i64,
    created_at_ms: i64,
    expires_at_ms: i64,
    ends_at_ms: i64,
}

impl<'a> Row<'a> {
    fn of(session: &'a NewSession<'a>) -> Result<Self, StoreError> {
        Ok(Self {
            session,
            id: sql_integer(session.session_id, "the session id")?,
            user_id: sql_integer(session.user_id, "the user id")?,
            created_at_ms: sql_integer(session.created_at_ms, "the time")?,
            expires_at_ms: sql_integer(session.expires_at_ms, "the time")?,
            ends_at_ms: sql_integer(session.ends_at_ms, "the time")?,
        })
    }

    fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "INSERT INTO session (token_digest, id, user_id, epoch, created_at_ms, \
                                      last_seen_at_ms, expires_at_ms, ends_at_ms, \
                                      client_address, user_agent) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                self.session.token_digest,
                self.id,
                self.user_id,
                self.session.epoch,
                self.created_at_ms,
                self.created_at_ms,
                self.expires_at_ms,
                self.ends_at_ms,
                self.session.client_address.map(|address| address.to_string()),
                self.session.user_agent.map(UserAgent::as_str),
            ])
            .map(drop)
    }

    /// Inserts it, and deletes what the user has beyond `keep`. Returns that.
    fn keep(&self, connection: &Connection, keep: u32) -> rusqlite::Result<Vec<[u8; 32]>> {
        self.insert(connection)?;
        let surplus = self.surplus(connection, keep)?;
        delete(connection, &surplus)?;
        Ok(surplus)
    }

    /// What the user has beyond `keep` sessions, as [`Sessions::trim_sessions`] has it.
    fn surplus(&self, connection: &Connection, keep: u32) -> rusqlite::Result<Vec<[u8; 32]>> {
        // The index alone; most have few, and then nothing more is asked.
        let more = connection
            .prepare_cached(
                "SELECT id FROM session WHERE user_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
            )?
            .exists(params![self.user_id, keep])?;
        if !more {
            return Ok(Vec::new());
        }
        // The newest stays wherever its id stands, so it is left out and `keep` is one less. In the order of the index
        // nothing is sorted; to look at the rows takes long enough.
        let NewSession { token_digest, epoch, .. } = self.session;
        connection
            .prepare_cached(
                "SELECT token_digest FROM session \
                 WHERE user_id = ? AND epoch = ? AND expires_at_ms > ? AND token_digest <> ? \
                 ORDER BY id DESC LIMIT ? OFFSET ?",
            )?
            .query_map(
                params![
                    self.user_id,
                    epoch,
                    self.created_at_ms,
                    token_digest,
                    PURGE_BATCH_MAX,
                    keep.saturating_sub(1)
                ],
                |row| row.get(0),
            )?
            .collect()
    }
}

fn delete(connection: &Connection, token_digests: &[[u8; 32]]) -> rusqlite::Result<()> {
    for digest in token_digests {
        connection
            .prepare_cached("DELETE FROM session WHERE token_digest = ?")?
            .execute([digest])?;
    }
    Ok(())
}

/// What [`LIVE_SESSION`] finds.
fn live_session(
    statement: &mut Statement<'_>,
    token_digest: &[u8; 32],
    now_ms: i64,
) -> rusqlite::Result<Option<SessionRow>> {
    statement
        .query_row(params![token_digest, now_ms], |row| {
            Ok(SessionRow {
                session_id: unsigned(row, 0)?,
                user_id: unsigned(row, 1)?,
                username: row.get(2)?,
                epoch: row.get(3)?,
                created_at_ms: unsigned(row, 4)?,
                last_seen_at_ms: unsigned(row, 5)?,
                expires_at_ms: unsigned(row, 6)?,
                ends_at_ms: unsigned(row, 7)?,
            })
        })
        .optional()
}
