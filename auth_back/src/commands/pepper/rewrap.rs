//! `auth_back pepper rewrap`: sealing every record under the active key.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use service::settings::format_duration;

use super::{keys, say, status};
use crate::commands::Done;
use crate::credentials::{KeyId, KeySource};
use crate::keyrings::rewrap;
use crate::limits::{
    PROGRESS_LINE_INTERVAL, REWRAP_AFTER, REWRAP_AFTER_COMMAND, REWRAP_PASSES_MAX,
};
use crate::ownership::{self, MixedOwners};
use crate::settings::Settings;
use crate::store::{KeyList, KeyRow, Store};

/// Most users that are named when their records cannot be sealed anew.
const NAMED_MAX: usize = 10;

pub(super) fn run(settings: &Settings, store: &dyn Store, rate: Option<u32>) -> Done {
    let peppers = super::peppers(settings, store)?;
    let active = peppers.active_id();
    check_owners(&settings.pepper_keys)?;
    check_read_by_all(
        &settings.pepper_keys,
        active,
        &store.keys(KeyList::Peppers, super::soon())?,
    )?;
    let counts = status::count(store, |_| {})?;
    let due = counts.by_pepper.iter().filter(|(id, _)| **id < active).map(|(_, count)| count).sum();
    let mut progress = Progress::new(due);
    let mut resealed = 0;
    for _ in 0..REWRAP_PASSES_MAX {
        let pass = rewrap::pass(store, &peppers, rate, |done| progress.add(done))?;
        resealed += pass.resealed;
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
fn check_read_by_all(source: &KeySource, active: KeyId, rows: &[KeyRow]) -> Done {
    let after = match source {
        KeySource::Directory(_) => REWRAP_AFTER,
        KeySource::Environment(_) | KeySource::Command(_) => REWRAP_AFTER_COMMAND,
    };
    let since_ms = rows.iter().find(|row| row.id == active.get()).map(|row| row.since_ms);
    let used_ms = since_ms.map_or(0, keys::ms_since);
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
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

/// How far it is: a bar on a terminal, otherwise a line now and then.
struct Progress {
    bar: ProgressBar,
    due: u64,
    done: u64,
    told: Instant,
}

impl Progress {
    fn new(due: u64) -> Self {
        let bar =
            if io::stderr().is_terminal() { ProgressBar::new(due) } else { ProgressBar::hidden() };
        let style = "{bar:40} {pos}/{len} records, {per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style).expect("a fixed template"));
        Self { bar, due, done: 0, told: clock::now() }
    }

    fn add(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.done = self.done.saturating_add(count);
        if !self.bar.is_hidden() {
            self.bar.inc(count);
        } else if clock::since(self.told) >= PROGRESS_LINE_INTERVAL {
            self.told = clock::now();
            // Standard error may be closed.
            let _ = writeln!(io::stderr(), "{} of {} records", self.done, self.due);
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
