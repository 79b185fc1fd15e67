//! Deletes expired sessions, in small batches, on a thread of its own.
//!
//! Nobody waits for it: an expired session is dead from its first expired millisecond, deleted or
//! not. Several servers on one store delete side by side without harm.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use std::{io, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::accounts::unix_ms;
use crate::limits::{PURGE_BATCH, PURGE_PAUSE, PURGE_TIME_MAX};
use crate::store::{Store, StoreError};

/// The thread.
pub struct Janitor {
    /// Dropped to wake and end it.
    running: Sender<()>,
    thread: JoinHandle<()>,
}

impl Janitor {
    /// Starts it; its first round begins after one `interval`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: Arc<dyn Store>, interval: Duration) -> io::Result<Self> {
        let (running, stopped) = bounded(0);
        let thread = thread::Builder::new()
            .name("janitor".to_owned())
            .spawn(move || tidy(&*store, interval, &stopped))?;
        Ok(Self { running, thread })
    }

    /// Ends it. Blocks while it is in a batch, about [`PURGE_TIME_MAX`] at the most.
    pub fn stop(self) {
        drop(self.running);
        // A panic was logged by the hook; there is nothing to add.
        let _ = self.thread.join();
    }
}

fn tidy(store: &dyn Store, interval: Duration, stopped: &Receiver<()>) {
    let mut patience = interval;
    while stopped.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        patience = match purge_batch(store) {
            // More may be left.
            Ok(PURGE_BATCH..) => PURGE_PAUSE,
            Ok(_) => interval,
            Err(error) => {
                tracing::warn!(%error, "expired sessions could not be deleted");
                interval
            }
        };
    }
}

fn purge_batch(store: &dyn Store) -> Result<u32, StoreError> {
    let now_ms = unix_ms(SystemTime::now());
    let deleted =
        store.delete_expired_sessions(now_ms, PURGE_BATCH, Instant::now() + PURGE_TIME_MAX)?;
    if deleted > 0 {
        tracing::info!(deleted, "expired sessions were deleted");
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests;
