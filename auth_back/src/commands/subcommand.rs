//! What a subcommand is.

use std::error::Error;

use clap::{ArgMatches, Command};
use server::settings::Settings;

/// A subcommand.
pub(super) struct Subcommand {
    /// Its name, its arguments and its help.
    pub(super) command: fn() -> Command,
    /// Does it. Blocks until it is done.
    pub(super) run: fn(&ArgMatches, &Settings) -> Done,
    /// What the audit log has to know of it.
    pub(super) telling: fn(&ArgMatches) -> Telling,
}

/// What the audit log has to know of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// Nothing: it neither reads nor changes what the server works on.
    No,
    /// What came of it. It changes nothing, so it is done also where that cannot be told.
    After,
    /// That it begins, before it does, and what came of it. It changes something, or hands out what is worth an
    /// attack: where it cannot be told, it is not done.
    Before,
}

/// How a command ended; the error is for the operator to read.
pub(super) type Done = Result<(), Box<dyn Error>>;

/// What commands call the argument that says which user they are about.
pub(super) const USERNAME: &str = "username";

/// Of a command with subcommands, the ones that only read are told afterwards.
pub(super) fn before_unless(arguments: &ArgMatches, reading: &[&str]) -> Telling {
    match arguments.subcommand_name() {
        Some(name) if reading.contains(&name) => Telling::After,
        _ => Telling::Before,
    }
}
