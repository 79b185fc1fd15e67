//! Server time: what dates everything that is kept in the store, and decides what of it is over.
//!
//! It is the time of the store, because that is what all servers share: the clock of MySQL or MariaDB, or the wall clock
//! for a SQLite file. It is asked at the start and every 10 s ([`Timekeeper`]); in between, and while the store is away,
//! time goes on by `CLOCK_BOOTTIME`, which also counts while the machine sleeps. The wall clock of a server that has a
//! database decides nothing but the dates of log lines.
//!
//! A clock that jumps is not believed for an hour. Until then there are two times, and [`Now`] has both: what they decide
//! alike is decided, all else is not known, and nothing is purged. What is made meanwhile gets the time that is believed.
//! `docs/clocks.md` is the page for operators, `keeper.rs` has the rules.
//!
//! Left out on purpose: the dates of log lines, of the audit log and of `schema_migration`, which people read and nothing
//! is decided by.

mod keeper;
pub mod limits;
mod now;
#[cfg(test)]
mod tests;
mod timekeeper;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use sparing::{rare, sparing};
use unix_time::{millis, rfc3339, unix_ms};

use self::keeper::{Change, Keeper, Reading};
pub use self::now::Now;
pub use self::timekeeper::Timekeeper;
use store::{Cause, Store, StoreError};

use crate::limits::{TIME_BELIEVED_AFTER, TIME_JUMP_MIN, TIME_ROUND_TRIP_MAX};

/// What time it is, for everybody in this process.
#[derive(Debug)]
pub struct ServerTime {
    keeper: Mutex<Keeper>,
    /// By how much the wall clock was ahead of the store's when that was last asked.
    wall_ahead_ms: AtomicI64,
    purges_withheld: AtomicU64,
}

impl ServerTime {
    /// Server time as the store has it now. For a server, a [`Timekeeper`] keeps it right; a command is over before it
    /// could be wrong. Blocks for one round trip.
    ///
    /// # Errors
    /// [`StoreError`]: also when the answer took so long that it says little.
    pub fn ask_first(store: &dyn Store, deadline: Instant) -> Result<Self, StoreError> {
        let (reading, wall_ahead_ms) = read(store, deadline)?;
        let time = Self {
            keeper: Mutex::new(Keeper::new(reading)),
            wall_ahead_ms: AtomicI64::new(0),
            purges_withheld: AtomicU64::new(0),
        };
        time.note_wall(wall_ahead_ms);
        Ok(time)
    }

    /// What time it is. Does not block.
    #[must_use]
    pub fn now(&self) -> Now {
        let mut keeper = self.keeper.lock();
        // Read under the lock: of two threads, the one that comes later is told the later time.
        keeper.now(millis(clock::boot()))
    }

    /// The time by which what is deleted has to be over, which is the time that is believed; none while it has not been
    /// the same for an hour. What is deleted in error does not come back when the clock is put right.
    #[must_use]
    pub fn now_for_purge(&self) -> Option<u64> {
        let mut keeper = self.keeper.lock();
        let boot_ms = millis(clock::boot());
        if !keeper.is_steady(boot_ms) {
            self.purges_withheld.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(keeper.now(boot_ms).ms())
    }

    /// How often a purge was told not to delete anything.
    #[must_use]
    pub fn purges_withheld(&self) -> u64 {
        self.purges_withheld.load(Ordering::Relaxed)
    }

    /// Whether the clock has jumped and is not believed yet.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.keeper.lock().is_doubted()
    }

    /// By how many seconds this machine's wall clock was ahead of the store's when that was last asked.
    #[must_use]
    pub fn wall_ahead_seconds(&self) -> f64 {
        let ahead_ms = self.wall_ahead_ms.load(Ordering::Relaxed);
        ahead_ms as f64 / 1_000.0
    }

    /// Asks the store again. Blocks for one round trip. After an error, time goes on as it did.
    ///
    /// # Errors
    /// As [`ServerTime::ask_first`].
    pub fn ask(&self, store: &dyn Store, deadline: Instant) -> Result<(), StoreError> {
        let (reading, wall_ahead_ms) = read(store, deadline)?;
        self.note_wall(wall_ahead_ms);
        let change = self.keeper.lock().note(reading);
        tell(change, reading);
        Ok(())
    }

    fn note_wall(&self, ahead_ms: i64) {
        let before_ms = self.wall_ahead_ms.swap(ahead_ms, Ordering::Relaxed);
        let differs = |ms: i64| ms.unsigned_abs() > millis(TIME_JUMP_MIN);
        if differs(ahead_ms) && !differs(before_ms) {
            let ahead_s = ahead_ms / 1000;
            sparing!(
                WARN,
                ahead_s,
                "this machine's clock differs from the database's, which decides; lines of the log have this machine's"
            );
        }
    }
}

/// What the store says, and by how much the wall clock is ahead of that.
fn read(store: &dyn Store, deadline: Instant) -> Result<(Reading, i64), StoreError> {
    let before = clock::boot();
    let store_ms = store.time(deadline)?;
    let took = clock::boot().saturating_sub(before);
    let wall_ms = unix_ms(clock::wall());
    // It was so at some moment of the round trip.
    if took > TIME_ROUND_TRIP_MAX {
        return Err(StoreError::Unavailable(Cause::Deadline));
    }
    let reading = Reading { boot_ms: millis(before + took / 2), unix_ms: store_ms };
    let wall_ahead_ms = keeper::signed(wall_ms) - keeper::signed(store_ms);
    Ok((reading, wall_ahead_ms))
}

fn tell(change: Change, reading: Reading) {
    let clock = rfc3339(reading.unix_ms);
    match change {
        Change::None | Change::Doubted { is_worth_a_line: false, .. } => {}
        Change::Doubted { believed_ms, since_ms, .. } => {
            let (believed, doubted_s) = (rfc3339(believed_ms), since_ms / 1000);
            let left_s = TIME_BELIEVED_AFTER.as_secs().saturating_sub(doubted_s);
            rare!(
                "once a minute at most",
                ERROR,
                %believed,
                %clock,
                doubted_s,
                left_s,
                "the store's clock JUMPED and is not believed yet; sessions that it decides are 503 and nothing is purged. \
                 If it is wrong, put it right; if it is right, restart this server (docs/clocks.md)"
            );
        }
        Change::Righted => {
            sparing!(INFO, %clock, "the store's clock is right again: nothing was lost by it");
        }
        Change::Adopted { believed_ms } => {
            let before = rfc3339(believed_ms);
            rare!("once an hour at most", WARN, %before, %clock, "the store's clock has kept its new time for an hour, and is believed");
        }
    }
}
