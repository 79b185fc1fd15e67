//! `auth_back migrate`: the schema alone.
//!
//! A server does the same at start. This is for those who let only an operator's account change the
//! schema, and give servers one that cannot.

use clap::{ArgMatches, Command};

use super::{Done, Subcommand, Telling, say};
use crate::settings::Settings;

pub(super) const COMMAND: Subcommand = Subcommand {
    command: || Command::new("migrate").about("Bring the store to this program's schema, and exit"),
    run,
    telling: |_| Telling::Before,
};

fn run(_: &ArgMatches, settings: &Settings) -> Done {
    super::open_store(settings)?;
    say("the store has this program's schema")?;
    Ok(())
}
