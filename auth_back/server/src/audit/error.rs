//! Why the audit log is not written.

use std::io;
use std::path::PathBuf;

/// The audit log cannot be opened or written. The operator is at fault who said where it is, or the disk is full.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The system says no.
    #[error("the audit log {path} cannot be opened: {source}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a pipe or a device. Opening a pipe would wait for its reader.
    #[error("the audit log {0} is not a regular file; `-` means standard output")]
    NotAFile(PathBuf),
    /// The system takes no line.
    #[error("the audit log {path} cannot be written: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
