//! Deletes expired sessions, in small batches, on a thread of its own.
//!
//! Nobody waits for it: an expired session is dead from its first expired millisecond, deleted or
//! not. It even waits for others: a server that could not write may still have a note that the session was in use. And
//! nothing is deleted by a clock that may be wrong ([`server_time`]). Several servers on one store delete side by side
//! without harm.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use background::{Background, steadily};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use server_time::ServerTime;
use service::rare;
use store::{Store, StoreError};
use unix_time::millis;

use crate::limits::{
    PURGE_AFTER, PURGE_BATCH, PURGE_BATCH_MIN, PURGE_BATCH_TIME, PURGE_PAUSE, PURGE_REST,
    PURGE_TIME_MAX,
};

/// The thread.
pub struct Janitor(Background);

impl Janitor {
    /// Starts it; its first round begins after one `interval`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        store: Arc<dyn Store>,
        time: Arc<ServerTime>,
        interval: Duration,
    ) -> io::Result<Self> {
        let work = move |stopped: &Receiver<()>| tidy(&*store, &time, interval, stopped);
        Ok(Self(Background::start("janitor", work)?))
    }

    /// Asks it to end. Does not block.
    pub fn ask_to_end(&mut self) {
        self.0.ask_to_end();
    }

    /// Ends it. Blocks while it is in a batch, but not longer than until `by`. Returns whether it has ended.
    pub fn end_by(self, by: Instant) -> bool {
        self.0.end_by(by)
    }
}

fn tidy(store: &dyn Store, time: &ServerTime, interval: Duration, stopped: &Receiver<()>) {
    let mut tempo = Tempo::new();
    let mut patience = interval;
    let mut deleted_in_all = 0_u64;
    while stopped.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        let (limit, began) = (tempo.limit, clock::now());
        let Some(deleted) = steadily(|| purge_batch(store, time, limit)) else {
            (tempo, patience) = (Tempo::new(), interval);
            continue;
        };
        patience = match deleted {
            // More may be left.
            Ok(deleted) if deleted >= limit => {
                deleted_in_all += u64::from(deleted);
                tempo.pause_after(clock::since(began))
            }
            Ok(deleted) => {
                deleted_in_all += u64::from(deleted);
                if deleted_in_all > 0 {
                    let deleted = deleted_in_all;
                    rare!("once an interval", INFO, deleted, "expired sessions were deleted");
                }
                deleted_in_all = 0;
                interval
            }
            Err(error) => {
                rare!("once an interval", WARN, %error, "expired sessions could not be deleted");
                tempo = Tempo::new();
                interval
            }
        };
    }
}

/// How much is deleted at a time, and how often: logins wait for the same locks and the same disk. A
/// batch that takes longer than it should is followed by a smaller one, and every batch by a rest that
/// leaves most of the time to others. The digests that rows are sorted by are random, so each row of a
/// batch is a page of its own, to be read, logged and written; how long that takes depends on the store,
/// its size and its disk.
struct Tempo {
    limit: u32,
}

impl Tempo {
    fn new() -> Self {
        Self { limit: PURGE_BATCH_MIN }
    }

    /// How long to rest after a batch that took so long.
    fn pause_after(&mut self, took: Duration) -> Duration {
        self.limit = if took > PURGE_BATCH_TIME {
            (self.limit / 2).max(PURGE_BATCH_MIN)
        } else if took < PURGE_BATCH_TIME / 4 {
            (self.limit * 2).min(PURGE_BATCH)
        } else {
            self.limit
        };
        PURGE_PAUSE.max(took * PURGE_REST)
    }
}

/// Deletes nothing while the clock is doubted, or has not been the same for an hour.
fn purge_batch(store: &dyn Store, time: &ServerTime, limit: u32) -> Result<u32, StoreError> {
    let Some(now_ms) = time.now_for_purge() else { return Ok(0) };
    let expired_by_ms = now_ms.saturating_sub(millis(PURGE_AFTER));
    store.delete_expired_sessions(expired_by_ms, limit, clock::now() + PURGE_TIME_MAX)
}

#[cfg(test)]
mod tests;
