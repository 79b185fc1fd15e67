//! What an entry lets through: the arithmetic of the three kinds of buckets, without tables, locks
//! or clocks.
//!
//! All three count an attempt when it is let through, before anybody knows what comes of it, and all
//! three make waits the same way ([`Ladder`]): so many attempts are free, then each wait is twice as
//! long as the one before, up to a longest.

use super::limits::{KNOWN_FOR, KNOWN_WORTH};
use super::table::Entry;
use super::time::{Span, Tick};

/// Waits that double.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ladder {
    /// Attempts without a wait.
    pub(super) free: u32,
    /// The first wait.
    pub(super) first: Span,
    /// The longest wait.
    pub(super) longest: Span,
}

impl Ladder {
    /// How long after an attempt the next has to wait when `level` attempts count.
    fn wait(&self, level: u32) -> Span {
        match level.checked_sub(self.free) {
            None => Span::default(),
            Some(over) => {
                self.first.times(1_u32.checked_shl(over).unwrap_or(u32::MAX)).min(self.longest)
            }
        }
    }
}

/// An attempt that was let through and counts, until it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    /// When the attempt before it was.
    last_before: Tick,
    /// The level with it.
    level: u32,
    at: Tick,
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait(pub(super) Span);

/// Lets an attempt through and counts it, or says how long to wait.
fn charge(entry: &mut Entry, wait: Span, now: Tick) -> Result<Charge, Wait> {
    let left = wait.minus(now.since(entry.last));
    if left > Span::default() {
        return Err(Wait(left));
    }
    let last_before = entry.last;
    entry.level = entry.level.saturating_add(1);
    entry.last = now;
    Ok(Charge { last_before, level: entry.level, at: now })
}

/// Takes back a charge, as if the attempt had not been, as far as later ones leave that open.
pub(super) fn give_back(entry: &mut Entry, charge: Charge) {
    if entry.last == charge.at && entry.level == charge.level {
        entry.last = charge.last_before;
    }
    entry.level = entry.level.saturating_sub(1);
}

/// Somebody's attempts at one account, from one network or with one device. The level is that of
/// consecutive failures: only a success clears it, which is then marked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) ladder: Ladder,
    /// With so many consecutive failures nobody is known any more.
    pub(super) trust_failures_max: u32,
    /// For how long a success is remembered.
    pub(super) known_for: Span,
}

impl Pair {
    pub(super) fn charge(&self, entry: &mut Entry, now: Tick) -> Result<Charge, Wait> {
        charge(entry, self.ladder.wait(entry.level), now)
    }

    /// Whether somebody has logged in lately and has not failed too often since.
    pub(super) fn is_known(&self, entry: &Entry, now: Tick) -> bool {
        is_marked(entry, now, self.known_for) && self.is_trusted(entry)
    }

    /// Whether there is less than a whole allowance of failures in a row.
    pub(super) fn is_trusted(&self, entry: &Entry) -> bool {
        entry.level < self.trust_failures_max
    }

    pub(super) fn succeed(entry: &mut Entry, now: Tick) {
        *entry = Entry { last: now, mark: now, level: 0 };
    }
}

fn is_marked(entry: &Entry, now: Tick, known_for: Span) -> bool {
    entry.mark.is_set() && now.since(entry.mark) < known_for
}

/// All attempts at one account. The level is that of consecutive failures, whosever they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// From here on strangers use the slow lane.
    pub(super) failures_max: u32,
    /// How often one of them may.
    pub(super) interval: Span,
}

impl Account {
    /// Counts an attempt. Those who are known never wait here, nor make others wait.
    pub(super) fn charge(
        &self,
        entry: &mut Entry,
        is_known: bool,
        now: Tick,
    ) -> Result<Charge, Wait> {
        let slow = entry.level >= self.failures_max && !is_known;
        let last = entry.last;
        let charge = charge(entry, if slow { self.interval } else { Span::default() }, now)?;
        if is_known && last.is_set() {
            entry.last = last;
        }
        Ok(charge)
    }
}

/// All failures from one network. The level leaks: a burst is free, over it waits grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    pub(super) ladder: Ladder,
    /// How fast the free part of the level leaks: one in this time.
    pub(super) leak: Span,
}

impl Network {
    pub(super) fn charge(&self, entry: &mut Entry, now: Tick) -> Result<Charge, Wait> {
        self.leak(entry, now);
        charge(entry, self.ladder.wait(entry.level), now)
    }

    /// What is over the burst leaks slowly, one in the longest wait, so that who goes on failing
    /// waits ever longer; the rest at the rate that a network has.
    fn leak(&self, entry: &mut Entry, now: Tick) {
        if !entry.mark.is_set() {
            entry.mark = now;
        }
        let over = entry.level.saturating_sub(self.ladder.free);
        drain(entry, over, self.ladder.longest, now);
        if entry.level <= self.ladder.free {
            drain(entry, entry.level, self.leak, now);
        }
        if entry.level == 0 {
            entry.mark = now;
        }
    }
}

/// Takes up to `most` off the level, one for each `step` since the mark, which moves along.
fn drain(entry: &mut Entry, most: u32, step: Span, now: Tick) {
    let steps = now.since(entry.mark).divided(step).min(most);
    entry.level -= steps;
    entry.mark = entry.mark.plus(step.times(steps));
}

/// What a pair is worth: its failures, half as much with each day that nobody tried; or that it is
/// known.
pub(super) fn pair_worth(entry: &Entry, now: Tick) -> u32 {
    let failures = failures_worth(entry, now);
    if entry.mark.is_set() && is_marked(entry, now, Span::whole(KNOWN_FOR)) {
        failures.max(KNOWN_WORTH)
    } else {
        failures
    }
}

/// What an account is worth: its failures, half as much with each day that nobody tried.
pub(super) fn failures_worth(entry: &Entry, now: Tick) -> u32 {
    if entry.level <= 1 {
        return entry.level;
    }
    // One at least: what is quiet makes room for others, and is not forgotten before it must be.
    (entry.level >> quiet_days(entry, now).min(16)).max(1)
}

fn quiet_days(entry: &Entry, now: Tick) -> u32 {
    const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
    now.since(entry.last).divided(Span::whole(DAY))
}

#[cfg(test)]
mod tests;
