//! Commands that take long and are told to stop: SIGINT and SIGTERM.
//!
//! Such a command finishes the piece of work that it is at, says what was done and what was not, and ends with the code
//! that the signal gives (130, 143). The second signal ends it at once. Other commands end at once at the first.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use service::process::Exit;
use service::signals::{Interrupt, StopSignal};

use crate::limits::INTERRUPT_LOOK_INTERVAL;

/// Signals are the process's. Not set, none is looked for.
static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// Why a command ended before it was done, and what it did until then.
#[derive(Debug, thiserror::Error)]
#[error("{signal}: {what}")]
pub(super) struct Interrupted {
    signal: StopSignal,
    what: String,
}

impl Interrupted {
    /// How the process ends.
    pub(super) fn exit(&self) -> Exit {
        match self.signal {
            StopSignal::Interrupt => Exit::Interrupted,
            StopSignal::Terminate => Exit::Terminated,
        }
    }
}

/// From here on a signal is noted, and [`signal`] has to be asked often.
pub(super) fn watch() -> io::Result<()> {
    let interrupt = Interrupt::watch()?;
    // Set before: by this function, in the same process.
    let _ = INTERRUPT.set(interrupt);
    Ok(())
}

/// The signal that has come, if one has.
pub(super) fn signal() -> Option<StopSignal> {
    INTERRUPT.get()?.signal()
}

/// The same for whoever goes on until told otherwise.
pub(super) fn flow() -> ControlFlow<()> {
    match signal() {
        None => ControlFlow::Continue(()),
        Some(_) => ControlFlow::Break(()),
    }
}

/// Ends a command that a signal has come for. `what` says what was done and what was not.
pub(super) fn check(what: impl FnOnce() -> String) -> Result<(), Interrupted> {
    match signal() {
        None => Ok(()),
        Some(signal) => Err(Interrupted { signal, what: what() }),
    }
}

/// Sleeps until then, or a signal comes.
pub(super) fn sleep(time: Duration) {
    let end = clock::now() + time;
    while signal().is_none() {
        let left = end.saturating_duration_since(clock::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(INTERRUPT_LOOK_INTERVAL));
    }
}

/// Reads what may keep its reader waiting, such as a pipe: a signal makes that an error.
pub(super) struct Interruptible<R>(pub(super) R);

impl Interruptible<File> {
    /// Standard input, past the standard library's buffer: what is in that, the system does not call readable.
    pub(super) fn stdin() -> io::Result<Self> {
        Ok(Self(File::from(io::stdin().as_fd().try_clone_to_owned()?)))
    }
}

/// The error that a reader gives when a signal has come.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was interrupted")
    }
}

impl std::error::Error for Stopped {}

impl<R: Read + AsFd> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if signal().is_some() {
                // Not of the kind `Interrupted`, after which everybody tries again.
                return Err(io::Error::other(Stopped));
            }
            if is_readable(self.0.as_fd())? {
                return self.0.read(buffer);
            }
        }
    }
}

/// Whether there is something to read or an end, after waiting for a moment.
fn is_readable(file: BorrowedFd<'_>) -> io::Result<bool> {
    let timeout = Timespec::try_from(INTERRUPT_LOOK_INTERVAL).map_err(io::Error::other)?;
    match poll(&mut [PollFd::from_borrowed_fd(file, PollFlags::IN)], Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
