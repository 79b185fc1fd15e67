//! Every bound of the limiter that is not a setting, with its reason.

use std::time::Duration;

use super::table::WAYS;

/// The wait after the first wrong guess that is one too many; each further one waits twice as long.
pub const DELAY_FIRST: Duration = Duration::from_secs(1);

/// Most free wrong guesses that can be set: a hundred in a row are as many as NIST SP 800-63B-4,
/// section 3.2.2, lets an account have in all.
pub const FREE_MAX: u16 = 100;

/// Shortest longest delay that can be set. Below a minute, delays would not add up to a limit.
pub const DELAY_MAX_FLOOR: Duration = Duration::from_secs(60);

/// Longest longest delay that can be set. More would be a lock by another name.
pub const DELAY_MAX_CEILING: Duration = Duration::from_secs(24 * 3600);

/// Fewest consecutive failures at which an account turns to its slow lane that can be set: it must
/// not be the typos of one user that do it.
pub const ACCOUNT_FAILURES_FLOOR: u16 = 20;

/// Most that can be set, and the default: NIST SP 800-63B-4, section 3.2.2.
pub const ACCOUNT_FAILURES_MAX: u16 = 100;

/// How often strangers may try an account in its slow lane, all of them together.
pub const SLOW_LANE_INTERVAL: Duration = Duration::from_secs(3600);

/// For how long a network from which somebody has logged in to an account stays known for it.
pub const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Most failures a minute of one network that can be set.
pub const NETWORK_PER_MINUTE_MAX: u16 = 600;

/// Minutes of a network's allowance that may be spent at once.
pub const NETWORK_BURST_MINUTES: u16 = 10;

/// The longest wait of a network that is over its allowance; it grows to this from [`DELAY_FIRST`].
/// Shorter than that of an account, because many users may share an address.
pub const NETWORK_DELAY_MAX: Duration = Duration::from_secs(60);

/// Least memory of the limiter that can be set: 40,000 entries.
pub const MEMORY_MIN: u64 = 1 << 20;

/// Most memory of the limiter that can be set: 2.8 thousand million entries.
pub const MEMORY_MAX: u64 = 64 << 30;

/// Most networks that can be left out.
pub const EXEMPT_MAX: usize = 64;

/// How long Redis may take, with everything: as long as its own bounds let it.
pub(super) const SHARED_TIME_MAX: Duration = Duration::from_millis(500);

/// Locks of each table, and pieces of its memory. Threads that hash are as many as cores; a lock is held for
/// a fraction of a microsecond. With the default memory a piece is 512 KiB or more: pieces below
/// 128 KiB come from glibc's heap, which writes to about half of what was asked for as zeros, and so takes
/// the memory at once.
pub(super) const SHARDS: usize = 16;

/// How much a known network is worth when an entry has to go, in wrong guesses: more than the one or
/// two that a random name leaves behind.
pub(super) const KNOWN_WORTH: u32 = 3;

const _: () = assert!(FREE_MAX <= ACCOUNT_FAILURES_MAX);
const _: () = assert!(ACCOUNT_FAILURES_FLOOR <= ACCOUNT_FAILURES_MAX);
const _: () = assert!(DELAY_FIRST.as_secs() < DELAY_MAX_FLOOR.as_secs());
const _: () = assert!(NETWORK_PER_MINUTE_MAX.checked_mul(NETWORK_BURST_MINUTES + 1).is_some());
// Every shard of every table has a set at least.
const _: () = assert!(MEMORY_MIN / 8 >= (SHARDS * WAYS * 32) as u64);
