//! A log file: appended to, followed when it is moved away, and turned over when it is full.
//!
//! Turning over `audit.log` makes it `audit.log.1`, what had that name `audit.log.2`, and so on; the oldest goes.
//! Renaming is what each step consists of, and the first one goes into a gap, so a process that is killed in
//! between has lost nothing and left a gap that the next turn fills. Several processes may write one file: who
//! turns it over holds its lock (`flock(2)`), and whoever finds another file under the name before writing goes
//! on in that one. So does a server whose file was moved away by `logrotate` or by hand.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ownership::Heir;
use service::sparing;

use super::error::AuditError;
use crate::limits::AUDIT_TURN_RETRY;

/// When a file is full, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turning {
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// All files, the one that is written to among them.
    pub files: u32,
}

/// Writes lines to what takes bytes. What is left of a line that could not be written whole stays a line of its own.
#[derive(Debug)]
pub(super) struct Lines<W> {
    to: W,
    torn: bool,
}

impl<W: Write> Lines<W> {
    pub(super) const fn new(to: W) -> Self {
        Self { to, torn: false }
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Cut> {
        // In one piece, as lines are written: another process may write to the same file.
        let ended = self.torn.then(|| [b"\n", lines].concat());
        let all = ended.as_deref().unwrap_or(lines);
        let (taken, written) = write_all(&mut self.to, all);
        // What was taken is no more than held where it cannot be passed on, and there it is lost.
        let flushed = self.to.flush();
        if let Some(last) = taken.checked_sub(1) {
            self.torn = all[last] != b'\n' || flushed.is_err();
        }
        match (written, flushed) {
            (Ok(()), Ok(())) => Ok(()),
            (_, Err(source)) => Err(Cut { bytes: 0, source }),
            (Err(source), Ok(())) => {
                Err(Cut { bytes: taken.saturating_sub(all.len() - lines.len()), source })
            }
        }
    }
}

/// Lines that were not all written.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(super) struct Cut {
    /// How much of them got in.
    pub(super) bytes: usize,
    /// Why the rest did not.
    #[source]
    pub(super) source: io::Error,
}

impl From<io::Error> for Cut {
    fn from(source: io::Error) -> Self {
        Self { bytes: 0, source }
    }
}

/// Writes as much as is taken, and returns how much that was.
fn write_all(to: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match to.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => taken += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

/// A log file that is open.
#[derive(Debug)]
pub(super) struct LogFile {
    /// As the operator said.
    path: PathBuf,
    /// Another log that lies there, of the same owner.
    neighbour: PathBuf,
    /// Where it is, if the path is a link to it: this is what is turned over.
    place: PathBuf,
    lines: Lines<File>,
    identity: Identity,
    turning: Option<Turning>,
    /// When turning over is tried again, after it failed.
    turn_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

impl LogFile {
    /// Opens the file, and makes it when it is not there, readable to its owner alone. One whose last line was not
    /// written whole gets the end of that line. One that root makes belongs to whoever owns the `neighbour`, if that
    /// is there, or else the directory.
    ///
    /// # Errors
    /// [`AuditError`].
    pub(super) fn open(
        path: &Path,
        neighbour: &Path,
        turning: Option<Turning>,
    ) -> Result<Self, AuditError> {
        // Opening a pipe would wait for its reader.
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(AuditError::NotAFile(path.to_owned()));
        }
        let cannot = |source| AuditError::Open { path: path.to_owned(), source };
        let file = open_or_make(path, neighbour).map_err(cannot)?;
        let found = file.metadata().map_err(cannot)?;
        let place = path.canonicalize().map_err(cannot)?;
        let torn = ends_torn(&file, found.len()).map_err(cannot)?;
        let mut lines = Lines { to: file, torn };
        if torn {
            // A disk that is full now may have room later: it is still torn then.
            let _ = lines.write(b"");
        }
        let identity = Identity::of(&found);
        let (path, neighbour) = (path.to_owned(), neighbour.to_owned());
        Ok(Self { path, neighbour, place, lines, identity, turning, turn_at: None })
    }

    /// Appends whole lines, to the file that has the name now. One that they would make too long is turned over
    /// before.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Cut> {
        let bytes = self.follow()?;
        if let Some(turning) = self.turning
            && bytes > 0
            && bytes + lines.len() as u64 > turning.file_bytes_max
            && self.turn_at.is_none_or(|at| clock::now() >= at)
        {
            self.turn_at = None;
            if let Err(error) = self.turn_over(turning.files) {
                self.turn_at = Some(clock::now() + AUDIT_TURN_RETRY);
                let path = self.path.display();
                sparing!(ERROR, %path, %error, "the audit log GROWS: it cannot be turned over");
            }
        }
        self.lines.write(lines)
    }

    /// Opens what has the name now.
    pub(super) fn reopen(&mut self) {
        match Self::open(&self.path, &self.neighbour, self.turning) {
            Ok(anew) => *self = Self { turn_at: self.turn_at, ..anew },
            // The old file still takes lines, wherever it is by now.
            Err(error) => sparing!(ERROR, %error, "the audit log goes on in its old file"),
        }
    }

    /// Brings what was written to the disk. Blocks for it.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.lines.to.sync_data()
    }

    /// Opens what has the name now, if it is another file. Returns how long the file is.
    fn follow(&mut self) -> io::Result<u64> {
        match fs::metadata(&self.path) {
            Ok(found) if Identity::of(&found) == self.identity => return Ok(found.len()),
            Ok(_) => self.reopen(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.reopen(),
            // It cannot be looked at, but written to.
            Err(_) => {}
        }
        Ok(self.lines.to.metadata()?.len())
    }

    fn turn_over(&mut self, files: u32) -> io::Result<()> {
        match self.lines.to.try_lock() {
            Ok(()) => {}
            // Another process is at it.
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let turned = if fs::metadata(&self.place).is_ok_and(|it| Identity::of(&it) == self.identity)
        {
            shift(&self.place, files)
        } else {
            // Another process has just done it.
            Ok(())
        };
        // Whoever looks at the name now finds another file.
        let _ = self.lines.to.unlock();
        turned?;
        self.reopen();
        // After a loss of power there may be the old names, each on what it was on.
        let _ = self.place.parent().map(|directory| File::open(directory)?.sync_all());
        Ok(())
    }
}

/// Gives the file and those before it their next names. The oldest gives way if there is no gap.
fn shift(path: &Path, files: u32) -> io::Result<()> {
    let numbered = |number: u32| -> OsString {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name
    };
    let is_free = |number: &u32| fs::symlink_metadata(numbered(*number)).is_err();
    let last = files.saturating_sub(1).max(1);
    let gap = (1..=last).find(is_free).unwrap_or(last);
    for number in (1..gap).rev() {
        fs::rename(numbered(number), numbered(number + 1))?;
    }
    fs::rename(path, numbered(1))
}

/// What root makes belongs to whoever owns the neighbour, or else the directory.
fn open_or_make(path: &Path, neighbour: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            Heir::of(path, [neighbour.to_owned()])?.give(&file)?;
            Ok(file)
        }
        // Another process was first, or the name is a link to nothing: then what it names is made for oneself.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create(true).open(path)
        }
        Err(error) => Err(error),
    }
}

fn ends_torn(file: &File, bytes: u64) -> io::Result<bool> {
    let Some(last) = bytes.checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}
