//! What an entry lets through: the arithmetic of all buckets, without tables, locks or clocks.
//!
//! All count an attempt when it is let through, before anybody knows what comes of it, and all make
//! waits the same way ([`Ladder`]): so many attempts are free, then each wait is twice as long as the
//! one before, up to a longest.
//!
//! The scripts that Redis runs have the same arithmetic once more, in Lua (`scripts/`). Change one and
//! the other with it: `tests/history.rs` compares what the two say to the same random history.

use super::limits::{
    CHARGE_BURST_PART, DELAY_FIRST, HOME_TIMES, KNOWN_FOR, KNOWN_WORTH, NETWORK_BURST_MINUTES,
    NETWORK_BURSTS_MAX, NETWORK_DELAY_MAX, SITE_TIMES, SLOW_LANE_INTERVAL,
};
use super::rules::GuardNumbers;
use super::table::Entry;
use super::time::{Span, Tick};

/// What a bucket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Wrong guesses at one account from one network, since one was right.
    Pair(Width),
    /// The same with one device, or in one live session.
    Device,
    /// Wrong guesses at one account in a row, from everywhere.
    Account,
    /// Wrong guesses and names told, from one network; leaks.
    Network(Width),
    /// Accounts made and names told by that, from one network; leaks.
    Registrations(Width),
}

/// How wide a network is. A wider one has an allowance so many times as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// An address of IPv4, or a /64.
    Own,
    /// A /56.
    Home,
    /// A /48.
    Site,
}

/// The numbers of all buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Of pairs and devices.
    pub(super) pair: Ladder,
    /// Failures in a row from which on strangers use the slow lane of an account, and nobody is known.
    pub(super) failures_max: u32,
    /// For how long a success, or a failure, of a network at an account is remembered.
    pub(super) known_for: Span,
    /// How often each turn of the slow lane comes.
    pub(super) interval: Span,
    /// Of networks.
    pub(super) network: Ladder,
    /// In what time one attempt of a network leaks.
    pub(super) leak: Span,
}

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

/// What the buckets of an attempt have said of who makes it, as far as they have been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// They have been in this account before, and are judged by nothing else.
    pub(super) is_known: bool,
    /// Their network has not failed at this account lately.
    pub(super) is_fresh: bool,
}

/// An attempt that was let through and counts, until it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    /// What was there before.
    pub(super) last_before: Tick,
    /// What was there before.
    pub(super) mark_before: Tick,
    /// The level with it.
    pub(super) level: u32,
    /// What it counts.
    pub(super) count: u32,
    /// When it was let through.
    pub(super) at: Tick,
}

/// Why an attempt is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// This bucket is to wait for so long.
    Wait(Kind, Span),
    /// The device has failed too often to be known.
    Distrusted,
}

/// What came of an attempt, other than a wrong guess: that stays counted, and nothing is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The password was right.
    Right,
    /// Nothing was learned.
    Nothing,
    /// Nothing was learned, and it held a place that others wanted until its time ran out.
    Held,
}

impl Kind {
    /// Whether somebody who is known is not judged by it.
    pub(super) fn spares_known(self) -> bool {
        !matches!(self, Self::Pair(Width::Own) | Self::Device | Self::Registrations(_))
    }

    /// Whether an attempt of somebody with this standing is not charged to it at all.
    pub(super) fn passes_over(self, standing: Standing) -> bool {
        let is_of_others = matches!(self, Self::Pair(Width::Home | Width::Site) | Self::Network(_));
        standing.is_known && is_of_others
    }
}

impl Width {
    /// How many times the allowance of the narrowest it has.
    pub(super) const fn times(self) -> u32 {
        match self {
            Self::Own => 1,
            Self::Home => HOME_TIMES,
            Self::Site => SITE_TIMES,
        }
    }
}

impl Ladder {
    /// How long after an attempt the next has to wait when `level` attempts count, in a network that has
    /// so many times the allowance.
    fn wait(&self, level: u32, times: u32) -> Span {
        match level.checked_sub(self.free * times) {
            None => Span::default(),
            Some(over) => {
                let doubled = self.first.times(1_u32.checked_shl(over).unwrap_or(u32::MAX));
                doubled.min(self.longest.over(times))
            }
        }
    }
}

