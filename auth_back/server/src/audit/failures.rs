//! How much is written of what failed, and how many of the others there were.
//!
//! One token bucket bounds the lines of all failures. Shares go by what a failure costs its sender, so that those
//! who send what costs them nothing do not crowd out those who guess passwords: they may use the first
//! [`AUDIT_FAILURES_BURST_FOR_NOTHING`] tokens of a full bucket, and what comes back to it only when nobody else
//! has taken it. What is not written is counted, by event and outcome, and told by a line each
//! [`AUDIT_SUMMARY_INTERVAL`](crate::limits::AUDIT_SUMMARY_INTERVAL).
//!
//! Left out on purpose: shares for each network. The guard lets a network fail ten times a minute at what costs a
//! look-up or a hash ([`guard`]); and a table of networks is one that a flood from many of them fills.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use service::token_bucket::TokenBucket;

use super::entry::{Cost, Event, Outcome};
use crate::limits::{
    AUDIT_FAILURES_BURST, AUDIT_FAILURES_BURST_FOR_LOOKUPS, AUDIT_FAILURES_BURST_FOR_NOTHING,
    AUDIT_FAILURES_INTERVAL,
};

/// Shared by all that record; nobody waits for anybody.
#[derive(Debug)]
pub(super) struct Failures {
    lines: TokenBucket,
    suppressed: [[AtomicU64; Outcome::COUNT]; Event::ALL.len()],
}

/// How many lines were not written, by event and outcome. Only ever more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suppressed([[u64; Outcome::COUNT]; Event::ALL.len()]);

impl Failures {
    pub(super) const fn new() -> Self {
        Self {
            lines: TokenBucket::new(AUDIT_FAILURES_INTERVAL),
            suppressed: [const { [const { AtomicU64::new(0) }; Outcome::COUNT] }; Event::ALL.len()],
        }
    }

    /// Whether a failure that cost so much is written. Never blocks.
    pub(super) fn admits(&self, cost: Cost, now: Instant) -> bool {
        let burst = match cost {
            Cost::Kept => return true,
            Cost::Hash => AUDIT_FAILURES_BURST,
            Cost::Lookup => AUDIT_FAILURES_BURST_FOR_LOOKUPS,
            Cost::Nothing => AUDIT_FAILURES_BURST_FOR_NOTHING,
        };
        self.lines.take(burst, now)
    }

    /// Counts a failure that is not written.
    pub(super) fn suppress(&self, event: Event, outcome: Outcome) {
        self.suppressed[event as usize][outcome.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were not written so far.
    pub(super) fn suppressed(&self) -> Suppressed {
        let counts = self.suppressed.each_ref();
        Suppressed(
            counts.map(|counts| counts.each_ref().map(|count| count.load(Ordering::Relaxed))),
        )
    }
}

impl Suppressed {
    /// How many there are of all kinds.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().flatten().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How many have come since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let mut more = self.clone();
        for (count, before) in more.0.iter_mut().flatten().zip(before.0.iter().flatten()) {
            *count -= before;
        }
        more
    }

    /// Each event of which there are some, with how many of each outcome.
    pub(super) fn by_event(&self) -> impl Iterator<Item = (Event, Vec<(Outcome, u64)>)> {
        Event::ALL.into_iter().filter_map(|event| {
            let counts = self.0[event as usize];
            let counted = Outcome::all().map(|outcome| (outcome, counts[outcome.index()]));
            let counted: Vec<_> = counted.filter(|(_, count)| *count > 0).collect();
            (!counted.is_empty()).then_some((event, counted))
        })
    }

    /// As many of each kind as can be told.
    #[cfg(test)]
    pub(super) const ALL_THAT_CAN_BE: Self = Self([[u64::MAX; Outcome::COUNT]; Event::ALL.len()]);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accounts::Code;

    #[test]
    fn every_kind_has_a_place_of_its_own() {
        for (at, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, at);
        }
        for (at, outcome) in Outcome::all().enumerate() {
            assert_eq!(outcome.index(), at, "{outcome:?}");
        }
        assert_eq!(Outcome::all().count(), Outcome::COUNT);
        let failures = Failures::new();
        for event in Event::ALL {
            for outcome in Outcome::all() {
                for _ in 0..=outcome.index() {
                    failures.suppress(event, outcome);
                }
            }
        }
        let suppressed = failures.suppressed();
        for (event, counted) in suppressed.by_event() {
            let expected: Vec<_> = (1..).zip(Outcome::all()).map(|(n, it)| (it, n)).collect();
            assert_eq!(counted, expected, "{event:?}");
        }
        assert_eq!(suppressed.by_event().count(), Event::ALL.len());
        assert_eq!(suppressed.since(&suppressed), Suppressed::default());
        failures.suppress(Event::Logout, Outcome::Refused(Code::SessionNotLive));
        let more = failures.suppressed().since(&suppressed);
        let expected = vec![(Outcome::Refused(Code::SessionNotLive), 1)];
        assert_eq!(more.by_event().collect::<Vec<_>>(), [(Event::Logout, expected)]);
    }

    /// Those who send what costs nothing, and somebody who guesses passwords meanwhile.
    #[test]
    fn what_costs_nothing_does_not_crowd_out_what_costs_a_hash() {
        let (failures, mut now) = (Failures::new(), clock::now());
        let count = |cost, tries: u32, now| {
            (0..tries).map(|_| u32::from(failures.admits(cost, now))).sum::<u32>()
        };
        assert_eq!(count(Cost::Nothing, 16_000, now), AUDIT_FAILURES_BURST_FOR_NOTHING);
        let (mut guesses, mut lookups, mut forgeries) = (0, 0, 0);
        for _ in 0..100 {
            now += Duration::from_millis(100);
            forgeries += count(Cost::Nothing, 1_600, now);
            lookups += count(Cost::Lookup, 1_600, now);
            guesses += count(Cost::Hash, 4, now);
        }
        assert_eq!(guesses, 400, "40 a second are written, all of them");
        assert!(lookups > 0);
        assert!(forgeries + lookups + guesses <= 500 + AUDIT_FAILURES_BURST);
    }
}
