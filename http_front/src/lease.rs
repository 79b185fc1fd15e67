//! Sessions that auth_back lets this server answer for, each for a moment.
//!
//! A lease counts from the moment at which the check was *sent*. auth_back acknowledges a logout
//! only when every lease that it could have given has run, so this table needs to hear of nothing:
//! what is in it is true for as long as it says. One table per loop, so no lock.
//!
//! Elapsed time is what that rests on, and the monotonic clock stands still while a machine sleeps. So one that has slept
//! drops all leases, and takes none for a check that it sent before.
//!
//! Tokens themselves are not kept: an entry is found under 128 bits of a keyed hash of its token
//! (`lease/fingerprint.rs`, with a random key for each table), so that what an idle server has in memory opens
//! nothing. Without the key, hitting an entry is a guess at 126 bits, however many tokens one may try.
//! Whoever has an image of the memory, and so the key, could make up another text that hits an entry, for
//! as long as that lease runs and on this loop alone; he does not learn the token, of which only 128
//! of some 384 random bits are left in the hash. SHA-256 would refuse him that too, at many times
//! the cost for each request; but an image that is younger than a lease also shows requests as they
//! arrive, tokens and all.

mod fingerprint;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};

use fingerprint::{Fingerprint, Fingerprints};

use crate::limits::{LEASE_SWEEP_DELAY, LEASES_MAX, SLEEP_CHECK_INTERVAL};
use crate::token::Token;

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// The user's number.
    pub user_id: u64,
    /// The user's name.
    pub username: Box<str>,
    /// When the session itself ends.
    pub expires_at: Instant,
}

/// One loop's leases.
pub struct Leases {
    fingerprints: Fingerprints,
    by_token: HashMap<Fingerprint, Lease>,
    /// The same tokens in the order in which they came, which is nearly that of their ends.
    order: VecDeque<(Instant, Fingerprint)>,
    sleep: Sleep,
}

/// What is known of the machine's sleep.
struct Sleep {
    /// How long it has slept in all.
    slept: Duration,
    /// When it is asked again.
    ask_at: Instant,
    /// When it was last found to have slept.
    woke_at: Option<Instant>,
}

struct Lease {
    facts: SessionFacts,
    until: Instant,
}

impl Default for Leases {
    fn default() -> Self {
        Self::new()
    }
}

