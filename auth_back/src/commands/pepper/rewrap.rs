//! `auth_back pepper rewrap`: sealing every record under the active key.

use credentials::{KeyId, KeySource};
use ownership::{self, MixedOwners};
use server::keyrings::rewrap;
use server::settings::Settings;
use service::settings::format_duration;
use store::{KeyList, KeyRow, Store};
use unix_time::millis;

use super::ring::{peppers, soon};
use super::status;
use crate::commands::console::say;
use crate::commands::interrupt;
use crate::commands::keys;
use crate::commands::progress::{Progress, Unit};
use crate::commands::store_access::store_ms;
use crate::commands::subcommand::Done;
use crate::limits::REWRAP_PASSES_MAX;

/// Most users that are named when their records cannot be sealed anew.
const NAMED_MAX: usize = 10;

pub(super) fn run(settings: &Settings, store: &dyn Store, rate: Option<u32>) -> Done {
    let peppers = peppers(settings, store)?;
    let active = peppers.active_id();
    check_owners(&settings.pepper_keys)?;
    check_read_by_all(
        &settings.pepper_keys,
        active,
        &store.keys(KeyList::Peppers, soon())?,
        store_ms(store)?,
    )?;
    interrupt::watch()?;
    let counts = status::count(store)?;
    let due: u64 =
        counts.by_pepper.iter().filter(|(id, _)| **id < active).map(|(_, count)| count).sum();
    let progress = Progress::new(Unit::Things("records"), Some(due));
    let mut resealed: u64 = 0;
    let watch = |done: usize| {
        progress.add(u64::try_from(done).unwrap_or(u64::MAX));
        interrupt::flow()
    };
    for _ in 0..REWRAP_PASSES_MAX {
        let pass = rewrap::pass(store, &peppers, rate, watch, interrupt::sleep)?;
        resealed += pass.resealed;
        interrupt::check(|| {
            let left = due.saturating_sub(resealed);
            format!(
                "{resealed} records were sealed under pepper {active}, and about {left} were not; run it again to go on"
            )
        })?;
        if pass.resealed == 0 && pass.overtaken == 0 {
            progress.finish();
            say(&format!("{resealed} records were sealed under pepper {active}"))?;
            return check_readable(&pass.unreadable);
        }
    }
    progress.finish();
    Err(format!(
        "{resealed} records were sealed under pepper {active}, and new ones keep appearing under older \
         peppers: a server does not see the key {active}"
    )
    .into())
}

/// A server reads keys of its own user or, as root, of anybody: keys of two users are not all read by one of them.
fn check_owners(source: &KeySource) -> Result<(), MixedOwners> {
    match source {
        KeySource::Directory(directory) => ownership::check_same(&directory.key_files()),
        KeySource::Environment(_) | KeySource::Command(_) => Ok(()),
    }
}

/// Refuses while a server may not have read the active key since it came into use.
fn check_read_by_all(source: &KeySource, active: KeyId, rows: &[KeyRow], now_ms: u64) -> Done {
    let after = keys::read_after(source);
    let since_ms = rows.iter().find(|row| row.id == active.get()).map(|row| row.since_ms);
    let used_ms = since_ms.map_or(0, |since_ms| now_ms.saturating_sub(since_ms));
    let after_ms = millis(after);
    if used_ms >= after_ms {
        return Ok(());
    }
    let wait_s = (after_ms - used_ms).div_ceil(1_000);
    Err(format!(
        "pepper {active} came into use less than {} ago, and a server may not have read it yet: try again in \
         {wait_s} s, if all servers are ready then",
        format_duration(after)
    )
    .into())
}

fn check_readable(unreadable: &[u64]) -> Done {
    if unreadable.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = unreadable.iter().take(NAMED_MAX).map(u64::to_string).collect();
    let more = if unreadable.len() > NAMED_MAX { " and others" } else { "" };
    Err(format!(
        "{} records do not open and were left as they are, of the users with the ids {}{more}",
        unreadable.len(),
        named.join(", ")
    )
    .into())
}
