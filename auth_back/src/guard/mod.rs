//! Throttling of guesses: who may try a password now, and who has to wait.
//!
//! Every attempt is *reserved* before anything is hashed or looked up, and settled after it
//! ([`Reservation`]). It is charged to these buckets, each of which may refuse it (429):
//!
//! | bucket | counts | over it |
//! |---|---|---|
//! | account and network | wrong guesses at one name from one network (/32, or /64 of IPv6), until one is right | waits double from a second to [`GuardRules::delay_max`] |
//! | account and device | the same, of one known device or live session; takes the place of the first and of the network's | the same |
//! | account | wrong guesses at one name in a row, from everywhere | at [`GuardRules::account_failures`] strangers share a slow lane, one attempt an hour |
//! | network | wrong guesses, names told, accounts made, from one network | waits double from a second to a minute; leaks |
//!
//! # Why it cannot be used against somebody
//!
//! A user who is known is judged by what came from their own network or with their own device, and
//! by nothing else. *Known* is whoever has a marker from an earlier login
//! ([`crate::credentials::DeviceMarker`]), or has logged in to that account from that network within
//! 30 days. Guesses from elsewhere do not touch them, however many. They stay known as long as they
//! do not fail [`GuardRules::account_failures`] times in a row themselves, which is what bounds
//! the use of a stolen marker.
//!
//! What is left to an attacker with very many networks is to keep the slow lane of an account busy,
//! so that its owner cannot log in *from a new network on a new device* for as long as the attack
//! goes on. That is the price of the limit of NIST SP 800-63B-4, section 3.2.2 (100 failures in a
//! row, whereupon it would have the password disabled altogether).
//!
//! # Without an address
//!
//! A v1 client says no address, nor does a front that does not know it. All such attempts are one
//! network as far as an account is concerned, and the per-network bucket is left out: a single
//! bucket for everybody would let one guesser lock out all. Behind such a front a guesser can delay
//! the owner of an account; that ends with a front that says addresses.
//!
//! # State
//!
//! Three tables of fixed size ([`table`](self)), one for each row but that devices share the first,
//! so that a flood of one kind pushes out none of another. Nothing is allocated for an attempt.
//! State is a server's own and starts empty: a restart forgets, and of several servers each allows as
//! much. With Redis (`--sessions redis://…`) they allow it together ([`shared`](self)); while that
//! is away, each is on its own again.

mod bucket;
pub mod limits;
mod reservation;
mod shared;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod time;

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use addresses::Network;
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

pub use reservation::Reservation;

use crate::credentials::{DeviceMarker, RandomError, Username, random};
use crate::redis_pool::RedisPool;
use bucket::{Account, Ladder, Pair, Wait, failures_worth, pair_worth};
use limits::{
    DELAY_FIRST, KNOWN_FOR, NETWORK_BURST_MINUTES, NETWORK_DELAY_MAX, SLOW_LANE_INTERVAL,
};
use shared::{Answer, Buckets, Shared};
use source::Source;
use table::Table;
use time::{Clock, Span, Tick};

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardRules {
    /// Wrong guesses at an account from one network, or with one device, before waits begin.
    pub free: u16,
    /// The longest of these waits.
    pub delay_max: Duration,
    /// Failures of an account in a row before strangers share its slow lane.
    pub account_failures: u16,
    /// Failures and registrations of one network a minute; ten times as many at once.
    pub network_per_minute: u16,
    /// Addresses that are not judged by their network.
    pub exempt: Box<[Network]>,
    /// Bytes of all tables together.
    pub memory: u64,
}

/// One attempt to log in.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The account, whether it exists or not: a limit that knew would tell.
    pub username: &'a Username,
    /// The user's address, as the front said.
    pub address: Option<IpAddr>,
    /// What shows that they have been in this account before, if they show it.
    pub known: Option<Known<'a>>,
}

/// What somebody has who has logged in to an account before. Was checked for that account.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// A marker.
    Device(&'a DeviceMarker),
    /// A live session, by its id: its user is asked for the password once more.
    Session(u64),
}

/// What refused an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// One account, from one network.
    AccountNetwork,
    /// One account, with one device or session.
    AccountDevice,
    /// One account, from everywhere.
    Account,
    /// One network.
    Network,
}

/// No attempt now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; the next one may come in {} seconds", retry_after.as_secs_f32().ceil())]
pub struct TooManyAttempts {
    /// When one may be let through again.
    pub retry_after: Duration,
    /// For counters and logs; whoever asked is not told.
    pub bucket: Bucket,
}

