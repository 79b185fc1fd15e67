//! Threads beside lanes and loops, which a stop does not wait for longer than it may.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
    time::Instant,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sparing::rare;

/// A thread that does something over and over. Dropping this asks it to end and leaves it alone.
#[derive(Debug)]
#[must_use = "dropping it ends the thread"]
pub struct Background {
    name: &'static str,
    /// Dropped to ask the thread to end.
    running: Option<Sender<()>>,
    /// Disconnected when the thread has ended: threads cannot be joined with a deadline.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Background {
    /// Starts `work` on a thread with this name. What it is given is disconnected when it is to end.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        name: &'static str,
        work: impl FnOnce(&Receiver<()>) + Send + 'static,
    ) -> io::Result<Self> {
        let (running, stopped) = bounded(0);
        let (alive, ended) = bounded(0);
        let thread = clock::spawn(thread::Builder::new().name(name.to_owned()), move || {
            let _alive: Sender<()> = alive;
            work(&stopped);
        })?;
        Ok(Self { name, running: Some(running), ended, thread })
    }

    /// Asks the thread to end. Does not block.
    pub fn ask_to_end(&mut self) {
        self.running = None;
    }

    /// Asks the thread to end, and waits until it has, or until `by`. It is left behind then, with a line in the log, and
    /// ends with the process. Returns whether it has ended.
    pub fn end_by(mut self, by: Instant) -> bool {
        self.ask_to_end();
        if self.ended.recv_deadline(by) == Err(RecvTimeoutError::Timeout) {
            let thread = self.name;
            rare!("at the end", WARN, thread, "a thread has not ended in time and is left behind");
            return false;
        }
        // A panic was logged by the hook; there is nothing to add.
        let _ = self.thread.join();
        true
    }
}

/// Does a piece of work of a thread that has to go on: none if it panics, which the hook has logged.
pub fn steadily<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_ends_when_it_is_asked_to() {
        let far = || clock::now() + Duration::from_secs(3600);
        let idle = Background::start("idle", |stopped| assert!(stopped.recv().is_err()));
        assert!(idle.expect("a thread").end_by(far()));
        let gone = Background::start("gone", |_| {}).expect("a thread");
        assert!(gone.end_by(far()));
    }

    #[test]
    fn a_thread_that_does_not_end_is_left_behind() {
        let (busy, until) = bounded::<()>(0);
        let thread =
            Background::start("busy", move |_| assert!(until.recv().is_err())).expect("a thread");
        assert!(!thread.end_by(clock::now()));
        drop(busy);
    }
}
