//! How often a line is written.

use std::time::Duration;

/// How long a line that every request would bring is withheld after it was written.
///
/// Long enough that a dependency that is away is a line now and then, short enough that somebody who
/// has just opened the log sees one.
pub const LOG_SPARING_INTERVAL: Duration = Duration::from_secs(10);
