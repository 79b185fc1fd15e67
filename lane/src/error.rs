//! Why there is no lane.

use std::io;

/// Why there is no lane.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The name cannot name threads. The programmer is at fault.
    #[error("{0:?} cannot name a lane: want 1 to {max} bytes of a-z, 0-9, - and _", max = crate::limits::LANE_NAME_BYTES_MAX)]
    Name(&'static str),
    /// More threads than any lane may have. The operator is at fault.
    #[error("lane {lane}: {threads} threads, the most is {max}", max = crate::limits::LANE_THREADS_MAX)]
    Threads {
        /// The lane's name.
        lane: &'static str,
        /// The number asked for.
        threads: usize,
    },
    /// The system gave no thread: its limit on threads or memory is reached.
    #[error("lane {lane}: cannot start a thread: {source}")]
    Spawn {
        /// The lane's name.
        lane: &'static str,
        /// What the system said.
        source: io::Error,
    },
}
