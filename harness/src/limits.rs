//! Every bound of the harness, with its reason. None decides a test that behaves.

use std::time::Duration;

/// After this long a wait is a hang and its test fails. The slowest wait of a healthy run is about
/// ten seconds (a slow sender being cut); two shared cores may stretch that a few times.
pub const HANG_GUARD: Duration = Duration::from_secs(90);

/// Within this time a server that was started listens and can serve, or it never will. A start that
/// writes to all arenas takes a tenth of a second, a new MariaDB one or two.
pub const START_MAX: Duration = Duration::from_secs(60);

/// An operator's command that is run to its end has ended by then, or never will. One waits for a store for a minute.
pub const COMMAND_MAX: Duration = Duration::from_secs(180);

/// Pause between two looks at something that sends no event, such as readiness.
pub const POLL_PAUSE: Duration = Duration::from_millis(10);

/// How long one look at readiness may take: the server may have been stopped in the middle of it.
pub const PROBE_MAX: Duration = Duration::from_secs(5);

/// Longest line that a server may print once it listens, in bytes. Two addresses need about 80.
pub const LISTENING_LINE_BYTES_MAX: usize = 4096;

/// A peer that takes no byte for this long has stopped reading. Longer than a reading server is ever
/// held up, shorter than the ten seconds after which it closes on a peer that does not read.
#[cfg(feature = "client")]
pub const STALL: Duration = Duration::from_secs(3);

/// Longest answer that a raw connection reads, in bytes. A product list is about 1 KiB.
#[cfg(feature = "client")]
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A server that has logged nothing for so long has written all that it had to say.
pub const LOG_QUIET: Duration = Duration::from_millis(50);

/// How often a log is read, for want of an end, by one who wants all of it.
pub const LOG_READS_MAX: usize = 20;

const _: () = assert!(POLL_PAUSE.as_millis() * 100 < HANG_GUARD.as_millis());
const _: () = assert!(START_MAX.as_millis() < HANG_GUARD.as_millis());
const _: () = assert!(PROBE_MAX.as_millis() * 2 < START_MAX.as_millis());

/// Lines of a program's log that are shown when a test fails. The settings of a start are some 40.
pub const LOG_LINES_SHOWN: usize = 40;

/// Characters shown of each.
pub const LOG_LINE_CHARS_SHOWN: usize = 600;
