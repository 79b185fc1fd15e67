//! A server's process from its start to its end: what signals do to it, and by when a stop is over.
//!
//! | when | SIGTERM | SIGINT |
//! |---|---|---|
//! | until it listens | ends the process at once, exit code 143 | the same, 130 |
//! | it serves | not ready, and everything is served for `--drain`; then it stops | it stops |
//! | it drains | it stops | it stops |
//! | it stops | nothing | the second one ends the process at once, exit code 130 |
//!
//! To stop is to take what has arrived and to answer it, for `--grace`. Drain and grace together are the whole stop: each
//! wait in it ends by a time that is fixed when the stop begins ([`Deadlines`]), and what is not done by then is
//! left behind, with a line in the log.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use lane::Workers;
use parking_lot::Mutex;

use crate::{
    gather,
    limits::{
        DRAIN_MAX, GRACE_MAX, STOP_LAST_WRITES_MAX, STOP_LAST_WRITES_MIN, STOP_LAST_WRITES_SHARE,
    },
    log::LogGuard,
    ops::Readiness,
    pid_file::{PidFile, PidFileError},
    rare,
    ready::Ready,
    settings::{Setting, SettingErrors, values::Values},
    signals::{Signal, Signals},
    supervisor::{Heartbeat, Supervisor},
};

/// The setting of the drain; include it in a program's table.
pub const DRAIN: Setting = Setting::value(
    "drain",
    "DURATION",
    "At SIGTERM, how long everything is still served while /readyz says 503, so that balancers and fronts turn away before a \
     connection is refused: longer than they take to notice. SIGINT and a second SIGTERM end it",
)
.default("3s")
.group("Times");

/// The setting of the grace; include it in a program's table.
pub const GRACE: Setting = Setting::value(
    "grace",
    "DURATION",
    "After the drain, how long a stop may take: what has arrived is answered, then what is left is cut",
)
.default("5s")
.group("Times");

/// How long a stop may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopTimes {
    /// Everything is served so long; see [`DRAIN`].
    pub drain: Duration,
    /// And so long what had arrived by then; see [`GRACE`].
    pub grace: Duration,
}

impl StopTimes {
    /// Reads [`DRAIN`] and [`GRACE`].
    ///
    /// # Errors
    ///
    /// When one is no duration, or longer than [`DRAIN_MAX`] or [`GRACE_MAX`].
    pub fn read(values: &Values<'_>) -> Result<Self, SettingErrors> {
        gather!(Self {
            drain: values.duration(DRAIN.name(), Duration::ZERO..=DRAIN_MAX),
            grace: values.duration(GRACE.name(), Duration::ZERO..=GRACE_MAX),
        })
    }
}

/// By when the steps of a stop are over. Invariant: they come in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Connections that are not done are cut.
    pub cut_at: Instant,
    /// Threads of lanes that are not done are left behind.
    pub workers_by: Instant,
    /// So is everything else: what is written last, such as logs, and the ops listener.
    pub end_by: Instant,
}

impl Deadlines {
    /// Of a stop that may take `grace` from `now` on. A part of it is for what comes after the connections. That has a
    /// moment even where there is no grace: it takes less unless something stands still.
    fn after(now: Instant, grace: Duration) -> Self {
        let last = (grace / STOP_LAST_WRITES_SHARE).min(STOP_LAST_WRITES_MAX);
        let cut_at = now + (grace - last);
        let last = last.max(STOP_LAST_WRITES_MIN);
        Self { cut_at, workers_by: cut_at + last / 2, end_by: cut_at + last }
    }

    /// What is left for connections.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.cut_at.saturating_duration_since(clock::now())
    }

    /// Waits for the threads of a lane; what they may be waiting for is told to the log when they are not done in time.
    pub fn join(&self, lane: &'static str, workers: Workers) {
        if let Err(left) = workers.join_by(self.workers_by) {
            let threads = left.threads;
            rare!(
                "at the end",
                WARN,
                lane,
                threads,
                "threads of a lane have not ended in time and are left behind"
            );
        }
    }
}

