//! Throttling of guesses: who may try a password now, and who has to wait.
//!
//! Every attempt is *reserved* before anything is hashed or looked up, and settled after it
//! ([`Reservation`]). It is charged to these buckets, in this order, each of which may refuse it (429):
//!
//! | bucket | counts | over it |
//! |---|---|---|
//! | account and network | wrong guesses at one name from one network, until one is right | waits double from a second to [`GuardRules::delay_max`] |
//! | account and device | the same, of one known device or live session; takes the place of the first and of the network's | the same |
//! | network | wrong guesses and names told, from one network | waits double from a second to a minute; leaks |
//! | registrations | accounts made and names told by that, from one network, and nothing else | the same |
//! | account | wrong guesses at one name in a row, from everywhere | at [`GuardRules::account_failures`] strangers use a slow lane |
//!
//! A network is an address of IPv4, or a /64 of IPv6. The /56 and the /48 around it are counted too, with 4
//! and 16 times the allowance and waits as much shorter: a single host can have a /48, which is 65,536
//! networks.
//!
//! # Who is known
//!
//! A user who is known is judged by what came from their own network or with their own device, and
//! by nothing else: not by what others do to this account, nor by what others at the same address do to
//! other accounts. *Known* is whoever has a marker from an earlier login
//! ([`credentials::DeviceMarker`]), or has logged in to that account from that network within
//! 30 days. They stay known as long as they do not fail [`GuardRules::account_failures`] times in a row
//! themselves, which is what bounds the use of a stolen marker.
//!
//! The price is at an address that many share: a guesser there is not stopped by the network's bucket at
//! accounts whose owners have logged in from there, and has the free guesses at each of them.
//!
//! # The slow lane
//!
//! NIST SP 800-63B-4, section 3.2.2, wants an account's password disabled after 100 failures in a row. That
//! would be a lock that anybody can close. Instead strangers then have two turns an hour: one for all of
//! them, and one for networks that have not failed at this account within 30 days (a /56 fewer than 4 times,
//! a /48 fewer than 16 times). So an owner with a new device in a new network comes before those who come
//! every hour, however fast they ask; the first of these turns is an hour after the lane was entered. To
//! take it from the owner somebody has to bring a network a time that has not failed there: 24 addresses a
//! day, 720 for as long as they like, or 45 networks of the size /48.
//!
//! # What an attempt costs
//!
//! A record that another system made can cost a hundred times what ours do. An attempt at it is charged to
//! the network as often ([`Reservation::charge`]); to the account it is one guess.
//!
//! # State
//!
//! Tables of fixed size ([`table`](self)): accounts, pairs, networks, and the wider networks of the last two
//! apart, so that a flood of one kind pushes out none of another. Nothing is allocated for an attempt.
//! State is a server's own and starts empty: a restart forgets, and of several servers each allows as
//! much. With Redis (`--sessions redis://…`) they allow it together, and it outlives them
//! ([`shared`](self)); while that is away, each is on its own again. A server's own tables are asked first.
//! What they refuse costs no round trip, unless another server may know whoever asks.

mod attempt;
mod bucket;
mod buckets;
pub mod limits;
mod local;
mod reservation;
mod rules;
mod shared;
mod table;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod time;
pub mod unlocks;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use addresses::Source;
use parking_lot::RwLock;

pub use attempt::{Attempt, Bucket, Known, TooManyAttempts};
pub use reservation::Reservation;
pub use rules::{GuardNumbers, GuardRules};

use credentials::{RandomError, Username};
use redis_pool::RedisPool;

use bucket::{Kind, No, Rules};
use buckets::Buckets;
use local::Local;
use shared::{Shared, SharedNo};
use tables::Tables;
use time::{Clock, Tick};

/// The limiter. Shared by all workers; blocks for a look at a table, and for a
/// round trip to Redis where there is one.
pub struct Guard {
    rules: GuardRules,
    /// What `rules` began with, or has been changed to since. Of `tables` too.
    numbers: Arc<RwLock<Rules>>,
    clock: Clock,
    tables: Arc<Tables>,
    refused: [AtomicU64; Bucket::ALL.len()],
}

impl Guard {
    /// A limiter that has seen nothing. Reserves all memory that it will ever use.
    ///
    /// # Errors
    /// [`RandomError`] when the system gives no random bytes.
    pub fn new(rules: GuardRules) -> Result<Self, RandomError> {
        Self::with(rules, None)
    }

    /// The same, sharing what it counts with other servers through Redis.
    ///
    /// # Errors
    /// [`RandomError`] when the system gives no random bytes.
    pub fn sharing(rules: GuardRules, redis: RedisPool) -> Result<Self, RandomError> {
        Self::with(rules, Some(redis))
    }

    fn with(rules: GuardRules, redis: Option<RedisPool>) -> Result<Self, RandomError> {
        let numbers = Arc::new(RwLock::new(Rules::of(rules.numbers())));
        let local = Local::new(rules.memory, Arc::clone(&numbers))?;
        let shared = redis.map(|redis| Shared::new(redis, Arc::clone(&numbers))).transpose()?;
        Ok(Self {
            clock: Clock::starting(clock::now()),
            tables: Arc::new(Tables { local, shared }),
            numbers,
            refused: Default::default(),
            rules,
        })
    }

    /// Judges by these numbers from now on. What was counted stays counted.
    pub fn follow(&self, numbers: GuardNumbers) {
        *self.numbers.write() = Rules::of(numbers);
    }

    /// The Redis through which it counts, to be looked at.
    #[must_use]
    pub fn redis(&self) -> Option<&RedisPool> {
        self.tables.shared.as_ref().map(Shared::redis)
    }

