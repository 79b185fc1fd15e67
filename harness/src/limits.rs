//! Every bound of the tests, with its reason. None decides a test that behaves.

use std::time::Duration;

/// After this long a wait is a hang and its test fails. The slowest wait of a healthy run is about
/// ten seconds (a slow sender being cut); two shared cores may stretch that a few times.
pub const HANG_GUARD: Duration = Duration::from_secs(90);

/// Pause between two looks at something that sends no event, such as readiness.
pub const POLL_PAUSE: Duration = Duration::from_millis(10);

/// A peer that takes no byte for this long has stopped reading. Longer than a reading server is ever
/// held up, shorter than the ten seconds after which it closes on a peer that does not read.
pub const STALL: Duration = Duration::from_secs(3);

/// Longest answer that a raw connection reads, in bytes. A product list is about 1 KiB.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Tries to start a database or a Redis on a port that was free a moment ago: another process may have taken
/// the port in between.
pub const DATABASE_STARTS_MAX: usize = 5;

const _: () = assert!(POLL_PAUSE.as_millis() * 100 < HANG_GUARD.as_millis());
