//! `auth_back user list`: who there is, by name.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use server::settings::Settings;
use store::UserProfile;
use store::limits::PROFILES_PAGE_MAX;

use super::shown;
use crate::commands::console::{ascii_json, say};
use crate::commands::keys;
use crate::commands::store_access::{open_store, patiently};
use crate::commands::subcommand::Done;

pub(super) const NAME: &str = "list";

const PREFIX: &str = "prefix";
const STATE: &str = "state";
const DISABLED: &str = "disabled";

pub(super) fn command() -> Command {
    Command::new(NAME)
        .about("List users in the order of their names, one a line; never a hash")
        .arg(
            Arg::new(PREFIX)
                .value_name("PREFIX")
                .help("What their names begin with; without it, all"),
        )
        .arg(
            Arg::new(STATE)
                .long(STATE)
                .value_name("STATE")
                .value_parser(PossibleValuesParser::new(["enabled", DISABLED]))
                .help("Only those who may log in, or who are kept out; without it, both"),
        )
        .arg(keys::json_switch().help("Print JSON, an object on each line"))
}

/// Prints a page after another, so that any number of users takes the memory of one page. Who registers or is changed
/// meanwhile may be in it as they were or as they are.
pub(super) fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    // Names are kept in lower case.
    let prefix = arguments.get_one::<String>(PREFIX).map(|text| text.to_ascii_lowercase());
    let prefix = prefix.unwrap_or_default();
    let disabled = arguments.get_one::<String>(STATE).map(|state| state == DISABLED);
    let json = keys::wants_json(arguments);
    let store = open_store(settings)?;
    let mut after = String::new();
    loop {
        let next =
            |deadline| store.user_profiles_by_name(&prefix, &after, PROFILES_PAGE_MAX, deadline);
        let page = patiently(next)?;
        let is_wanted = |profile: &&UserProfile| {
            disabled.is_none_or(|disabled| profile.disabled_at_ms.is_some() == disabled)
        };
        for profile in page.iter().filter(is_wanted) {
            say(&if json { ascii_json(&shown::json(profile)) } else { shown::line(profile) })?;
        }
        let Some(last) = page.into_iter().next_back() else { return Ok(()) };
        after = last.username;
    }
}
