//! The audit log: one JSON line for each thing that was asked of accounts and what came of it, for
//! whoever has to find out later who did what, from where.
//!
//! ```text
//! worker: Request + outcome -> Entry -> line --bounded queue--> thread: file or standard output
//! ```
//!
//! | key | what |
//! |---|---|
//! | `time` | when it was done: RFC 3339, UTC, milliseconds |
//! | `event` | `register`, `authenticate`, `logout`, …; `command` for what an operator had done |
//! | `outcome` | `ok`, or the code of the refusal, as users get it |
//! | `user_id`, `session_id` | whose it was, where that is known |
//! | `username` | as it was given, cut to a bound |
//! | `client`, `user_agent` | where from, as the front says |
//! | `request_id` | the same for every sending of one request |
//!
//! Never a password, a token, a device marker or a hash: no type that holds one goes into an
//! [`Entry`]. Every character beyond printable ASCII is written as `\uXXXX`, so a line is one line, and
//! no terminal or log viewer obeys what somebody put into a name: control characters, bidirectional
//! overrides, line separators, look-alikes.
//!
//! **Requests never wait for this log.** The queue holds [`limits::AUDIT_LINES_QUEUED_MAX`] lines;
//! when it is full the disk has stood still for seconds, and a login service that then stands still
//! too is the greater harm: whoever can stall or fill a disk could lock everybody out. What is lost
//! is counted (`audit_lost_lines`), logged as an error, and written into the audit log itself as a
//! line of event `audit_lines_lost` as soon as it takes lines again, so a gap is never silent.
//!
//! Left out: checks of sessions and lists of products, which are reads and a line for each would bury
//! the rest; refusals of a full lane, which decide nothing about an account and under a flood would be
//! most of the lines (`overloaded` in the metrics counts them). Lines are not forced to the disk one
//! by one: what was written survives the end of the process, but not a loss of power.
//!
//! [`limits::AUDIT_LINES_QUEUED_MAX`]: crate::limits::AUDIT_LINES_QUEUED_MAX

mod entry;
mod line;
mod requests;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use entry::Entry;
pub use writer::{AuditError, AuditWriter, OpenedAudit};

use writer::Queue;

/// Where the audit log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Nowhere.
    Off,
    /// Standard output, after the line that says where the server listens.
    StandardOutput,
    /// A file, appended to; made with mode 0600 when it is not there.
    File(PathBuf),
}

/// Takes entries. Cheap to clone; all clones feed one queue.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    queue: Option<Arc<Queue>>,
}

impl Audit {
    /// Takes entries and drops them.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Takes an entry. Never blocks: when the queue is full, the entry is lost and counted.
    pub fn record(&self, entry: &Entry<'_>) {
        if let Some(queue) = &self.queue {
            queue.push(line::render(entry, clock::wall()));
        }
    }

    /// Lines written so far.
    #[must_use]
    pub fn written_lines(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.written())
    }

    /// Lines lost so far: the queue was full, or they could not be written.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.lost())
    }
}

impl fmt::Display for AuditTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::StandardOutput => f.write_str("standard output"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}
