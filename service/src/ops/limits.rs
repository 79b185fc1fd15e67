//! Bounds of the ops listener, each with its reason.

use std::time::Duration;

/// Connections to the ops listener: some scrapers, probes and people. It shares the process's file
/// descriptors with users, so it must not be the way to use them up.
pub const OPS_CONNECTIONS_MAX: usize = 128;

/// How long answers in flight may take at shutdown. Each is written within one turn of the loop.
pub const OPS_GRACE: Duration = Duration::from_millis(500);

/// How soon a check that said no is made again: as fast as a person starting the server notices,
/// and no load for what it asks.
pub const PROBE_RETRY: Duration = Duration::from_millis(100);

/// Changes of readiness that are logged at once; of more, one each [`LOG_SPARING_INTERVAL`]. A start takes two or
/// three; a dependency that comes and goes may change it ten times a second.
///
/// [`LOG_SPARING_INTERVAL`]: crate::limits::LOG_SPARING_INTERVAL
pub const PROBE_LINES: u32 = 6;
