//! The store, as commands use it: patiently, with somebody in front of them.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use server::installation::deployment::look;
use server::limits::STORE_RETRY;
use server::opening::{self, Lacking, Opened};
use server::settings::{Settings, SharedRules};
use server_time::ServerTime;
use store::{Store, StoreError};

use super::console::tell;
use super::interrupt;
use crate::limits::{COMMAND_STORE_PATIENCE, COMMAND_STORE_RETRY, STORE_PATIENCE};

/// Opens the store as it is, and says so when it has to wait for it.
pub(super) fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    open_store_that(settings, Lacking::Refuse).map(|opened| opened.store)
}

pub(super) fn open_store_that(
    settings: &Settings,
    lacking: Lacking,
) -> Result<Opened, Box<dyn Error>> {
    let (deadline, mut told) = (store_deadline(), String::new());
    opening::until_there(
        || opening::store(settings, lacking, deadline),
        |cause| {
            let cause = cause.to_string();
            if cause != told {
                let seconds = STORE_PATIENCE.as_secs();
                tell(&format!(
                    "the store cannot be used yet, trying again for {seconds} s: {cause}"
                ));
                told = cause;
            }
            clock::now() + STORE_RETRY < deadline
        },
    )
}

/// What all servers do alike: the database says so, whatever this command was given.
pub(super) fn rules_of(
    settings: &Settings,
    store: &dyn Store,
) -> Result<SharedRules, Box<dyn Error>> {
    let per_user = settings.rules.sessions.per_user;
    let (rules, differing) = look(store, &settings.shared, per_user)?;
    for one in differing {
        tell(&format!("{one}: the database counts"));
    }
    Ok(rules)
}

/// When a command stops waiting for the store to come up.
pub(super) fn store_deadline() -> Instant {
    clock::now() + STORE_PATIENCE
}

/// Calls the store, and again for a while when it is away. For calls that may be made twice.
pub(super) fn patiently<T>(
    mut call: impl FnMut(Instant) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let deadline = clock::now() + COMMAND_STORE_PATIENCE;
    loop {
        match call(deadline) {
            Err(StoreError::Unavailable(cause))
                if clock::now() + COMMAND_STORE_RETRY < deadline
                    && interrupt::signal().is_none() =>
            {
                tell(&format!("the store is away, trying again: {cause}"));
                interrupt::sleep(COMMAND_STORE_RETRY);
            }
            outcome => return outcome,
        }
    }
}

/// What time the store has: the wall clock of whose machine a command runs on decides nothing.
pub(super) fn store_ms(store: &dyn Store) -> Result<u64, StoreError> {
    patiently(|deadline| store.time(deadline))
}

/// The same, for a command that goes on for longer.
pub(super) fn server_time(store: &dyn Store) -> Result<Arc<ServerTime>, StoreError> {
    patiently(|deadline| ServerTime::ask_first(store, deadline)).map(Arc::new)
}
