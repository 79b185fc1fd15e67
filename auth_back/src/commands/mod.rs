//! What an operator can have this program do instead of serving: its subcommands.
//!
//! Each is one entry of [`COMMANDS`] and one file here. They take the same settings as the server,
//! by flag, variable and file, so `auth_back --config FILE COMMAND` works on what the server with that
//! file works on. What a command finds goes to standard output, everything else to standard error.

mod migrate;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use service::process;

use crate::server::serve;
use crate::settings::{PROGRAM, Settings};

/// A subcommand.
struct Subcommand {
    /// Its name, its arguments and its help.
    command: fn() -> Command,
    /// Does it. Blocks until it is done.
    run: fn(&ArgMatches, &Settings) -> Done,
}

/// How a command ended; the error is for the operator to read.
type Done = Result<(), Box<dyn Error>>;

const COMMANDS: &[Subcommand] = &[migrate::COMMAND];

/// Runs the program: serves until a signal says to stop or, given a subcommand, does that.
#[must_use]
pub fn main() -> ExitCode {
    let commands = COMMANDS.iter().map(|subcommand| (subcommand.command)());
    process::run(
        &PROGRAM,
        PROGRAM.command().subcommands(commands),
        Settings::read,
        |raw, settings| match raw.subcommand() {
            None => serve(raw, settings),
            Some((name, arguments)) => run(name, arguments, settings),
        },
    )
}

fn run(name: &str, arguments: &ArgMatches, settings: &Settings) -> Done {
    process::prepare();
    let known = COMMANDS.iter().find(|known| (known.command)().get_name() == name);
    (known.expect("the parser takes no others").run)(arguments, settings)
}

/// Prints a line of what a command found. `println!` would panic when the reader (`| head -1`) has gone.
fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}