/// What ends with the process, whoever ends it.
struct Kept {
    pid_file: Option<PidFile>,
    // Last: dropping it may have to wait for whoever reads the log.
    _log: LogGuard,
}

/// A process that serves. Dropping it removes its pid file and writes the last lines of its log.
#[must_use = "dropping it ends logging"]
pub struct Lifetime {
    signals: Signals,
    /// Once the server listens.
    supervisor: Option<Supervisor>,
    // Shared with whoever ends a start early.
    kept: Arc<Mutex<Option<Kept>>>,
}

/// Why a process does not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The system refuses handlers of signals.
    #[error("signals cannot be handled: {0}")]
    Signals(#[from] io::Error),
    /// There is no pid file where one was asked for.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
}

impl Lifetime {
    /// Handles signals from now on, then writes the pid file: a SIGHUP is obeyed once the server listens, and until then
    /// those that ask to stop end the process at once, whatever it waits for.
    ///
    /// # Errors
    ///
    /// [`BeginError`].
    pub fn begin(log: LogGuard, pid_file: Option<&Path>) -> Result<Self, BeginError> {
        let kept = Arc::new(Mutex::new(Some(Kept { pid_file: None, _log: log })));
        let ended = Arc::clone(&kept);
        let signals = Signals::install(move |signal| {
            rare!("once, at the end", INFO, signal, "stopped while it started");
            drop(ended.lock().take());
        })?;
        if let Some(path) = pid_file
            && let Some(kept) = &mut *kept.lock()
        {
            kept.pid_file = Some(PidFile::write(path)?);
        }
        Ok(Self { signals, supervisor: None, kept })
    }

    /// The server listens, and says where: from now on signals stop it in order, and a service manager knows. `heartbeat`
    /// says whether the loops of users are alive.
    ///
    /// # Errors
    ///
    /// When standard output is closed, or the system gives no thread.
    pub fn listening(&mut self, ready: &Ready, heartbeat: Heartbeat) -> io::Result<()> {
        self.signals.listening();
        ready.announce()?;
        self.supervisor = Some(Supervisor::ready(heartbeat)?);
        Ok(())
    }

    /// Blocks while the server serves, the drain included, and returns by when the rest of the stop is over. `reload` is
    /// called for each SIGHUP, `drain` when the drain begins. `readiness` says that the server stops from the first
    /// moment on.
    pub fn serve(
        &mut self,
        times: StopTimes,
        readiness: &Readiness,
        mut reload: impl FnMut(),
        drain: impl FnOnce(),
    ) -> Deadlines {
        let signal = loop {
            match self.signals.wait() {
                Signal::Reload => reload(),
                signal => break signal,
            }
        };
        readiness.stopping();
        if let Some(supervisor) = &self.supervisor {
            supervisor.stopping();
        }
        if signal == Signal::Drain && !times.drain.is_zero() {
            rare!("once, at the end", INFO, drain = ?times.drain, "stops soon, and serves on until then");
            drain();
            let until = clock::now() + times.drain;
            while self.signals.wait_until(until) == Some(Signal::Reload) {
                reload();
            }
        }
        Deadlines::after(clock::now(), times.grace)
    }
}

impl Drop for Lifetime {
    fn drop(&mut self) {
        // Here and not where the last owner drops it: until the server listens, that is the thread of the signals.
        drop(self.kept.lock().take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_a_stop_ends_within_the_grace() {
        let now = clock::now();
        let check = |grace_ms: u64, expected: [u64; 3]| {
            let grace = Duration::from_millis(grace_ms);
            let Deadlines { cut_at, workers_by, end_by } = Deadlines::after(now, grace);
            let after = |at: Instant| at - now;
            let expected = expected.map(Duration::from_millis);
            assert_eq!([cut_at, workers_by, end_by].map(after), expected, "{grace_ms} ms");
        };
        check(5_000, [4_500, 4_750, 5_000]);
        check(600_000, [599_500, 599_750, 600_000]);
        check(1_000, [750, 875, 1_000]);
        check(400, [300, 350, 400]);
        check(100, [75, 125, 175]);
        check(0, [0, 50, 100]);
    }
}
