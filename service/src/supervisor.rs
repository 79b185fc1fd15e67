//! What a service manager is told by the protocol of `sd_notify(3)`: systemd with `Type=notify`, and whoever else sets
//! `NOTIFY_SOCKET`. Without that variable nothing is told.
//!
//! | message | when |
//! |---|---|
//! | `READY=1` | the server listens |
//! | `STOPPING=1` | a stop begins, with the drain |
//! | `WATCHDOG=1` | twice in each interval of `WatchdogSec=`, while every event loop answers; and while the server stops |

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use background::Background;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use sd_notify::{NotifyState, notify, watchdog_enabled};

use crate::{limits::WATCHDOG_BEATS_PER_INTERVAL, sparing};

/// Whether every event loop has answered since it was last asked; asks again. Does not block.
pub type Heartbeat = Box<dyn FnMut() -> bool + Send>;

/// The service manager, or nobody.
pub(crate) struct Supervisor {
    stopping: Arc<AtomicBool>,
    // Ends with the process.
    _watchdog: Option<Background>,
}

impl Supervisor {
    /// Says that the server is ready, and from now on that its loops are alive.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn ready(heartbeat: Heartbeat) -> io::Result<Self> {
        tell(NotifyState::Ready);
        let stopping = Arc::new(AtomicBool::new(false));
        let watchdog = watchdog_enabled().map(|interval| {
            let (stopping, pause) = (Arc::clone(&stopping), interval / WATCHDOG_BEATS_PER_INTERVAL);
            Background::start("watchdog", move |stopped| beat(heartbeat, pause, &stopping, stopped))
        });
        Ok(Self { stopping, _watchdog: watchdog.transpose()? })
    }

    /// Says that the server stops. Its loops end, so they are not asked any more.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        tell(NotifyState::Stopping);
    }
}

fn beat(mut heartbeat: Heartbeat, pause: Duration, stopping: &AtomicBool, stopped: &Receiver<()>) {
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        // Asked in any case, so that the first one after a pause counts.
        let alive = heartbeat();
        if alive || stopping.load(Ordering::Relaxed) {
            tell(NotifyState::Watchdog);
        } else {
            sparing!(
                ERROR,
                "an event loop does not answer; the service manager is not told to wait"
            );
        }
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = notify(&[state]) {
        sparing!(WARN, %error, "the service manager cannot be told");
    }
}
