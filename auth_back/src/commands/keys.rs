//! What the commands about peppers and about token keys have in common.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, SystemTime};

use clap::{Arg, ArgAction, ArgMatches};
use credentials::limits::KEYS_PER_RING_MAX;
use credentials::{KeyDirectory, KeyId, KeySource, OnMissing, Purpose};
use server::limits::REWRAP_AFTER;
use store::KeyRow;

use super::console::say;
use super::subcommand::Done;
use crate::limits::REWRAP_AFTER_COMMAND;

const ID: &str = "id";
const JSON: &str = "json";
const STANDBY: &str = "standby";

/// The argument that names a key.
pub(super) fn id_argument() -> Arg {
    Arg::new(ID)
        .value_name("ID")
        .required(true)
        .value_parser(|text: &str| text.parse::<KeyId>())
        .help("The number of the key")
}

pub(super) fn id(arguments: &ArgMatches) -> KeyId {
    *arguments.get_one(ID).expect("it is required")
}

/// The switch for output that programs read.
pub(super) fn json_switch() -> Arg {
    Arg::new(JSON).long(JSON).action(ArgAction::SetTrue).help("Print JSON")
}

pub(super) fn wants_json(arguments: &ArgMatches) -> bool {
    arguments.get_flag(JSON)
}

/// The directory that new keys go to and old ones are taken from. Keys that come from elsewhere are
/// not this program's to make.
pub(super) fn directory(
    source: &KeySource,
    what_to_do: impl FnOnce() -> String,
) -> Result<&KeyDirectory, String> {
    match source {
        KeySource::Directory(directory) => Ok(directory),
        KeySource::Environment(_) | KeySource::Command(_) => {
            Err(format!("these keys come from {source}: {}", what_to_do()))
        }
    }
}

/// What somebody does who has to make the key themselves.
pub(super) fn make_it_there(next: KeyId) -> String {
    format!("add the key {next} there, 32 random bytes (openssl rand -hex 32)")
}

/// Refuses to make a key that would be one too many.
pub(super) fn check_room(count: usize) -> Done {
    if count < KEYS_PER_RING_MAX {
        return Ok(());
    }
    Err(format!("there are {count} keys, and no more fit: retire old ones first").into())
}

/// The ids of the keys that there are, in ascending order, and which is active.
pub(super) fn ids(source: &KeySource, purpose: Purpose) -> Result<(Vec<KeyId>, KeyId), String> {
    let loaded = source.load(purpose, OnMissing::Refuse).map_err(|error| error.to_string())?;
    Ok((loaded.keys.ids(), loaded.keys.active_id()))
}

/// The switch that makes a key which is not used yet.
pub(super) fn standby_switch() -> Arg {
    Arg::new(STANDBY).long(STANDBY).action(ArgAction::SetTrue).help(
        "Make a key that opens and is not used yet: for servers with directories of their own. Copy it to \
         each; when all have it, rotate without this on each",
    )
}

pub(super) fn wants_standby(arguments: &ArgMatches) -> bool {
    arguments.get_flag(STANDBY)
}

/// Makes a key that is used from now on, or one that stands by; or has one that stands by used. `used` is
/// the highest number that is taken elsewhere.
pub(super) fn rotate(
    directory: &KeyDirectory,
    purpose: Purpose,
    used: u16,
    standby: bool,
) -> Result<(), Box<dyn Error>> {
    let name = purpose.name();
    if standby {
        let (id, path) = directory.stand_by(purpose, used)?;
        say(&format!("{name} key {id} was made and stands by: {}", path.display()))?;
        say("copy it to every server; when all have it, rotate without --standby on each")?;
        return Ok(());
    }
    if let Some((id, path)) = directory.activate(purpose)? {
        say(&format!("{name} key {id} is in use from now on: {}", path.display()))?;
        return Ok(());
    }
    let (id, path) = directory.rotate(purpose, used)?;
    say(&format!("{name} key {id} was made: {}", path.display()))?;
    say("servers on this directory use it within seconds; for others, see rotate --help")?;
    Ok(())
}

/// When a key came into use, and when the next one did, as the store's list has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dates {
    pub(super) since: SystemTime,
    pub(super) replaced: Option<SystemTime>,
}

/// The dates of the keys of a list, which is in the order of their ids.
pub(super) fn dates(rows: &[KeyRow]) -> BTreeMap<KeyId, Dates> {
    let at = |row: &KeyRow| unix_time::system_time(row.since_ms);
    let replaced = rows.iter().skip(1).map(|row| Some(at(row))).chain([None]);
    let dated = rows.iter().zip(replaced).filter_map(|(row, replaced)| {
        Some((KeyId::new(row.id)?, Dates { since: at(row), replaced }))
    });
    dated.collect()
}

/// How long servers may take to read a key that has come into use.
pub(super) fn read_after(source: &KeySource) -> Duration {
    match source {
        KeySource::Directory(_) => REWRAP_AFTER,
        KeySource::Environment(_) | KeySource::Command(_) => REWRAP_AFTER_COMMAND,
    }
}
