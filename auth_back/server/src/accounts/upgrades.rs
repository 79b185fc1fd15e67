//! How many records may be brought up to date, and what became of those that were due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

/// How many records may be hashed anew, and what became of those that were due.
#[derive(Debug)]
pub struct Upgrades {
    pub(super) budget: Budget,
    counts: [AtomicU64; Upgrade::ALL.len()],
}

/// What became of a record that was not up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// It was hashed anew.
    Rehashed,
    /// It was sealed under the active pepper.
    Resealed,
    /// A new hash was due and has to wait for another login.
    Postponed,
    /// Somebody else replaced the record first.
    Lost,
    /// It could not be made or stored.
    Failed,
}

impl Upgrade {
    /// Each of them.
    pub const ALL: [Self; 5] =
        [Self::Rehashed, Self::Resealed, Self::Postponed, Self::Lost, Self::Failed];

    /// As a label of a metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rehashed => "rehashed",
            Self::Resealed => "resealed",
            Self::Postponed => "postponed",
            Self::Lost => "lost",
            Self::Failed => "failed",
        }
    }
}

impl Upgrades {
    /// At most `rate` new hashes a second; 0 for none.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { budget: Budget::new(rate, clock::now()), counts: Default::default() }
    }

    /// How often that has happened.
    #[must_use]
    pub fn count(&self, upgrade: Upgrade) -> u64 {
        self.counts[upgrade as usize].load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, upgrade: Upgrade) {
        self.counts[upgrade as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// A token bucket: so many a second, and no more than one second's worth at once.
#[derive(Debug)]
pub(super) struct Budget {
    rate: u32,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    /// In millionths of one: a rate counts per second, and a microsecond brings `rate` of them.
    millionths: u64,
    at: Instant,
}

/// One, in the measure of [`Level::millionths`].
const ONE: u64 = 1_000_000;

impl Budget {
    /// Full at the start.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let level = Level { millionths: u64::from(rate) * ONE, at: now };
        Self { rate, level: Mutex::new(level) }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut level = self.level.lock();
        let passed = now.saturating_duration_since(level.at);
        let passed_us = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
        let gained = passed_us.saturating_mul(self.rate.into());
        level.millionths = level.millionths.saturating_add(gained).min(u64::from(self.rate) * ONE);
        level.at = level.at.max(now);
        let taken = level.millionths.checked_sub(ONE);
        level.millionths = taken.unwrap_or(level.millionths);
        taken.is_some()
    }
}
