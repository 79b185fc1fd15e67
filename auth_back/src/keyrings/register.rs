//! The store's list of peppers: which keys records may need, and a value that tells each from another.
//!
//! A server puts its active pepper on the list before it seals anything under it. So whoever starts with
//! keys that are not those of the records, one missing or one exchanged, is told at once and by id; it
//! does not take a look at every user.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use service::rare;

use crate::accounts::unix_ms;
use crate::credentials::{
    KeyId, KeySource, KeysError, OnMissing, PasswordRecord, PepperKeyring, Purpose, Ring as _,
};
use crate::ids::UserId;
use crate::limits::{RECORD_PAGE, STORE_CALL_TIME_MAX};
use crate::store::{PepperRow, RecordRow, Store, StoreError};

/// Why keys are not the peppers of a store. Whoever placed the keys is at fault.
#[derive(Debug, thiserror::Error)]
pub enum PepperFault {
    /// Records may be sealed under a key that is not there.
    #[error(
        "password records may be sealed under pepper {0}, which is not among the keys: put it back; \
         `auth_back pepper status` says how many records need it, and `auth_back pepper retire {0}` \
         takes it off the list when none does"
    )]
    Missing(KeyId),
    /// A key is another one than the store knows by its id.
    #[error(
        "pepper {0} is another key than the one that password records are sealed under: it was \
         overwritten, or this is another deployment's"
    )]
    Different(KeyId),
    /// A row with a number that no key has.
    #[error("the store lists a pepper 0, which cannot be")]
    Zero,
    /// The list could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why peppers could not be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// They could not be read or made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// They are not the peppers of the store.
    #[error(transparent)]
    Fault(#[from] PepperFault),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// Reads the peppers and holds them against the store. Makes the first one where there is neither a
/// user nor a list. Returns the file of a key that was made.
///
/// Where there are users and no list, which an older version leaves behind, the records are looked
/// through once to make it.
///
/// # Errors
/// [`OpenError`].
pub fn open(
    source: &KeySource,
    store: &dyn Store,
    deadline: Instant,
) -> Result<(PepperKeyring, Option<PathBuf>), OpenError> {
    let is_new = store.peppers(deadline)?.is_empty();
    let has_users = store.has_users(deadline)?;
    // A new key opens no old record: where there are users, a missing key is a mistake.
    let on_missing = if is_new && !has_users { OnMissing::Create } else { OnMissing::Refuse };
    let loaded = source.load(Purpose::Pepper, on_missing)?;
    let peppers = PepperKeyring::from(loaded.keys);
    if is_new && has_users {
        seed(&peppers, store)?;
    }
    admit(&peppers, store, deadline)?;
    Ok((peppers, loaded.created))
}

/// Holds peppers against the store's list, and puts the active one on it. After that, records may be
/// sealed under it.
///
/// # Errors
/// [`PepperFault`]; nothing may be sealed then.
pub fn admit(
    peppers: &PepperKeyring,
    store: &dyn Store,
    deadline: Instant,
) -> Result<(), PepperFault> {
    let rows = store.peppers(deadline)?;
    check(peppers, &rows)?;
    let active = peppers.active_id();
    if rows.iter().any(|row| row.id == active.get()) {
        return Ok(());
    }
    insert(peppers, active, store, deadline)?;
    // Another server may have listed another key of that id in the same moment.
    check(peppers, &store.peppers(deadline)?)
}

fn check(peppers: &PepperKeyring, rows: &[PepperRow]) -> Result<(), PepperFault> {
    let known: BTreeMap<KeyId, _> = peppers.check_values().collect();
    for row in rows {
        let id = KeyId::new(row.id).ok_or(PepperFault::Zero)?;
        match known.get(&id) {
            None => return Err(PepperFault::Missing(id)),
            // Not a secret, so it need not be compared in constant time.
            Some(value) if *value != row.check_value => return Err(PepperFault::Different(id)),
            Some(_) => {}
        }
    }
    Ok(())
}

fn insert(
    peppers: &PepperKeyring,
    id: KeyId,
    store: &dyn Store,
    deadline: Instant,
) -> Result<(), StoreError> {
    let Some((_, check_value)) = peppers.check_values().find(|(known, _)| *known == id) else {
        return Ok(());
    };
    let since_ms = unix_ms(clock::wall());
    store.insert_pepper(&PepperRow { id: id.get(), since_ms, check_value }, deadline)
}

/// Looks through all records once and lists the peppers that they are sealed under.
fn seed(peppers: &PepperKeyring, store: &dyn Store) -> Result<(), PepperFault> {
    // Of each pepper, whether a record has opened under it.
    let mut found: BTreeMap<KeyId, bool> = BTreeMap::new();
    walk(store, |row| {
        let Ok(record) = row.password_record.parse::<PasswordRecord>() else { return };
        let opens = found.entry(record.pepper_id()).or_default();
        // One record may be damaged; that all of them are means that it is the key.
        *opens |= !*opens
            && UserId::new(row.user_id).is_ok_and(|user| record.reseal(user, peppers).is_ok());
    })?;
    for (id, opens) in &found {
        if !peppers.keys().has(*id) {
            return Err(PepperFault::Missing(*id));
        }
        if !opens {
            return Err(PepperFault::Different(*id));
        }
    }
    for id in found.keys() {
        insert(peppers, *id, store, clock::now() + STORE_CALL_TIME_MAX)?;
    }
    let peppers = found.keys();
    rare!("once in the life of a store", INFO, ?peppers, "the store's list of peppers was made");
    Ok(())
}

/// Shows every user's record to `visit`, in the order of ids, a page at a time.
///
/// # Errors
/// [`StoreError`] when a page could not be read.
pub fn walk(store: &dyn Store, mut visit: impl FnMut(&RecordRow)) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page =
            store.password_records(after, RECORD_PAGE, clock::now() + STORE_CALL_TIME_MAX)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.user_id;
        page.iter().for_each(&mut visit);
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
