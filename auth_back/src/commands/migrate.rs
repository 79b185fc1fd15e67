//! `auth_back migrate`: the schema alone.
//!
//! A server does the same at start. This is for those who let only an operator's account change the
//! schema, and give servers one that cannot.

use std::time::Instant;

use clap::{ArgMatches, Command};

use super::{Done, Subcommand, say};
use crate::limits::STORE_PATIENCE;
use crate::opening;
use crate::settings::Settings;

pub(super) const COMMAND: Subcommand = Subcommand {
    command: || Command::new("migrate").about("Bring the store to this program's schema, and exit"),
    run,
};

fn run(_: &ArgMatches, settings: &Settings) -> Done {
    opening::store(settings, Instant::now() + STORE_PATIENCE)?;
    say("the store has this program's schema")?;
    Ok(())
}
