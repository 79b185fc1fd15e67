//! The rules of server time, sans-IO: readings go in, the time comes out.
//!
//! A clock is a [`Line`]: what has to be added to the time since the boot. Readings that agree with the line that is
//! believed are followed at once. One that is off by more than a minute begins a doubt: a second line, which readings
//! have to follow for an hour before it is believed. A reading that agrees with the first line ends the doubt.
//!
//! "Off by" is measured against where a line was at the beginning of its hour, so no clock gets away by many small
//! steps: within an hour a line moves by two minutes at most.
//!
//! The time that is told never goes back, except when a line that is behind is believed after its hour: to stand still
//! for a day would give every session of that day a day too much.

use unix_time::millis;

use crate::limits::{TIME_BELIEVED_AFTER, TIME_DOUBT_LINE_INTERVAL, TIME_JUMP_MIN};
use crate::now::Now;

/// What the clock of the store said, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Milliseconds since the boot, sleep included.
    pub(super) boot_ms: u64,
    /// Milliseconds since 1970, UTC.
    pub(super) unix_ms: u64,
}

/// What a reading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It was as expected.
    None,
    /// It is not believed.
    Doubted {
        /// What is believed instead.
        believed_ms: u64,
        /// For how long that has been so.
        since_ms: u64,
        /// There was no line about it within the last minute.
        is_worth_a_line: bool,
    },
    /// The clock was doubted, and agrees again with what was believed.
    Righted,
    /// The clock has been doubted for an hour, and is believed from now on.
    Adopted {
        /// What was believed until now.
        believed_ms: u64,
    },
}

/// Keeps the time.
#[derive(Debug)]
pub(super) struct Keeper {
    believed: Line,
    /// Since when what is believed has been the same clock.
    believed_since_ms: u64,
    doubt: Option<Doubt>,
    /// The latest time that was told.
    told_ms: u64,
    /// When there was a line about a doubt.
    line_at_ms: Option<u64>,
}

#[derive(Debug)]
struct Doubt {
    line: Line,
    /// When it began, in time since the boot.
    since_ms: u64,
}

impl Keeper {
    /// Believes the first reading: there is nothing that it could be compared with.
    pub(super) fn new(first: Reading) -> Self {
        Self {
            believed: Line::through(first),
            believed_since_ms: first.boot_ms,
            doubt: None,
            told_ms: 0,
            line_at_ms: None,
        }
    }

    pub(super) fn note(&mut self, reading: Reading) -> Change {
        if self.believed.follow(reading) {
            return if self.doubt.take().is_some() { Change::Righted } else { Change::None };
        }
        let believed_ms = self.believed.at(reading.boot_ms);
        let doubted = self.doubt.take();
        let doubted = doubted.and_then(|mut doubt| doubt.line.follow(reading).then_some(doubt));
        // The first jump, or another than before: its hour begins.
        let begun = || Doubt { line: Line::through(reading), since_ms: reading.boot_ms };
        let doubt = doubted.unwrap_or_else(begun);
        let since_ms = reading.boot_ms.saturating_sub(doubt.since_ms);
        if since_ms < millis(TIME_BELIEVED_AFTER) {
            self.doubt = Some(doubt);
            return Change::Doubted {
                believed_ms,
                since_ms,
                is_worth_a_line: self.is_time_for_a_line(reading.boot_ms),
            };
        }
        self.believed = doubt.line;
        self.believed_since_ms = reading.boot_ms;
        self.told_ms = 0;
        Change::Adopted { believed_ms }
    }

    pub(super) fn now(&mut self, boot_ms: u64) -> Now {
        self.told_ms = self.told_ms.max(self.believed.at(boot_ms));
        let doubted_ms = self.doubt.as_ref().map(|doubt| doubt.line.at(boot_ms));
        Now { ms: self.told_ms, doubted_ms }
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// Whether the time is beyond doubt, and has been the same for an hour. After a start nothing is there that it could
    /// be compared with, so it takes an hour too.
    pub(super) fn is_steady(&self, boot_ms: u64) -> bool {
        let since_ms = boot_ms.saturating_sub(self.believed_since_ms);
        self.doubt.is_none() && since_ms >= millis(TIME_BELIEVED_AFTER)
    }

    fn is_time_for_a_line(&mut self, boot_ms: u64) -> bool {
        let wait_ms = millis(TIME_DOUBT_LINE_INTERVAL);
        let is_time = self.line_at_ms.is_none_or(|at_ms| boot_ms.saturating_sub(at_ms) >= wait_ms);
        if is_time {
            self.line_at_ms = Some(boot_ms);
        }
        is_time
    }
}

/// A clock that goes as fast as `CLOCK_BOOTTIME`, and is put right by readings that differ little.
#[derive(Debug)]
struct Line {
    /// Unix time less time since the boot.
    offset_ms: i64,
    /// The offset at the beginning of the line's hour, and when that was.
    anchor_ms: i64,
    anchored_at_ms: u64,
}

impl Line {
    fn through(reading: Reading) -> Self {
        let offset_ms = offset_of(reading);
        Self { offset_ms, anchor_ms: offset_ms, anchored_at_ms: reading.boot_ms }
    }

    /// Goes through this reading from now on, if that is no jump. Returns whether it does.
    fn follow(&mut self, reading: Reading) -> bool {
        let offset_ms = offset_of(reading);
        if offset_ms.abs_diff(self.anchor_ms) > millis(TIME_JUMP_MIN) {
            return false;
        }
        self.offset_ms = offset_ms;
        let hour_ms = millis(TIME_BELIEVED_AFTER);
        if reading.boot_ms.saturating_sub(self.anchored_at_ms) >= hour_ms {
            (self.anchor_ms, self.anchored_at_ms) = (offset_ms, reading.boot_ms);
        }
        true
    }

    fn at(&self, boot_ms: u64) -> u64 {
        boot_ms.saturating_add_signed(self.offset_ms)
    }
}

fn offset_of(reading: Reading) -> i64 {
    signed(reading.unix_ms).saturating_sub(signed(reading.boot_ms))
}

/// Times beyond the year 292,000,000 are that year.
pub(super) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
