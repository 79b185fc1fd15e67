//! What the commands about peppers and about token keys have in common.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgMatches};

use super::Done;
use crate::credentials::limits::KEYS_PER_RING_MAX;
use crate::credentials::{KeyDirectory, KeyId, KeySource, OnMissing, Purpose};

const ID: &str = "id";
const JSON: &str = "json";

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

/// The ids of the keys that there are, the active one first. None if there is no key at all.
pub(super) fn ids(source: &KeySource, purpose: Purpose) -> Result<Vec<KeyId>, String> {
    let loaded = source.load(purpose, OnMissing::Refuse).map_err(|error| error.to_string())?;
    let mut ids = loaded.keys.ids();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    Ok(ids)
}

/// The time as RFC 3339 has it, in UTC.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    crate::rfc3339::rfc3339(UNIX_EPOCH + Duration::from_millis(unix_ms))
}

/// How long ago that was, in milliseconds; 0 if it is to come.
pub(super) fn ms_since(unix_ms: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_sub(unix_ms)
}
