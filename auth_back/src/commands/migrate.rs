//! `auth_back migrate`: the schema alone.
//!
//! For those who let only an operator's account change the schema, and give servers one that cannot; and the
//! only command that makes a store where there is none.

use clap::{ArgMatches, Command};
use server::opening::{Lacking, Opened};
use server::settings::Settings;
use store::{Migrated, StoreUrl};

use super::console::say;
use super::subcommand::{Done, Subcommand, Telling};

pub(super) const NAME: &str = "migrate";

pub(super) const COMMAND: Subcommand = Subcommand {
    command: || {
        Command::new(NAME)
            .about("Bring the store to this program's schema, and make one where there is none")
    },
    run,
    telling: |_| Telling::Before,
};

fn run(_: &ArgMatches, settings: &Settings) -> Done {
    let place = &settings.store;
    let is_new = matches!(place, StoreUrl::Sqlite(path) if !path.exists());
    let opened = super::store_access::open_store_that(settings, Lacking::Migrate);
    if let (StoreUrl::Sqlite(path), true) = (place, is_new) {
        // Made by root, it would be of no use to the server of another user; half made, neither.
        ownership::give_database(path)
            .map_err(|error| format!("cannot change the owner of {}: {error}", path.display()))?;
    }
    let Opened { migrated, .. } = opened?;
    say(&match migrated {
        None => format!("{place} has this program's schema, or a newer one that it may run on"),
        Some(Migrated { from: 0, to }) => {
            format!("a NEW, EMPTY store was made in {place}, with schema version {to}")
        }
        Some(Migrated { from, to }) => {
            format!("{place} was brought from schema version {from} to {to}")
        }
    })?;
    Ok(())
}
