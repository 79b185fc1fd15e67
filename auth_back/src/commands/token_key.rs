//! `auth_back token-key`: the keys that session tokens are signed with.
//!
//! A new key logs nobody out: tokens under older ones stay good for as long as those are there. Retiring
//! one ends every session whose token it signed, so it is refused until the last of them has ended by itself,
//! unless that is asked for.

use std::cmp::Ordering;
use std::time::{Duration, Instant, SystemTime};

use clap::{Arg, ArgAction, ArgMatches, Command};
use credentials::{KeyId, KeySource, KeysError, OnMissing, Purpose, Ring as _};
use serde::Serialize;
use server::limits::STORE_CALL_TIME_MAX;
use server::opening;
use server::settings::Settings;
use service::settings::format_duration;
use store::{KeyList, Store};
use unix_time::{rfc3339, system_time, unix_ms};

use super::confirm::{self, confirm};
use super::console::say;
use super::keys;
use super::store_access::store_ms;
use super::subcommand::{Done, Subcommand, before_unless};

const END_SESSIONS: &str = "end-sessions";

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
                .arg(keys::id_argument())
                .arg(
                    Arg::new(END_SESSIONS)
                        .long(END_SESSIONS)
                        .action(ArgAction::SetTrue)
                        .help("Also while sessions need the key, which ends them"),
                )
                .arg(confirm::switch()),
        )
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let store = super::store_access::open_store(settings)?;
    match arguments.subcommand() {
        Some(("rotate", arguments)) => rotate(settings, &*store, keys::wants_standby(arguments)),
        Some(("status", arguments)) => status(arguments, settings, &*store),
        Some(("retire", arguments)) => retire(arguments, settings, &*store),
        _ => unreachable!("the parser takes no others"),
    }
}

fn rotate(settings: &Settings, store: &dyn Store, standby: bool) -> Done {
    let source = &settings.token_keys;
    let listed = store.keys(KeyList::TokenKeys, soon())?.iter().map(|row| row.id).max();
    let ids = match listed {
        // Only keys that are those of the store are added to.
        Some(_) => {
            let now_ms = store_ms(store)?;
            opening::token_keys(settings, store, now_ms, soon())?.keys().ids()
        }
        // There may be none yet, or no more: then this makes one.
        None => present(source)?.0,
    };
    keys::check_room(ids.len())?;
    let used = ids.last().map(|id| id.get()).max(listed).unwrap_or(0);
    let next = used.checked_add(1).and_then(KeyId::new);
    let directory = keys::directory(source, || keys::make_it_there(next.unwrap_or(KeyId::FIRST)))?;
    keys::rotate(directory, Purpose::Token, used, standby)?;
    if !standby {
        // Listed at once, so that a server without it says so when it starts.
        opening::token_keys(settings, store, store_ms(store)?, soon())?;
        let lifetime =
            format_duration(super::store_access::rules_of(settings, store)?.sessions.lifetime);
        say(&format!("no session needs an older key after {lifetime}"))?;
    }
    Ok(())
}

/// The keys that there are, and which is active; none where all were lost.
fn present(source: &KeySource) -> Result<(Vec<KeyId>, Option<KeyId>), KeysError> {
    match source.load(Purpose::Token, OnMissing::Refuse) {
        Ok(loaded) => Ok((loaded.keys.ids(), Some(loaded.keys.active_id()))),
        Err(KeysError::Missing { .. }) => Ok((Vec::new(), None)),
        Err(error) => Err(error),
    }
}

fn soon() -> Instant {
    clock::now() + STORE_CALL_TIME_MAX
}

#[derive(Serialize)]
struct Status {
    active: u16,
    ids: Vec<u16>,
    keys: Vec<Key>,
}

/// A key and its dates, where they are known.
#[derive(Serialize)]
struct Key {
    id: u16,
    since_ms: Option<u64>,
    replaced_ms: Option<u64>,
    /// When the last session ends that it can have signed.
    needed_until_ms: Option<u64>,
}

fn status(arguments: &ArgMatches, settings: &Settings, store: &dyn Store) -> Done {
    let source = &settings.token_keys;
    let (ids, active) = keys::ids(source, Purpose::Token)?;
    let dates = keys::dates(&store.keys(KeyList::TokenKeys, soon())?);
    let lifetime = super::store_access::rules_of(settings, store)?.sessions.lifetime;
    let keys = ids.iter().map(|id| {
        let dates = dates.get(id);
        let replaced = dates.and_then(|dates| dates.replaced);
        Key {
            id: id.get(),
            since_ms: dates.map(|dates| unix_ms(dates.since)),
            replaced_ms: replaced.map(unix_ms),
            needed_until_ms: replaced.map(|at| unix_ms(needed_until(at, lifetime, source))),
        }
    });
    let keys: Vec<Key> = keys.collect();
    if keys::wants_json(arguments) {
        let ids = ids.iter().map(|id| id.get()).collect();
        say(&serde_json::to_string(&Status { active: active.get(), ids, keys })?)?;
        return Ok(());
    }
    for (id, key) in ids.iter().zip(keys) {
        let mut line = format!("token key {id}");
        line += match id.cmp(&active) {
            Ordering::Less => "",
            Ordering::Equal => " active",
            Ordering::Greater => " stands by",
        };
        let dated = [
            ("in use since", key.since_ms),
            ("replaced", key.replaced_ms),
            ("sessions may need it until", key.needed_until_ms),
        ];
        for (what, at_ms) in dated {
            if let Some(at_ms) = at_ms {
                line += &format!(", {what} {}", rfc3339(at_ms));
            }
        }
        say(&line)?;
    }
    Ok(())
}

