//! The file that says which process a server is: for whoever turns over its files, or sends it a signal.
//!
//! It names one process and no other, which the name of a program does not: commands of the same program may
//! run beside the server, and end when they get a signal that is meant for it.
//!
//! The file is locked (`flock(2)`) for as long as its process lives. One that is not locked was left behind by a
//! process that was killed, and is replaced; the number in it may be another program's by now. It is written
//! under another name and takes its own when it is whole, so nobody reads half of a number.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process,
};

use crate::settings::{Setting, SettingError, values::Values};

/// The setting of the file; include it in a program's table.
pub const SETTING: Setting = Setting::value(
    "pid-file",
    "FILE",
    "Where the number of the process is written once signals are obeyed, for kill -HUP; removed at the end",
)
.group("Files");

/// The file, with the number of this process. Dropping it removes it.
#[derive(Debug)]
#[must_use = "dropping it removes the file"]
pub struct PidFile {
    path: PathBuf,
    /// Locked.
    file: File,
}

/// Why there is no such file. Whoever said where it is to be is at fault.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// The other process has to end first, or one of the two needs another file.
    #[error("the pid file {path} is in use by the process {pid}")]
    InUse {
        /// Which file.
        path: PathBuf,
        /// What stands in it.
        pid: String,
    },
    /// The system says no.
    #[error("the pid file {path} cannot be written: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Tries to take the name before giving up: each fails only when another process has taken it or given it
/// up at that moment.
const TRIES_MAX: u32 = 10;

/// What is read of a file that another process has: a number and the end of its line.
const PID_BYTES_MAX: usize = 20;

impl PidFile {
    /// Reads [`SETTING`].
    ///
    /// # Errors
    ///
    /// When it is no path.
    pub fn read(values: &Values<'_>) -> Result<Option<PathBuf>, SettingError> {
        values.if_given(SETTING.name(), |name| values.path(name))
    }

    /// Writes the number of this process to `path`. Blocks for the disk.
    ///
    /// # Errors
    ///
    /// [`PidFileError::InUse`] while a process that lives has the file, [`PidFileError::Write`] when it cannot
    /// be written.
    pub fn write(path: &Path) -> Result<Self, PidFileError> {
        let pid = process::id();
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{pid}"));
        let draft = PathBuf::from(draft);
        let cannot = |source| PidFileError::Write { path: path.to_owned(), source };
        let written = File::create(&draft).and_then(|mut file| {
            writeln!(file, "{pid}")?;
            file.try_lock().map_err(io::Error::from)?;
            Ok(file)
        });
        let taken = written.map_err(cannot).and_then(|file| {
            take_name(&draft, path)?;
            Ok(Self { path: path.to_owned(), file })
        });
        // It has its own name now, or is of no use.
        let _ = fs::remove_file(&draft);
        taken
    }
}

/// Gives `draft` the name `path`, unless a living process has it.
fn take_name(draft: &Path, path: &Path) -> Result<(), PidFileError> {
    let cannot = |source| PidFileError::Write { path: path.to_owned(), source };
    for _ in 0..TRIES_MAX {
        // Unlike a renaming, a link replaces nothing that another process has just put there.
        match fs::hard_link(draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => return linked.map_err(cannot),
        }
        let left = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(cannot)?,
        };
        match left.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(PidFileError::InUse { path: path.to_owned(), pid: shown(&left) });
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        // Whoever holds the lock of the file that is there may replace it; another may have done so before.
        if is_at(&left, path) {
            fs::rename(draft, path).map_err(cannot)?;
            return Ok(());
        }
    }
    Err(cannot(io::Error::other("other processes write it, over and over")))
}

/// The number in it, or what else stands there.
fn shown(file: &File) -> String {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = [0; PID_BYTES_MAX];
    let count = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).trim_end().escape_debug().to_string()
}

/// Whether the file is the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => identity(ours) == identity(there),
        _ => false,
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Not one that somebody else has put there.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("server.pid");
        (directory, path)
    }

    /// The names of what is there.
    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory of the test's own");
        entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect()
    }

    #[test]
    fn it_has_the_number_and_goes_with_its_process() {
        let (directory, path) = scratch();
        let file = PidFile::write(&path).expect("nothing is there");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), format!("{}\n", process::id()));
        assert_eq!(names(directory.path()), ["server.pid"], "nothing else is left");
        drop(file);
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[test]
    fn one_that_was_left_behind_is_replaced() {
        let (directory, path) = scratch();
        // The number of a process that lives: it is the lock that counts.
        fs::write(&path, "1\n").expect("a file of the test's own");
        let _file = PidFile::write(&path).expect("nobody holds it");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), format!("{}\n", process::id()));
        assert_eq!(names(directory.path()), ["server.pid"]);
    }

    #[test]
    fn one_that_is_in_use_is_left_alone() {
        let (directory, path) = scratch();
        let file = PidFile::write(&path).expect("nothing is there");
        let error = PidFile::write(&path).expect_err("it is held");
        let expected =
            format!("the pid file {} is in use by the process {}", path.display(), process::id());
        assert_eq!(error.to_string(), expected);
        assert_eq!(names(directory.path()), ["server.pid"]);
        drop(file);
        let _again = PidFile::write(&path).expect("it was given up");
    }

    #[test]
    fn another_ones_file_is_not_removed() {
        let (_directory, path) = scratch();
        let file = PidFile::write(&path).expect("nothing is there");
        fs::remove_file(&path).expect("somebody tidies up");
        let _other = PidFile::write(&path).expect("nothing is there");
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn where_nothing_can_be_written_is_said() {
        let (directory, _) = scratch();
        let path = directory.path().join("missing/server.pid");
        let error = PidFile::write(&path).expect_err("there is no such directory").to_string();
        assert!(
            error.ends_with("cannot be written: No such file or directory (os error 2)"),
            "{error}"
        );
    }

    #[test]
    fn of_several_at_once_one_has_it() {
        for round in 0..50 {
            let (_directory, path) = scratch();
            if round % 2 == 1 {
                fs::write(&path, "left behind\n").expect("a file of the test's own");
            }
            let path = &path;
            let drafts: Vec<PathBuf> =
                (0..4).map(|n| path.with_extension(format!("pid.{n}"))).collect();
            let won: Vec<File> = std::thread::scope(|scope| {
                let threads: Vec<_> = drafts
                    .iter()
                    .map(|draft| {
                        scope.spawn(move || {
                            let file = File::create(draft).expect("a file of the test's own");
                            file.try_lock().expect("nobody else has it");
                            take_name(draft, path).is_ok().then_some(file)
                        })
                    })
                    .collect();
                threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
            });
            assert_eq!(won.len(), 1);
            assert!(is_at(&won[0], path));
        }
    }
}
