//! `auth_back token-key`: the keys that session tokens are signed with.
//!
//! A new key logs nobody out: tokens under older ones stay good for as long as those are there. Retiring
//! one ends every session whose token it signed.

use std::cmp::Ordering;
use std::time::Instant;

use clap::{ArgMatches, Command};
use serde::Serialize;
use service::settings::format_duration;

use super::{Done, Subcommand, before_unless, keys, say};
use crate::credentials::{KeyId, Purpose, Ring as _};
use crate::limits::STORE_CALL_TIME_MAX;
use crate::opening;
use crate::settings::Settings;
use crate::store::{KeyList, Store};

pub(super) const COMMAND: Subcommand =
    Subcommand { command, run, telling: |arguments| before_unless(arguments, &["status"]) };

fn command() -> Command {
    Command::new("token-key")
        .about("The keys that session tokens are signed with")
        .subcommand_required(true)
        .subcommand(
            Command::new("rotate")
                .about("Make a new key, which signs from now on. Nobody is logged out")
                .arg(keys::standby_switch()),
        )
        .subcommand(
            Command::new("status").about("Show which keys there are").arg(keys::json_switch()),
        )
        .subcommand(
            Command::new("retire")
                .about("Take a key out of use, and end every session whose token it signed")
                .arg(keys::id_argument()),
        )
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    match arguments.subcommand() {
        Some(("rotate", arguments)) => {
            let store = super::open_store(settings)?;
            rotate(settings, &*store, keys::wants_standby(arguments))
        }
        Some(("status", arguments)) => status(arguments, settings),
        Some(("retire", arguments)) => {
            let store = super::open_store(settings)?;
            retire(keys::id(arguments), settings, &*store)
        }
        _ => unreachable!("the parser takes no others"),
    }
}

fn rotate(settings: &Settings, store: &dyn Store, standby: bool) -> Done {
    let source = &settings.token_keys;
    // Only keys that are those of the store are added to; a first start's key is made here too.
    let ids = opening::token_keys(settings, store, soon())?.keys().ids();
    keys::check_room(ids.len())?;
    let listed = store.keys(KeyList::TokenKeys, soon())?.iter().map(|row| row.id).max();
    let used = ids.last().map(|id| id.get()).max(listed).unwrap_or(0);
    let next = used.checked_add(1).and_then(KeyId::new);
    let directory = keys::directory(source, || keys::make_it_there(next.unwrap_or(KeyId::FIRST)))?;
    keys::rotate(directory, Purpose::Token, used, standby)?;
    if !standby {
        // Listed at once, so that a server without it says so when it starts.
        opening::token_keys(settings, store, soon())?;
        let lifetime = format_duration(settings.rules.sessions.lifetime);
        say(&format!("no session needs an older key after {lifetime}"))?;
    }
    Ok(())
}

fn soon() -> Instant {
    clock::now() + STORE_CALL_TIME_MAX
}

#[derive(Serialize)]
struct Status {
    active: u16,
    ids: Vec<u16>,
}

fn status(arguments: &ArgMatches, settings: &Settings) -> Done {
    let (ids, active) = keys::ids(&settings.token_keys, Purpose::Token)?;
    if keys::wants_json(arguments) {
        let ids = ids.iter().map(|id| id.get()).collect();
        say(&serde_json::to_string(&Status { active: active.get(), ids })?)?;
        return Ok(());
    }
    for id in ids {
        let role = match id.cmp(&active) {
            Ordering::Less => "",
            Ordering::Equal => " active",
            Ordering::Greater => " stands by",
        };
        say(&format!("token key {id}{role}"))?;
    }
    Ok(())
}

fn retire(id: KeyId, settings: &Settings, store: &dyn Store) -> Done {
    let source = &settings.token_keys;
    let (ids, active) = keys::ids(source, Purpose::Token)?;
    if active == id {
        return Err(format!("token key {id} is the active one: rotate first").into());
    }
    // First the list and then the file: cut off in between, this can be done again.
    let was_listed = store.delete_key(KeyList::TokenKeys, id.get(), soon())?;
    if was_listed && !ids.contains(&id) {
        say(&format!("token key {id} is off the list; it was not among the keys"))?;
        return Ok(());
    }
    let directory = keys::directory(source, || format!("take the key {id} out there"))?;
    match directory.retire(Purpose::Token, id)? {
        None => Err(format!("there is no token key {id}").into()),
        Some(path) => {
            say(&format!("token key {id} is retired: {}", path.display()))?;
            say(
                "its sessions end within seconds on this directory; remove it from every other one",
            )?;
            Ok(())
        }
    }
}
