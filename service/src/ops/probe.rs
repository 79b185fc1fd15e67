//! Finding out, on a thread of its own, whether the server can serve.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use super::limits::PROBE_RETRY;

/// Calls a check over and over, and keeps what it said last.
///
/// The check may block: it runs on the probe's thread, so the loop that answers `/readyz` does not.
pub struct Probe {
    readiness: Readiness,
    /// Dropped to wake and end the thread.
    running: Sender<()>,
    thread: JoinHandle<()>,
}

/// What the last check said. Clones see the same.
#[derive(Clone)]
pub struct Readiness(Arc<Mutex<Verdict>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Ready,
    NotReady(String),
}

impl Probe {
    /// Starts the thread `name`, which calls `check` at once, then every `interval` while it says
    /// yes and every [`PROBE_RETRY`] while it says no. Each change of mind is logged.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        name: &str,
        interval: Duration,
        check: impl FnMut() -> Result<(), String> + Send + 'static,
    ) -> io::Result<Self> {
        let readiness = Readiness::unknown();
        let (running, stopped) = bounded(0);
        let seen = readiness.clone();
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = clock::spawn(thread, move || watch(&seen, interval, &stopped, check))?;
        Ok(Self { readiness, running, thread })
    }

    /// A handle on what the last check said.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Says "not ready" from here on, and ends the thread; blocks while a check runs.
    pub fn stop(self) {
        let stopping = Verdict::NotReady("the server is stopping".to_owned());
        self.readiness.set(stopping.clone());
        drop(self.running);
        // A panic of the check was logged by the hook; there is nothing to add.
        let _ = self.thread.join();
        // A check that was running has had the last word until now.
        self.readiness.set(stopping);
    }
}

impl Readiness {
    /// What is said before the first check.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Arc::new(Mutex::new(Verdict::Unknown)))
    }

    /// Whether the server can serve; if not, why, or `None` when nobody knows yet. Does not wait
    /// for a check.
    ///
    /// # Errors
    ///
    /// The reason.
    pub fn now(&self) -> Result<(), Option<String>> {
        match &*self.0.lock() {
            Verdict::Ready => Ok(()),
            Verdict::Unknown => Err(None),
            Verdict::NotReady(reason) => Err(Some(reason.clone())),
        }
    }

    /// Sets the verdict; whether it is another one than before.
    fn set(&self, verdict: Verdict) -> bool {
        let mut current = self.0.lock();
        let changed = *current != verdict;
        *current = verdict;
        changed
    }
}

fn watch(
    readiness: &Readiness,
    interval: Duration,
    stopped: &Receiver<()>,
    mut check: impl FnMut() -> Result<(), String>,
) {
    loop {
        let patience = match check() {
            Ok(()) => {
                if readiness.set(Verdict::Ready) {
                    tracing::info!("ready");
                }
                interval
            }
            Err(reason) => {
                if readiness.set(Verdict::NotReady(reason.clone())) {
                    tracing::warn!(reason, "not ready");
                }
                PROBE_RETRY
            }
        };
        if stopped.recv_timeout(patience) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lock().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn readiness_follows_the_check() {
        let (verdicts, next) = channel();
        let (asked, was_asked) = channel();
        let probe = Probe::start("probe", Duration::ZERO, move || {
            // An error means that the test is over.
            let _ = asked.send(());
            next.recv().unwrap_or(Ok(()))
        });
        let probe = probe.unwrap();
        let readiness = probe.readiness();
        was_asked.recv().unwrap();
        assert_eq!(readiness.now(), Err(None));
        for verdict in [Ok(()), Err("away".to_owned()), Ok(())] {
            verdicts.send(verdict.clone()).unwrap();
            // The next question means that the last answer has been taken in.
            was_asked.recv().unwrap();
            assert_eq!(readiness.now(), verdict.map_err(Some));
        }
        drop((verdicts, was_asked));
        probe.stop();
        assert_eq!(readiness.now(), Err(Some("the server is stopping".to_owned())));
    }
}
