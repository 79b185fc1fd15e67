//! Carries what the log has into the file, so that commits do not have to.
//!
//! Left alone, SQLite does that in the commit that makes the log long enough, and whoever waits for that commit waits for
//! all the pages to be written and synced. Here a thread does it, over a connection of its own, in the way that holds up
//! neither readers nor the writer (PASSIVE). It seldom reaches the end of a log that is written meanwhile, and only then
//! can the log begin anew: so the writer still does it, seldom, for the little that is left ([`SQLITE_LOG_PAGES_MAX`]).
//! Sources: "Write-Ahead Logging" in the documentation of SQLite, section 2.3, and its page of `PRAGMA wal_checkpoint`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use pool::Manager as _;
use rusqlite::{Connection, Row};
use service::background::{Background, steadily};
use service::sparing;

use super::connection::{Access, Opener, fault};
use super::place::Place;
use crate::store::StoreError;
use crate::store::limits::{
    SQLITE_CHECKPOINT_COMMITS, SQLITE_CHECKPOINT_END_TIME_MAX, SQLITE_CHECKPOINT_OPEN_TIME_MAX,
    SQLITE_CHECKPOINT_PAUSE, SQLITE_LOG_PAGES_URGENT,
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
        let background = Background::start("checkpoint", work).ok()?;
        Some(Self { background, due })
    }
}

fn work(place: &Arc<Place>, is_due: &Receiver<()>, stopped: &Receiver<()>) {
    let opener = Opener::new(Arc::clone(place), Access::Write);
    let mut connection = None;
    let mut last = Left::default();
    // Whether the writer will soon do what is left, so that there should be little.
    let mut is_urgent = false;
    loop {
        if !is_urgent {
            select! {
                recv(stopped) -> _ => return,
                recv(is_due) -> _ => {}
            }
        }
        is_urgent = match steadily(|| checkpoint(&opener, place, &mut connection)) {
            Some(Ok(left)) => left.is_urgent_after(std::mem::replace(&mut last, left)),
            Some(Err(error)) => {
                connection = None;
                sparing!(WARN, %error, "SQLite's log was not carried into its file: it grows until it can be");
                false
            }
            None => false,
        };
        let pause = if is_urgent { Duration::ZERO } else { SQLITE_CHECKPOINT_PAUSE };
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// What a checkpoint has left.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    /// Pages in the log, and how many of them are in the file.
    pages: u32,
    carried: u32,
}

impl Left {
    /// Whether to do the rest at once. Where a reader keeps the log as it is, the next time would do no better than the
    /// `last`.
    fn is_urgent_after(self, last: Self) -> bool {
        self.pages >= SQLITE_LOG_PAGES_URGENT
            && self.carried < self.pages
            && self.carried != last.carried
    }
}

fn checkpoint(
    opener: &Opener,
    place: &Place,
    open: &mut Option<Connection>,
) -> Result<Left, StoreError> {
    place.look()?;
    let connection = match open {
        Some(connection) => connection,
        none => none.insert(opener.connect(clock::now() + SQLITE_CHECKPOINT_OPEN_TIME_MAX)?),
    };
    let left = |row: &Row<'_>| {
        // The first column says whether somebody else is at it. Without a log the others are -1.
        let count = |column| row.get(column).map(|count: i64| u32::try_from(count).unwrap_or(0));
        Ok(Left { pages: count(1)?, carried: count(2)? })
    };
    connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut statement| statement.query_row([], left))
        .map_err(|error| fault(&error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_keeps_is_not_urgent() {
        let left = |pages, carried| Left { pages, carried };
        let long = SQLITE_LOG_PAGES_URGENT;
        for (last, now, expected) in [
            ((0, 0), (long, long - 1), true),
            ((0, 0), (long, long), false),
            ((0, 0), (long - 1, 1), false),
            ((long, 100), (long + 50, 100), false),
            ((long, 100), (long + 50, 101), true),
        ] {
            let (last, now) = (left(last.0, last.1), left(now.0, now.1));
            assert_eq!(now.is_urgent_after(last), expected, "{now:?} after {last:?}");
        }
    }
}
