//! The copy of sessions in Redis.
//!
//! `layout` says what it holds. Sessions are looked up by plain commands, many together, which cost Redis half of what a
//! script does. Whatever changes a session is one script, which nothing interrupts; several go in one round trip.
//! `scripts/` says what each does and why.
//!
//! One database number of one Redis belongs to one Gatehouse: two would share names of keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, RedisResult, Script, ScriptInvocation, Value};
use redis_pool::{Away, Connection, Instance, RedisPool};
use store::{SessionRow, Store, StoreError};
use unix_time::millis;

use super::generation::{Generations, Known};
use super::layout::{Hex, Keys, session_of, text_of};
use super::limits::{FILL_LATE_MAX, FINISH_TIME, TOMBSTONE};
use super::owners::Owners;

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
    fill: Script,
    refresh: Script,
    end_one: Script,
    end_all: Script,
}

/// What Redis has of several sessions.
pub(super) struct Copies {
    /// In the order in which they were asked for.
    pub(super) rows: Vec<Option<SessionRow>>,
    /// The generation that they were read under.
    pub(super) known: Known,
}

/// The right to change what Redis has by rows of the database that are read after it was issued: that its generation is
/// older than they are is what makes this safe.
pub(super) struct Ticket {
    known: Known,
    /// A moment by Redis' clock. Sessions that it lacked before can be brought; they have to be soon.
    missed_at_ms: Option<u64>,
}

/// What Redis is to have of a session.
pub(super) struct Copy {
    pub(super) digest: [u8; 32],
    pub(super) row: SessionRow,
    /// Redis lacked it; else it had older times.
    pub(super) is_missing: bool,
}

#[cfg(test)]
impl Ticket {
    pub(super) fn missed_at_ms(&self) -> Option<u64> {
        self.missed_at_ms
    }

    pub(super) fn set_missed_at_ms(&mut self, missed_at_ms: u64) {
        self.missed_at_ms = Some(missed_at_ms);
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

    /// Looks sessions up. `None` when Redis is away, or not to be believed now.
    pub(super) fn find(&self, digests: &[[u8; 32]], deadline: Instant) -> Option<Copies> {
        let known = self.generations.fresh(deadline)?;
        let keys = Keys::of(known.generation);
        let rows =
            self.run(&known, deadline, |connection| self.read(&keys, digests, connection))?;
        Some(Copies { rows, known })
    }

    /// Reads sessions. One counts if its user's epoch is there and is the same; anything else is a miss, which the
    /// database decides. Most are asked for together with the epoch, in one round trip, since their users are known; the
    /// epochs of the others take a second. What is read later can only say no: a session that was ended in between has an
    /// epoch that is higher, or gone.
    fn read(
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

    /// To be taken before the database is asked. With `for_missing`, sessions that Redis lacks can be brought, which takes
    /// a round trip: Redis is asked for its time.
    pub(super) fn ticket(
        &self,
        known: Known,
        for_missing: bool,
        deadline: Instant,
    ) -> Option<Ticket> {
        if !for_missing {
            return Some(Ticket { known, missed_at_ms: None });
        }
        let time = self.run(&known, deadline, |connection| {
            redis::cmd("TIME").query::<(u64, u64)>(connection.driver())
        });
        let (seconds, micros) = time?;
        Some(Ticket { known, missed_at_ms: Some(seconds * 1_000 + micros / 1_000) })
    }

    /// Brings sessions that were missing, and the times of those that were not, in one round trip. Nothing is kept of one
    /// that was ended meanwhile.
    pub(super) fn update(&self, ticket: &Ticket, copies: &[Copy], deadline: Instant) {
        if copies.is_empty() {
            return;
        }
        let keys = Keys::of(ticket.known.generation);
        let mut calls = Calls::default();
        for Copy { digest, row, is_missing } in copies {
            match ticket.missed_at_ms.filter(|_| *is_missing) {
                Some(missed_at_ms) => {
                    calls.add(&self.scripts.fill, &self.fill(&keys, digest, row, missed_at_ms));
                }
                None => calls.add(&self.scripts.refresh, &self.refresh(&keys, digest, row)),
            }
        }
        self.run(&ticket.known, deadline, |connection| calls.send(connection));
    }

    fn fill(
        &self,
        keys: &Keys,
        digest: &[u8; 32],
        row: &SessionRow,
        missed_at_ms: u64,
    ) -> ScriptInvocation<'_> {
        let mut call = self.scripts.fill.key(keys.session(digest));
        call.key(keys.tombstone(digest)).key(keys.user(row.user_id)).key(keys.index(row.user_id));
        call.arg(keys.prefix()).arg(Hex::of_digest(digest));
        call.arg(missed_at_ms).arg(millis(FILL_LATE_MAX)).arg(text_of(row));
        call
    }

    fn refresh(&self, keys: &Keys, digest: &[u8; 32], row: &SessionRow) -> ScriptInvocation<'_> {
        let mut call = self.scripts.refresh.key(keys.session(digest));
        call.key(keys.user(row.user_id)).key(keys.index(row.user_id));
        call.arg(Hex::of_digest(digest));
        call.arg(Hex::of_number(row.last_seen_at_ms)).arg(Hex::of_number(row.expires_at_ms));
        call
    }

