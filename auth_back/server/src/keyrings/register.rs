//! The store's lists of keys: which ones records and sessions may need, and a value that tells each from another.
//!
//! A server puts its active key on the list before it uses it. So whoever starts with keys that are not those of
//! the records or of the sessions, one missing or one exchanged, is told at once and by id; it does not take a
//! look at every user, and no session is called forged because another server signed it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use credentials::ids::UserId;
use credentials::{
    KeyId, KeySource, KeysError, OnMissing, PasswordRecord, PepperKeyring, Purpose, Ring,
    TokenKeyring,
};
use service::rare;
use store::{KeyList, KeyRow, RecordRow, Store, StoreError};

use crate::limits::{RECORD_PAGE, STORE_CALL_TIME_MAX};

/// Why keys are not those of a store. Whoever placed the keys is at fault.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// Something in the store may need a key that is not there.
    #[error("{}", missing(*.0, *.1))]
    Missing(Purpose, KeyId),
    /// A key is another one than the store knows by its id.
    #[error("{}", different(*.0, *.1))]
    Different(Purpose, KeyId),
    /// Sessions are there, and neither a token key nor a list.
    #[error(
        "there is no token key, and the store has live sessions: put the key back that they are signed under, \
         or `auth_back token-key rotate` makes another, and they end"
    )]
    Lost,
    /// A row with a number that no key has.
    #[error("the store lists a {} key 0, which cannot be", .0.name())]
    Zero(Purpose),
    /// The list could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn missing(purpose: Purpose, id: KeyId) -> String {
    match purpose {
        Purpose::Pepper => format!(
            "password records may be sealed under pepper {id}, which is not among the keys: put it back; \
             `auth_back pepper status` says how many records need it, and `auth_back pepper retire {id}` \
             takes it off the list when none does"
        ),
        Purpose::Token => format!(
            "sessions may be signed under token key {id}, which is not among the keys: copy it from the \
             server that has it; `auth_back token-key retire {id} --end-sessions` takes it off the list and ends its sessions"
        ),
    }
}

fn different(purpose: Purpose, id: KeyId) -> String {
    let (key, used) = match purpose {
        Purpose::Pepper => ("pepper", "password records are sealed under"),
        Purpose::Token => ("token key", "sessions are signed under"),
    };
    format!(
        "{key} {id} is another key than the one that {used}: it was overwritten, or this is another deployment's"
    )
}

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// They could not be read or made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// They are not those of the store.
    #[error(transparent)]
    Fault(#[from] KeyFault),
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
    now_ms: u64,
    deadline: Instant,
) -> Result<(PepperKeyring, Option<PathBuf>), OpenError> {
    let is_new = store.keys(KeyList::Peppers, deadline)?.is_empty();
    let has_users = store.has_users(deadline)?;
    // A new key opens no old record: where there are users, a missing key is a mistake.
    let on_missing = if is_new && !has_users { OnMissing::Create } else { OnMissing::Refuse };
    let loaded = source.load(Purpose::Pepper, on_missing)?;
    let peppers = PepperKeyring::from(loaded.keys);
    if is_new && has_users {
        seed(&peppers, store, now_ms)?;
    }
    admit(&peppers, store, now_ms, deadline)?;
    Ok((peppers, loaded.created))
}

