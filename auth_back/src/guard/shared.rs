//! The same buckets in Redis, so that several servers allow together what one would allow alone.
//!
//! One script reserves an attempt in all of its buckets or in none, one settles it; what they do is
//! the arithmetic of [`super::bucket`] once more. A server asks its own tables first: what those
//! refuse costs no round trip. When Redis is away they alone decide, and each server allows as much
//! as is set; nothing is let through for that reason that one server would not let through. A
//! settlement that Redis did not get leaves an attempt counted that should not be: as much as one
//! wrong guess. A success clears Redis and the server that saw it; what another server counted in its
//! own table stays there until a success that it sees, so it may refuse a little early, never late.
//!
//! | key | holds | lives |
//! |---|---|---|
//! | `gh1:guard:n:NETWORK` | a network | until it has leaked |
//! | `gh1:guard:p:NAME:NETWORK` | an account from a network | 30 days after a success or with five failures, else 10 minutes |
//! | `gh1:guard:d:NAME:ID` | an account with a device, by a digest, or a session | likewise |
//! | `gh1:guard:a:NAME` | an account from everywhere | likewise |
//!
//! So a flood of names takes memory for ten minutes, about 400 bytes a name. A Redis whose memory is
//! full refuses to write; then it counts as away.

use std::time::Duration;

use redis::Script;

use super::limits::{
    DELAY_FIRST, KNOWN_FOR, NETWORK_BURST_MINUTES, NETWORK_DELAY_MAX, SHARED_TIME_MAX,
    SLOW_LANE_INTERVAL,
};
use super::source::Source;
use super::{Bucket, GuardRules, Known, TooManyAttempts};
use crate::accounts::millis;
use crate::credentials::Username;
use crate::redis_pool::RedisPool;

/// The buckets in Redis.
pub(super) struct Shared {
    redis: RedisPool,
    reserve: Script,
    settle: Script,
    /// What the first script is told of the rules, from its second argument on.
    rules: [u64; 9],
}

/// The buckets of one attempt, in the order in which they judge.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    kinds: String,
    keys: Vec<String>,
    of: Vec<Bucket>,
    /// Of a device: where its network is remembered.
    network_of_device: Option<String>,
    /// Whether this server knows them, whatever Redis remembers.
    is_known: bool,
}

/// What Redis said to an attempt.
pub(super) enum Answer {
    /// It is counted.
    Through {
        /// Whether whoever tries is known to the account.
        is_known: bool,
        /// To settle it with.
        ticket: Ticket,
    },
    /// It is not, nor are others in the next time.
    Refused(TooManyAttempts),
    /// The device has failed too often to be known.
    Distrusted,
    /// Nobody knows.
    Away,
}

/// An attempt that is counted in Redis.
#[derive(Debug)]
pub(super) struct Ticket {
    buckets: Buckets,
    at_ms: u64,
    /// When the attempt before was let through, of each bucket.
    before_ms: Vec<u64>,
}

impl Shared {
    pub(super) fn new(redis: RedisPool, rules: &GuardRules) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            redis,
            reserve: Script::new(include_str!("scripts/reserve.lua")),
            settle: Script::new(include_str!("scripts/settle.lua")),
            rules: [
                rules.free.into(),
                millis(DELAY_FIRST),
                millis(rules.delay_max),
                rules.account_failures.into(),
                millis(KNOWN_FOR),
                millis(SLOW_LANE_INTERVAL),
                u64::from(rules.network_per_minute) * u64::from(NETWORK_BURST_MINUTES),
                millis(NETWORK_DELAY_MAX),
                millis(minute / u32::from(rules.network_per_minute)),
            ],
        }
    }

    /// Counts an attempt in all of its buckets, or in none.
    pub(super) fn reserve(&self, buckets: Buckets) -> Answer {
        if buckets.keys.is_empty() {
            return Answer::Away;
        }
        let answer = self.redis.run(clock::now() + SHARED_TIME_MAX, |connection| {
            let mut call = self.reserve.prepare_invoke();
            for key in &buckets.keys {
                call.key(key);
            }
            call.arg(&buckets.kinds).arg(&self.rules[..]).arg(u8::from(buckets.is_known));
            call.invoke::<Vec<i64>>(connection.driver())
        });
        let Ok(answer) = answer else { return Answer::Away };
        let unsigned = |number: &i64| u64::try_from(*number).unwrap_or(0);
        match &answer[..] {
            [0, is_known, at, before @ ..] if before.len() == buckets.keys.len() => {
                let before_ms = before.iter().map(unsigned).collect();
                let ticket = Ticket { buckets, at_ms: unsigned(at), before_ms };
                Answer::Through { is_known: *is_known == 1, ticket }
            }
            [-1] => Answer::Distrusted,
            [place, wait] => {
                let place = usize::try_from(*place).unwrap_or(0).wrapping_sub(1);
                let Some(&bucket) = buckets.of.get(place) else { return Answer::Away };
                let retry_after = Duration::from_millis(unsigned(wait));
                Answer::Refused(TooManyAttempts { retry_after, bucket })
            }
            _ => Answer::Away,
        }
    }

    /// Says what came of an attempt: the password was right, or nothing.
    pub(super) fn settle(&self, ticket: &Ticket, is_right: bool) {
        let Ticket { buckets, at_ms, before_ms } = ticket;
        // Nobody waits for more than this, and the log tells of a Redis that is away.
        let _ = self.redis.run(clock::now() + SHARED_TIME_MAX, |connection| {
            let mut call = self.settle.prepare_invoke();
            for key in buckets.keys.iter().chain(&buckets.network_of_device) {
                call.key(key);
            }
            call.arg(&buckets.kinds).arg(if is_right { "right" } else { "nothing" });
            call.arg(*at_ms).arg(millis(KNOWN_FOR)).arg(&before_ms[..]);
            call.invoke::<()>(connection.driver())
        });
    }
}

impl Buckets {
    /// That of a network.
    pub(super) fn network(mut self, source: Source) -> Self {
        self.add('n', Bucket::Network, &source.to_string());
        self
    }

    /// That of an account and a network, which this server knows or does not.
    pub(super) fn pair(mut self, username: &Username, source: Source, is_known: bool) -> Self {
        self.is_known = is_known;
        self.add('p', Bucket::AccountNetwork, &format!("{username}:{source}"));
        self
    }

    /// That of an account and what is known of it, in this network.
    pub(super) fn known(mut self, username: &Username, known: Known<'_>, source: Source) -> Self {
        let id = match known {
            Known::Device(marker) => marker.digest(),
            Known::Session(id) => format!("session-{id}"),
        };
        self.add('d', Bucket::AccountDevice, &format!("{username}:{id}"));
        self.network_of_device = Some(key('p', &format!("{username}:{source}")));
        self
    }

    /// That of an account, after one of the others of it.
    pub(super) fn account(mut self, username: &Username) -> Self {
        self.add('a', Bucket::Account, username.as_str());
        self
    }

    fn add(&mut self, kind: char, bucket: Bucket, name: &str) {
        self.kinds.push(kind);
        self.keys.push(key(kind, name));
        self.of.push(bucket);
    }
}

/// Names have no colon, so no two keys are one.
fn key(kind: char, name: &str) -> String {
    format!("gh1:guard:{kind}:{name}")
}
