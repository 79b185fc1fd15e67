//! The thread that writes notes, and how often it tries.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use server_time::ServerTime;
use sparing::{rare, sparing};
use store::{Cause, Store, StoreError};

use super::{Batch, Notes};
use crate::limits::{NOTES_RETRY_MAX, NOTES_RETRY_MIN, NOTES_WRITE_TIME_MAX};

/// The thread.
#[must_use = "stop it, or the last notes are lost"]
pub struct NoteWriter {
    notes: Arc<Notes>,
    /// Closed when the thread ends: threads cannot be joined with a deadline.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl NoteWriter {
    /// Starts writing what is collected in `notes`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        store: Arc<dyn Store>,
        notes: Arc<Notes>,
        time: Arc<ServerTime>,
    ) -> io::Result<Self> {
        let (running, ended) = bounded(0);
        let theirs = Arc::clone(&notes);
        let thread = Builder::new().name("session-notes".to_owned());
        let thread = clock::spawn(thread, move || run(&*store, &theirs, &time, running))?;
        Ok(Self { notes, ended, thread })
    }

    /// Writes what is left, and ends. Blocks until that is done, until the store refuses it, or until `by`.
    pub fn stop(self, by: Instant) {
        self.notes.stop(by);
        // A panic was logged by the hook; there is nothing to add.
        if self.ended.recv_deadline(by).is_err_and(|error| error.is_disconnected()) {
            let _ = self.thread.join();
        }
        let lost = self.notes.pending();
        if lost > 0 {
            rare!(
                "once, at the end",
                WARN,
                lost,
                "not noted that sessions were in use; they may end early"
            );
        }
    }
}

fn run(store: &dyn Store, notes: &Notes, time: &ServerTime, _running: Sender<()>) {
    let mut tempo = Tempo::new();
    let mut pause = Duration::ZERO;
    loop {
        let stop_by = notes.wait(pause);
        let began = clock::now();
        let deadline = began + NOTES_WRITE_TIME_MAX;
        let deadline = stop_by.map_or(deadline, |by| deadline.min(by));
        let now_ms = time.now().ms();
        // A panic must not end the thread: it would only be missed when sessions end early.
        let wrote = catch_unwind(AssertUnwindSafe(|| write_oldest(store, notes, now_ms, deadline)))
            .unwrap_or_else(|_| Err(StoreError::Internal(Cause::Database("a panic".to_owned()))));
        if stop_by.is_some() && !matches!(wrote, Ok(true)) {
            return;
        }
        if let Err(error) = &wrote {
            sparing!(
                WARN, %error, waiting = notes.pending(),
                "the store does not take that sessions are in use; they are live all the same"
            );
        }
        pause = tempo.pause_after(wrote.is_ok(), clock::since(began));
    }
}

/// Writes the oldest notes that wait, together. Returns whether there were any.
///
/// # Errors
/// [`StoreError::Unavailable`]: the store takes none at present. They wait as before.
fn write_oldest(
    store: &dyn Store,
    notes: &Notes,
    now_ms: u64,
    deadline: Instant,
) -> Result<bool, StoreError> {
    let batch = notes.take(now_ms);
    if batch.len() == 0 {
        return Ok(false);
    }
    write(store, batch, deadline).map(|()| true)
}

fn write(store: &dyn Store, batch: Batch<'_>, deadline: Instant) -> Result<(), StoreError> {
    let written = store.refresh_sessions(&batch.refreshes(), deadline);
    match written {
        Ok(count) => batch.written(count),
        Err(error @ StoreError::Unavailable(_)) => {
            batch.refused();
            return Err(error);
        }
        // One of them may be to blame, and shall not cost the others.
        Err(_) if batch.len() > 1 => {
            return batch.apart().into_iter().try_for_each(|alone| write(store, alone, deadline));
        }
        Err(error) => {
            sparing!(ERROR, %error, "the store cannot note that a session is in use");
            batch.given_up();
        }
    }
    Ok(())
}

/// How often notes are written: logins wait for the same locks and the same disk.
struct Tempo {
    retry: Duration,
}

impl Tempo {
    fn new() -> Self {
        Self { retry: NOTES_RETRY_MIN }
    }

    /// How long to rest after a try that took so long: as long as it took, so that the store is free for half of the
    /// time; and longer with each that the store refuses.
    fn pause_after(&mut self, went_well: bool, took: Duration) -> Duration {
        if went_well {
            self.retry = NOTES_RETRY_MIN;
            return took;
        }
        let pause = self.retry.max(took);
        self.retry = (2 * self.retry).min(NOTES_RETRY_MAX);
        pause
    }
}

#[cfg(any(test, feature = "testing"))]
impl Notes {
    /// Writes all that wait, on this thread.
    pub(crate) fn write_all(&self, store: &dyn Store, now_ms: u64) -> Result<(), StoreError> {
        let deadline = || clock::now() + NOTES_WRITE_TIME_MAX;
        while write_oldest(store, self, now_ms, deadline())? {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_refuses_is_asked_less_and_less_often() {
        let mut tempo = Tempo::new();
        let mut check = |went_well, took_ms, expected_ms| {
            let pause = tempo.pause_after(went_well, Duration::from_millis(took_ms));
            assert_eq!(pause, Duration::from_millis(expected_ms));
        };
        check(true, 3, 3);
        for pause in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            check(false, 1, pause);
        }
        check(true, 7, 7);
        check(false, 2_000, 2_000);
        check(false, 1, 200);
    }
}