/// The limiter. Shared by all workers; blocks for a look at a table, and for a
/// round trip to Redis where there is one.
pub struct Guard {
    rules: GuardRules,
    clock: Clock,
    /// Of the hash of keys, so that nobody can choose names that share a set.
    seed: (u64, SharedSeed),
    pair: Pair,
    account: Account,
    network: bucket::Network,
    pairs: Table,
    accounts: Table,
    networks: Table,
    refused: [AtomicU64; Bucket::ALL.len()],
    shared: Option<Shared>,
}

/// What other servers know of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// They have been there before.
    Known,
    /// Nothing, or there is nobody to ask.
    Stranger,
    /// Their marker has failed too often.
    Distrusted,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::AccountNetwork, Self::AccountDevice, Self::Account, Self::Network];

    /// A word for counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountNetwork => "account_network",
            Self::AccountDevice => "account_device",
            Self::Account => "account",
            Self::Network => "network",
        }
    }
}

impl Guard {
    /// A limiter that has seen nothing. Reserves all memory that it will ever use.
    ///
    /// # Errors
    /// [`RandomError`] when the system gives no random bytes.
    pub fn new(rules: GuardRules) -> Result<Self, RandomError> {
        let (hasher, shared) = (random::bytes()?, random::bytes()?);
        let first = Span::whole(DELAY_FIRST);
        let minute = Span::whole(Duration::from_secs(60));
        Ok(Self {
            clock: Clock::starting(clock::now()),
            seed: (u64::from_ne_bytes(hasher), SharedSeed::from_u64(u64::from_ne_bytes(shared))),
            pair: Pair {
                ladder: Ladder {
                    free: rules.free.into(),
                    first,
                    longest: Span::whole(rules.delay_max),
                },
                trust_failures_max: rules.account_failures.into(),
                known_for: Span::whole(KNOWN_FOR),
            },
            account: Account {
                failures_max: rules.account_failures.into(),
                interval: Span::whole(SLOW_LANE_INTERVAL),
            },
            network: bucket::Network {
                ladder: Ladder {
                    free: u32::from(rules.network_per_minute * NETWORK_BURST_MINUTES),
                    first,
                    longest: Span::whole(NETWORK_DELAY_MAX),
                },
                leak: minute.over(rules.network_per_minute.into()),
            },
            // A login leaves an entry in the first for each network that it came from.
            pairs: Table::new(rules.memory / 2, pair_worth),
            accounts: Table::new(rules.memory / 4, failures_worth),
            networks: Table::new(rules.memory / 4, failures_worth),
            refused: Default::default(),
            shared: None,
            rules,
        })
    }

    /// The same, sharing what it counts with other servers through Redis.
    #[must_use]
    pub fn shared_through(mut self, redis: RedisPool) -> Self {
        self.shared = Some(Shared::new(redis, &self.rules));
        self
    }

    /// Reserves an attempt to log in, before anything is done for it.
    ///
    /// # Errors
    /// [`TooManyAttempts`]: nothing is to be looked up or hashed.
    pub fn reserve_login(
        self: &Arc<Self>,
        attempt: &Attempt<'_>,
        now: Instant,
    ) -> Result<Reservation, TooManyAttempts> {
        let tick = self.clock.tick(now);
        let Attempt { username, address, known } = *attempt;
        let source = Source::of(address);
        let mut reservation = Reservation::new(Arc::clone(self), tick);
        let is_known = match known.map(|known| (known, self.known_key(username, known))) {
            Some((known, key)) if self.is_trusted(key, tick) => {
                self.charge_pair(Bucket::AccountDevice, key, tick, &mut reservation)?;
                reservation.set_network_of_device(self.pair_key(username, source));
                let buckets =
                    || Buckets::default().known(username, known, source).account(username);
                match self.share(buckets, &mut reservation)? {
                    Standing::Distrusted => {
                        drop(reservation);
                        return self.reserve_login(&Attempt { known: None, ..*attempt }, now);
                    }
                    Standing::Known | Standing::Stranger => true,
                }
            }
            _ => {
                let counted = self.charge_network(address, tick, &mut reservation)?;
                let key = self.pair_key(username, source);
                let is_known =
                    self.charge_pair(Bucket::AccountNetwork, key, tick, &mut reservation)?;
                let buckets = || {
                    let network = Buckets::default();
                    let network = if counted { network.network(source) } else { network };
                    network.pair(username, source, is_known).account(username)
                };
                // Known to another server is known.
                self.share(buckets, &mut reservation)? == Standing::Known || is_known
            }
        };
        let key = self.key(b'a', |hasher| hasher.write(username.as_str().as_bytes()));
        let charged =
            self.accounts.visit(key, tick, |entry| self.account.charge(entry, is_known, tick));
        reservation.add(Bucket::Account, key, self.judge(Bucket::Account, charged)?);
        Ok(reservation)
    }