impl Standing {
    /// Of somebody of whom nothing has been asked yet.
    pub(super) const fn new(is_known: bool) -> Self {
        Self { is_known, is_fresh: true }
    }
}

impl Rules {
    pub(super) fn of(rules: GuardNumbers) -> Self {
        let first = Span::whole(DELAY_FIRST);
        let minute = Span::whole(std::time::Duration::from_secs(60));
        Self {
            pair: Ladder { free: rules.free.into(), first, longest: Span::whole(rules.delay_max) },
            failures_max: rules.account_failures.into(),
            known_for: Span::whole(KNOWN_FOR),
            interval: Span::whole(SLOW_LANE_INTERVAL),
            network: Ladder {
                free: u32::from(rules.network_per_minute) * u32::from(NETWORK_BURST_MINUTES),
                first,
                longest: Span::whole(NETWORK_DELAY_MAX),
            },
            leak: minute.over(rules.network_per_minute.into()),
        }
    }

    /// Counts an attempt in one of its buckets, unless that has to wait; then nothing is counted. Learns from
    /// the entry who makes it.
    pub(super) fn charge(
        &self,
        kind: Kind,
        entry: &mut Entry,
        standing: &mut Standing,
        now: Tick,
    ) -> Result<Charge, No> {
        let wait = match kind {
            Kind::Device if entry.level >= self.failures_max => return Err(No::Distrusted),
            Kind::Device => {
                standing.is_known = true;
                self.pair.wait(entry.level, 1)
            }
            Kind::Pair(width) => {
                standing.is_known |= width == Width::Own && self.is_known(entry, now);
                standing.is_fresh &= self.is_fresh(entry, width, now);
                self.pair.wait(entry.level, width.times())
            }
            Kind::Account => return self.charge_account(entry, *standing, now),
            Kind::Network(width) | Kind::Registrations(width) => {
                self.leak(entry, width.times(), now);
                self.network.wait(entry.level, width.times())
            }
        };
        let left = left_of(wait, entry.last, now);
        if left > Span::default() {
            return Err(No::Wait(kind, left));
        }
        let charge = Charge::before(entry, now);
        entry.last = now;
        Ok(charge.counted(entry))
    }

    /// Those who are known never wait here, nor do they make others wait. In the slow lane there are two
    /// turns: an entry has in `last` when the one for all strangers was taken, and in `mark` when the one for
    /// fresh networks was. Before that both are when the last stranger came.
    fn charge_account(
        &self,
        entry: &mut Entry,
        standing: Standing,
        now: Tick,
    ) -> Result<Charge, No> {
        let charge = Charge::before(entry, now);
        if standing.is_known {
            if !entry.last.is_set() {
                entry.last = now;
            }
        } else if entry.level < self.failures_max {
            (entry.last, entry.mark) = (now, now);
        } else {
            let of_all = left_of(self.interval, entry.last, now);
            let of_fresh = left_of(self.interval, entry.mark, now);
            if standing.is_fresh && of_fresh == Span::default() {
                entry.mark = now;
            } else if of_all == Span::default() {
                entry.last = now;
            } else {
                let left = if standing.is_fresh { of_all.min(of_fresh) } else { of_all };
                return Err(No::Wait(Kind::Account, left));
            }
        }
        Ok(charge.counted(entry))
    }

    /// Counts an attempt `more` times than once in the bucket of a network, and says how many times that was
    /// possible.
    pub(super) fn charge_more(&self, width: Width, entry: &mut Entry, more: u32) -> u32 {
        let most = self.network.free * width.times() * NETWORK_BURSTS_MAX;
        let added = more.min(most.saturating_sub(entry.level));
        entry.level += added;
        added
    }

    /// What an attempt that costs as much as `cost` usual ones adds to one.
    pub(super) fn charge_of(&self, cost: u32) -> u32 {
        cost.min(self.network.free / CHARGE_BURST_PART).saturating_sub(1)
    }

