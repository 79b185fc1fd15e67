//! The exit codes of both servers.

/// How a process ended that did not do what it was started for, by its exit code (`EXIT_CODES` of `process`). 75 is `EX_TEMPFAIL` of
/// sysexits.h, and what ends by signal N ends with 128 + N, as shells say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// A command failed.
    Failed = 1,
    /// Somebody has to change something first.
    Refused = 2,
    /// It may work later.
    TryAgain = 75,
    /// A command was stopped by SIGINT.
    Interrupted = 130,
    /// A command was stopped by SIGTERM.
    Terminated = 143,
}
