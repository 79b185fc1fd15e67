//! Carries what the log has into the file, so that commits do not have to.
//!
//! Left alone, SQLite does that in the commit that makes the log long enough, and whoever waits for that commit waits for
//! all the pages to be written and synced. Here a thread does it, over a connection of its own, in the way that holds up
//! neither readers nor the writer (PASSIVE). It seldom reaches the end of a log that is written meanwhile, and only then
//! is the file synced and can the log begin anew: so the writer still does that, seldom, for what is left
//! (`SQLITE_LOG_PAGES_MAX`).
//! Sources: "Write-Ahead Logging" in the documentation of SQLite, section 2.3, and its page of `PRAGMA wal_checkpoint`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use background::{Background, steadily};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use pool::Manager as _;
use rusqlite::Connection;
use sparing::{rare, sparing};

use super::connection::{Access, Opener, fault};
use super::place::Place;
use crate::StoreError;
use crate::limits::{
    SQLITE_CHECKPOINT_COMMITS, SQLITE_CHECKPOINT_END_TIME_MAX, SQLITE_CHECKPOINT_OPEN_TIME_MAX,
    SQLITE_CHECKPOINT_PAUSE,
};

/// The thread, from the first time that there is something to do. Dropping this ends it, and waits a little for that:
/// the connection that is closed last removes the log.
#[derive(Debug)]
pub(super) struct Checkpoints {
    place: Arc<Place>,
    /// Commits since the thread was last told.
    commits: AtomicU32,
    thread: OnceLock<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    background: Background,
    /// One message is enough: it says that there is something to do.
    due: Sender<()>,
}

impl Checkpoints {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self { place, commits: AtomicU32::new(0), thread: OnceLock::new() }
    }

    /// Something was committed. Does not block.
    pub(super) fn note_commit(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed) + 1 < SQLITE_CHECKPOINT_COMMITS {
            return;
        }
        self.commits.store(0, Ordering::Relaxed);
        // Without a thread the writer does all of it, as it would without this.
        if let Some(thread) = self.thread.get_or_init(|| Thread::start(Arc::clone(&self.place))) {
            let _told_before = thread.due.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(Some(thread)) = self.thread.take() {
            thread.background.end_by(clock::now() + SQLITE_CHECKPOINT_END_TIME_MAX);
        }
    }
}

impl Thread {
    fn start(place: Arc<Place>) -> Option<Self> {
        let (due, is_due) = bounded(1);
        let work = move |stopped: &Receiver<()>| work(&place, &is_due, stopped);
        match Background::start("checkpoint", work) {
            Ok(background) => Some(Self { background, due }),
            Err(error) => {
                rare!("once", WARN, %error, "no thread for SQLite's log: logins wait now and then while it is carried into the file");
                None
            }
        }
    }
}

fn work(place: &Arc<Place>, is_due: &Receiver<()>, stopped: &Receiver<()>) {
    let opener = Opener::new(Arc::clone(place), Access::Write);
    let mut connection = None;
    loop {
        select! {
            recv(stopped) -> _ => return,
            recv(is_due) -> _ => {}
        }
        let done = steadily(|| checkpoint(&opener, place, &mut connection));
        if let Some(Err(error)) = done {
            connection = None;
            sparing!(WARN, %error, "SQLite's log was not carried into its file: it grows until it can be");
        }
        if stopped.recv_timeout(SQLITE_CHECKPOINT_PAUSE) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn checkpoint(
    opener: &Opener,
    place: &Place,
    open: &mut Option<Connection>,
) -> Result<(), StoreError> {
    place.look()?;
    let connection = match open {
        Some(connection) => connection,
        none => none.insert(opener.connect(clock::now() + SQLITE_CHECKPOINT_OPEN_TIME_MAX)?),
    };
    // The answer says whether somebody else is at it, and how far it came. Neither changes what is next.
    connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut statement| statement.query_row([], |_| Ok(())))
        .map_err(|error| fault(&error).into())
}
