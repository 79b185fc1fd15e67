//! `auth_back pepper status`: how many records are sealed under which key.

use std::collections::{BTreeMap, BTreeSet};

use credentials::{KeyId, PasswordRecord, Purpose};
use serde::Serialize;
use server::keyrings::register;
use server::settings::Settings;
use store::{KeyList, Store, StoreError};
use unix_time::{rfc3339, unix_ms};

use super::ring::soon;
use crate::commands::console::say;
use crate::commands::console::tell;
use crate::commands::interrupt;
use crate::commands::keys;
use crate::commands::progress::{Progress, Unit};
use crate::commands::subcommand::Done;

/// Records by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) by_pepper: BTreeMap<KeyId, u64>,
    /// Not records at all, so that nothing can be said of their keys.
    pub(super) unreadable: u64,
}

/// Counts all records; those until then, if a signal comes.
pub(super) fn count(store: &dyn Store) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    let progress = Progress::new(Unit::Things("records looked at"), None);
    register::walk_while(store, |row| {
        progress.add(1);
        match row.password_record.parse::<PasswordRecord>() {
            Ok(record) => *counts.by_pepper.entry(record.pepper_id()).or_default() += 1,
            Err(_) => counts.unreadable += 1,
        }
        interrupt::flow()
    })?;
    Ok(counts)
}

#[derive(Serialize)]
struct Status {
    active: Option<u16>,
    peppers: Vec<Pepper>,
    unreadable: u64,
}

#[derive(Serialize)]
struct Pepper {
    id: u16,
    records: u64,
    /// Whether the key is there.
    present: bool,
    /// When a server first sealed under it.
    since_ms: Option<u64>,
    /// When a server first sealed under the next one.
    replaced_ms: Option<u64>,
}

pub(super) fn run(settings: &Settings, store: &dyn Store, json: bool) -> Done {
    // Keys that are missing are what this may be asked about.
    let found = keys::ids(&settings.pepper_keys, Purpose::Pepper);
    let (ids, active) = match found {
        Ok((ids, active)) => (ids, Some(active)),
        Err(error) => {
            tell(&format!("warning: {error}"));
            (Vec::new(), None)
        }
    };
    let rows = store.keys(KeyList::Peppers, soon())?;
    let counts = count(store)?;
    let listed = rows.iter().filter_map(|row| KeyId::new(row.id));
    let all: BTreeSet<KeyId> =
        ids.iter().copied().chain(listed).chain(counts.by_pepper.keys().copied()).collect();
    let dates = keys::dates(&rows);
    let pepper = |id: KeyId| Pepper {
        id: id.get(),
        records: counts.by_pepper.get(&id).copied().unwrap_or(0),
        present: ids.contains(&id),
        since_ms: dates.get(&id).map(|dates| unix_ms(dates.since)),
        replaced_ms: dates.get(&id).and_then(|dates| dates.replaced).map(unix_ms),
    };
    let status = Status {
        active: active.map(KeyId::get),
        peppers: all.into_iter().map(pepper).collect(),
        unreadable: counts.unreadable,
    };
    if json {
        say(&serde_json::to_string(&status)?)?;
        return Ok(());
    }
    say(&format!("pepper     records  {:24}  replaced", "in use since"))?;
    for pepper in &status.peppers {
        let date = |at_ms: Option<u64>| at_ms.map_or_else(|| "-".to_owned(), rfc3339);
        let (since, replaced) = (date(pepper.since_ms), date(pepper.replaced_ms));
        let is_active = Some(pepper.id) == status.active;
        let active = if is_active { "  active" } else { "" };
        let missing = if pepper.present { "" } else { "  THE KEY IS MISSING" };
        say(&format!(
            "{:>6} {:>11}  {since:24}  {replaced}{active}{missing}",
            pepper.id, pepper.records
        ))?;
    }
    if status.unreadable > 0 {
        say(&format!("{} records cannot be read", status.unreadable))?;
    }
    Ok(())
}
