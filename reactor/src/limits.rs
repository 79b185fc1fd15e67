//! Every bound of the reactor, with its reason. What a server may set per listener stands in
//! [`crate::Limits`]; these are the fixed ones.

use std::time::Duration;

/// Bytes asked of the kernel in one read: the size of the loop's scratch buffer. Large enough that
/// a batch of pipelined requests costs one call, small enough to stay in the L2 cache.
pub const READ_BYTES: usize = 64 * 1024;

/// Reads of one connection in one turn. A connection that still has input goes on the ready list,
/// so a fast sender shares the loop with everybody else.
pub const READS_PER_TURN: usize = 2;

/// Messages of one connection in one turn, for the same reason: small pipelined requests could
/// otherwise hold the loop for thousands of answers.
pub const MESSAGES_PER_TURN: usize = 256;

/// Output at which a protocol stops producing more in one turn.
pub const OUTPUT_HIGH_WATER_BYTES: usize = 128 * 1024;

/// Output at which a connection is given up. Above the high-water mark only completions add to it,
/// so this bounds the answers of everything that can be in flight on one connection.
pub const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A peer must take what was written within this time, or it is closed. While output waits, the
/// reactor does not read from that peer, so the wait cannot be kept going with new requests.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(10);

/// After the last answer the connection stays half open this long, discarding what still comes in,
/// so that the peer sees the answer and not a reset (RFC 9112 section 9.6).
pub const LINGER_MAX: Duration = Duration::from_secs(1);

/// Bytes discarded during that time at the most; a peer that sends more is cut.
pub const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Connections accepted before the loop looks at anything else again.
pub const ACCEPTS_PER_TURN: usize = 64;

/// How long a listener rests when the process has no file descriptor left. The pending
/// connections wait in the kernel's backlog; trying at once again would spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Kernel backlog of a listener. The kernel caps it at net.core.somaxconn, 4096 since Linux 5.4.
pub const BACKLOG: i32 = 4096;

/// Events taken from one poll. What is left over comes with the next one.
pub const EVENTS_PER_POLL: usize = 1024;

/// A loop that had so many letters in a turn lets others run once before it sleeps: to sleep and to be woken
/// costs more. Fewer letters are no flood, and where every core hashes a loop that gives way waits for a hash.
pub const BUSY_LETTERS_MIN: usize = 8;

/// Buffers kept for reuse per loop: as many as connections can be in the middle of a message at a
/// time in ordinary use. More are allocated when needed, and freed instead of kept.
pub const SPARE_BUFFERS: usize = 512;

/// Capacity with which a buffer starts. Nearly every message of both protocols fits.
pub const BUFFER_BYTES_START: usize = 4 * 1024;

/// A buffer that grew beyond this is freed instead of kept for reuse, so that one burst of large
/// messages does not stay in memory for good.
pub const SPARE_BUFFER_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(OUTPUT_HIGH_WATER_BYTES < OUTPUT_BYTES_MAX);
const _: () = assert!(BUFFER_BYTES_START <= SPARE_BUFFER_BYTES_MAX);
const _: () = assert!(LINGER_MAX.as_millis() < WRITE_STALL_MAX.as_millis());

/// How much of the stack is wiped before a thread waits. Optimised, everything that a request goes
/// through stays within a few KiB; unoptimised, frames are several times as large.
pub const WIPED_STACK_BYTES: usize = if cfg!(debug_assertions) { 128 << 10 } else { 16 << 10 };
