//! The copy of sessions in Redis.
//!
//! `layout` says what it holds. Each operation is one script, which nothing interrupts, and one round trip.
//! `scripts/` says what each does and why.
//!
//! One database number of one Redis belongs to one Gatehouse: two would share names of keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, Value};

use super::generation::{Generations, Known};
use super::layout::{Hex, Keys, session_of, text_of};
use super::limits::{FILL_LATE_MAX, FINISH_TIME, TOMBSTONE};
use crate::accounts::millis;
use crate::redis_pool::{Away, Connection, Instance, RedisPool};
use crate::store::{Refresh, SessionRow, Store, StoreError};

/// Room for the name of a session's key, of which the longest has 91 bytes.
const KEY_BYTES: usize = 96;

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
        let keys = Keys::of(known.generation);
        let answer = self.run(&known, deadline, |connection| {
            let mut call = self.scripts.read.key(keys.session(digest));
            call.arg(keys.prefix()).invoke::<Value>(connection.driver())
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
        let keys = Keys::of(known.generation);
        let script = &self.scripts.read_together;
        // Written into one buffer: the driver's own way to call a script keeps each key by itself.
        let mut call = Cmd::with_capacity(digests.len() + 4, (digests.len() + 1) * KEY_BYTES);
        call.arg("EVALSHA").arg(script.get_hash()).arg(digests.len());
        for digest in digests {
            call.arg(keys.session(digest));
        }
        call.arg(keys.prefix());
        let answer =
            self.run(&known, deadline, |connection| evaluate(script, &call, connection))?;
        let Value::Array(rows) = answer else { return None };
        (rows.len() == digests.len()).then(|| rows.into_iter().map(session).collect())
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
        let keys = Keys::of(ticket.known.generation);
        self.run(&ticket.known, deadline, |connection| {
            let mut call = self.scripts.fill.key(keys.session(digest));
            call.key(keys.tombstone(digest))
                .key(keys.user(row.user_id))
                .key(keys.index(row.user_id));
            call.arg(keys.prefix()).arg(Hex::of_digest(digest));
            call.arg(ticket.missed_at_ms).arg(millis(FILL_LATE_MAX)).arg(text_of(row));
            call.invoke::<()>(connection.driver())
        });
    }

    /// Notes that a session was seen, as the database has.
    pub(super) fn refresh(&self, user_id: u64, refresh: &Refresh<'_>, deadline: Instant) {
        let Some(known) = self.generations.fresh(deadline) else { return };
        let keys = Keys::of(known.generation);
        self.run(&known, deadline, |connection| {
            let mut call = self.scripts.refresh.key(keys.session(refresh.token_digest));
            call.key(keys.user(user_id)).key(keys.index(user_id));
            call.arg(Hex::of_digest(refresh.token_digest));
            call.arg(Hex::of_number(refresh.now_ms)).arg(Hex::of_number(refresh.expires_at_ms));
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
            call.arg(keys.prefix()).arg(Hex::of_digest(digest)).arg(millis(TOMBSTONE));
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
            call.arg(keys.prefix()).arg(Hex::of_epoch(epoch)).arg(millis(TOMBSTONE));
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
        let keys = Keys::of(known.generation);
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

/// Has Redis run a script that `call` names by its digest. It gets the script first if it does not know it.
fn evaluate(script: &Script, call: &Cmd, connection: &mut Connection) -> RedisResult<Value> {
    match connection.ask(call) {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            script.load(connection.driver())?;
            connection.ask(call)
        }
        answer => answer,
    }
}

/// A session as the scripts return it; `None` for what nobody wrote.
fn session(value: Value) -> Option<SessionRow> {
    match value {
        Value::BulkString(text) => session_of(text),
        _ => None,
    }
}
