//! The audit log: one JSON line for each thing that was asked of accounts and what came of it, for
//! whoever has to find out later who did what, from where.
//!
//! ```text
//! worker: Request + outcome -> Entry -> line --bounded queue--> thread: file or standard output
//!                                `-> counted, if it is a failure too many
//! command: begun, ok, failed, interrupted --> a file of its own
//! ```
//!
//! | key | what |
//! |---|---|
//! | `time` | when it was done: RFC 3339, UTC, milliseconds |
//! | `event` | `register`, `authenticate`, `logout`, … |
//! | `outcome` | `ok`, or the code of the refusal, as users get it |
//! | `user_id`, `session_id` | whose it was, where that is known |
//! | `username` | as it was given, cut to a bound |
//! | `client`, `user_agent` | where from, as the front says |
//! | `request_id` | what the user's own request is found again by: `X-Request-Id` of its answer |
//! | `count`, `since`, `session_ids` | the line tells of several successes of one account and network: how many, from when on, and the sessions of those before the last (`repeats.rs`) |
//! | `suppressed` | on a line of event `audit_lines_suppressed`: how many failures are not in the log, by event and outcome (`failures.rs`) |
//!
//! Never a password, a token, a device marker or a hash: no type that holds one goes into an
//! [`Entry`]. Every character beyond printable ASCII is written as `\uXXXX`, so a line is one line, and
//! no terminal or log viewer obeys what somebody put into a name: control characters, bidirectional
//! overrides, line separators, look-alikes.
//!
//! **Whatever a stranger sends, the log grows by a bounded number of bytes an hour**
//! ([`limits::AUDIT_FAILURE_BYTES_PER_HOUR`], and two lines for each hash that lets somebody in), and the files
//! of it take a bounded room (`file.rs`). Successes are all told. Failures are written until
//! their budget is used up, then counted, and a line says how many of which kind, so the log stays honest.
//!
//! **Requests never wait for this log.** The queue holds [`limits::AUDIT_LINES_QUEUED_MAX`] lines;
//! when it is full the disk has stood still for seconds, and a login service that then stands still
//! too is the greater harm: whoever can stall or fill a disk could lock everybody out. What is lost
//! is counted (`audit_lost_lines`), logged as an error, and written into the audit log itself as a
//! line of event `audit_lines_lost` as soon as it takes lines again, so a gap is never silent.
//!
//! **Commands of operators** are told in a file of their own, which no stranger's lines push out, and before they
//! change anything ([`OperatorsLog`]).
//!
//! Left out: checks of sessions and lists of products, which are reads and a line for each would bury
//! the rest; refusals of a full lane, which decide nothing about an account and under a flood would be
//! most of the lines (`overloaded` in the metrics counts them). Lines are not forced to the disk one
//! by one: what was written survives the end of the process, but not a loss of power.
//!
//! [`limits::AUDIT_LINES_QUEUED_MAX`]: crate::limits::AUDIT_LINES_QUEUED_MAX
//! [`limits::AUDIT_FAILURE_BYTES_PER_HOUR`]: crate::limits::AUDIT_FAILURE_BYTES_PER_HOUR

mod entry;
mod error;
mod failures;
mod file;
mod line;
mod operators;
mod queue;
mod repeats;
mod requests;
mod target;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use entry::{Entry, Event, Outcome};
pub use error::AuditError;
pub use file::Turning;
pub(crate) use operators::is_operators_file;
pub use operators::{OPERATORS_FILE, OperatorsLog};
pub use target::AuditTarget;
pub use writer::{AuditWriter, OpenedAudit};

use queue::Queue;

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

    /// Takes an entry. Never blocks: a failure too many is counted instead of written, and when the queue is full,
    /// the entry is lost and counted.
    pub fn record(&self, entry: &Entry<'_>) {
        if let Some(queue) = &self.queue {
            queue.record(entry);
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

    /// Failures that were counted instead of written so far.
    #[must_use]
    pub fn suppressed_lines(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.suppressed())
    }
}
