//! The copy of sessions in Redis.
//!
//! `layout` says what it holds. Each operation is one script, which nothing interrupts, and one round trip;
//! but sessions are looked up together by plain commands, which cost Redis half of what a script does.
//! `scripts/` says what each does and why.
//!
//! One database number of one Redis belongs to one Gatehouse: two would share names of keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, RedisResult, Script, Value};

use super::generation::{Generations, Known};
use super::layout::{Hex, Keys, session_of, text_of};
use super::limits::{FILL_LATE_MAX, FINISH_TIME, TOMBSTONE};
use super::owners::Owners;
use crate::accounts::millis;
use crate::redis_pool::{Away, Connection, Instance, RedisPool};
use crate::store::{Refresh, SessionRow, Store, StoreError};

/// Room for the name of a session's key, of which the longest has 91 bytes.
const KEY_BYTES: usize = 96;

/// Redis, and what of it may be believed.
pub(super) struct Cache {
    redis: RedisPool,
    generations: Generations,
    owners: Owners,
    scripts: Scripts,
}

struct Scripts {
    read: Script,
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
            fill: Script::new(include_str!("scripts/fill.lua")),
            refresh: Script::new(include_str!("scripts/refresh.lua")),
            end_one: Script::new(include_str!("scripts/end_one.lua")),
            end_all: Script::new(include_str!("scripts/end_all.lua")),
        };
        let generations = Generations::new(store);
        Self { redis, generations, owners: Owners::new(), scripts }
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

    /// Looks for several sessions: those that are here, in the order of `digests`. `None` when Redis is
    /// away, or not to be believed now.
    pub(super) fn find_together(
        &self,
        digests: &[[u8; 32]],
        deadline: Instant,
    ) -> Option<Vec<Option<SessionRow>>> {
        let known = self.generations.fresh(deadline)?;
        let keys = Keys::of(known.generation);
        self.run(&known, deadline, |connection| self.read_together(&keys, digests, connection))
    }

    /// Reads sessions as `read.lua` does: one counts if its user's epoch is there and is the same. Most are
    /// asked for together with the epoch, in one round trip, since their users are known; the epochs of
    /// the others take a second. What is read later can only say no: a session that was ended in between
    /// has an epoch that is higher, or gone.
    fn read_together(
        &self,
        keys: &Keys,
        digests: &[[u8; 32]],
        connection: &mut Connection,
    ) -> RedisResult<Vec<Option<SessionRow>>> {
        let guesses: Vec<u64> = digests.iter().map(|digest| self.owners.guess(digest)).collect();
        let mut asked = mget(2 * digests.len());
        for (digest, guess) in digests.iter().zip(&guesses) {
            asked.arg(keys.session(digest)).arg(keys.user(*guess));
        }
        let mut answer = values(connection.ask(&asked)?, 2 * digests.len()).into_iter();
        let mut rows = Vec::with_capacity(digests.len());
        // Places of those whose user is another than the one whose epoch was asked for.
        let mut misguessed = Vec::new();
        for (place, (digest, guess)) in digests.iter().zip(guesses).enumerate() {
            let row = answer.next().and_then(session);
            let epoch = answer.next();
            rows.push(row.filter(|row| {
                let guessed = row.user_id == guess;
                if !guessed {
                    self.owners.note(digest, row.user_id);
                    misguessed.push(place);
                }
                !guessed || is_epoch(epoch.as_ref(), row.epoch)
            }));
        }
        if !misguessed.is_empty() {
            let mut asked = mget(misguessed.len());
            for row in misguessed.iter().filter_map(|place| rows[*place].as_ref()) {
                asked.arg(keys.user(row.user_id));
            }
            let mut answer = values(connection.ask(&asked)?, misguessed.len()).into_iter();
            for place in misguessed {
                let epoch = answer.next();
                rows[place].take_if(|row| !is_epoch(epoch.as_ref(), row.epoch));
            }
        }
        Ok(rows)
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
        let deadline = clock::now() + FINISH_TIME;
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

/// The command that reads so many keys.
fn mget(keys: usize) -> Cmd {
    let mut command = Cmd::with_capacity(keys + 1, keys * KEY_BYTES);
    command.arg("MGET");
    command
}

/// What MGET answers, a value for each of `keys`. Whatever else it may be is as good as nothing.
fn values(answer: Value, keys: usize) -> Vec<Value> {
    match answer {
        Value::Array(values) if values.len() == keys => values,
        _ => Vec::new(),
    }
}

fn is_epoch(text: Option<&Value>, epoch: u32) -> bool {
    matches!(text, Some(Value::BulkString(text)) if *text == Hex::of_epoch(epoch).as_bytes())
}

/// A session as the scripts return it; `None` for what nobody wrote.
fn session(value: Value) -> Option<SessionRow> {
    match value {
        Value::BulkString(text) => session_of(text),
        _ => None,
    }
}
