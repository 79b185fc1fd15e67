//! The first steps of a server's process, the same for every server.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use reactor::Listener;

use crate::build;
pub use crate::exit::Exit;
use crate::hardening::{self, CoreDumps};
use crate::log::LogGuard;
use crate::metrics::Registry;
use crate::rare;
use crate::settings::values::Values;
use crate::settings::{Program, Raw, SettingErrors, cannot_start, refuse};

/// What `--help` says of exit codes; docs/stopping.md says more.
const EXIT_CODES: &str = "\
Exit codes:
    0  done, or stopped as asked
    1  a command failed, or could not do all of it
    2  something has to be changed first: a setting, a password, a right, a file, the release
   75  what is needed is away: the same may work later
  130  ended by SIGINT
  143  ended by SIGTERM";

/// Why a process did not do what it was started for.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: Box<dyn Error>,
}

impl Failure {
    /// With the code that the process is to end with.
    #[must_use]
    pub fn new(exit: Exit, error: Box<dyn Error>) -> Self {
        Self { exit, error }
    }

    /// Somebody has to change something first.
    #[must_use]
    pub fn refused(error: Box<dyn Error>) -> Self {
        Self::new(Exit::Refused, error)
    }
}

/// The `main` of a server: reads its settings, refuses bad ones, and serves until told to stop. The
/// exit code says how it ended; why a server does not start is on standard error.
///
/// `command` is [`Program::command`], with the subcommands that the program has; which of them was
/// asked for is [`Raw::subcommand`]'s to say.
#[must_use]
pub fn run<S>(
    program: &'static Program,
    command: clap::Command,
    check: impl FnOnce(&Values<'_>) -> Result<S, SettingErrors>,
    serve: impl FnOnce(&Raw, &S) -> Result<(), Failure>,
) -> ExitCode {
    let raw = match program.enter(explained(command)) {
        Ok(raw) => raw,
        Err(code) => return code,
    };
    let settings = match raw.check(check) {
        Ok(settings) => settings,
        Err(errors) => return refuse(program, &errors),
    };
    match serve(&raw, &settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, error }) => {
            match raw.subcommand() {
                None => cannot_start(program, &error),
                Some((name, _)) => fail(program, name, &*error),
            }
            ExitCode::from(exit as u8)
        }
    }
}

/// The help of a command, and of each of its subcommands, ends with the exit codes.
fn explained(command: clap::Command) -> clap::Command {
    command.after_help(EXIT_CODES).mut_subcommands(explained)
}

/// Says on standard error why a subcommand was not done.
fn fail(program: &Program, subcommand: &str, error: &dyn Error) {
    // Standard error may be closed; the exit code says it all the same.
    let _ = writeln!(io::stderr(), "{} {subcommand}: {error}", program.name());
}

/// Makes the process fit for secrets and for many connections, and logs what was done. A step that
/// the system forbids is logged and passed over.
pub fn prepare(dumps: CoreDumps) {
    let hide =
        [("core dumps", hardening::forbid_core_dumps as Step), ("memory", hardening::hide_memory)];
    let steps: &[(&str, Step)] = match dumps {
        CoreDumps::Forbidden => &hide,
        CoreDumps::Allowed => {
            rare!(
                "once, at the start",
                WARN,
                "core dumps are ALLOWED: memory of this process may be written to files"
            );
            &[]
        }
    };
    for (step, take) in steps.iter().chain(&[("open files", hardening::raise_open_files as Step)]) {
        let outcome = take();
        match outcome {
            Ok(done) => rare!("once, at the start", INFO, step, %done, "process prepared"),
            Err(error) => {
                rare!("once, at the start", WARN, step, %error, "the process could not be prepared");
            }
        }
    }
}

type Step = fn() -> io::Result<hardening::Done>;

/// Logs every setting with where it came from, secrets as `***`, and variables that look like a
/// misspelt setting. For whoever has one log and has to find out how a server was started.
pub fn log_settings(raw: &Raw) {
    for (setting, value, origin) in raw.summary() {
        rare!("once, at the start", INFO, setting, value, %origin, "setting");
    }
    for setting in raw.passwords_in_flags() {
        rare!(
            "once, at the start",
            WARN,
            setting,
            "a password was given as a flag, where every user of this machine can read it: give its variable or the \
             settings file instead"
        );
    }
    for (variable, meant) in raw.misspelt_variables() {
        rare!(
            "once, at the start",
            WARN,
            variable,
            meant,
            "this variable sets nothing; perhaps another was meant"
        );
    }
}

/// Binds a listener, with an error that names the address.
///
/// # Errors
///
/// What the system said, with the address.
pub fn bind(address: SocketAddr, loops: NonZeroUsize) -> Result<Listener, BindError> {
    Listener::bind(address, loops).map_err(|source| BindError { address, source })
}

/// An address cannot be listened on. Whoever configured it is at fault, or another process is there.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// Shows the lines of the log that nobody will read, and the build as a metric.
pub fn observe(registry: &mut Registry, log: &LogGuard) {
    let dropped = log.dropped_lines();
    let help = "Log lines dropped because they could not be written in time";
    registry.observe_counter("log_dropped_lines", help, &[], move || dropped.count());
    let labels = [
        ("version", build::VERSION),
        ("revision", build::REVISION),
        ("rustc", build::rustc_release()),
    ];
    registry.observe_gauge("build_info", "1, labelled with which build this is", &labels, || 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_exit_code() {
        use Exit::{Failed, Interrupted, Refused, Terminated, TryAgain};
        let check = |exit: Exit| {
            // A variant that is added here is added above.
            let (Failed | Refused | TryAgain | Interrupted | Terminated) = exit;
            let line = format!("\n{:>5}  ", exit as u8);
            assert!(EXIT_CODES.contains(&line), "{exit:?}");
        };
        [Failed, Refused, TryAgain, Interrupted, Terminated].into_iter().for_each(check);
        assert_eq!(Interrupted as i32, crate::signals::INTERRUPTED_EXIT_CODE);
        assert_eq!(Terminated as i32, crate::signals::TERMINATED_EXIT_CODE);
    }

    #[test]
    fn so_does_that_of_each_subcommand() {
        let inner = clap::Command::new("inner");
        let outer = clap::Command::new("outer").subcommand(inner);
        let mut program = explained(clap::Command::new("program").subcommand(outer));
        program.build();
        let outer = program.find_subcommand_mut("outer").unwrap();
        assert!(outer.render_help().to_string().contains(EXIT_CODES));
        let inner = outer.find_subcommand_mut("inner").unwrap();
        assert!(inner.render_long_help().to_string().contains(EXIT_CODES));
    }
}