/// Reads the token keys and holds them against the store. Makes the first one where there is neither a live session
/// nor a list. Returns the file of a key that was made.
///
/// # Errors
/// [`OpenError`].
pub fn open_token_keys(
    source: &KeySource,
    store: &dyn Store,
    now_ms: u64,
    deadline: Instant,
) -> Result<(TokenKeyring, Option<PathBuf>), OpenError> {
    let rows = store.keys(KeyList::TokenKeys, deadline)?;
    let is_new = rows.is_empty();
    let on_missing = if is_new && !store.has_sessions(now_ms, deadline)? {
        OnMissing::Create
    } else {
        OnMissing::Refuse
    };
    let loaded = match (source.load(Purpose::Token, on_missing), rows.last()) {
        (Err(KeysError::Missing { .. }), None) => return Err(KeyFault::Lost.into()),
        (Err(KeysError::Missing { .. }), Some(row)) => {
            let id = KeyId::new(row.id).ok_or(KeyFault::Zero(Purpose::Token))?;
            return Err(KeyFault::Missing(Purpose::Token, id).into());
        }
        (loaded, _) => loaded?,
    };
    let keys = TokenKeyring::from(loaded.keys);
    if is_new {
        // Of an older version, which made no list: sessions may be signed under any that has been in use.
        let ids = keys.keys().ids();
        for id in ids.into_iter().filter(|id| *id < keys.keys().active_id()) {
            insert(&keys, id, store, now_ms, deadline)?;
        }
    }
    admit(&keys, store, now_ms, deadline)?;
    Ok((keys, loaded.created))
}

/// Holds a ring against the store's list, and puts the active key on it, as in use since `now_ms`. After that, the key may be used.
///
/// # Errors
/// [`KeyFault`]; nothing new may be made under these keys then.
pub fn admit<R: Ring>(
    ring: &R,
    store: &dyn Store,
    now_ms: u64,
    deadline: Instant,
) -> Result<(), KeyFault> {
    let list = list_of(R::PURPOSE);
    let rows = store.keys(list, deadline)?;
    check(ring, &rows)?;
    let active = ring.keys().active_id();
    if rows.iter().any(|row| row.id == active.get()) {
        return Ok(());
    }
    insert(ring, active, store, now_ms, deadline)?;
    // Another server may have listed another key of that id in the same moment.
    check(ring, &store.keys(list, deadline)?)
}

/// Where keys of that purpose are listed.
#[must_use]
pub const fn list_of(purpose: Purpose) -> KeyList {
    match purpose {
        Purpose::Pepper => KeyList::Peppers,
        Purpose::Token => KeyList::TokenKeys,
    }
}

fn check<R: Ring>(ring: &R, rows: &[KeyRow]) -> Result<(), KeyFault> {
    let known: BTreeMap<KeyId, _> = ring.check_values().into_iter().collect();
    for row in rows {
        let id = KeyId::new(row.id).ok_or(KeyFault::Zero(R::PURPOSE))?;
        match known.get(&id) {
            None => return Err(KeyFault::Missing(R::PURPOSE, id)),
            // Not a secret, so it need not be compared in constant time.
            Some(value) if *value != row.check_value => {
                return Err(KeyFault::Different(R::PURPOSE, id));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn insert<R: Ring>(
    ring: &R,
    id: KeyId,
    store: &dyn Store,
    since_ms: u64,
    deadline: Instant,
) -> Result<(), StoreError> {
    let values = ring.check_values();
    let Some((_, check_value)) = values.into_iter().find(|(known, _)| *known == id) else {
        return Ok(());
    };
    store.insert_key(list_of(R::PURPOSE), &KeyRow { id: id.get(), since_ms, check_value }, deadline)
}

/// Looks through all records once and lists the peppers that they are sealed under.
fn seed(peppers: &PepperKeyring, store: &dyn Store, now_ms: u64) -> Result<(), KeyFault> {
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
            return Err(KeyFault::Missing(Purpose::Pepper, *id));
        }
        if !opens {
            return Err(KeyFault::Different(Purpose::Pepper, *id));
        }
    }
    for id in found.keys() {
        insert(peppers, *id, store, now_ms, clock::now() + STORE_CALL_TIME_MAX)?;
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
    walk_while(store, |row| {
        visit(row);
        ControlFlow::Continue(())
    })
}

/// The same until `visit` has seen enough.
///
/// # Errors
/// [`StoreError`] when a page could not be read.
pub fn walk_while(
    store: &dyn Store,
    mut visit: impl FnMut(&RecordRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page =
            store.password_records(after, RECORD_PAGE, clock::now() + STORE_CALL_TIME_MAX)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.user_id;
        if page.iter().try_for_each(&mut visit).is_break() {
            return Ok(());
        }
    }
}

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