    /// Ends sessions that were ended in the database. Returns for how long others may still find one here.
    ///
    /// # Errors
    /// When the database cannot be told that Redis could not be told. Then others may find the sessions
    /// for longer, and the revocation must not be acknowledged.
    pub(super) fn end(&self, digests: &[[u8; 32]]) -> Result<Duration, StoreError> {
        self.end_by(|keys, connection| {
            let mut calls = Calls::default();
            for digest in digests {
                let mut call = self.scripts.end_one.key(keys.session(digest));
                call.key(keys.tombstone(digest));
                call.arg(keys.prefix()).arg(Hex::of_digest(digest)).arg(millis(TOMBSTONE));
                calls.add(&self.scripts.end_one, &call);
            }
            calls.send(connection)
        })
    }

    /// Ends every session of a user whose epoch was raised to `epoch` in the database. Returns for how
    /// long others may still find one here.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub(super) fn end_all(&self, user_id: u64, epoch: u32) -> Result<Duration, StoreError> {
        self.end_by(|keys, connection| {
            let mut call = self.scripts.end_all.key(keys.user(user_id));
            call.key(keys.index(user_id));
            call.arg(keys.prefix()).arg(Hex::of_epoch(epoch)).arg(millis(TOMBSTONE));
            call.invoke(connection.driver())
        })
    }

    /// The database was asked for an end and gave no answer: what is here may have to be [forgotten](Self::make_up).
    pub(super) fn doubt_end(&self) {
        self.generations.doubt_revocation();
    }

    /// Makes every server forget what is here, if this one has ends to make up for. To be called once a second. Blocks.
    ///
    /// # Errors
    /// When the database could not be told. To be called again.
    pub(super) fn make_up(&self) -> Result<(), StoreError> {
        self.generations.make_up()
    }

    /// The same for a server that stops.
    ///
    /// # Errors
    /// As for [`make_up`](Self::make_up).
    pub(super) fn make_up_at_last(&self) -> Result<(), StoreError> {
        self.generations.make_up_at_last()
    }

    /// Makes every server forget what is here. Returns for how long others may still find it.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub(super) fn forget(&self) -> Result<Duration, StoreError> {
        Ok(self.generations.raise()?.settles_in())
    }

    /// The generation is read after the commit, so that whatever begins later finds the session dead in
    /// the database, and what began under this one or before is dealt with here.
    fn end_by(
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

/// Calls of scripts that are sent together.
#[derive(Default)]
struct Calls<'a> {
    loaded: Vec<&'a Script>,
    commands: Pipeline,
}

impl<'a> Calls<'a> {
    /// The script goes ahead of its first call: to learn first that a Redis has forgotten it costs more than to repeat a
    /// kilobyte or two.
    fn add(&mut self, script: &'a Script, call: &ScriptInvocation<'_>) {
        if !self.loaded.iter().any(|loaded| std::ptr::eq(*loaded, script)) {
            self.loaded.push(script);
            self.commands.load_script(script).ignore();
        }
        self.commands.invoke_script(call).ignore();
    }

    fn send(&self, connection: &mut Connection) -> RedisResult<()> {
        self.commands.exec(connection.driver())
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
