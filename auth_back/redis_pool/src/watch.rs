//! Looking once a second how Redis is, so that metrics say what is and not what was when somebody last asked; and making
//! up for what it could not be told.

use std::io;
use std::time::Instant;

use background::{Background, steadily};
use crossbeam_channel::RecvTimeoutError;

use super::RedisPool;
use super::limits::LOOK_INTERVAL;

/// A thread of its own, since a Redis that hangs must not delay what the server says of its store.
#[derive(Debug)]
#[must_use = "dropping it ends the thread"]
pub struct Watch(Background);

impl Watch {
    /// Looks at each of `pools` once a second, and then calls `make_up`, which sees to what Redis could not be told. While
    /// it has to wait for the store, the next look comes late.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        pools: Vec<RedisPool>,
        mut make_up: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let background = Background::start("redis", move |stopped| {
            loop {
                for pool in &pools {
                    // The log tells of it, and so do metrics.
                    let _ = steadily(|| pool.look());
                }
                let _ = steadily(&mut make_up);
                if stopped.recv_timeout(LOOK_INTERVAL) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Self(background))
    }

    /// Asks the thread to end. Does not block.
    pub fn ask_to_end(&mut self) {
        self.0.ask_to_end();
    }

    /// Ends the thread; returns whether it ended before `by`.
    pub fn end_by(self, by: Instant) -> bool {
        self.0.end_by(by)
    }
}
