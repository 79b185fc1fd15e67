//! Bounds of the ops listener, each with its reason.

use std::time::Duration;

/// Connections to the ops listener: some scrapers, probes and people. As many file descriptors are kept for them
/// ([`crate::descriptors`]). One more evicts the longest idle one, so that open connections keep nobody out.
pub const OPS_CONNECTIONS_MAX: usize = 16;

/// Memory for their buffers. The metrics take some 50 KiB.
pub const OPS_BUFFER_BYTES_MAX: usize = 4 << 20;

/// How long such a connection may be idle: longer than scrapers usually wait.
pub const OPS_IDLE_TIME: Duration = Duration::from_secs(75);

/// How soon a check that said no is made again: as fast as a person starting the server notices,
/// and no load for what it asks.
pub const PROBE_RETRY: Duration = Duration::from_millis(100);

/// Changes of readiness that are logged at once; of more, one each [`LOG_SPARING_INTERVAL`]. A start takes two or
/// three; a dependency that comes and goes may change it ten times a second.
///
/// [`LOG_SPARING_INTERVAL`]: crate::limits::LOG_SPARING_INTERVAL
pub const PROBE_LINES: u32 = 6;
