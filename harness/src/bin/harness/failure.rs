//! Why the harness ends with another exit code than 0.

use std::fmt;

use harness::Error;

/// Why the exit code is not 0.
pub(crate) enum Failure {
    /// The words were not understood.
    Usage(String),
    /// Something did not start, or has ended by itself.
    Error(Error),
    /// All were asked to stop, and one did not end well.
    NotClean,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "{what}; see harness --help"),
            Self::Error(error) => error.fmt(f),
            Self::NotClean => f.write_str("a server did not stop cleanly; the log says why"),
        }
    }
}
