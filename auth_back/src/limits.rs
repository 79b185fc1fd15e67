//! Every bound of this server that is not a setting, with its reason. Bounds of frames are in
//! [`framing::limits`], of credentials in [`crate::credentials::limits`], of stores in
//! [`crate::store::limits`].

use std::time::Duration;

/// Requests that one connection may have unanswered; announced in HELLO. A front sends batches of
/// at most a few hundred.
pub const IN_FLIGHT_MAX: u32 = 1024;

/// A request's budget counts for this long at the most, whatever its frame says.
pub const BUDGET_MAX: Duration = Duration::from_secs(60);

/// The budget of a v1 request, which cannot say one.
pub const V1_BUDGET: Duration = Duration::from_secs(5);

/// Time for the first message of a connection: HELLO, or a whole v1 request.
pub const GREETING_TIME_MAX: Duration = Duration::from_secs(5);

/// Time from the first byte of a frame to its last. Absolute: a slow sender cannot extend it.
pub const FRAME_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection may have nothing to do. Longer than the 60 s after which a front closes
/// one, so that it is the front who closes, when it knows that nothing is in flight.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(150);

/// Longest display name, in code points: what the column holds.
pub const NAME_CHARS_MAX: usize = crate::store::limits::NAME_CHARS_MAX;

/// Highest age in years that is taken for one.
pub const AGE_MAX: u8 = 150;

/// Longest lease. A front gives the answer to a logout this much time on top.
pub const LEASE_MAX: Duration = Duration::from_secs(5);

/// Added to a lease when a logout waits for it to run: clocks of two machines run at rates that
/// differ by well under one part in a thousand, and timers fire by whole milliseconds.
pub const LEASE_MARGIN: Duration = Duration::from_millis(10);

/// How long a front may reuse the list of products.
pub const PRODUCTS_FRESH_FOR: Duration = Duration::from_secs(1);

/// How long the store may take at start before the server gives up and its supervisor decides.
pub const STORE_PATIENCE: Duration = Duration::from_secs(60);

/// How often the store is looked at, when the last look said yes.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Time for one look.
pub const PROBE_TIME_MAX: Duration = Duration::from_secs(2);

/// How often expired sessions are deleted.
pub const PURGE_INTERVAL: Duration = Duration::from_secs(30);

/// Sessions deleted in one statement: a lock on so few rows is held for a millisecond or two.
pub const PURGE_BATCH: u32 = 500;

/// How far hashing gives way to everything else: on a busy core, a thread of this niceness gets
/// about a tenth of the share of one at 0 (sched(7)), so session checks pass logins.
pub const HASHING_NICENESS: u8 = 10;

const _: () = assert!(GREETING_TIME_MAX.as_millis() <= IDLE_TIME_MAX.as_millis());
const _: () = assert!(IN_FLIGHT_MAX > 0);
