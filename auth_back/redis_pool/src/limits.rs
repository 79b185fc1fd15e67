//! Every number that bounds the dealings with Redis, with its reason.

use std::time::Duration;

/// After a failure, Redis is left alone for this long: a server that is away costs one bounded try a
/// second.
pub const REST: Duration = Duration::from_secs(1);

/// Lines on its going and coming that are logged at once; of more, one each
/// [`LOG_SPARING_INTERVAL`](sparing::limits::LOG_SPARING_INTERVAL).
pub const LOG_LINES: u32 = 6;

/// How often it is said that Redis is still away, or still refuses us.
pub const TROUBLE_LINE_INTERVAL: Duration = Duration::from_secs(60);

/// Characters of Redis' own words that are repeated.
pub const WORDS_MAX: usize = 300;

/// How often the server looks whether Redis is there, whoever else asks. As often as [`REST`] lets somebody try.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Longest wait for a connection to be made, greeting included. In one data centre it takes a
/// millisecond; whoever waits here has a database to ask instead.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);

/// Longest wait for one answer. Scripts take tens of microseconds.
pub const IO_TIMEOUT: Duration = Duration::from_millis(250);

/// What was sent and not acknowledged by the peer's kernel for this long is given up by ours. Without
/// it a lost segment could be sent again, and arrive, minutes after its connection was closed.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// Longest wait for a connection that others have.
pub const WAIT_MAX: Duration = Duration::from_millis(100);

/// A connection is replaced at this age, so that a changed address is noticed.
pub const CONNECTION_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Chance takes up to this off the lifetime.
pub const CONNECTION_LIFETIME_JITTER: Duration = Duration::from_secs(60);

/// A connection that nobody needed for this long is closed.
pub const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(4 * 60);

/// Databases that a Redis has by default, 0 to 15; more can be set there.
pub const DATABASE_MAX: i64 = 1_023;

// Whoever found it away must get to the database within the shortest budget of a front, a second.
const _: () =
    assert!(WAIT_MAX.as_millis() + CONNECT_TIMEOUT.as_millis() + IO_TIMEOUT.as_millis() < 1_000);
const _: () = assert!(CONNECTION_IDLE_TIMEOUT.as_secs() < CONNECTION_LIFETIME.as_secs());
