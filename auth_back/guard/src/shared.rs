//! The same buckets in Redis, so that several servers allow together what one would allow alone.
//!
//! One script reserves an attempt in all of its buckets or in none, one settles it; what they do is
//! the arithmetic of [`super::bucket`] once more. When Redis is away, each server's own tables decide,
//! and each allows as much as is set; nothing is let through for that reason that one server would not
//! let through. A settlement that Redis did not get leaves an attempt counted that should not be: as much
//! as one wrong guess. A success clears Redis and the server that saw it; what another server counted in
//! its own table stays there until a success that it sees, so it may refuse a little early, never late.
//!
//! # Memory
//!
//! Entries lie in sets, as in [`super::table`]: so many sets of so many entries
//! ([`SHARED_SETS`], at most [`SHARED_BYTES_MAX`](super::limits::SHARED_BYTES_MAX)), and when a set is
//! full, the entry of least worth goes. No flood of names takes more, nor pushes out what counts many
//! failures. A set lives for as long as its youngest entry matters.
//!
//! | key | holds | lives |
//! |---|---|---|
//! | `gh2:guard:seed` | what fields are made with | for ever |
//! | `gh2:guard:p:NUMBER` | accounts, each from a network, with a device or in a session | 30 days, or the longest wait if that is more |
//! | `gh2:guard:P:NUMBER` | accounts, each from a /56 or a /48 | likewise |
//! | `gh2:guard:a:NUMBER` | accounts from everywhere | likewise |
//! | `gh2:guard:n:NUMBER`, `gh2:guard:N:NUMBER` | networks; those wider than a /64 | until they have leaked, two hours at most |
//!
//! A field is eight bytes of HMAC-SHA256 over what the bucket counts, under a random seed that servers
//! find in Redis: whoever chooses names cannot choose those that share a set, and whoever reads Redis does
//! not read names there.

use std::sync::Arc;

use credentials::{RandomError, random};
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::{Mutex, RwLock};
use redis::Script;
use redis_pool::{Connection, RedisPool};
use sha2::Sha256;
use sparing::sparing;

use super::bucket::{Kind, No, Outcome, Rules, Width};
use super::buckets::{Bucket, Buckets};
use super::limits::{NETWORK_BURSTS_MAX, SHARED_SETS, SHARED_TIME_MAX};

/// Marks the layout: what another one wrote is not read.
const PREFIX: &str = "gh2:guard:";

/// Bytes of a field.
const FIELD_LEN: usize = 8;

/// The buckets in Redis.
pub(super) struct Shared {
    redis: RedisPool,
    rules: Arc<RwLock<Rules>>,
    reserve: Script,
    charge: Script,
    settle: Script,
    unlock: Script,
    /// None before it was first asked for.
    seed: Mutex<Option<Seed>>,
    /// What becomes the seed if there is none.
    own_seed: String,
}

/// What fields are made with.
#[derive(Clone)]
struct Seed {
    text: String,
    mac: Hmac<Sha256>,
}

/// An attempt that is counted in Redis.
#[derive(Debug)]
pub(super) struct SharedTicket {
    /// Whether whoever tries is known to the account.
    pub(super) is_known: bool,
    charged: Vec<Charged>,
    becomes_known: Option<Place>,
    at: u64,
}

/// Where an entry lies.
#[derive(Clone, Debug)]
struct Place {
    set: String,
    field: [u8; FIELD_LEN],
}

/// What was charged where.
#[derive(Debug)]
struct Charged {
    kind: Kind,
    place: Place,
    level: i64,
    last_before: i64,
    mark_before: i64,
    count: i64,
}

/// Why Redis does not let an attempt through.
#[derive(Debug)]
pub(super) enum SharedNo {
    /// It says no.
    No(No),
    /// It says nothing.
    Away,
}

impl Shared {
    /// # Errors
    /// [`RandomError`] when the system gives no random bytes.
    pub(super) fn new(redis: RedisPool, rules: Arc<RwLock<Rules>>) -> Result<Self, RandomError> {
        // The first is what they have in common.
        macro_rules! script {
            ($name:literal) => {
                Script::new(concat!(
                    include_str!("scripts/table.lua"),
                    include_str!(concat!("scripts/", $name, ".lua"))
                ))
            };
        }
        Ok(Self {
            redis,
            rules,
            reserve: script!("reserve"),
            charge: script!("charge"),
            settle: script!("settle"),
            unlock: script!("unlock"),
            seed: Mutex::default(),
            own_seed: format!("{:032x}", u128::from_ne_bytes(random::bytes()?)),
        })
    }

