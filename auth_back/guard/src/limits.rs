//! Every bound of the limiter that is not a setting, with its reason.

use std::time::Duration;

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

/// How often each of the two turns of an account's slow lane comes: the one for all strangers, and the
/// one for networks that have not failed there.
pub const SLOW_LANE_INTERVAL: Duration = Duration::from_secs(3600);

/// For how long a network from which somebody has logged in to an account stays known for it, and one
/// that has failed there is not a fresh one.
pub const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Most failures a minute of one network that can be set.
pub const NETWORK_PER_MINUTE_MAX: u16 = 600;

/// Minutes of a network's allowance that may be spent at once.
pub const NETWORK_BURST_MINUTES: u16 = 10;

/// The longest wait of a network that is over its allowance; it grows to this from [`DELAY_FIRST`].
/// Shorter than that of an account, because many users may share an address.
pub const NETWORK_DELAY_MAX: Duration = Duration::from_secs(60);

/// How many times the allowance of a /64 a /56 of IPv6 has: what providers give to a home. As many as
/// would be expected of the few devices there that log in by themselves.
pub const HOME_TIMES: u32 = 4;

/// How many times the allowance of a /64 a /48 of IPv6 has. That is an organisation, or a server that was
/// rented for an hour; in some mobile networks it is a region, whose customers have a /64 each.
pub const SITE_TIMES: u32 = 16;

/// Levels of a network, in bursts, beyond which guesses that cost more than usual ones add nothing. With
/// twice the burst a network has waits for [`NETWORK_DELAY_MAX`] times the burst after its last guess, an
/// hour and 40 minutes by default, and not for days.
pub const NETWORK_BURSTS_MAX: u32 = 2;

/// Addresses that an operator can name when they unlock an account.
pub const UNLOCK_ADDRESSES_MAX: usize = 16;

/// Notes of unlocked accounts that are kept at a time, which are more than operators leave in [`UNLOCK_NOTE_KEPT`].
pub const UNLOCK_NOTES_MAX: usize = 256;

/// For how long such a note stays: many times what a server takes to look. A server that starts takes none that is older.
pub const UNLOCK_NOTE_KEPT: Duration = Duration::from_secs(60);

/// Largest such note, in bytes: a name, and the longest addresses.
pub const UNLOCK_NOTE_BYTES_MAX: u64 = 1_024;

/// One guess adds at most this part of a network's burst, whatever it costs: typing an own password wrong
/// once must not shut out those who share the address.
pub const CHARGE_BURST_PART: u32 = 2;

/// Least memory of the limiter that can be set: 40,000 entries.
pub const MEMORY_MIN: u64 = 1 << 20;

/// Most memory of the limiter that can be set: 2.8 thousand million entries.
pub const MEMORY_MAX: u64 = 64 << 30;

/// Most networks that can be left out.
pub const EXEMPT_MAX: usize = 64;

/// How long Redis may take, with everything: as long as its own bounds let it.
pub(super) const SHARED_TIME_MAX: Duration = Duration::from_millis(500);

/// Entries of a set. Three cache lines.
pub const WAYS: usize = 8;

/// Sets of each kind of entries in Redis, of up to [`WAYS`] entries: pairs, pairs of wider networks,
/// accounts, networks, wider networks. They are made as they are needed. All of them full are
/// [`SHARED_BYTES_MAX`].
pub(super) const SHARED_SETS: [u32; 5] = [1 << 16, 1 << 14, 1 << 15, 1 << 14, 1 << 14];

/// What a full set takes of Redis' memory, in bytes: measured, with its key, its time to live and the
/// share of the two tables that lead to them (`tests/shared.rs` fills some and asks).
pub const SHARED_SET_BYTES: u64 = 640;

/// The most that the limiter takes of Redis' memory, whatever comes.
pub const SHARED_BYTES_MAX: u64 = {
    let [a, b, c, d, e] = SHARED_SETS;
    (a as u64 + b as u64 + c as u64 + d as u64 + e as u64) * SHARED_SET_BYTES
};

/// Buckets of one attempt: three networks of IPv6, each with the account and alone, and the account.
pub(super) const BUCKETS_MAX: usize = 7;

/// Locks of each table, and pieces of its memory. Threads that hash are as many as cores; a lock is held for
/// a fraction of a microsecond. With the default memory a piece is 256 KiB or more: pieces below
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
const _: () = assert!(1 < HOME_TIMES && HOME_TIMES < SITE_TIMES);
// The longest wait of a /48 is a part of that of a /64, and still one.
const _: () = assert!(
    NETWORK_DELAY_MAX.as_millis() / SITE_TIMES as u128 > DELAY_FIRST.as_millis()
        && DELAY_MAX_FLOOR.as_millis() / SITE_TIMES as u128 > DELAY_FIRST.as_millis()
);
// What a level counts fits one, with room for what is in flight.
const _: () = assert!(
    NETWORK_PER_MINUTE_MAX as u64
        * NETWORK_BURST_MINUTES as u64
        * SITE_TIMES as u64
        * NETWORK_BURSTS_MAX as u64
        <= u32::MAX as u64 / 2
);
// Redis' memory is shared with sessions.
const _: () = assert!(SHARED_BYTES_MAX <= 128 << 20);
// Every shard of every table has a set at least.
const _: () = assert!(MEMORY_MIN / 8 >= (SHARDS * WAYS * 32) as u64);
// "\n2001:0db8:0000:0000:0000:0000:0000:0001" and a name.
const _: () = assert!(UNLOCK_ADDRESSES_MAX as u64 * 40 + 64 <= UNLOCK_NOTE_BYTES_MAX);
