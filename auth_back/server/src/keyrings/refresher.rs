//! The thread that reads keys again.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use background::{Background, steadily};
use credentials::{PepperKeyring, TokenKeyring};
use crossbeam_channel::{Receiver, never, select};

use super::LiveRing;
use super::bell::Ear;
use crate::limits::KEY_REREAD_INTERVAL;

/// The thread.
pub struct Refresher(Background);

impl Refresher {
    /// Starts it. It does what `too` says as well, whenever it looks for keys.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        ear: Ear,
        peppers: Arc<LiveRing<PepperKeyring>>,
        token_keys: Arc<LiveRing<TokenKeyring>>,
        mut too: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let mut calls = ear.0;
        let work = move |stopped: &Receiver<()>| loop {
            select! {
                recv(stopped) -> _ => break,
                recv(calls) -> call => match call {
                    Ok(()) => {
                        steadily(|| peppers.reread());
                        steadily(|| token_keys.reread());
                        steadily(&mut too);
                    }
                    // Nobody is left who could ring.
                    Err(_) => calls = never(),
                },
                default(KEY_REREAD_INTERVAL) => {
                    steadily(|| peppers.reread_if_due());
                    steadily(|| token_keys.reread_if_due());
                    steadily(&mut too);
                }
            }
        };
        Ok(Self(Background::start("keys", work)?))
    }

    /// Asks it to end. Does not block.
    pub fn ask_to_end(&mut self) {
        self.0.ask_to_end();
    }

    /// Ends it. Blocks while it reads, but not longer than until `by`: a command that prints keys may take long. Returns
    /// whether it has ended.
    pub fn end_by(self, by: Instant) -> bool {
        self.0.end_by(by)
    }
}