    /// Counts an attempt in all of its buckets, or in none. With `is_known`, whoever makes it is known to the
    /// server that asks. Blocks for a round trip, for two where the seed has to be asked for.
    pub(super) fn reserve(
        &self,
        buckets: &Buckets<'_>,
        is_known: bool,
    ) -> Result<SharedTicket, SharedNo> {
        self.reserve_at(buckets, is_known, 0)
    }

    /// The same at a time of the caller's, in tenths of a second; 0 for that of Redis.
    pub(super) fn reserve_at(
        &self,
        buckets: &Buckets<'_>,
        is_known: bool,
        at: u64,
    ) -> Result<SharedTicket, SharedNo> {
        let known = self.seed.lock().clone();
        let answered = self.redis.run(clock::now() + SHARED_TIME_MAX, |connection| {
            let seed = match known {
                Some(seed) => seed,
                None => self.fetch_seed(connection)?,
            };
            let call = self.call_reserve(&seed, buckets, is_known, at);
            let answer: Vec<i64> = call.invoke(connection.driver())?;
            if answer != [OTHER_SEED] {
                return Ok((seed, answer));
            }
            // Redis was emptied since, or is another.
            let seed = self.fetch_seed(connection)?;
            let call = self.call_reserve(&seed, buckets, is_known, at);
            let answer = call.invoke(connection.driver())?;
            Ok((seed, answer))
        });
        let (seed, answer) = answered.map_err(|_| SharedNo::Away)?;
        let ticket = ticket(&seed, buckets, &answer);
        if let Err(SharedNo::Away) = ticket {
            sparing!(ERROR, "Redis answered what no script of the limiter answers");
        }
        ticket
    }

    pub(super) fn redis(&self) -> &RedisPool {
        &self.redis
    }

    fn call_reserve<'s>(
        &'s self,
        seed: &Seed,
        buckets: &Buckets<'_>,
        is_known: bool,
        at: u64,
    ) -> redis::ScriptInvocation<'s> {
        let places: Vec<Place> = buckets.iter().map(|bucket| seed.place(bucket)).collect();
        let mut call = self.reserve.prepare_invoke();
        call.key(seed_key()).arg(&seed.text);
        call.arg(letters(buckets.iter().map(|bucket| bucket.kind)));
        call.arg(u8::from(is_known)).arg(at);
        let Rules { pair, failures_max, known_for, interval, network, leak } = *self.rules.read();
        for number in [
            pair.free,
            pair.first.raw(),
            pair.longest.raw(),
            failures_max,
            known_for.raw(),
            interval.raw(),
            network.free,
            network.longest.raw(),
            leak.raw(),
        ] {
            call.arg(number);
        }
        for place in &places {
            call.key(&place.set).arg(&place.field[..]);
        }
        call
    }

    /// The seed that all servers go by: this one's, if it is the first.
    fn fetch_seed(&self, connection: &mut Connection) -> redis::RedisResult<Seed> {
        let key = seed_key();
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(&self.own_seed).arg("NX").exec(connection.driver())?;
        let text: String = redis::cmd("GET").arg(&key).query(connection.driver())?;
        let mac = Hmac::new_from_slice(text.as_bytes()).expect("HMAC takes keys of any length");
        let seed = Seed { text, mac };
        *self.seed.lock() = Some(seed.clone());
        Ok(seed)
    }

    /// Counts an attempt so many times more in the buckets of its networks, as far as they go. Blocks for a
    /// round trip.
    pub(super) fn charge_more(&self, ticket: &mut SharedTicket, more: u32) {
        let networks =
            ticket.charged.iter_mut().filter(|charged| matches!(charged.kind, Kind::Network(_)));
        let networks: Vec<&mut Charged> = networks.collect();
        if networks.is_empty() {
            return;
        }
        let added = self.redis.run(clock::now() + SHARED_TIME_MAX, |connection| {
            let mut call = self.charge.prepare_invoke();
            call.arg(more).arg(self.rules.read().network.free * NETWORK_BURSTS_MAX);
            let width = |charged: &&mut Charged| char::from(charged.kind.width_digit());
            call.arg(networks.iter().map(width).collect::<String>());
            for Charged { place, .. } in networks.iter().map(|charged| &**charged) {
                call.key(&place.set).arg(&place.field[..]);
            }
            call.invoke::<Vec<i64>>(connection.driver())
        });
        // One that is away has counted it once.
        for (charged, added) in networks.into_iter().zip(added.unwrap_or_default()) {
            charged.level += added;
            charged.count += added;
        }
    }

    /// Says what came of an attempt. Blocks for a round trip.
    pub(super) fn settle(&self, ticket: &SharedTicket, outcome: Outcome) {
        let SharedTicket { charged, becomes_known, at, .. } = ticket;
        // Nobody waits for more than this, and the log tells of a Redis that is away.
        let _ = self.redis.run(clock::now() + SHARED_TIME_MAX, |connection| {
            let mut call = self.settle.prepare_invoke();
            call.arg(letters(charged.iter().map(|charged| charged.kind)));
            call.arg(match outcome {
                Outcome::Right => "right",
                Outcome::Nothing => "nothing",
                Outcome::Held => "held",
            });
            call.arg(*at).arg(self.rules.read().known_for.raw());
            for Charged { place, level, last_before, mark_before, count, .. } in charged {
                call.key(&place.set).arg(&place.field[..]);
                call.arg(&[*level, *last_before, *mark_before, *count][..]);
            }
            if let Some(place) = becomes_known {
                call.key(&place.set).arg(&place.field[..]);
            }
            call.invoke::<()>(connection.driver())
        });
    }
}

