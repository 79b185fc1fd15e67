//! The peppers of the store.

use std::time::Instant;

use credentials::PepperKeyring;
use server::keyrings::register;
use server::limits::STORE_CALL_TIME_MAX;
use server::settings::Settings;
use store::Store;

use crate::commands::store_access::store_ms;

/// A deadline for one call of the store.
pub(super) fn soon() -> Instant {
    clock::now() + STORE_CALL_TIME_MAX
}

/// Reads the peppers for work on the records; they have to be those of the store.
pub(super) fn peppers(
    settings: &Settings,
    store: &dyn Store,
) -> Result<PepperKeyring, register::OpenError> {
    let now_ms = store_ms(store)?;
    register::open(&settings.pepper_keys, store, now_ms, soon()).map(|(peppers, _)| peppers)
}
