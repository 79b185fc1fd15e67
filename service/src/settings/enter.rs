//! The way from the process's own command line to [`Raw`], or out again.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use clap::Command;

use crate::exit::Exit;

use super::{Invocation, Program, Raw, read::ReadError};

/// Exit code of a process that refuses to start because of how it was called (as clap's and bash's).
const REFUSED: u8 = Exit::Refused as u8;

impl Program {
    /// Reads the settings of this process: [`Program::read`] over its arguments and environment.
    ///
    /// Blocks while it reads the settings file.
    ///
    /// # Errors
    ///
    /// The code to exit with, once what there was to print is printed: 0 after `--help` and the like,
    /// 2 after a command line or file that cannot be used.
    pub fn enter(&'static self, command: Command) -> Result<Raw, ExitCode> {
        match self.read(command, std::env::args_os(), std::env::vars_os()) {
            Ok(Invocation::Run(raw)) => Ok(*raw),
            Ok(Invocation::Print(text)) => Err(print(&text)),
            Err(ReadError::File(errors)) => Err(refuse(self, &errors)),
            Err(ReadError::Usage(error)) => {
                // Standard error may be closed; the exit code says it all the same.
                let _ = error.print();
                Err(ExitCode::from(REFUSED))
            }
        }
    }
}

/// Says on standard error why `program` does not start, and returns the code to exit with.
pub fn refuse(program: &Program, errors: &impl Display) -> ExitCode {
    cannot_start(program, errors);
    ExitCode::from(REFUSED)
}

/// Says on standard error why `program` does not start.
pub fn cannot_start(program: &Program, errors: &impl Display) {
    let mut text = format!("{}: cannot start\n", program.name());
    for line in errors.to_string().lines() {
        text.push_str(&format!("  {line}\n"));
    }
    // Standard error may be closed; the exit code says it all the same.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Prints to standard output. `println!` would panic when the reader (`| head -1`) has gone.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
