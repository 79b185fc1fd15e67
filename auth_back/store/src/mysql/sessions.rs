//! The sessions.

use std::collections::HashMap;
use std::iter;
use std::time::Instant;

use mysql::Value;
use sparing::sparing;

use super::query::Query;
use super::{MySqlStore, Together};
use crate::limits::{COMMIT_TOGETHER_MAX, PURGE_BATCH_MAX};
use crate::rows::{check_notes, check_together, sql_integer};
use crate::{
    CacheEra, Cause, Kept, ListedSession, NewSession, Refresh, SessionRow, Sessions, StoreError,
    UserAgent,
};

/// A row of the list of sessions: id, digest, created, last seen, expires, address, agent.
type Listed = (u64, Vec<u8>, u64, u64, u64, Option<String>, Option<String>);

/// A live session: id, user, name, epoch, created, seen, expires, ends.
type Found = (u64, u64, String, u32, u64, u64, u64, u64);

/// The same behind its digest.
type FoundTogether = (Vec<u8>, u64, u64, String, u32, u64, u64, u64, u64);

impl Sessions for MySqlStore {
    fn has_sessions(&self, now_ms: u64, deadline: Instant) -> Result<bool, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        let found: Option<(bool,)> =
            self.run(deadline, |connection| connection.first(Query::AnySession, (now_ms,)))?;
        Ok(found == Some((true,)))
    }

    fn insert_session(
        &self,
        session: &NewSession<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let row = row(session)?;
        self.run(deadline, |connection| connection.execute(Query::InsertSession, row.to_vec()))
            .map(drop)
    }

    fn keep_sessions(
        &self,
        sessions: &[NewSession<'_>],
        keep: u32,
        deadline: Instant,
    ) -> Vec<Kept> {
        let one_by_one = || {
            let keep_one = |session| {
                self.insert_session(session, deadline)?;
                self.trim_sessions(session, keep, deadline)
            };
            sessions.iter().map(keep_one).collect()
        };
        // Each locks the row of its user: in the order of ids, as others who lock several.
        let mut sorted: Vec<_> = sessions.iter().collect();
        sorted.sort_unstable_by_key(|session| session.user_id);
        let rows: Vec<_> = sorted.into_iter().map_while(|session| row(session).ok()).collect();
        if sessions.len() < 2 || rows.len() < sessions.len() {
            return one_by_one();
        }
        let crowded = match self.insert_together(Query::insert_sessions, &rows, deadline) {
            Ok(Together::Inserted) => self.users_with_more(sessions, keep, deadline),
            Ok(Together::Refused) => return one_by_one(),
            Err(error) => Err(error),
        };
        let crowded = match crowded {
            Ok(crowded) => crowded,
            Err(error) => return sessions.iter().map(|_| Err(error.clone())).collect(),
        };
        let trim = |(place, session): (usize, &NewSession<'_>)| {
            // For the last of a user, which stays: all of them are there. Those of another epoch make no room.
            let of_them = |later: &NewSession<'_>| {
                (later.user_id, later.epoch) == (session.user_id, session.epoch)
            };
            if !crowded.contains(&session.user_id) || sessions[place + 1..].iter().any(of_them) {
                return Ok(Vec::new());
            }
            self.trim_sessions(session, keep, deadline)
        };
        sessions.iter().enumerate().map(trim).collect()
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
        Ok(row.map(live_session))
    }

    fn sessions(
        &self,
        token_digests: &[[u8; 32]],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Vec<Option<SessionRow>>, StoreError> {
        check_together(token_digests.len())?;
        let now_ms = sql_integer(now_ms, "the time")?;
        let Some(last) = token_digests.last() else { return Ok(Vec::new()) };
        // Statements are prepared for a few lengths; looking for the last again fills the rest.
        let (query, marks) = Query::sessions(token_digests.len());
        let digests = token_digests.iter().chain(iter::repeat(last)).take(marks);
        let params: Vec<Value> =
            digests.map(Value::from).chain(iter::once(Value::from(now_ms))).collect();
        let rows: Vec<FoundTogether> =
            self.run(deadline, |connection| connection.all(query, params.clone()))?;
        let found: HashMap<Vec<u8>, SessionRow> = rows
            .into_iter()
            .map(|(digest, id, user_id, name, epoch, created, seen, expires, ends)| {
                (digest, live_session((id, user_id, name, epoch, created, seen, expires, ends)))
            })
            .collect();
        // The same digest may stand in the list more than once.
        Ok(token_digests.iter().map(|digest| found.get(&digest[..]).cloned()).collect())
    }

    fn refresh_sessions(
        &self,
        refreshes: &[Refresh<'_>],
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        check_notes(refreshes.len())?;
        let Some(last) = refreshes.last() else { return Ok(0) };
        // The last once more fills the rest. A row is changed once, however often it is named.
        let (query, marks) = Query::refresh_sessions(refreshes.len());
        let notes = || refreshes.iter().chain(iter::repeat(last)).take(marks);
        let digest = |note: &Refresh<'_>| Value::from(&note.token_digest[..]);
        let mut params: Vec<Value> = Vec::with_capacity(7 * marks);
        let cases = |params: &mut Vec<Value>, time: fn(&Refresh<'_>) -> u64| {
            for note in notes() {
                params.extend([digest(note), sql_integer(time(note), "the time")?.into()]);
            }
            Ok::<_, StoreError>(())
        };
        cases(&mut params, |note| note.seen_at_ms)?;
        cases(&mut params, |note| note.expires_at_ms)?;
        params.extend(notes().map(digest));
        cases(&mut params, |note| note.unless_seen_after_ms)?;
        let found = self.run(deadline, |connection| connection.execute(query, params.clone()))?;
        Ok(u32::try_from(found).unwrap_or(u32::MAX))
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
        let rows: Vec<Listed> = self.run(deadline, |connection| {
            connection.all(Query::SessionsOfUser, (user_id, now_ms, limit))
        })?;
        let listed = |(session_id, token, created, seen, expires, address, user_agent)| {
            Ok(ListedSession {
                session_id,
                token_digest: digest(token)?,
                created_at_ms: created,
                last_seen_at_ms: seen,
                expires_at_ms: expires,
                client_address: Option::and_then(address, |text: String| text.parse().ok()),
                user_agent,
            })
        };
        rows.into_iter().map(listed).collect()
    }

    fn trim_sessions(
        &self,
        newest: &NewSession<'_>,
        keep: u32,
        deadline: Instant,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let NewSession { token_digest, epoch, .. } = newest;
        let user_id = sql_integer(newest.user_id, "the user id")?;
        let now_ms = sql_integer(newest.created_at_ms, "the time")?;
        // Beside the work, which may be done again after a part of it.
        let mut gone = Vec::new();
        let trimmed = self.run(deadline, |connection| {
            // The index alone; most have few, and then nothing more is asked.
            let more: Option<(u64,)> = connection.first(Query::SessionAtPlace, (user_id, keep))?;
            if more.is_none() {
                return Ok(());
            }
            let surplus: Vec<(Vec<u8>,)> = connection.all(
                Query::SurplusSessions,
                (user_id, epoch, now_ms, &token_digest[..], PURGE_BATCH_MAX, keep),
            )?;
            for (token,) in surplus {
                // Before it is: an error does not tell whether it was done.
                gone.push(token.clone());
                connection.execute(Query::DeleteSession, (&token[..],))?;
            }
            Ok(())
        });
        match trimmed {
            Err(error) if gone.is_empty() => return Err(error),
            Err(error) => sparing!(WARN, %error, "a user is left with too many sessions"),
            Ok(()) => {}
        }
        gone.into_iter().map(digest).collect()
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
        let found = self.run(deadline, |connection| {
            let found: Option<(Vec<u8>,)> =
                connection.first(Query::DigestOfSession, (user_id, session_id))?;
            if let Some((token,)) = &found {
                connection.execute(Query::DeleteSession, (&token[..],))?;
            }
            Ok(found)
        })?;
        found.map(|(token,)| digest(token)).transpose()
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
        let deleted = self.run(deadline, |connection| {
            connection.execute(Query::DeleteSupersededSessions, (user_id, epoch, limit))
        })?;
        // At most `limit`, so it fits.
        Ok(u32::try_from(deleted).unwrap_or(limit))
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

    fn cache_era(&self, deadline: Instant) -> Result<CacheEra, StoreError> {
        let row = self.run(deadline, |connection| connection.first(Query::CacheEra, ()))?;
        let era = row.map(|(generation, instance)| CacheEra { generation, instance });
        era.ok_or_else(|| StoreError::Corrupt(Cause::Database("session_cache is empty".to_owned())))
    }

    fn begin_cache_era(
        &self,
        generation: u64,
        instance: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let found = self.run(deadline, |connection| {
            connection.execute(Query::BeginCacheEra, (instance, generation))
        })?;
        Ok(found == 1)
    }

    fn end_cache_era(&self, deadline: Instant) -> Result<(), StoreError> {
        self.run(deadline, |connection| connection.execute(Query::EndCacheEra, ())).map(drop)
    }

    fn skip_cache_eras(&self, generation: u64, deadline: Instant) -> Result<(), StoreError> {
        let generation = sql_integer(generation, "the generation")?;
        self.run(deadline, |connection| connection.execute(Query::SkipCacheEras, (generation,)))
            .map(drop)
    }
}

impl MySqlStore {
    /// Which users of these sessions have more than `keep`, in a table that ended ones may still be in.
    fn users_with_more(
        &self,
        sessions: &[NewSession<'_>],
        keep: u32,
        deadline: Instant,
    ) -> Result<Vec<u64>, StoreError> {
        let Some(last) = sessions.last() else { return Ok(Vec::new()) };
        // Looking for the last again fills the rest.
        let users = sessions.iter().chain(iter::repeat(last)).take(COMMIT_TOGETHER_MAX);
        let params: Vec<Value> =
            users.map(|session| session.user_id.into()).chain([keep.into()]).collect();
        self.run(deadline, |connection| {
            connection.all(Query::UsersWithMoreSessions, params.clone())
        })
    }
}

/// A new session, as the statement that inserts one takes it.
fn row(session: &NewSession<'_>) -> Result<[Value; 10], StoreError> {
    let created_at_ms = sql_integer(session.created_at_ms, "the time")?;
    Ok([
        (&session.token_digest[..]).into(),
        sql_integer(session.session_id, "the session id")?.into(),
        sql_integer(session.user_id, "the user id")?.into(),
        session.epoch.into(),
        created_at_ms.into(),
        created_at_ms.into(),
        sql_integer(session.expires_at_ms, "the time")?.into(),
        sql_integer(session.ends_at_ms, "the time")?.into(),
        session.client_address.map(|address| address.to_string()).into(),
        session.user_agent.map(UserAgent::as_str).into(),
    ])
}

fn digest(token: Vec<u8>) -> Result<[u8; 32], StoreError> {
    let wrong = |_| StoreError::Corrupt(Cause::Database("a digest of another length".to_owned()));
    token.try_into().map_err(wrong)
}

fn live_session(
    (session_id, user_id, username, epoch, created, seen, expires, ends): Found,
) -> SessionRow {
    SessionRow {
        session_id,
        user_id,
        username,
        epoch,
        created_at_ms: created,
        last_seen_at_ms: seen,
        expires_at_ms: expires,
        ends_at_ms: ends,
    }
}
