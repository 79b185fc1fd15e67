//! Every bound of the reactor, with its reason: what a server may set per listener, [`Limits`], and the fixed ones.

use std::time::Duration;

/// What a server sets per listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at a time, over all loops. When the cap is reached, the loop that accepts a new connection evicts
    /// an idle one of its own ([`Protocol::idle_since`](crate::Protocol::idle_since)); if none is idle there, it rejects the new one.
    pub connections_max: usize,
    /// Connections open at a time from one party, over all loops: an IPv4 address, or a /56 of IPv6; a /48 has
    /// [`SITE_CONNECTIONS_FACTOR`] times as many. A protocol can
    /// exempt addresses ([`Protocol::is_capped`](crate::Protocol::is_capped)).
    pub connections_per_address_max: usize,
    /// Memory for the input and output buffers of all connections, in bytes. Each loop has an equal part, since loops
    /// share nothing and the kernel spreads connections evenly. When a part is used up, the loop closes the connections
    /// that hold most of it and have not moved a byte for a second. Between two connections of a turn, the part may be exceeded
    /// by what one connection adds.
    pub buffer_bytes_max: usize,
}

/// Bytes asked of the kernel in one read: the size of the loop's scratch buffer. Large enough that
/// a batch of pipelined requests costs one call, small enough to stay in the L2 cache.
pub const READ_BYTES: usize = 64 * 1024;

/// Reads of one connection in one turn. A connection that still has input goes on the ready list,
/// so a fast sender shares the loop with everybody else. This holds for dropped input too.
pub const READS_PER_TURN: usize = 2;

/// Messages of one connection in one turn, for the same reason: small pipelined requests could
/// otherwise hold the loop for thousands of answers.
pub const MESSAGES_PER_TURN: usize = 256;

/// Output at which a protocol stops producing more in one turn.
pub const OUTPUT_HIGH_WATER_BYTES: usize = 128 * 1024;

/// Output at which a connection is given up. Above the high-water mark only completions add to it,
/// so this bounds the answers of everything that can be in flight on one connection.
pub const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A peer that takes none of its output for this long is closed. While output waits, the
/// reactor takes no requests from that peer, so new ones cannot keep the wait going.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(10);

/// Progress renews [`WRITE_STALL_MAX`] for this long in all, from the first byte that had to wait until no byte waits.
/// At the high-water mark that is 2 KiB a second, less than a slow mobile network carries.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(60);

/// After its last answer a connection stays half open while the peer still sends, so that the peer sees the
/// answer and not a reset (RFC 9112 section 9.6). It is closed this long after the peer's last byte, as in nginx
/// (`lingering_timeout`).
pub const LINGER_QUIET_MAX: Duration = Duration::from_secs(5);

/// The longest time that a connection lingers in all, as in nginx (`lingering_time`): 64 MiB at 18 Mbit/s. The bound is time
/// and not bytes, because dropping bytes takes no memory and no more than a share of each turn.
pub const LINGER_TIME_MAX: Duration = Duration::from_secs(30);

/// The same while the server stops, which must not take long.
pub const LINGER_STOPPING_MAX: Duration = Duration::from_secs(1);

/// Connections of one loop that linger at a time; one more cuts the oldest. A well-behaved peer closes within a round trip, so
/// a thousand are enough for many thousand closes a second.
pub const LINGERING_MAX: usize = 1024;

/// The divisor that gives the part of all connections that may linger, where that is less than [`LINGERING_MAX`]: connections
/// that have had their answer must not take the slots of those that wait for one.
pub const LINGERING_SHARE: usize = 4;

/// Connections accepted before the loop looks at anything else again.
pub const ACCEPTS_PER_TURN: usize = 64;

/// How long accepting pauses when the process has no file descriptor left. The pending
/// connections wait in the kernel's backlog; trying at once again would spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Kernel backlog of a listener. The kernel caps it at net.core.somaxconn, 4096 since Linux 5.4.
pub const BACKLOG: i32 = 4096;

/// A /48 of IPv6 may have this many times the connections of an IPv4 address or a /56. An organisation has a /48 for many
/// people; a rented server may have one for itself.
pub const SITE_CONNECTIONS_FACTOR: usize = 4;

/// The pause after a scan for idle connections that found few: with tens of thousands of connections a scan takes
/// milliseconds.
pub const IDLE_SCAN_PAUSE: Duration = Duration::from_millis(100);

/// A scan has found few when fewer than one connection in this many was idle. After any other scan, an eviction has cost
/// no more than this many connections looked at.
pub const IDLE_SCAN_SHARE: usize = 16;

/// Entries for each open connection in a list of connections, before the entries of closed connections are removed. With
/// two, removal costs constant time an entry.
pub const LISTED_PER_CONNECTION_MAX: usize = 2;

/// Entries that such a list may always have, however few connections are open.
pub const LISTED_SPARE: usize = 1024;

/// Timers for each open connection, before timers without a meaning are removed. A connection has one for its deadline, and
/// perhaps one for an answer that must wait.
pub const TIMERS_PER_CONNECTION_MAX: usize = 2;

/// Timers that there may always be, however few connections are open: about 50 KiB.
pub const TIMERS_SPARE: usize = 1024;

/// Events taken from one poll. What is left over comes with the next one.
pub const EVENTS_PER_POLL: usize = 1024;

/// A loop that had so many letters in a turn lets others run once before it sleeps: to sleep and to be woken
/// costs more. Fewer letters are no flood, and where every core hashes a loop that gives way waits for a hash.
pub const BUSY_LETTERS_MIN: usize = 8;

/// Capacity with which a buffer starts. Nearly every message of both protocols fits.
pub const BUFFER_BYTES_START: usize = 4 * 1024;

/// Memory that a loop keeps for reuse: 512 buffers of the starting size, as many as there are connections in the middle of a
/// message at a time in ordinary use. More is allocated when needed, and freed afterwards.
pub const SPARE_BYTES_MAX: usize = 512 * BUFFER_BYTES_START;

/// A buffer that grew beyond this is freed instead of kept for reuse, so that one burst of large
/// messages does not stay in memory for good.
pub const SPARE_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Spare buffers that were not needed for this long are freed. While memory is short, it is noted as often which
/// connections have not moved.
pub const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// The divisor that gives the part of the budget at which memory is short.
pub const TIGHT_SHARE: usize = 2;

/// The divisor that gives the part of the budget that is freed when it is used up, so that not every further buffer needs a
/// search for connections to close.
pub const RELIEF_SHARE: usize = 8;

/// A connection stands still after this many notes without a byte moved. Two, since the first may follow immediately after a
/// byte, and the second comes a whole [`TIDY_INTERVAL`] later.
pub const STILL_NOTES_MIN: u8 = 2;

const _: () = assert!(OUTPUT_HIGH_WATER_BYTES < OUTPUT_BYTES_MAX);
const _: () = assert!(BUFFER_BYTES_START <= SPARE_BUFFER_BYTES_MAX);
const _: () = assert!(SPARE_BUFFER_BYTES_MAX <= SPARE_BYTES_MAX);
const _: () = assert!(WRITE_STALL_MAX.as_millis() < WRITE_TIME_MAX.as_millis());
const _: () = assert!(LINGER_QUIET_MAX.as_millis() < LINGER_TIME_MAX.as_millis());
const _: () = assert!(LINGER_STOPPING_MAX.as_millis() <= LINGER_QUIET_MAX.as_millis());
const _: () = assert!(STILL_NOTES_MIN >= 2);
