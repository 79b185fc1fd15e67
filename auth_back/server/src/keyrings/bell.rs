//! Has keys read again.

use crossbeam_channel::{Receiver, Sender, bounded};

/// Has the keys read again soon. Never blocks; rung twice before it is heard, it is heard once.
#[derive(Clone, Debug)]
pub struct Bell(Sender<()>);

/// Hears a [`Bell`].
pub struct Ear(pub(super) Receiver<()>);

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
        let _ = self.0.try_send(());
    }
}
