//! The copy of sessions in Redis.
//!
//! | key | holds | lives |
//! |---|---|---|
//! | `gh1:G:s:DIGEST` | a session, a hash | until it expires |
//! | `gh1:G:u:USER` | the user's epoch | as long as the longest of their sessions, and at least [`TOMBSTONE`] after it was raised |
//! | `gh1:G:i:USER` | digests of the user's sessions here, sorted by when they expire | as long as the longest of them |
//! | `gh1:G:t:DIGEST` | nothing: the session was ended | [`TOMBSTONE`] |
//!
//! `gh1` is the version of this layout and G the [generation](super::generation). Each operation is one
//! script, which nothing interrupts, and one round trip. `scripts/` says what each does and why.
//!
//! One database number of one Redis belongs to one Gatehouse: two would share names of keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{RedisResult, Script, Value};

use super::generation::{Generations, Known};
use super::limits::{FILL_LATE_MAX, FINISH_TIME, TOMBSTONE};
use crate::accounts::millis;
use crate::redis_pool::{Away, Connection, Instance, RedisPool};
use crate::store::{Refresh, SessionRow, Store, StoreError};

/// Redis, and what of it may be believed.
pub(super) struct Cache {
    redis: RedisPool,
    generations: Generations,
    scripts: Scripts,
}

struct Scripts {
    read: Script,
    read_together: Script,
    fill: Script,
    refresh: Script,
    end_one: Script,
    end_all: Script,
}

/// What Redis said to the question for a session.
pub(super) enum Found {
    /// It is here.
    Session(SessionRow),
    /// It is not here. If the database has it, it may be [brought](Cache::fill).
    Missing(Ticket),
    /// Redis is away, or not to be believed now.
    Away,
}

/// The right to bring a session that was missing.
pub(super) struct Ticket {
    known: Known,
    /// When it was missed, by Redis' clock.
    missed_at_ms: u64,
}

#[cfg(test)]
impl Ticket {
    pub(super) fn missed_at_ms(&self) -> u64 {
        self.missed_at_ms
    }

    pub(super) fn set_missed_at_ms(&mut self, missed_at_ms: u64) {
        self.missed_at_ms = missed_at_ms;
    }
}

/// What comes of an operation on a connection.
enum Done<T> {
    Value(T),
    /// The connection leads to another Redis than the generation's.
    Elsewhere(Instance, Instant),
}

impl Cache {
    pub(super) fn new(redis: RedisPool, store: Arc<dyn Store>) -> Self {
        let scripts = Scripts {
            read: Script::new(include_str!("scripts/read.lua")),
            read_together: Script::new(include_str!("scripts/read_together.lua")),
            fill: Script::new(include_str!("scripts/fill.lua")),
            refresh: Script::new(include_str!("scripts/refresh.lua")),
            end_one: Script::new(include_str!("scripts/end_one.lua")),
            end_all: Script::new(include_str!("scripts/end_all.lua")),
        };
        Self { redis, generations: Generations::new(store), scripts }
    }

    pub(super) fn redis(&self) -> &RedisPool {
        &self.redis
    }

    pub(super) fn generation(&self) -> u64 {
        self.generations.last()
    }

    /// Looks for a session.
    pub(super) fn find(&self, digest: &[u8; 32], deadline: Instant) -> Found {
        let Some(known) = self.generations.fresh(deadline) else { return Found::Away };
        let keys = Keys::of(&known);
        let answer = self.run(&known, deadline, |connection| {
            let mut call = self.scripts.read.key(keys.session(digest));
            call.arg(&keys.prefix).invoke::<Value>(connection.driver())
        });
        match answer {
            Some(Value::Int(missed_at_ms)) => {
                let missed_at_ms = u64::try_from(missed_at_ms).unwrap_or(0);
                Found::Missing(Ticket { known, missed_at_ms })
            }
            Some(value) => session(value).map_or(Found::Away, Found::Session),
            None => Found::Away,
        }
    }

    /// Looks for several sessions in one round trip: those that are here, in the order of `digests`.
    /// `None` when Redis is away, or not to be believed now.
    pub(super) fn find_together(
        &self,
        digests: &[[u8; 32]],
        deadline: Instant,
    ) -> Option<Vec<Option<SessionRow>>> {
        let known = self.generations.fresh(deadline)?;
        let keys = Keys::of(&known);
        let answer = self.run(&known, deadline, |connection| {
            let mut call = self.scripts.read_together.arg(&keys.prefix);
            for digest in digests {
                call.key(keys.session(digest));
            }
            call.invoke::<Vec<Value>>(connection.driver())
        })?;
        (answer.len() == digests.len()).then(|| answer.into_iter().map(session).collect())
    }

    /// Brings a session that was missing. It is not kept if it was ended meanwhile.
    ///
    /// `row` was read after the ticket was issued: that the ticket's generation is older than the row is
    /// what makes this safe.
    pub(super) fn fill(
        &self,
        ticket: &Ticket,
        digest: &[u8; 32],
        row: &SessionRow,
        deadline: Instant,
    ) {
        let keys = Keys::of(&ticket.known);
        self.run(&ticket.known, deadline, |connection| {
            let mut call = self.scripts.fill.key(keys.session(digest));
            call.key(keys.tombstone(digest))
                .key(keys.user(row.user_id))
                .key(keys.index(row.user_id));
            call.arg(&keys.prefix).arg(hex(digest));
            call.arg(ticket.missed_at_ms).arg(millis(FILL_LATE_MAX));
            call.arg(row.user_id).arg(&row.username).arg(row.epoch).arg(row.session_id);
            call.arg(row.created_at_ms).arg(row.last_seen_at_ms);
            call.arg(row.expires_at_ms).arg(row.ends_at_ms);
            call.invoke::<()>(connection.driver())
        });
    }

