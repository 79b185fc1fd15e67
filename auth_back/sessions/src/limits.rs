//! Every number that bounds the keeping of sessions, with its reason.

use std::time::Duration;

use store::limits::STATEMENT_TIMEOUT;

/// Longest lease. A front gives the answer to a logout this much time on top.
pub const LEASE_MAX: Duration = Duration::from_secs(5);

/// Added to a lease when a logout waits for it to run: clocks of two machines run at rates that
/// differ by well under one part in a thousand, and timers fire by whole milliseconds.
pub const LEASE_MARGIN: Duration = Duration::from_millis(10);

/// Longest idle time that can be set.
pub const IDLE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// For how long a server goes by the generation that it read, counted from when it asked. What a
/// revocation that could not tell Redis waits longer; and one small read of the database in this time.
pub const GENERATION_LEASE: Duration = Duration::from_millis(250);

/// What a generation's lease is taken to run longer by those who wait for it: clocks of two machines
/// differ in rate.
pub const GENERATION_MARGIN: Duration = LEASE_MARGIN;

/// From when one thread reads the generation anew while the others still go by the old one.
pub const GENERATION_RENEW: Duration = Duration::from_millis(125);

/// How soon a generation that could not be begun is tried again: a store that takes no writes is not asked to by every
/// check.
pub const GENERATION_RETRY: Duration = Duration::from_secs(1);

/// How long after its next answer the database has done what it was asked for before, if it does it at all: a statement
/// that was under way, or its wait for a lock, ends within [`STATEMENT_TIMEOUT`], and the system sends nothing that was
/// given up. Twice that. A commit that waits for other machines (Galera, semi-synchronous replication) may take longer.
pub const DONE_LATE_MAX: Duration = STATEMENT_TIMEOUT.saturating_mul(2);

/// How late a session that Redis missed may be brought there, by Redis' own clock, counted from when
/// it was missed. The database was asked in between, and what it said may have changed since.
pub const FILL_LATE_MAX: Duration = Duration::from_secs(30);

/// How long Redis remembers that a session was ended, or all of a user.
pub const TOMBSTONE: Duration = Duration::from_secs(90);

/// What follows the commit of a revocation has this long, however little its requester's budget has
/// left: half a revocation is worse than a late answer.
pub const FINISH_TIME: Duration = Duration::from_secs(1);

/// A session that is used is noted as seen once a tenth of its idle time has passed since the last note; so it may end a
/// tenth early. Chance takes up to half off that tenth, so that sessions which were begun together are not due together
/// for ever: 13 notes on average in the idle time of a session that is always in use, at most 20.
pub const NOTES_PER_IDLE_TIME: u32 = 10;

/// Sessions whose notes may wait to be written: with the default idle time, those of 250 requests a second that are
/// each of another session, while the store takes no writes for four minutes. Each takes up to 180 bytes, all of them
/// 12 MiB. Beyond that the oldest is dropped, and its session ends early unless it is seen again.
pub const NOTES_PENDING_MAX: usize = 1 << 16;

/// How long the first of several notes waits for others to be written with it.
pub const NOTES_GATHER: Duration = Duration::from_millis(20);

/// Time for writing notes together. Stopping the server waits for it.
pub const NOTES_WRITE_TIME_MAX: Duration = Duration::from_secs(2);

/// After the store refused notes, they are tried again so much later; each time twice as late as the last time.
pub const NOTES_RETRY_MIN: Duration = Duration::from_millis(100);

/// The same at the latest. A full disk is asked to take 64 notes once in this time.
pub const NOTES_RETRY_MAX: Duration = Duration::from_secs(5);

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
const _: () = assert!(GENERATION_RENEW.as_millis() < GENERATION_LEASE.as_millis());
const _: () = assert!(NOTES_PENDING_MAX > store::limits::NOTES_TOGETHER_MAX);
const _: () = assert!(NOTES_RETRY_MIN.as_millis() <= NOTES_RETRY_MAX.as_millis());
// A twentieth of the shortest idle time is still some milliseconds.
const _: () = assert!(IDLE_MIN.as_millis() >= 100 * NOTES_PER_IDLE_TIME as u128);
const _: () = assert!(PER_USER_MAX <= store::limits::PURGE_BATCH_MAX);
const _: () = assert!(SUPERSEDED_BATCH <= store::limits::PURGE_BATCH_MAX);
const _: () = assert!(PER_USER_DEFAULT <= LISTED_MAX);
