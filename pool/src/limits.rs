//! The pool's limits, each with its reason.

use std::time::Duration;

/// Most items one pool may hold.
///
/// Each borrowed item keeps a thread busy, so a larger pool would need more threads than a server of
/// blocking workers runs. It also bounds the scans over idle items, which happen under the lock.
pub const SIZE_MAX: usize = 4096;

/// Longest lifetime and longest idle timeout.
///
/// A year is "never" for a connection; a bound keeps `Instant` arithmetic far from overflow.
pub const LIFETIME_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Shortest lifetime and shortest idle timeout.
///
/// Below this a pool would connect anew for almost every borrow, which is a unit mistaken, not a
/// setting meant.
pub const LIFETIME_MIN: Duration = Duration::from_millis(100);

/// How long an item may idle before it is checked when next borrowed, unless set otherwise.
///
/// A peer that was there half a second ago almost always still is, and a check costs a round trip.
/// `HikariCP` uses the same window (`aliveBypassWindowMs`).
pub const LIVENESS_AFTER_DEFAULT: Duration = Duration::from_millis(500);

/// Longest idle time that may be set to go unchecked.
pub const LIVENESS_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// How often a borrower that finds every item lent lets other threads run before it joins the queue.
///
/// A hand-off costs the receiver a wake-up. When items are lent for less time than that, the first
/// queue never drains: every borrow ends in a hand-off, and throughput falls to the rate of wake-ups,
/// a lock convoy (Blasgen, Gray, Mitoma and Price, "The Convoy Phenomenon", ACM SIGOPS Operating Systems
/// Review 13(2), 1979). A turn of the scheduler lets short borrows end and served waiters collect.
///
/// With 8 threads on 4 items, borrows of under a microsecond and two busy cores, none made a borrow take
/// two to six times as long as two did; 1, 2, 4 and 8 could not be told apart. Few are better, because
/// on a busy machine each may cost the borrower a time slice.
pub(crate) const YIELDS_BEFORE_QUEUE: u32 = 2;

const _: () = assert!(SIZE_MAX > 0);
const _: () = assert!(LIFETIME_MIN.as_nanos() < LIFETIME_MAX.as_nanos());
const _: () = assert!(LIVENESS_AFTER_DEFAULT.as_nanos() <= LIVENESS_AFTER_MAX.as_nanos());
