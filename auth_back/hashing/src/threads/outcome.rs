//! What becomes of a hash.

use std::time::Duration;

use pool::AcquireError;

use crate::{ArenaError, HashError, Tag};

/// The tag, or why there is none.
pub type HashOutcome = Result<Tag, HashError>;

/// What became of a hash.
pub type Answer<T> = Result<T, NotHashed>;

/// Why a hash was not done. The server is at fault, or has too much to do; never the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHashed {
    /// The deadline passed first.
    #[error("the deadline passed before the hash was done")]
    TimedOut,
    /// Others need its place more, or it would wait for too long.
    #[error("more hashes are waiting than can be done in time")]
    Overloaded {
        /// How long it would have to wait.
        retry_after: Duration,
    },
    /// The arenas are gone while requests are still being served.
    #[error("the arenas are closed")]
    ArenasClosed,
    /// There is no memory to hash in.
    #[error("no arena could be made")]
    Arena(#[source] ArenaError),
    /// A hash that does not fit an arena does not fit the annex either, or there is no memory.
    #[error(transparent)]
    Annex(HashError),
    /// The thread dropped it: it panicked, or the server is at its end.
    #[error("the hash was dropped")]
    Dropped,
}

impl From<AcquireError<ArenaError>> for NotHashed {
    fn from(error: AcquireError<ArenaError>) -> Self {
        match error {
            AcquireError::TimedOut => Self::TimedOut,
            AcquireError::Closed => Self::ArenasClosed,
            AcquireError::Connect(error) => Self::Arena(error),
        }
    }
}
