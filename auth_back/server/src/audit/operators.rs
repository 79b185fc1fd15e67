//! Lines of what operators do, in a file of their own that no stranger's lines push out.

use std::io;
use std::path::{Path, PathBuf};

use ownership::{NotTheOwner, check_works_on};

use super::error::AuditError;
use super::file::{Lines, LogFile};
use super::line::render_command;
use super::target::AuditTarget;

/// The name of the file. It lies beside the audit log of the server.
pub const OPERATORS_FILE: &str = "audit-operators.log";

/// Takes the lines of a command. Each is on the disk when it was taken.
#[derive(Debug)]
pub struct OperatorsLog(Target);

#[derive(Debug)]
enum Target {
    Off,
    /// A command's own output is on standard output.
    StandardError(Lines<io::Stderr>),
    File(PathBuf, LogFile),
}

impl OperatorsLog {
    /// Opens it: beside `target`, if that is a file; on standard error, if it is standard output.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(target: &AuditTarget) -> Result<Self, AuditError> {
        Ok(Self(match target {
            AuditTarget::Off => Target::Off,
            AuditTarget::StandardOutput => Target::StandardError(Lines::new(io::stderr())),
            AuditTarget::File(path) => {
                let operators = operators_file(path);
                // It grows by what operators do, and is theirs to turn over.
                let file = LogFile::open(&operators, path, None)?;
                Target::File(operators, file)
            }
        }))
    }

    /// Refuses whoever would make it, or cannot write to it because it is another user's.
    ///
    /// # Errors
    /// [`NotTheOwner`].
    pub fn check_owner(target: &AuditTarget) -> Result<(), NotTheOwner> {
        match target {
            AuditTarget::Off | AuditTarget::StandardOutput => Ok(()),
            AuditTarget::File(path) => check_works_on(&operators_file(path), path),
        }
    }

    /// Tells what came of a command: its words, without any secret, and the operator's user id in the system.
    /// Blocks until the line is on the disk.
    ///
    /// # Errors
    /// [`AuditError::Write`].
    pub fn tell(&mut self, words: &str, uid: u32, outcome: &str) -> Result<(), AuditError> {
        let line = render_command(words, uid, outcome, clock::wall());
        match &mut self.0 {
            Target::Off => Ok(()),
            Target::StandardError(lines) => lines.write(line.as_bytes()).map_err(|cut| {
                AuditError::Write { path: PathBuf::from("standard error"), source: cut.source }
            }),
            Target::File(path, file) => file
                .write(line.as_bytes())
                .map_err(|cut| cut.source)
                .and_then(|()| file.sync())
                .map_err(|source| AuditError::Write { path: path.clone(), source }),
        }
    }
}

/// The operators' log that belongs to an audit log.
pub(super) fn operators_file(audit: &Path) -> PathBuf {
    audit.with_file_name(OPERATORS_FILE)
}

/// Whether the lines of strangers would go to the file of operators.
pub(crate) fn is_operators_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == OPERATORS_FILE)
}
