//! Sealing every record under the active pepper, while servers run and nobody logs in.
//!
//! One pass walks over all users, opens what is sealed under an older pepper, seals it under the active
//! one and replaces it if it is still there (compare and swap): a login or a change of password that comes
//! first wins. Records are replaced a few together, and after each few comes a pause as long as they took,
//! so that the store belongs to the servers for at least half of the time.
//!
//! Nothing is remembered: a pass skips what is done, so one that was killed is resumed by another.

use std::ops::ControlFlow;
use std::time::Duration;

use credentials::ids::UserId;
use credentials::{PasswordRecord, PepperKeyring};
use store::{RecordChange, RecordRow, Store, StoreError};

use super::register;
use crate::limits::{REWRAP_BATCH, STORE_CALL_TIME_MAX};

/// What a pass came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Records that were sealed under the active pepper.
    pub resealed: u64,
    /// Records that somebody else replaced first. Another pass has to look at them.
    pub overtaken: u64,
    /// Users whose records cannot be read or opened. They stay as they are.
    pub unreadable: Vec<u64>,
}

/// Makes one pass. `rate` bounds how many records are replaced a second; `watch` is told how many were
/// dealt with, in order, and says whether to go on; `rest` waits. Blocks until it is done.
///
/// # Errors
///
/// [`StoreError`]; what was replaced until then stays so.
pub fn pass(
    store: &dyn Store,
    peppers: &PepperKeyring,
    rate: Option<u32>,
    mut watch: impl FnMut(usize) -> ControlFlow<()>,
    rest: impl Fn(Duration),
) -> Result<Pass, StoreError> {
    let mut pass = Pass::default();
    let mut waiting = Vec::new();
    let mut end = Ok(ControlFlow::Continue(()));
    let mut flush = |waiting: &mut Vec<RecordChange>, pass: &mut Pass| {
        let began = clock::now();
        let changed = store.replace_password_records(waiting, began + STORE_CALL_TIME_MAX)?;
        let count = waiting.len();
        pass.resealed += u64::from(changed);
        pass.overtaken += u64::try_from(count).unwrap_or(u64::MAX) - u64::from(changed);
        waiting.clear();
        rest(pause(count, clock::since(began), rate));
        Ok::<_, StoreError>(watch(count))
    };
    register::walk_while(store, |row| {
        match change(row, peppers) {
            Ok(None) => {}
            Ok(Some(change)) => waiting.push(change),
            Err(Unreadable) => pass.unreadable.push(row.user_id),
        }
        if waiting.len() == REWRAP_BATCH {
            end = flush(&mut waiting, &mut pass);
        }
        if matches!(end, Ok(ControlFlow::Continue(()))) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    if end?.is_continue() && !waiting.is_empty() {
        let _ = flush(&mut waiting, &mut pass)?;
    }
    Ok(pass)
}

struct Unreadable;

/// What is to take the place of a record; nothing, if it is under the active pepper or a newer one.
fn change(row: &RecordRow, peppers: &PepperKeyring) -> Result<Option<RecordChange>, Unreadable> {
    let record: PasswordRecord = row.password_record.parse().map_err(|_| Unreadable)?;
    if record.pepper_id() >= peppers.active_id() {
        return Ok(None);
    }
    let user = UserId::new(row.user_id).map_err(|_| Unreadable)?;
    let new = record.reseal(user, peppers).map_err(|_| Unreadable)?;
    Ok(Some(RecordChange {
        user_id: row.user_id,
        old: row.password_record.clone(),
        new: new.to_text(),
    }))
}

/// How long to leave the store alone after `count` records that took so long.
fn pause(count: usize, took: Duration, rate: Option<u32>) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let due = rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) * count / rate.max(1));
    took.max(due.saturating_sub(took))
}

#[cfg(test)]
mod tests;
