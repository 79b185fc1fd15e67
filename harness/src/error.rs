//! Why something could not be started. Each message says what to do, or where to look.

use std::io;
use std::process::ExitStatus;

/// Why a private server or a whole system does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program is not on this machine, or may not be run.
    #[error("cannot run {program} ({reason}): install the package {package}")]
    NotInstalled {
        /// Its name.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
        /// What the system says.
        reason: io::Error,
    },
    /// The server has ended instead of serving.
    #[error("{program} does not start, {status}{}", shown(log))]
    DoesNotStart {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote; empty where that went to standard error.
        log: String,
    },
    /// The server runs and does not serve.
    #[error("{program} is not ready after {seconds} seconds{}", shown(log))]
    NotReady {
        /// Its name.
        program: String,
        /// How long it was waited for.
        seconds: u64,
        /// What it wrote; empty where that went to standard error.
        log: String,
    },
    /// A server that was serving has ended by itself.
    #[error("{program} has ended by itself; the log says why")]
    Ended {
        /// Its name.
        program: String,
    },
    /// What a server printed is not the line that it prints once it listens.
    #[error("{program} does not say where it listens, but {line:?}")]
    NoAddress {
        /// Its name.
        program: String,
        /// What it printed instead.
        line: String,
    },
    /// Somebody asked to stop while it was starting.
    #[error("asked to stop while {program} was starting")]
    Interrupted {
        /// What was being waited for.
        program: String,
    },
    /// The system refused what every start needs.
    #[error("cannot {what}: {reason}")]
    System {
        /// What was being done.
        what: String,
        /// What the system says.
        reason: io::Error,
    },
}

impl Error {
    /// Why `program`, which the package `package` has, could not be run.
    pub(crate) fn not_run(program: &str, package: &'static str) -> impl FnOnce(io::Error) -> Self {
        let program = program.to_owned();
        move |reason| match reason.kind() {
            io::ErrorKind::NotFound => Self::NotInstalled { program, package, reason },
            _ => Self::System { what: format!("run {program}"), reason },
        }
    }

    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |reason| Self::System { what, reason }
    }
}

fn shown(log: &str) -> String {
    if log.is_empty() { "; the log says why".to_owned() } else { format!(". It wrote:\n{log}") }
}
