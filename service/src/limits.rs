//! Every bound of this crate, each with its reason.

use std::time::Duration;

pub use ::sparing::limits::LOG_SPARING_INTERVAL;

/// Longest settings file that is read, in bytes.
///
/// A complete sample file is about 8 KiB; whatever is far beyond it is the wrong file.
pub const SETTINGS_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Longest part of a refused value that an error message repeats, in characters.
pub const SHOWN_VALUE_CHARS_MAX: usize = 120;

/// Largest number of edits between an unknown name and the known one that is suggested for it.
///
/// Two edits cover a swapped pair of letters, a missing letter and a wrong one; with three, short
/// names start to resemble each other.
pub const SUGGESTION_EDITS_MAX: usize = 2;

/// Log lines that may wait for the thread that writes them.
///
/// A line is about 300 bytes, so a reader of the log that has stalled costs about 2.4 MB before
/// lines are dropped (and counted).
pub const LOG_LINES_QUEUED_MAX: usize = 8 * 1024;

/// Bytes of log lines that are collected before they are written.
///
/// What a pipe holds on Linux (`pipe(7)`): more would be written in parts anyway.
pub const LOG_BATCH_BYTES: usize = 64 * 1024;

/// Places of panics whose lines are thinned out apart from each other: more than a program has that a request can
/// reach.
pub const LOG_PANIC_PLACES: usize = 256;

/// Most places that a ready line may name.
pub const READY_PLACES_MAX: usize = 16;

/// Longest drain that can be set. Balancers notice within seconds, and cloud balancers take up to five minutes to let
/// connections go (AWS: deregistration delay, 300 s).
pub const DRAIN_MAX: Duration = Duration::from_secs(600);

/// Longest grace that can be set. The longest request takes a minute.
pub const GRACE_MAX: Duration = Duration::from_secs(600);

/// The divisor that gives the part of the grace that comes after the connections: for threads that end, and for what is
/// written last.
pub const STOP_LAST_WRITES_SHARE: u32 = 4;

/// Most of the grace that is kept for them: a hundred times what a sync of a disk takes.
pub const STOP_LAST_WRITES_MAX: Duration = Duration::from_millis(500);

/// Least time for them, also beyond the grace: they take a few milliseconds, and a process that does not wait at all loses
/// lines although nothing stands still.
pub const STOP_LAST_WRITES_MIN: Duration = Duration::from_millis(100);

const _: () = assert!(STOP_LAST_WRITES_MIN.as_millis() <= STOP_LAST_WRITES_MAX.as_millis());

/// Signals that wait to be taken. One SIGHUP is as good as several, and those that ask to stop are taken at once.
pub const SIGNALS_QUEUED_MAX: usize = 4;

/// How often a watchdog is told within the time after which it acts: one message may be late.
pub const WATCHDOG_BEATS_PER_INTERVAL: u32 = 2;