    /// Says what came of an attempt.
    pub(super) fn settle(kind: Kind, entry: &mut Entry, charge: &Charge, outcome: Outcome) {
        match (outcome, kind) {
            (Outcome::Right, Kind::Pair(Width::Own)) => {
                *entry = Entry { last: charge.at, mark: charge.at, level: 0 };
            }
            (Outcome::Right, Kind::Pair(_) | Kind::Device | Kind::Account) => entry.level = 0,
            (Outcome::Held, Kind::Network(_) | Kind::Registrations(_)) => {}
            _ => charge.give_back(kind, entry),
        }
    }

    /// Whether somebody has logged in lately and has not failed too often since.
    fn is_known(&self, entry: &Entry, now: Tick) -> bool {
        is_marked(entry, now, self.known_for) && entry.level < self.failures_max
    }

    /// Whether a network has not failed lately, a wider one not often.
    fn is_fresh(&self, entry: &Entry, width: Width, now: Tick) -> bool {
        entry.level < width.times() || now.since(entry.last) >= self.known_for
    }

    /// What is over the burst leaks slowly, as much as is free in the longest wait, so that whoever goes on
    /// failing waits ever longer; the rest at the rate that a network has.
    fn leak(&self, entry: &mut Entry, times: u32, now: Tick) {
        if !entry.mark.is_set() {
            entry.mark = now;
        }
        let free = self.network.free * times;
        let over = entry.level.saturating_sub(free);
        drain(entry, over, self.network.longest, times, now);
        if entry.level <= free {
            drain(entry, entry.level, self.leak, times, now);
        }
        if entry.level == 0 {
            entry.mark = now;
        }
    }
}

/// Takes up to `most` off the level, `times` for each `step` since the mark, which moves along.
fn drain(entry: &mut Entry, most: u32, step: Span, times: u32, now: Tick) {
    let drained = now.since(entry.mark).divided(step).saturating_mul(times).min(most);
    entry.level -= drained;
    entry.mark = entry.mark.plus(step.times(drained.div_ceil(times)));
}

/// What is left of a wait that counts from `last`.
fn left_of(wait: Span, last: Tick, now: Tick) -> Span {
    if last.is_set() { wait.minus(now.since(last)) } else { Span::default() }
}

impl Charge {
    /// What an entry is before an attempt.
    fn before(entry: &Entry, at: Tick) -> Self {
        Self { last_before: entry.last, mark_before: entry.mark, level: 0, count: 1, at }
    }

    fn counted(self, entry: &mut Entry) -> Self {
        entry.level = entry.level.saturating_add(1);
        Self { level: entry.level, ..self }
    }

    /// Adds what [`Rules::charge_more`] has added.
    pub(super) fn add(&mut self, added: u32) {
        self.level += added;
        self.count += added;
    }

    /// As if the attempt had not been, as far as later ones leave that open.
    fn give_back(&self, kind: Kind, entry: &mut Entry) {
        if entry.level == self.level {
            if entry.last == self.at {
                entry.last = self.last_before;
            }
            // The mark of others is not when an attempt was let through.
            if kind == Kind::Account && entry.mark == self.at {
                entry.mark = self.mark_before;
            }
        }
        entry.level = entry.level.saturating_sub(self.count);
    }
}

fn is_marked(entry: &Entry, now: Tick, known_for: Span) -> bool {
    entry.mark.is_set() && now.since(entry.mark) < known_for
}

/// What a pair is worth: its failures, half as much with each day that nobody tried; or that it is
/// known.
pub(super) fn pair_worth(entry: &Entry, now: Tick) -> u32 {
    let failures = failures_worth(entry, now);
    if is_marked(entry, now, Span::whole(KNOWN_FOR)) { failures.max(KNOWN_WORTH) } else { failures }
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
    now.since(entry.last.max(entry.mark)).divided(Span::whole(DAY))
}

#[cfg(test)]
mod tests;
