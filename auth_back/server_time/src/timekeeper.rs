//! The thread that asks the store what time it is.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use background::{Background, steadily};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use store::Store;

use super::ServerTime;
use crate::limits::TIME_ASK_TIME_MAX;

/// The thread.
pub struct Timekeeper(Background);

impl Timekeeper {
    /// Starts it. It asks every `interval`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        time: Arc<ServerTime>,
        store: Arc<dyn Store>,
        interval: Duration,
    ) -> io::Result<Self> {
        let work = move |stopped: &Receiver<()>| {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let asked = steadily(|| time.ask(&*store, clock::now() + TIME_ASK_TIME_MAX));
                // That the store is away is told by those who need it for more.
                if let Some(Err(error)) = asked {
                    tracing::debug!(%error, "the store did not say what time it is");
                }
            }
        };
        Ok(Self(Background::start("timekeeper", work)?))
    }

    /// Asks it to end. Does not block.
    pub fn ask_to_end(&mut self) {
        self.0.ask_to_end();
    }

    /// Ends it. Blocks while it asks, but not longer than until `by`. Returns whether it has ended.
    pub fn end_by(self, by: Instant) -> bool {
        self.0.end_by(by)
    }
}
