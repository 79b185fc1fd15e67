//! By which rules sessions are kept, and how all who keep them learn of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use unix_time::millis;

use crate::limits::{LEASE_MARGIN, LEASE_MAX, NOTES_PER_IDLE_TIME};

/// How sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRules {
    /// How long a session lives, however busy it is.
    pub lifetime: Duration,
    /// How long it lives without being seen.
    pub idle: Duration,
    /// How many a user may have; the oldest make room.
    pub per_user: u32,
    /// For how long a front may answer for a session by itself.
    pub lease: Duration,
}

/// With an idle time of years, the product that it is in still fits 64 bits.
const CHANCE_BITS: u32 = 16;

impl SessionRules {
    /// How long after a session was noted as seen the next note is due, in milliseconds: between a twentieth and a tenth
    /// of the idle time. All servers compute the same, and another after each note.
    pub(crate) fn note_interval_ms(&self, digest: &[u8; 32], last_seen_at_ms: u64) -> u64 {
        let longest = self.longest_note_interval_ms();
        // The beginning of a digest is as good as random; the multiplier is that of Fibonacci hashing.
        let [a, b, c, d, e, f, g, h, ..] = *digest;
        let mixed = u64::from_be_bytes([a, b, c, d, e, f, g, h])
            .wrapping_add(last_seen_at_ms)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let chance = mixed >> (u64::BITS - CHANCE_BITS);
        longest - (((longest - self.shortest_note_interval_ms()) * chance) >> CHANCE_BITS)
    }

    fn longest_note_interval_ms(&self) -> u64 {
        millis(self.idle / NOTES_PER_IDLE_TIME)
    }

    pub(crate) fn shortest_note_interval_ms(&self) -> u64 {
        self.longest_note_interval_ms() / 2
    }
}

/// The rules, shared by whoever goes by them and whoever learns them.
#[derive(Clone)]
pub struct LiveRules(Arc<RwLock<Learned>>, Source);

/// Where they come from.
#[derive(Clone)]
enum Source {
    /// Somebody [publishes](LiveRules::publish) them.
    Published,
    /// They are asked for each time, by a command.
    Asked(Arc<dyn Ask>),
}

/// Asks what other processes do; none if the store does not answer. Blocks.
pub trait Ask: Fn() -> Option<Seen> + Send + Sync {}

impl<F: Fn() -> Option<Seen> + Send + Sync> Ask for F {}

/// What is known of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// What was agreed on.
    pub rules: SessionRules,
    /// The lease that may be given.
    pub granted: Duration,
    /// The longest lease that any front may have.
    pub outstanding: Duration,
    /// Whether another process may have a copy of sessions in Redis.
    pub in_redis: bool,
    /// Until when leases may be given, and how long to wait for them is known.
    pub fresh_until: Instant,
}

impl LiveRules {
    /// Rules that do not change, as if there were no other process.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn fixed(rules: SessionRules) -> Self {
        /// Longer than any test moves its clock.
        const FOR_EVER: Duration = Duration::from_secs(1_000 * 365 * 86_400);
        let (granted, outstanding) = (rules.lease, rules.lease);
        let fresh_until = clock::now() + FOR_EVER;
        Self::published(Learned { rules, granted, outstanding, in_redis: false, fresh_until })
    }

    /// Rules that somebody publishes.
    #[must_use]
    pub fn published(learned: Learned) -> Self {
        Self(Arc::new(RwLock::new(learned)), Source::Published)
    }

    /// The rules as a command has them, which asks each time that it has to wait.
    #[must_use]
    pub fn asked(rules: SessionRules, in_redis: bool, ask: impl Ask + 'static) -> Self {
        let learned = Learned {
            rules,
            granted: Duration::ZERO,
            outstanding: rules.lease,
            in_redis,
            fresh_until: clock::now(),
        };
        Self(Arc::new(RwLock::new(learned)), Source::Asked(Arc::new(ask)))
    }

    /// Has everybody go by these.
    pub fn publish(&self, learned: Learned) {
        *self.0.write() = learned;
    }

    /// The rules; their lease is the one that may be given now. Does not block.
    #[must_use]
    pub fn now(&self) -> SessionRules {
        let learned = *self.0.read();
        let lease = if learned.is_fresh() { learned.granted } else { Duration::ZERO };
        SessionRules { lease, ..learned.rules }
    }

    /// How long leases of fronts may run that were given before now. A lease counts from before the check that it was
    /// given for. Blocks in a command.
    #[must_use]
    pub fn lease_settles_in(&self) -> Duration {
        let learned = *self.0.read();
        let outstanding = match &self.1 {
            // Before the first server has written them, the settings are those that this command was given.
            Source::Asked(ask) => {
                ask().map_or(LEASE_MAX, |seen| seen.outstanding.max(learned.outstanding))
            }
            Source::Published if !learned.is_fresh() => LEASE_MAX,
            Source::Published => learned.outstanding,
        };
        if outstanding.is_zero() { Duration::ZERO } else { outstanding + LEASE_MARGIN }
    }

    /// Whether another process may have a copy of sessions in Redis. Blocks in a command.
    #[must_use]
    pub fn in_redis(&self) -> bool {
        let learned = *self.0.read();
        match &self.1 {
            Source::Asked(ask) => learned.in_redis || ask().is_none_or(|seen| seen.in_redis),
            Source::Published => learned.in_redis || !learned.is_fresh(),
        }
    }
}

impl Learned {
    fn is_fresh(&self) -> bool {
        clock::now() < self.fresh_until
    }
}

/// What a process sees that gives no leases itself.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The longest lease that a front may have of any server.
    pub outstanding: Duration,
    /// Whether anybody has a copy of sessions in Redis.
    pub in_redis: bool,
}