    /// Notes that a session was seen, as the database has.
    pub(super) fn refresh(&self, user_id: u64, refresh: &Refresh<'_>, deadline: Instant) {
        let Some(known) = self.generations.fresh(deadline) else { return };
        let keys = Keys::of(&known);
        self.run(&known, deadline, |connection| {
            let mut call = self.scripts.refresh.key(keys.session(refresh.token_digest));
            call.key(keys.user(user_id)).key(keys.index(user_id));
            call.arg(hex(refresh.token_digest)).arg(refresh.now_ms).arg(refresh.expires_at_ms);
            call.invoke::<()>(connection.driver())
        });
    }

    /// Ends a session that was ended in the database. Returns for how long others may still find it here.
    ///
    /// # Errors
    /// When the database cannot be told that Redis could not be told. Then others may find the session
    /// for longer, and the revocation must not be acknowledged.
    pub(super) fn end_one(&self, digest: &[u8; 32]) -> Result<Duration, StoreError> {
        self.end(|keys, connection| {
            let mut call = self.scripts.end_one.key(keys.session(digest));
            call.key(keys.tombstone(digest));
            call.arg(&keys.prefix).arg(hex(digest)).arg(millis(TOMBSTONE));
            call.invoke(connection.driver())
        })
    }

    /// Ends every session of a user whose epoch was raised to `epoch` in the database. Returns for how
    /// long others may still find one here.
    ///
    /// # Errors
    /// As for [`end_one`](Self::end_one).
    pub(super) fn end_all(&self, user_id: u64, epoch: u32) -> Result<Duration, StoreError> {
        self.end(|keys, connection| {
            let mut call = self.scripts.end_all.key(keys.user(user_id));
            call.key(keys.index(user_id));
            call.arg(&keys.prefix).arg(epoch).arg(millis(TOMBSTONE));
            call.invoke(connection.driver())
        })
    }

    /// The generation is read after the commit, so that whatever begins later finds the session dead in
    /// the database, and what began under this one or before is dealt with here.
    fn end(
        &self,
        script: impl FnOnce(&Keys, &mut Connection) -> RedisResult<()>,
    ) -> Result<Duration, StoreError> {
        let known = self.generations.current()?;
        let keys = Keys::of(&known);
        let deadline = Instant::now() + FINISH_TIME;
        let told = self.run(&known, deadline, |connection| script(&keys, connection));
        // Redis has it, or nobody reads any more what Redis has.
        let known = if told.is_some() { known } else { self.generations.raise()? };
        Ok(known.settles_in())
    }

    /// Works on a connection to the Redis that the generation was begun with. `None` when there is none,
    /// or it failed.
    fn run<T>(
        &self,
        known: &Known,
        deadline: Instant,
        work: impl FnOnce(&mut Connection) -> RedisResult<T>,
    ) -> Option<T> {
        let done = self.redis.run(deadline, |connection| {
            if *connection.instance() == *known.instance {
                work(connection).map(Done::Value)
            } else {
                Ok(Done::Elsewhere(connection.instance().clone(), connection.connected_at()))
            }
        });
        match done {
            Ok(Done::Value(value)) => Some(value),
            Ok(Done::Elsewhere(instance, connected_at)) => {
                if connected_at > known.asked_at {
                    self.generations.begin(known, &instance, deadline);
                } else {
                    // Either may be the older one; a new connection will tell.
                    self.redis.reconnect();
                }
                None
            }
            Err(Away::Failed(error)) => {
                tracing::debug!(%error, "Redis failed");
                None
            }
            Err(_) => None,
        }
    }
}

/// The names of keys of one generation.
struct Keys {
    prefix: String,
}

impl Keys {
    fn of(known: &Known) -> Self {
        Self { prefix: format!("gh1:{}:", known.generation) }
    }

    fn session(&self, digest: &[u8; 32]) -> String {
        format!("{}s:{}", self.prefix, hex(digest))
    }

    fn tombstone(&self, digest: &[u8; 32]) -> String {
        format!("{}t:{}", self.prefix, hex(digest))
    }

    fn user(&self, user_id: u64) -> String {
        format!("{}u:{user_id}", self.prefix)
    }

    fn index(&self, user_id: u64) -> String {
        format!("{}i:{user_id}", self.prefix)
    }
}

/// A session as `read.lua` returns it; `None` for what nobody wrote.
fn session(value: Value) -> Option<SessionRow> {
    type Row = (u64, String, u32, u64, u64, u64, u64, u64);
    let (user_id, username, epoch, session_id, created, seen, expires, ends): Row =
        redis::from_redis_value(value).ok()?;
    Some(SessionRow {
        session_id,
        user_id,
        username,
        epoch,
        created_at_ms: created,
        last_seen_at_ms: seen,
        expires_at_ms: expires,
        ends_at_ms: ends,
    })
}

fn hex(digest: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