impl Leases {
    /// An empty table.
    ///
    /// # Panics
    ///
    /// When the system has no random numbers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            fingerprints: Fingerprints::random(),
            by_token: HashMap::new(),
            order: VecDeque::new(),
            sleep: Sleep { slept: clock::slept(), ask_at: clock::now(), woke_at: None },
        }
    }

    /// The session of a token, if its lease still runs. Takes any text, since one that is no token has no
    /// lease. Nothing is allocated.
    #[must_use]
    pub fn live(&self, token: &[u8], now: Instant) -> Option<&SessionFacts> {
        let lease = self.by_token.get(&self.fingerprints.of(token)?)?;
        (now < lease.until && now < lease.facts.expires_at).then_some(&lease.facts)
    }

    /// Drops all leases if the machine has slept. To be called before any is used or taken; costs next to nothing when it
    /// was a moment ago.
    #[inline]
    pub fn drop_if_slept(&mut self, now: Instant) {
        if now >= self.sleep.ask_at {
            self.ask_whether_slept(now);
        }
    }

    fn ask_whether_slept(&mut self, now: Instant) {
        self.sleep.ask_at = now + SLEEP_CHECK_INTERVAL;
        let slept = clock::slept();
        let has_slept = slept >= self.sleep.slept + clock::SLEEP_MIN;
        // A thread that was interrupted while it asked was told less.
        self.sleep.slept = self.sleep.slept.max(slept);
        if has_slept {
            self.sleep.woke_at = Some(clock::now());
            self.by_token.clear();
            self.order.clear();
        }
    }

    /// Whether a lease may be taken for a check that was sent then: not if the machine has slept since.
    #[must_use]
    pub fn may_be_given(&self, asked_at: Instant) -> bool {
        self.sleep.woke_at.is_none_or(|woke_at| woke_at < asked_at)
    }

    /// Remembers a session until `until`. When the table is full of running leases it is not
    /// remembered, and the next request asks auth_back again.
    pub fn insert(&mut self, token: &Token, facts: SessionFacts, until: Instant, now: Instant) {
        self.drop_ended(now);
        if until <= now || self.order.len() >= LEASES_MAX {
            return;
        }
        let Some(fingerprint) = self.fingerprint(token) else { return };
        self.order.push_back((until, fingerprint));
        self.by_token.insert(fingerprint, Lease { facts, until });
    }

    /// Forgets a session that this loop knows to have ended.
    pub fn remove(&mut self, token: &Token) {
        self.take(token);
    }

    /// Forgets every session of the user whose token this is or was, as far as this loop knows.
    pub fn remove_all_of(&mut self, token: &Token) {
        if let Some(lease) = self.take(token) {
            self.remove_user(lease.facts.user_id);
        }
    }

    /// Forgets every session of a user. Looks at the whole table, which takes less than a
    /// millisecond; what calls for it costs its client a login each time.
    pub fn remove_user(&mut self, user_id: u64) {
        self.by_token.retain(|_, lease| lease.facts.user_id != user_id);
    }

    /// When to drop what has run although no request came meanwhile: who has a
    /// session is not to lie in memory for longer than it is of use. A little later than the first
    /// lease ends, so that many are dropped at a time.
    #[must_use]
    pub fn sweep_at(&self) -> Option<Instant> {
        self.order.front().map(|(until, _)| *until + LEASE_SWEEP_DELAY)
    }

    /// Drops leases that have run, oldest first. Each is looked at once, so the cost is spread
    /// evenly over the inserts.
    pub(crate) fn drop_ended(&mut self, now: Instant) {
        while let Some((until, _)) = self.order.front()
            && *until <= now
        {
            let (until, fingerprint) = self.order.pop_front().expect("looked at above");
            // A renewed lease ends later than the entry that is dropped here, and stays.
            if self.by_token.get(&fingerprint).is_some_and(|lease| lease.until <= until) {
                self.by_token.remove(&fingerprint);
            }
        }
    }

    fn take(&mut self, token: &Token) -> Option<Lease> {
        self.by_token.remove(&self.fingerprint(token)?)
    }

    /// Every token has one.
    fn fingerprint(&self, token: &Token) -> Option<Fingerprint> {
        self.fingerprints.of(token.expose().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn token(number: usize) -> Token {
        Token::new(format!("token-{number}").as_bytes()).unwrap()
    }

    fn facts(expires_at: Instant) -> SessionFacts {
        SessionFacts { user_id: 7, username: "ada".into(), expires_at }
    }

    const LEASE: Duration = Duration::from_millis(250);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_lease_ends_at_its_instant() {
        let now = clock::now();
        let mut leases = Leases::new();
        leases.insert(&token(1), facts(now + HOUR), now + LEASE, now);
        assert_eq!(leases.live(token(1).expose().as_bytes(), now), Some(&facts(now + HOUR)));
        let last = now + LEASE - Duration::from_nanos(1);
        assert!(leases.live(token(1).expose().as_bytes(), last).is_some());
        assert!(leases.live(token(1).expose().as_bytes(), now + LEASE).is_none());
        assert!(leases.live(token(2).expose().as_bytes(), now).is_none());
    }

    #[test]
    fn a_lease_does_not_outlive_its_session() {
        let now = clock::now();
        let mut leases = Leases::new();
        leases.insert(&token(1), facts(now + LEASE / 2), now + LEASE, now);
        assert!(leases.live(token(1).expose().as_bytes(), now).is_some());
        assert!(leases.live(token(1).expose().as_bytes(), now + LEASE / 2).is_none());
    }

    #[test]
    fn a_renewed_lease_survives_the_end_of_the_first() {
        let now = clock::now();
        let mut leases = Leases::new();
        leases.insert(&token(1), facts(now + HOUR), now + LEASE, now);
        let later = now + LEASE / 2;
        leases.insert(&token(1), facts(now + HOUR), later + LEASE, later);
        let after_first = now + LEASE + Duration::from_millis(1);
        leases.insert(&token(2), facts(now + HOUR), after_first + LEASE, after_first);
        assert!(leases.live(token(1).expose().as_bytes(), after_first).is_some());
    }

    #[test]
    fn ended_leases_are_dropped_and_the_table_is_bounded() {
        let now = clock::now();
        let mut leases = Leases::new();
        for number in 0..LEASES_MAX + 10 {
            leases.insert(&token(number), facts(now + HOUR), now + LEASE, now);
        }
        assert_eq!(leases.by_token.len(), LEASES_MAX);
        assert!(leases.live(token(LEASES_MAX).expose().as_bytes(), now).is_none());
        let later = now + LEASE;
        leases.insert(&token(LEASES_MAX), facts(now + HOUR), later + LEASE, later);
        assert_eq!((leases.by_token.len(), leases.order.len()), (1, 1));
    }

    #[test]
    fn what_has_run_is_swept_without_a_request() {
        let now = clock::now();
        let mut leases = Leases::new();
        assert_eq!(leases.sweep_at(), None);
        leases.insert(&token(1), facts(now + HOUR), now + LEASE, now);
        leases.insert(&token(2), facts(now + HOUR), now + 2 * LEASE, now);
        assert_eq!(leases.sweep_at(), Some(now + LEASE + LEASE_SWEEP_DELAY));
        leases.drop_ended(now + LEASE);
        assert_eq!((leases.by_token.len(), leases.order.len()), (1, 1));
        leases.drop_ended(now + 2 * LEASE);
        assert_eq!(leases.sweep_at(), None);
        assert!(leases.by_token.is_empty());
    }

    #[test]
    fn a_removed_lease_is_gone() {
        let now = clock::now();
        let mut leases = Leases::new();
        leases.insert(&token(1), facts(now + HOUR), now + LEASE, now);
        leases.remove(&token(1));
        assert!(leases.live(token(1).expose().as_bytes(), now).is_none());
    }

    #[test]
    fn a_machine_that_has_slept_has_no_lease_and_takes_none_from_before() {
        let clock = clock::Movable::stopped();
        let mut leases = Leases::new();
        let (asked_at, hour) = (clock::now(), HOUR);
        let is_live = |leases: &mut Leases| {
            let now = clock::now();
            leases.drop_if_slept(now);
            leases.live(token(1).expose().as_bytes(), now).is_some()
        };
        leases.insert(&token(1), facts(asked_at + hour), asked_at + hour, asked_at);
        assert!(is_live(&mut leases));
        clock.advance(LEASE);
        assert!(is_live(&mut leases), "time passed, and the machine was awake");
        for nap in [clock::SLEEP_MIN, HOUR] {
            clock.sleep(nap);
            clock.advance(SLEEP_CHECK_INTERVAL);
            assert!(!is_live(&mut leases), "{nap:?}");
            assert!(leases.order.is_empty());
            assert!(!leases.may_be_given(asked_at), "the check was sent before");
            clock.advance(SLEEP_CHECK_INTERVAL);
            let now = clock::now();
            assert!(leases.may_be_given(now));
            leases.insert(&token(1), facts(now + hour), now + hour, now);
            assert!(is_live(&mut leases));
        }
    }

    #[test]
    fn all_leases_of_a_user_are_forgotten_together() {
        let now = clock::now();
        let other = SessionFacts { user_id: 8, ..facts(now + HOUR) };
        let fill = || {
            let mut leases = Leases::new();
            leases.insert(&token(1), facts(now + HOUR), now + LEASE, now);
            leases.insert(&token(2), facts(now + HOUR), now + LEASE, now);
            leases.insert(&token(3), other.clone(), now + LEASE, now);
            leases
        };
        let check = |leases: &Leases, expected: [bool; 3]| {
            let live = [1, 2, 3]
                .map(|number| leases.live(token(number).expose().as_bytes(), now).is_some());
            assert_eq!(live, expected);
        };
        let mut leases = fill();
        leases.remove_user(7);
        check(&leases, [false, false, true]);
        let mut leases = fill();
        leases.remove_all_of(&token(2));
        check(&leases, [false, false, true]);
        let mut leases = fill();
        leases.remove_all_of(&token(4));
        check(&leases, [true, true, true]);
    }
}
