//! Every bound of this crate, with its reason.

use std::time::Duration;

/// How often a worker of a lane lets other threads run before it rests, if it comes from a large batch.
/// Each time takes a microsecond when nobody wants to; measured in `perf/figures/through.py`.
pub const LANE_YIELDS: u32 = 5;

/// Jobs of a batch from which on it is large. Below, a worker rests at once: there is no flood then, and
/// whoever lets others run gives way to threads that hash for milliseconds.
pub const LANE_BUSY_BATCH_MIN: usize = 8;

/// Jobs that wait in the order in which they came, at the most: as many as a worker may take at once (`--light-batch`), so
/// that turns are kept only where they matter.
pub const LANE_UNSORTED_MAX: usize = 256;

/// How long it is believed how fast a lane is, when nothing has been measured since. Ten seconds without a job that
/// was done are either a quiet night, where no job waits, or a lane in which all are refused for what was measured
/// last, which then has to be tried again.
pub const LANE_PACE_KNOWN_FOR: Duration = Duration::from_secs(10);

/// Longest name of a lane, in bytes.
///
/// The kernel keeps 15 bytes of a thread's name; see [`LANE_THREADS_MAX`] for the rest of the sum.
pub const LANE_NAME_BYTES_MAX: usize = 10;

/// Largest number of threads in a lane.
///
/// Workers run blocking code, so there may be many more of them than cores; a thousand threads
/// waiting on one database is past what any setting should ask for.
pub const LANE_THREADS_MAX: usize = 1024;

/// Bytes of a thread's name that Linux keeps (`TASK_COMM_LEN` is 16 with the final NUL).
const THREAD_NAME_BYTES_MAX: usize = 15;

// "name-1023" has to fit, or two threads of a lane could not be told apart.
const _: () = assert!(LANE_NAME_BYTES_MAX + "-1023".len() <= THREAD_NAME_BYTES_MAX);
const _: () = assert!(LANE_THREADS_MAX - 1 <= 1023);
