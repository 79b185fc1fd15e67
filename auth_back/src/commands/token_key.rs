//! `auth_back token-key`: the keys that session tokens are signed with.
//!
//! A new key logs nobody out: tokens under older ones stay good for as long as those are there. Retiring
//! one ends every session whose token it signed.

use std::cmp::Ordering;

use clap::{ArgMatches, Command};
use serde::Serialize;
use service::settings::format_duration;

use super::{Done, Subcommand, before_unless, keys, say};
use crate::credentials::{KeyId, Purpose};
use crate::settings::Settings;

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
        Some(("rotate", arguments)) => rotate(settings, keys::wants_standby(arguments)),
        Some(("status", arguments)) => status(arguments, settings),
        Some(("retire", arguments)) => retire(keys::id(arguments), settings),
        _ => unreachable!("the parser takes no others"),
    }
}

fn rotate(settings: &Settings, standby: bool) -> Done {
    let source = &settings.token_keys;
    // There may be none yet: then this makes the first.
    let (ids, _) = keys::ids(source, Purpose::Token).unwrap_or((Vec::new(), KeyId::FIRST));
    keys::check_room(ids.len())?;
    let next = ids.last().and_then(|id| id.get().checked_add(1)).and_then(KeyId::new);
    let directory = keys::directory(source, || keys::make_it_there(next.unwrap_or(KeyId::FIRST)))?;
    keys::rotate(directory, Purpose::Token, 0, standby)?;
    if !standby {
        let lifetime = format_duration(settings.rules.sessions.lifetime);
        say(&format!("no session needs an older key after {lifetime}"))?;
    }
    Ok(())
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

fn retire(id: KeyId, settings: &Settings) -> Done {
    let source = &settings.token_keys;
    let (_, active) = keys::ids(source, Purpose::Token)?;
    if active == id {
        return Err(format!("token key {id} is the active one: rotate first").into());
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
