//! Whether the file that the connections have open is still the one that the path names.
//!
//! A file that was moved, deleted or replaced is still read and written by whoever has it open, and what is written there
//! nobody finds again: the next start opens what the path names then. So nothing is served from such a file. The server
//! does not turn to the new one by itself: it may be an older copy, whose ended sessions would be live, or have another
//! schema or other keys, which is what a start finds out.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Cause, StoreError};
use crate::fault::{Blame, Connection as Condition, Fault, Kind};

/// A file that was opened by its path.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: Identity,
    /// What the last look has shown.
    is_lost: AtomicBool,
}

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Place {
    /// `file` describes what is at `path`.
    pub(super) fn new(path: PathBuf, file: &std::fs::Metadata) -> Self {
        Self { path, file: Identity::of(file), is_lost: AtomicBool::new(false) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether the path still names the file. Costs a microsecond.
    pub(super) fn look(&self) -> Result<(), StoreError> {
        let lost = self.lost();
        self.is_lost.store(lost.is_some(), Ordering::Relaxed);
        match lost {
            None => Ok(()),
            Some(text) => {
                Err(StoreError::Unavailable(Cause::File { path: self.path.clone(), text }))
            }
        }
    }

    /// What the last look has shown; looks again only where that was bad news.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_lost.load(Ordering::Relaxed) { self.look() } else { Ok(()) }
    }

    /// For a connection that was just opened by the path.
    pub(super) fn of_connection(&self) -> Result<(), Fault> {
        let text = |text| Fault::new(Blame::Operator, Kind::Other, Condition::Spoilt, text);
        self.lost().map_or(Ok(()), |lost| Err(text(lost)))
    }

    /// What has become of the file, if it is not where it was.
    fn lost(&self) -> Option<String> {
        match std::fs::metadata(&self.path) {
            Ok(found) if Identity::of(&found) == self.file => None,
            Ok(_) => Some(
                "another file has taken the place of the one that this server opened. Restart the server to use \
                 this one (without the -wal and -shm of the other), or put the other one back"
                    .to_owned(),
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(
                "the file is gone: it was moved or deleted while this server had it open. Put it back; if it \
                 was deleted, do not stop this server before its content is saved, which docs/database.md says how"
                    .to_owned(),
            ),
            Err(error) => Some(format!("whether the file is still there cannot be found out: {error}")),
        }
    }
}

impl Identity {
    fn of(file: &std::fs::Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino() }
    }
}