    /// Reserves an attempt to log in, before anything is done for it.
    ///
    /// # Errors
    /// [`TooManyAttempts`]: nothing is to be looked up or hashed.
    pub fn reserve_login(
        &self,
        attempt: &Attempt<'_>,
        now: Instant,
    ) -> Result<Reservation, TooManyAttempts> {
        let tick = self.clock.tick(now);
        let Attempt { username, address, is_forwarded, known } = *attempt;
        let source = Source::of(address);
        if let Some(known) = known {
            match self.reserve(&Buckets::of_known(username, known, source), tick) {
                // A marker that fails without end is one that was stolen.
                Err(No::Distrusted) => {}
                judged => return judged.map_err(|no| self.refusal(no)),
            }
        }
        let exempt = self.is_exempt(address, is_forwarded);
        let judged = self.reserve(&Buckets::of_stranger(username, source, exempt), tick);
        judged.map_err(|no| self.refusal(no))
    }

    /// Reserves an attempt to make an account. All that come to an answer count: whether a name is
    /// free is told by success and refusal alike. They have buckets of their own, so that somebody who
    /// guesses at an address keeps nobody there from making an account.
    ///
    /// # Errors
    /// [`TooManyAttempts`]: nothing is to be looked up or hashed.
    pub fn reserve_registration(
        &self,
        address: IpAddr,
        is_forwarded: bool,
        now: Instant,
    ) -> Result<Reservation, TooManyAttempts> {
        let exempt = self.is_exempt(address, is_forwarded);
        let buckets = Buckets::of_registration(Source::of(address), exempt);
        self.reserve(&buckets, self.clock.tick(now)).map_err(|no| self.refusal(no))
    }

    /// Forgets the failures at an account from everywhere, and those from these addresses, in this server's own tables.
    /// Networks stay charged for what they did, also to other accounts, and so do devices.
    pub fn unlock_here(&self, username: &Username, addresses: &[IpAddr], now: Instant) {
        let tick = self.clock.tick(now);
        unlocked(username, addresses).for_each(|buckets| self.tables.local.unlock(&buckets, tick));
    }

    /// The same in Redis; whether it was there. True where there is none. Blocks for round trips.
    pub fn unlock_shared(&self, username: &Username, addresses: &[IpAddr]) -> bool {
        let Some(shared) = &self.tables.shared else { return true };
        unlocked(username, addresses).all(|buckets| shared.unlock(&buckets))
    }

    /// How many attempts this bucket has refused.
    #[must_use]
    pub fn refused(&self, bucket: Bucket) -> u64 {
        self.refused[bucket as usize].load(Ordering::Relaxed)
    }

    /// Bytes of all tables together, whether they are in use yet or not.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.tables.local.memory()
    }

    /// Charges an attempt here and in Redis, or in neither.
    fn reserve(&self, buckets: &Buckets<'_>, now: Tick) -> Result<Reservation, No> {
        let reserve_here = |is_known| {
            let ticket = self.tables.local.reserve(buckets, is_known, now)?;
            Ok(Reservation::new(Arc::clone(&self.tables), ticket))
        };
        let here = reserve_here(false);
        let is_final = match here {
            Err(No::Wait(kind, _)) => !kind.spares_known(),
            Err(No::Distrusted) => true,
            Ok(_) => buckets.iter().next().is_none(),
        };
        let Some(shared) = self.tables.shared.as_ref().filter(|_| !is_final) else { return here };
        let is_known = here.as_ref().is_ok_and(Reservation::is_known);
        let there = match shared.reserve(buckets, is_known) {
            Ok(there) => there,
            Err(SharedNo::No(no)) => return Err(no),
            Err(SharedNo::Away) => return here,
        };
        // Known to another server is known.
        let here = if there.is_known && !is_known {
            drop(here);
            reserve_here(true)
        } else {
            here
        };
        match here {
            Ok(mut reservation) => {
                reservation.set_shared(there);
                Ok(reservation)
            }
            Err(no) => {
                shared.settle(&there, bucket::Outcome::Nothing);
                Err(no)
            }
        }
    }

    /// An exemption is for programs on that machine, not for everybody whose requests a proxy there brings.
    fn is_exempt(&self, address: IpAddr, is_forwarded: bool) -> bool {
        !is_forwarded && self.rules.exempt.iter().any(|network| network.contains(address))
    }

    fn refusal(&self, no: No) -> TooManyAttempts {
        let (bucket, retry_after) = match no {
            No::Wait(Kind::Pair(_), wait) => (Bucket::AccountNetwork, wait.into()),
            No::Wait(Kind::Device, wait) => (Bucket::AccountDevice, wait.into()),
            No::Wait(Kind::Account, wait) => (Bucket::Account, wait.into()),
            No::Wait(Kind::Network(_), wait) => (Bucket::Network, wait.into()),
            No::Wait(Kind::Registrations(_), wait) => (Bucket::Registrations, wait.into()),
            No::Distrusted => unreachable!("said of devices only, which are strangers then"),
        };
        self.refused[bucket as usize].fetch_add(1, Ordering::Relaxed);
        TooManyAttempts { retry_after, bucket }
    }
}

/// The buckets that an operator empties who unlocks an account.
fn unlocked<'a>(
    username: &'a Username,
    addresses: &'a [IpAddr],
) -> impl Iterator<Item = Buckets<'a>> {
    let sources = addresses.iter().map(|address| Some(Source::of(*address)));
    std::iter::once(None).chain(sources).map(|source| Buckets::of_account(username, source))
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seed is for nobody's eyes.
        f.debug_struct("Guard").field("rules", &self.rules).finish_non_exhaustive()
    }
}
