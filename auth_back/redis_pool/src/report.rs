//! What the log is told of a Redis: that it is of no use, once a minute that it still is not, and that it is back. One that
//! comes and goes does not fill the log, and what the log says in the end is so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use sparing::limits::LOG_SPARING_INTERVAL;
use sparing::rare;
use sparing::token_bucket::TokenBucket;

use super::error::{Away, ConnectError};
use super::limits::{LOG_LINES, TROUBLE_LINE_INTERVAL};
use super::refusal::Refusal;
use super::uses::Use;

/// One for each use.
#[derive(Debug)]
pub(super) struct Report {
    name_of_use: Use,
    /// Redis works, and the log knows: what most calls find, without a lock.
    is_quiet: AtomicBool,
    lines: TokenBucket,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is so.
    trouble: Option<Trouble>,
    /// What the log was told of last, and when.
    told: Option<(Kind, Instant)>,
    /// When that of which the log was told began.
    since: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Trouble {
    kind: Kind,
    text: String,
}

/// Why it is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It does not answer, or says that it cannot now.
    Away,
    /// It answers, and what is kept there could be lost.
    Unfit,
    /// It does not let us in, or not as far as we have to.
    Refuses,
}

impl Report {
    pub(super) fn new(name_of_use: Use) -> Self {
        Self {
            name_of_use,
            is_quiet: AtomicBool::new(true),
            lines: TokenBucket::new(LOG_SPARING_INTERVAL),
            state: Mutex::default(),
        }
    }

    /// A call has failed. Returns whether the log was told.
    pub(super) fn failed(&self, error: &Away) -> bool {
        let (now, trouble) = (clock::now(), Trouble::of(error));
        let kind = trouble.kind;
        let mut state = self.state.lock();
        self.is_quiet.store(false, Ordering::Relaxed);
        state.trouble = Some(trouble);
        let since = *state.since.get_or_insert(now);
        let is_due = match state.told {
            Some((told, at)) if told == kind => now >= at + TROUBLE_LINE_INTERVAL,
            _ => self.lines.take(LOG_LINES, now),
        };
        if !is_due {
            return false;
        }
        state.told = Some((kind, now));
        drop(state);
        let (name_of_use, without) = (self.name_of_use.name(), self.name_of_use.without());
        let (seconds, error) = ((now - since).as_secs(), error.to_string());
        let what = match kind {
            Kind::Away => "is away",
            Kind::Unfit => "cannot be used as it is set up",
            Kind::Refuses => "refuses us",
        };
        rare!(
            "the log's share",
            WARN,
            "use" = name_of_use,
            error,
            seconds,
            "Redis {what}; {without}"
        );
        true
    }

    /// A call has succeeded. Returns whether the log was told.
    pub(super) fn succeeded(&self) -> bool {
        if self.is_quiet.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state.lock();
        state.trouble = None;
        let now = clock::now();
        if state.told.is_some() && !self.lines.take(LOG_LINES, now) {
            return false;
        }
        let was_told = state.told.take().is_some();
        let seconds = state.since.take().map_or(0, |since| (now - since).as_secs());
        self.is_quiet.store(true, Ordering::Relaxed);
        drop(state);
        if was_told {
            let name_of_use = self.name_of_use.name();
            rare!("the log's share", INFO, "use" = name_of_use, seconds, "Redis is back");
        }
        was_told
    }

    /// Why Redis is of no use now, if it is not.
    pub(super) fn trouble(&self) -> Option<(Kind, String)> {
        let trouble = self.state.lock().trouble.clone();
        trouble.map(|Trouble { kind, text }| (kind, text))
    }
}

impl Trouble {
    fn of(error: &Away) -> Self {
        let kind = match error {
            Away::Connect(ConnectError::Refused(_)) => Kind::Refuses,
            Away::Failed(error) if Refusal::of(error).is_some() => Kind::Refuses,
            Away::Connect(ConnectError::Evicts(_) | ConnectError::Unknown(_)) => Kind::Unfit,
            _ => Kind::Away,
        };
        Self { kind, text: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const AWAY: Away = Away::Connect(ConnectError::Replica);
    const UNFIT: Away = Away::Connect(ConnectError::Unknown("role"));

    #[test]
    fn the_log_is_told_how_it_is_in_the_end_and_not_of_each_change() {
        let clock = clock::Movable::stopped();
        let report = Report::new(Use::Sessions);
        assert!(!report.succeeded());
        assert!(report.failed(&AWAY) && !report.failed(&AWAY) && report.succeeded());
        assert!(!report.succeeded());
        // An hour in which every other call fails.
        let mut lines = 0;
        for _ in 0..36_000 {
            lines += u64::from(report.failed(&AWAY)) + u64::from(report.succeeded());
            clock.advance(Duration::from_millis(100));
        }
        // A line each ten seconds, and one a minute that it is still so.
        let most = 3_600 / LOG_SPARING_INTERVAL.as_secs() + 60 + u64::from(LOG_LINES);
        assert!(lines <= most, "{lines}");
        report.failed(&AWAY);
        clock.advance(LOG_SPARING_INTERVAL);
        report.succeeded();
        assert!(report.is_quiet.load(Ordering::Relaxed) && report.trouble().is_none());
    }

    #[test]
    fn what_lasts_is_said_once_a_minute_and_what_changes_at_once() {
        let clock = clock::Movable::stopped();
        let report = Report::new(Use::Guesses);
        let tell = |error| report.failed(error);
        assert!(tell(&AWAY));
        let mut lines = 0;
        for _ in 0..10 * 60 {
            clock.advance(Duration::from_secs(1));
            lines += u32::from(tell(&AWAY));
        }
        assert_eq!(lines, 10);
        assert!(tell(&UNFIT), "it is another trouble");
        assert_eq!(report.trouble().map(|(kind, _)| kind), Some(Kind::Unfit));
        assert!(!tell(&UNFIT));
    }
}
