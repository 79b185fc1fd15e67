//! `auth_back pepper rewrap`: sealing every record under the active key.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::{say, status};
use crate::commands::Done;
use crate::keyrings::rewrap;
use crate::limits::{PROGRESS_LINE_INTERVAL, REWRAP_PASSES_MAX};
use crate::settings::Settings;
use crate::store::Store;

/// Most users that are named when their records cannot be sealed anew.
const NAMED_MAX: usize = 10;

pub(super) fn run(settings: &Settings, store: &dyn Store, rate: Option<u32>) -> Done {
    let peppers = super::peppers(settings, store)?;
    let active = peppers.active_id();
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