    /// Reserves an attempt to make an account. All that come to an answer count: whether a name is
    /// free is told by success and refusal alike.
    ///
    /// # Errors
    /// [`TooManyAttempts`]: nothing is to be looked up or hashed.
    pub fn reserve_registration(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<Reservation, TooManyAttempts> {
        let tick = self.clock.tick(now);
        let mut reservation = Reservation::new(Arc::clone(self), tick);
        if self.charge_network(address, tick, &mut reservation)? {
            let buckets = || Buckets::default().network(Source::of(address));
            self.share(buckets, &mut reservation)?;
        }
        Ok(reservation)
    }

    /// How many attempts this bucket has refused.
    #[must_use]
    pub fn refused(&self, bucket: Bucket) -> u64 {
        self.refused[bucket as usize].load(Ordering::Relaxed)
    }

    /// Bytes of all tables together, whether they are in use yet or not.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.pairs.bytes() + self.accounts.bytes() + self.networks.bytes()
    }

    /// Charges somebody's attempts at an account, and says whether they are known there.
    fn charge_pair(
        &self,
        bucket: Bucket,
        key: u64,
        now: Tick,
        reservation: &mut Reservation,
    ) -> Result<bool, TooManyAttempts> {
        let (known, charged) = self.pairs.visit(key, now, |entry| {
            (self.pair.is_known(entry, now), self.pair.charge(entry, now))
        });
        reservation.add(bucket, key, self.judge(bucket, charged)?);
        Ok(known)
    }

    /// Charges a network, and says whether it is counted at all.
    fn charge_network(
        &self,
        address: Option<IpAddr>,
        now: Tick,
        reservation: &mut Reservation,
    ) -> Result<bool, TooManyAttempts> {
        let Some(address) = address else { return Ok(false) };
        if self.rules.exempt.iter().any(|network| network.contains(address)) {
            return Ok(false);
        }
        let key = self.key(b'n', |hasher| Source::of(Some(address)).hash(hasher));
        let charged = self.networks.visit(key, now, |entry| self.network.charge(entry, now));
        reservation.add(Bucket::Network, key, self.judge(Bucket::Network, charged)?);
        Ok(true)
    }

    /// Charges the same in Redis, if there is one.
    fn share(
        &self,
        buckets: impl FnOnce() -> Buckets,
        reservation: &mut Reservation,
    ) -> Result<Standing, TooManyAttempts> {
        let Some(shared) = &self.shared else { return Ok(Standing::Stranger) };
        match shared.reserve(buckets()) {
            Answer::Through { is_known, ticket } => {
                reservation.set_shared(ticket);
                Ok(if is_known { Standing::Known } else { Standing::Stranger })
            }
            Answer::Refused(refused) => {
                self.refused[refused.bucket as usize].fetch_add(1, Ordering::Relaxed);
                Err(refused)
            }
            Answer::Distrusted => Ok(Standing::Distrusted),
            Answer::Away => Ok(Standing::Stranger),
        }
    }

    fn judge<T>(&self, bucket: Bucket, charged: Result<T, Wait>) -> Result<T, TooManyAttempts> {
        charged.map_err(|Wait(span)| {
            self.refused[bucket as usize].fetch_add(1, Ordering::Relaxed);
            TooManyAttempts { retry_after: span.into(), bucket }
        })
    }

    /// A marker that fails without end is one that was stolen.
    fn is_trusted(&self, key: u64, now: Tick) -> bool {
        self.pairs.visit_known(key, now, |entry| self.pair.is_trusted(entry)).unwrap_or(true)
    }

    fn table(&self, bucket: Bucket) -> &Table {
        match bucket {
            Bucket::AccountNetwork | Bucket::AccountDevice => &self.pairs,
            Bucket::Account => &self.accounts,
            Bucket::Network => &self.networks,
        }
    }

    fn pair_key(&self, username: &Username, source: Source) -> u64 {
        self.key(b'p', |hasher| {
            hasher.write(username.as_str().as_bytes());
            source.hash(hasher);
        })
    }

    fn known_key(&self, username: &Username, known: Known<'_>) -> u64 {
        let username = username.as_str().as_bytes();
        match known {
            Known::Device(marker) => self.key(b'd', |hasher| {
                hasher.write(username);
                hasher.write(marker.id());
            }),
            Known::Session(id) => self.key(b's', |hasher| {
                hasher.write(username);
                hasher.write_u64(id);
            }),
        }
    }

    fn key(&self, kind: u8, write: impl FnOnce(&mut FoldHasher<'_>)) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed.0, &self.seed.1);
        hasher.write_u8(kind);
        write(&mut hasher);
        hasher.finish()
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seed is for nobody's eyes.
        f.debug_struct("Guard").field("rules", &self.rules).finish_non_exhaustive()
    }
}