impl Shared {
    /// Forgets what was counted in these buckets; false if Redis is away. Blocks for two round trips.
    pub(super) fn unlock(&self, buckets: &Buckets<'_>) -> bool {
        let done = self.redis.run(clock::now() + SHARED_TIME_MAX, |connection| {
            let seed = self.fetch_seed(connection)?;
            let mut call = self.unlock.prepare_invoke();
            call.arg(letters(buckets.iter().map(|bucket| bucket.kind)));
            call.arg(self.rules.read().known_for.raw());
            for Place { set, field } in buckets.iter().map(|bucket| seed.place(bucket)) {
                call.key(set).arg(&field[..]);
            }
            call.invoke::<()>(connection.driver())
        });
        done.is_ok()
    }
}

/// What the script says of a seed that is not the one in Redis.
const OTHER_SEED: i64 = -2;

/// What the script's answer means.
fn ticket(seed: &Seed, buckets: &Buckets<'_>, answer: &[i64]) -> Result<SharedTicket, SharedNo> {
    match answer {
        [0, is_known, at, entries @ ..] => {
            let (entries, []) = entries.as_chunks::<3>() else { return Err(SharedNo::Away) };
            let charged = buckets.iter().zip(entries).filter(|(_, [level, ..])| *level >= 0).map(
                |(bucket, [level, last_before, mark_before])| Charged {
                    kind: bucket.kind,
                    place: seed.place(bucket),
                    level: *level,
                    last_before: *last_before,
                    mark_before: *mark_before,
                    count: 1,
                },
            );
            Ok(SharedTicket {
                is_known: *is_known == 1,
                charged: charged.collect(),
                becomes_known: buckets.becomes_known.map(|bucket| seed.place(&bucket)),
                at: u64::try_from(*at).map_err(|_| SharedNo::Away)?,
            })
        }
        [-1] if buckets.iter().any(|bucket| bucket.kind == Kind::Device) => {
            Err(SharedNo::No(No::Distrusted))
        }
        [number, wait] => {
            let number = usize::try_from(*number).unwrap_or(0).wrapping_sub(1);
            let bucket = buckets.iter().nth(number).ok_or(SharedNo::Away)?;
            let wait = u32::try_from(*wait).map_err(|_| SharedNo::Away)?;
            Err(SharedNo::No(No::Wait(bucket.kind, super::time::Span::from_raw(wait))))
        }
        _ => Err(SharedNo::Away),
    }
}

impl Seed {
    fn place(&self, bucket: &Bucket<'_>) -> Place {
        let mut mac = self.mac.clone();
        bucket.feed(|piece| mac.update(piece));
        let digest = mac.finalize().into_bytes();
        let (field, rest) = digest.split_at(FIELD_LEN);
        let number = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
        let (letter, sets) = table_of(bucket.kind);
        // The upper half of the product: evenly from 0 to one less than there are.
        let set = (u64::from(number) * u64::from(sets)) >> u32::BITS;
        let field = field.try_into().expect("so long");
        Place { set: format!("{PREFIX}{letter}:{set}"), field }
    }
}

/// The table of a kind, and how many sets it has.
const fn table_of(kind: Kind) -> (char, u32) {
    let [pairs, wide_pairs, accounts, networks, wide_networks] = SHARED_SETS;
    match kind {
        Kind::Pair(Width::Own) | Kind::Device => ('p', pairs),
        Kind::Pair(_) => ('P', wide_pairs),
        Kind::Account => ('a', accounts),
        Kind::Network(Width::Own) | Kind::Registrations(Width::Own) => ('n', networks),
        Kind::Network(_) | Kind::Registrations(_) => ('N', wide_networks),
    }
}

fn seed_key() -> String {
    format!("{PREFIX}seed")
}

/// Two letters for each kind, as scripts call it.
fn letters(kinds: impl Iterator<Item = Kind>) -> String {
    let letters = |kind: Kind| [kind.letter(), kind.width_digit()].map(char::from);
    kinds.flat_map(letters).collect()
}