/// When the last session ends that a key can have signed which was replaced then.
fn needed_until(replaced: SystemTime, lifetime: Duration, source: &KeySource) -> SystemTime {
    // A server goes on to sign until it has read the new key.
    replaced + lifetime + keys::read_after(source)
}

/// Refuses while a session may need the key, unless that is to end. Then it goes from the store's list, and its file
/// gets a name that is passed over.
fn retire(arguments: &ArgMatches, settings: &Settings, store: &dyn Store) -> Done {
    let id = keys::id(arguments);
    let source = &settings.token_keys;
    let (ids, active) = present(source)?;
    if active == Some(id) {
        let others = ids.iter().filter(|other| **other != id);
        let others: Vec<_> = others.map(ToString::to_string).collect();
        let others = match &others[..] {
            [] => "there is no other".to_owned(),
            others => format!("the others are {}", others.join(", ")),
        };
        return Err(format!(
            "token key {id} is the active one, and {others}; if it is this one that has to go, rotate first"
        )
        .into());
    }
    let dates = keys::dates(&store.keys(KeyList::TokenKeys, soon())?);
    let Some(dates) = dates.get(&id) else {
        return Err(if ids.contains(&id) {
            format!("token key {id} has signed nothing: remove its file")
        } else {
            format!("there is no token key {id}")
        }
        .into());
    };
    let lifetime = super::store_access::rules_of(settings, store)?.sessions.lifetime;
    let end_sessions = arguments.get_flag(END_SESSIONS);
    let what = match dates.replaced {
        Some(replaced) => {
            let until = needed_until(replaced, lifetime, source);
            let now = system_time(store_ms(store)?);
            what_ends(id, replaced, until, lifetime, now, end_sessions)
        }
        None if ids.contains(&id) => {
            Err(format!("token key {id} was not replaced: no server has signed under a newer one"))
        }
        None if end_sessions => Ok(format!(
            "token key {id} is not among the keys: this logs out everybody whose session it signed"
        )),
        None => Err(format!(
            "token key {id} is not among the keys: put it back, or give --end-sessions to log out everybody whose \
             session it signed"
        )),
    };
    confirm(&what?, arguments)?;
    // First the list and then the file: cut off in between, the file can be removed by hand.
    store.delete_key(KeyList::TokenKeys, id.get(), soon())?;
    if !ids.contains(&id) {
        say(&format!("token key {id} is off the list; it was not among the keys"))?;
        return Ok(());
    }
    let what_to_do = || format!("take the key {id} out there");
    let retired = match keys::directory(source, what_to_do) {
        Ok(directory) => directory.retire(Purpose::Token, id)?,
        Err(what_to_do) => {
            say(&format!("token key {id} is off the list; {what_to_do}"))?;
            return Ok(());
        }
    };
    match retired {
        Some(path) => say(&format!("token key {id} is retired: {}", path.display()))?,
        None => say(&format!("token key {id} is retired"))?,
    }
    say("its sessions end within seconds on this directory; remove it from every other one")?;
    Ok(())
}

/// Says what ends with a key, for the operator to read. Refuses while a session may need it, unless that is to end.
fn what_ends(
    id: KeyId,
    replaced: SystemTime,
    until: SystemTime,
    lifetime: Duration,
    now: SystemTime,
    end_sessions: bool,
) -> Result<String, String> {
    let [since, until_text] = [replaced, until].map(|at| rfc3339(unix_ms(at)));
    let devices = "devices that it vouches for are strangers again until their next login";
    if now >= until {
        return Ok(format!(
            "no session needs token key {id} since {until_text}, if every server has signed under a newer one since \
             {since}; {devices}"
        ));
    }
    if end_sessions {
        return Ok(format!(
            "this logs out everybody who logged in before {since}: every session that token key {id} signed ends; \
             {devices}"
        ));
    }
    Err(format!(
        "token key {id} was replaced at {since}, and sessions live for {} (--session-lifetime): wait until \
         {until_text}, or give --end-sessions to log out everybody who logged in before it was replaced",
        format_duration(lifetime)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_ended_only_if_that_is_said() {
        let (replaced, lifetime) = (SystemTime::UNIX_EPOCH, Duration::from_secs(3_600));
        let needed = lifetime + Duration::from_secs(12);
        let check = |after: Duration, end_sessions, expected: Result<&str, &str>| {
            let (until, now) = (replaced + needed, replaced + after);
            let said = what_ends(KeyId::FIRST, replaced, until, lifetime, now, end_sessions);
            match (&said, expected) {
                (Ok(said), Ok(words)) | (Err(said), Err(words)) => {
                    assert!(said.contains(words), "{said}");
                }
                (said, expected) => panic!("{said:?} instead of {expected:?}"),
            }
        };
        let just_before = needed - Duration::from_millis(1);
        for after in [Duration::ZERO, lifetime, just_before] {
            check(after, false, Err("wait until 1970-01-01T01:00:12.000Z"));
            check(after, true, Ok("logged in before 1970-01-01T00:00:00.000Z"));
        }
        for end_sessions in [false, true] {
            check(needed, end_sessions, Ok("no session needs token key 1 since"));
        }
    }
}
