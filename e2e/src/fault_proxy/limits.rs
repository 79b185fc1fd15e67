//! Every bound of the proxy, with its reason.

use std::time::Duration;

/// Bytes read at a time, and written at a time.
pub(super) const PIECE_BYTES_MAX: usize = 16 * 1024;

/// Bytes on their way in one direction of a connection; one piece more may be read before it is noticed. With
/// latency, that is what can be on the way within it.
pub(super) const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Connections at a time; more are reset. Servers under test have some dozens.
pub(super) const CONNECTIONS_MAX: usize = 1_024;

/// Writes for one direction before the others have their turn: single bytes would keep them waiting.
pub(super) const WRITES_PER_TURN: usize = 64;

/// A bandwidth is kept in slices of a second, so that bytes come evenly and not all at its end.
pub(super) const SLICES_PER_SECOND: u32 = 100;

/// A connection that was cut waits so long for both parties to close; what they still send is thrown away.
/// Closing at once would reset it, if they had sent something.
pub(super) const LINGER_MAX: Duration = Duration::from_secs(2);

/// Connections that have ended and are still reported.
pub(super) const REPORTED_MAX: usize = 32;

// What all buffers can take together: a quarter of a gigabyte, if a test has as many connections.
const _: () = assert!(CONNECTIONS_MAX * 2 * (BUFFER_BYTES_MAX + PIECE_BYTES_MAX) <= 256 << 20);
