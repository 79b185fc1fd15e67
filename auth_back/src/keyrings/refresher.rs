//! The thread that reads keys again.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::{io, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::LiveRing;
use crate::credentials::{PepperKeyring, TokenKeyring};
use crate::limits::KEY_REREAD_INTERVAL;

/// Has the keys read again soon. Never blocks; rung twice before it is heard, it is heard once.
#[derive(Clone, Debug)]
pub struct Bell(Sender<Call>);

enum Call {
    Reread,
    Stop,
}

/// Hears a [`Bell`].
pub struct Ear(Receiver<Call>);

impl Bell {
    /// A bell and who hears it.
    #[must_use]
    pub fn new() -> (Self, Ear) {
        let (sender, receiver) = bounded(1);
        (Self(sender), Ear(receiver))
    }

    /// Rings it.
    pub fn ring(&self) {
        // Full: it was rung already. Disconnected: the server is at its end.
        let _ = self.0.try_send(Call::Reread);
    }
}

/// The thread.
pub struct Refresher {
    bell: Bell,
    thread: JoinHandle<()>,
}

impl Refresher {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        bell: Bell,
        ear: Ear,
        peppers: Arc<LiveRing<PepperKeyring>>,
        token_keys: Arc<LiveRing<TokenKeyring>>,
    ) -> io::Result<Self> {
        let thread = clock::spawn(thread::Builder::new().name("keys".to_owned()), move || {
            loop {
                match ear.0.recv_timeout(KEY_REREAD_INTERVAL) {
                    Ok(Call::Reread) => {
                        peppers.reread();
                        token_keys.reread();
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        peppers.reread_if_due();
                        token_keys.reread_if_due();
                    }
                    Ok(Call::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        })?;
        Ok(Self { bell, thread })
    }

    /// Ends it. Blocks while it reads.
    pub fn stop(self) {
        // An error means that it has ended already. A panic was logged by the hook.
        let _ = self.bell.0.send(Call::Stop);
        let _ = self.thread.join();
    }
}
