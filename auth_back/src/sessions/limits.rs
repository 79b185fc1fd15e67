//! Every number that bounds the keeping of sessions, with its reason.

use std::time::Duration;

use crate::limits::{BUDGET_MAX, LEASE_MARGIN};

/// For how long a server goes by the generation that it read, counted from when it asked. What a
/// revocation that could not tell Redis waits longer; and one small read of the database in this time.
pub const GENERATION_LEASE: Duration = Duration::from_millis(250);

/// What a generation's lease is taken to run longer by those who wait for it: clocks of two machines
/// differ in rate.
pub const GENERATION_MARGIN: Duration = LEASE_MARGIN;

/// From when one thread reads the generation anew while the others still go by the old one.
pub const GENERATION_RENEW: Duration = Duration::from_millis(125);

/// How late a session that Redis missed may be brought there, by Redis' own clock, counted from when
/// it was missed. The database was asked in between, and what it said may have changed since.
pub const FILL_LATE_MAX: Duration = Duration::from_secs(30);

/// How long Redis remembers that a session was ended, or all of a user.
pub const TOMBSTONE: Duration = Duration::from_secs(90);

/// What follows the commit of a revocation has this long, however little its requester's budget has
/// left: half a revocation is worse than a late answer.
pub const FINISH_TIME: Duration = Duration::from_secs(1);

/// A session is noted as seen when a tenth of its idle time has passed since the last note: ten
/// writes at the most in that time, however busy it is, and it may end a tenth early.
pub const NOTES_PER_IDLE_TIME: u32 = 10;

/// Places for notes whose sessions are. With as many sessions in use, looked at in random order, 1 - 1/e of the looks
/// find the right note and save a round trip. Half a mebibyte.
pub const OWNERS: usize = 1 << 16;

/// Shortest idle time that can be set.
pub const IDLE_MIN: Duration = Duration::from_secs(1);

/// An idle time is at least so many leases: what a front answers from a lease is not seen, so a
/// session that is in use could seem to idle for one.
pub const IDLE_LEASES_MIN: u32 = 4;

/// Sessions that a user may have, unless set otherwise.
pub const PER_USER_DEFAULT: u32 = 100;

/// Most sessions a user that can be set: one answer lists 128, one trim deletes a thousand.
pub const PER_USER_MAX: u32 = 1_000;

/// Most sessions in one list: what an answer holds.
pub const LISTED_MAX: u32 = 128;

/// Sessions of an ended epoch that are deleted right away. What is left goes as it expires.
pub const SUPERSEDED_BATCH: u32 = 200;

const _: () = assert!(FILL_LATE_MAX.as_millis() < TOMBSTONE.as_millis());
const _: () = assert!(BUDGET_MAX.as_millis() < TOMBSTONE.as_millis());
const _: () = assert!(GENERATION_RENEW.as_millis() < GENERATION_LEASE.as_millis());
const _: () = assert!(PER_USER_MAX <= crate::store::limits::PURGE_BATCH_MAX);
const _: () = assert!(SUPERSEDED_BATCH <= crate::store::limits::PURGE_BATCH_MAX);
const _: () = assert!(LISTED_MAX as usize == framing::limits::SESSIONS_MAX);
const _: () = assert!(PER_USER_DEFAULT <= LISTED_MAX);
