//! `auth_back pepper`: the keys that password records are sealed under.
//!
//! A rotation is three steps, each of which can be left for later: `rotate` makes a new key, which servers
//! seal under from then on; `rewrap` seals every record under it; `retire` takes the old key out of use, and
//! refuses while anything might need it.

mod rewrap;
mod ring;
mod status;

use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};
use credentials::{KeyId, Purpose};
use server::opening;
use server::settings::Settings;
use service::rare;
use service::settings::format_duration;
use store::{KeyList, KeyRow, Store};
use unix_time::millis;

use self::ring::soon;
use super::confirm::{self, confirm};
use super::console::say;
use super::keys;
use super::store_access::store_ms;
use super::subcommand::{Done, Subcommand, before_unless};
use crate::limits::{PEPPER_RETIRE_AFTER, REWRAP_RATE_MAX};

pub(super) const COMMAND: Subcommand =
    Subcommand { command, run, telling: |arguments| before_unless(arguments, &["status"]) };

const RATE: &str = "rate";

fn command() -> Command {
    Command::new("pepper")
        .about("The keys that password records are sealed under")
        .subcommand_required(true)
        .subcommand(
            Command::new("rotate")
                .about("Make a new key, which records are sealed under from now on")
                .arg(keys::standby_switch()),
        )
        .subcommand(
            Command::new("rewrap")
                .about("Seal every record under the active key, while servers run; start it again if it was cut off")
                .arg(
                    Arg::new(RATE)
                        .long(RATE)
                        .value_name("COUNT")
                        .value_parser(value_parser!(u32).range(1..=i64::from(REWRAP_RATE_MAX)))
                        .help("Most records a second; without it, as fast as leaves half of the store's time to others"),
                ),
        )
        .subcommand(
            Command::new("status").about("Count records by key").arg(keys::json_switch()),
        )
        .subcommand(
            Command::new("retire")
                .about("Take a key out of use that no record needs any more")
                .arg(keys::id_argument())
                .arg(confirm::switch()),
        )
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let store = super::store_access::open_store(settings)?;
    match arguments.subcommand() {
        Some(("rotate", arguments)) => rotate(settings, &store, keys::wants_standby(arguments)),
        Some(("rewrap", arguments)) => {
            rewrap::run(settings, &*store, arguments.get_one::<u32>(RATE).copied())
        }
        Some(("status", arguments)) => status::run(settings, &*store, keys::wants_json(arguments)),
        Some(("retire", arguments)) => retire(settings, &*store, arguments),
        _ => unreachable!("the parser takes no others"),
    }
}

fn rotate(settings: &Settings, store: &Arc<dyn Store>, standby: bool) -> Done {
    // Only keys that are those of the store are added to; a first start's key is made here too.
    let peppers = opening::peppers(settings, &**store, store_ms(&**store)?, soon())?;
    let ids = peppers.ids();
    keys::check_room(ids.len())?;
    let listed = store.keys(KeyList::Peppers, soon())?.iter().map(|row| row.id).max().unwrap_or(0);
    let used = ids.last().map_or(listed, |id| id.get().max(listed));
    let next = used.checked_add(1).and_then(KeyId::new);
    let directory = keys::directory(&settings.pepper_keys, || {
        format!(
            "{}; then `auth_back pepper rewrap`",
            keys::make_it_there(next.unwrap_or(KeyId::FIRST))
        )
    })?;
    keys::rotate(directory, Purpose::Pepper, used, standby)?;
    say("keep a copy apart from the store's; without it, nobody can log in")?;
    if !standby {
        // Listed at once, so that a server without it says so when it starts.
        opening::peppers(settings, &**store, store_ms(&**store)?, soon())?;
        say("next: auth_back pepper rewrap")?;
    }
    Ok(())
}

/// Refuses while anything might need the key: it is the active one; a record is sealed under it; or it
/// was replaced so lately that a server may still seal under it. Then it goes from the store's list, and
/// its file gets a name that is passed over.
fn retire(settings: &Settings, store: &dyn Store, arguments: &ArgMatches) -> Done {
    let id = keys::id(arguments);
    let source = &settings.pepper_keys;
    let (ids, active) = keys::ids(source, Purpose::Pepper)?;
    if active == id {
        return Err(format!("pepper {id} is the active one: rotate and rewrap first").into());
    }
    let rows = store.keys(KeyList::Peppers, soon())?;
    let row = rows.iter().find(|row| row.id == id.get());
    if row.is_none() && !ids.contains(&id) {
        return Err(format!("there is no pepper {id}").into());
    }
    check_replaced(id, active, &rows, store_ms(store)?)?;
    check_unused(store, id)?;
    confirm(
        &format!(
            "no record needs pepper {id}, and this takes it out of use: without its file, nobody can log in on a \
             backup from before it was replaced"
        ),
        arguments,
    )?;
    // First the list and then the file: cut off in between, nothing is missed, and this can be done again.
    store.delete_key(KeyList::Peppers, id.get(), soon())?;
    // Looked at again: a server that had not noticed the new key may have sealed under this one since.
    if let (Err(error), Some(row)) = (check_unused(store, id), row) {
        store.insert_key(KeyList::Peppers, row, soon())?;
        return Err(error);
    }
    if !ids.contains(&id) {
        say(&format!("pepper {id} is off the list; it was not among the keys"))?;
        return Ok(());
    }
    match keys::directory(source, || format!("take the key {id} out there")) {
        Ok(directory) => match directory.retire(Purpose::Pepper, id)? {
            Some(path) => {
                say(&format!("pepper {id} is retired: {}", path.display()))?;
                say(
                    "remove it from every other server, and keep it for as long as backups of the store that need it",
                )?;
            }
            None => say(&format!("pepper {id} is retired"))?,
        },
        Err(what_to_do) => {
            say(&format!("pepper {id} is off the list, and no record needs it; {what_to_do}"))?;
        }
    }
    Ok(())
}

fn check_replaced(id: KeyId, active: KeyId, rows: &[KeyRow], now_ms: u64) -> Done {
    let by = rows.iter().find(|row| row.id == active.get());
    let Some(by) = by.filter(|by| by.id > id.get()) else {
        return Err(format!(
            "pepper {id} was not replaced: no server has sealed under a newer one"
        )
        .into());
    };
    let replaced_ms = now_ms.saturating_sub(by.since_ms);
    let least_ms = millis(PEPPER_RETIRE_AFTER);
    if replaced_ms >= least_ms {
        return Ok(());
    }
    let wait_s = (least_ms - replaced_ms).div_ceil(1_000);
    Err(format!(
        "pepper {id} was replaced less than {} ago, and a server may still seal under it: try again in {wait_s} s",
        format_duration(PEPPER_RETIRE_AFTER)
    )
    .into())
}

fn check_unused(store: &dyn Store, id: KeyId) -> Done {
    let counts = status::count(store)?;
    let count = counts.by_pepper.get(&id).copied().unwrap_or(0);
    if count > 0 {
        return Err(format!(
            "{count} records are sealed under pepper {id}: `auth_back pepper rewrap` seals them under the active one"
        )
        .into());
    }
    if counts.unreadable > 0 {
        // Which key they need cannot be told.
        let unreadable = counts.unreadable;
        rare!("once a command", WARN, unreadable, "some password records cannot be read");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
