//! What can go wrong in a store, and whose fault it is.

use std::path::PathBuf;
use std::time::Instant;

use thiserror::Error;

use super::fault::{Blame, Fault, Kind};

/// Why a store could not do what it was asked.
///
/// The text is one line for the log. It holds no password, no password record, no token and no value
/// of a row; a database URL is printed without its password.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// Not now: the database is away, too slow or full, or every connection was busy until the deadline.
    /// The operator's to mend; the caller answers 503.
    ///
    /// A write may have been done, if this [leaves it open](StoreError::leaves_open). An insert of a user is repeated
    /// with the same request id, an insert of a session with a new digest. A swap or a deletion may be repeated as
    /// it is; false then means that the first one may have worked.
    #[error("the store is unavailable: {0}")]
    Unavailable(Cause),

    /// The database holds something that this program never writes. Whoever changed it is at fault, or
    /// the disk; the caller answers 500.
    #[error("the store is corrupt: {0}")]
    Corrupt(Cause),

    /// The database refused a statement, or the caller passed a value that no column holds. This
    /// program is at fault; the caller answers 500.
    #[error("the store refused a request: {0}")]
    Internal(Cause),
}

/// The detail behind a [`StoreError`], for the log.
#[derive(Clone, Debug, Error)]
pub enum Cause {
    /// The caller's deadline had passed before anything was sent.
    #[error("the deadline passed")]
    Deadline,
    /// Every connection was lent until the deadline.
    #[error("every connection stayed busy until the deadline")]
    Busy,
    /// Others changed the row again and again.
    #[error("others changed the row again and again")]
    Contended,
    /// Another server held the migration lock until the deadline.
    #[error("another server is migrating the database")]
    Migrating,
    /// Whether a session has idled out depends on notes that the database does not take.
    #[error("the database takes no notes of sessions in use, so it may lack that this one was")]
    Unsure,
    /// The clock has jumped, and is not believed yet.
    #[error(
        "the clock has jumped, and it depends on which time is right; docs/clocks.md says what to do"
    )]
    ClockDoubted,
    /// The database has not answered in time several times in a row, so nobody waits for it now.
    #[error(
        "the database has not answered in time {n} times in a row; one call each {rest:?} finds out when it does",
        n = super::limits::HANGS_AFTER,
        rest = super::limits::HANGING_REST
    )]
    Hangs,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The database, or its driver, said this.
    #[error("{0}")]
    Database(String),
    /// The database, or the way to it, went before it said what became of the call.
    #[error("{0}")]
    Interrupted(String),
    /// The database does not let us in, or not as far as we have to, and only its operator can change that.
    #[error(
        "{0}. This stays so until somebody changes the account, its rights, the database or the file that \
         --store (AUTH_BACK_STORE) names; docs/grants.md has the rights"
    )]
    Refused(String),
    /// The database file could not be made or may not be used.
    #[error("{path}: {text}", path = .path.display())]
    File {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
    /// A value does not fit its column.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
    /// The settings of a connection pool were refused.
    #[error(transparent)]
    Pool(#[from] pool::ConfigError),
}

impl Cause {
    /// Whether waiting can help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Deadline
            | Self::Busy
            | Self::Contended
            | Self::Migrating
            | Self::Unsure
            | Self::ClockDoubted
            | Self::Hangs
            | Self::Database(_)
            | Self::Interrupted(_) => true,
            Self::Closed
            | Self::Refused(_)
            | Self::File { .. }
            | Self::OutOfRange(_)
            | Self::Pool(_) => false,
        }
    }
}

impl StoreError {
    /// Whether the write that failed with this may have been done.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        matches!(self, Self::Unavailable(Cause::Interrupted(_)))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let blame = fault.blame();
        let is_interrupted = fault.spoils_connection() && fault.kind() != Kind::TakesNoWrites;
        let text = fault.into_text();
        match blame {
            Blame::Circumstances if is_interrupted => Self::Unavailable(Cause::Interrupted(text)),
            Blame::Circumstances => Self::Unavailable(Cause::Database(text)),
            Blame::Operator => Self::Unavailable(Cause::Refused(text)),
            Blame::Data => Self::Corrupt(Cause::Database(text)),
            Blame::Program => Self::Internal(Cause::Database(text)),
        }
    }
}

impl From<pool::AcquireError<Fault>> for StoreError {
    fn from(error: pool::AcquireError<Fault>) -> Self {
        match error {
            pool::AcquireError::TimedOut => Self::Unavailable(Cause::Busy),
            pool::AcquireError::Closed => Self::Unavailable(Cause::Closed),
            pool::AcquireError::Connect(fault) => match fault.into() {
                // Nothing was asked yet.
                Self::Unavailable(Cause::Interrupted(text)) => {
                    Self::Unavailable(Cause::Database(text))
                }
                error => error,
            },
        }
    }
}

/// Refuses a call that comes too late, so that nothing is sent for nobody.
pub(crate) fn check_deadline(deadline: Instant) -> Result<(), StoreError> {
    if clock::now() < deadline { Ok(()) } else { Err(StoreError::Unavailable(Cause::Deadline)) }
}
