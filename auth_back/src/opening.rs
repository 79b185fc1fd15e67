//! Opening what the server and the operator's commands both work on: the store and the keys.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use service::rare;

use crate::credentials::{
    BreachedError, BreachedFile, OnMissing, PasswordRules, PepperKeyring, Purpose, TokenKeyring,
};
use crate::keyrings::register;
use crate::limits::STORE_RETRY;
use crate::redis_pool::RedisPool;
use crate::sessions::SessionKeeper;
use crate::settings::{PasswordSettings, Settings};
use crate::store::{self, Cause, MigrationError, Store, StoreError};

/// Opens the store and brings it to this program's schema, waiting for it to come up: at a common
/// start of all machines the database is often the slowest. `on_wait` is told why, each time it waits.
///
/// # Errors
/// [`StoreError`] when it cannot be opened, [`MigrationError`] when it cannot be migrated or is not
/// there by the deadline.
pub fn store(
    settings: &Settings,
    deadline: Instant,
    mut on_wait: impl FnMut(&Cause),
) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    make_private_directory(&settings.data)?;
    let store = store::open(&settings.store, settings.store_connections)?;
    loop {
        match store.migrate(deadline) {
            Ok(migrated) => {
                rare!("once, at the start", INFO, ?migrated, "the store is ready");
                return Ok(store);
            }
            Err(MigrationError::Store(StoreError::Unavailable(cause)))
                if clock::now() + STORE_RETRY < deadline =>
            {
                on_wait(&cause);
                thread::sleep(STORE_RETRY);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What keeps sessions in `store`, and in Redis if the settings name one: everything that ends a
/// session has to go through it.
///
/// # Errors
/// When the pool of connections to Redis cannot be made; that Redis is away is no error.
pub fn sessions(
    settings: &Settings,
    store: &Arc<dyn Store>,
) -> Result<SessionKeeper, Box<dyn Error>> {
    let redis = settings.redis.clone();
    let redis = redis.map(|url| RedisPool::new(url, settings.store_connections)).transpose()?;
    Ok(SessionKeeper::new(Arc::clone(store), redis, settings.rules.sessions))
}

/// Reads the peppers and holds them against the store; see [`register::open`].
///
/// # Errors
/// [`register::OpenError`].
pub fn peppers(
    settings: &Settings,
    store: &dyn Store,
    deadline: Instant,
) -> Result<PepperKeyring, Box<dyn Error>> {
    let (peppers, created) = register::open(&settings.pepper_keys, store, deadline)?;
    tell_of(created.as_deref());
    Ok(peppers)
}

/// Reads the token keys.
///
/// # Errors
/// [`KeysError`](crate::credentials::KeysError).
pub fn token_keys(settings: &Settings) -> Result<TokenKeyring, Box<dyn Error>> {
    // A new token key ends sessions and loses nothing else.
    let loaded = settings.token_keys.load(Purpose::Token, OnMissing::Create)?;
    tell_of(loaded.created.as_deref());
    Ok(loaded.keys.into())
}

fn tell_of(created: Option<&Path>) {
    if let Some(file) = created {
        let file = file.display();
        rare!("once, at the start", INFO, %file, "a key was made; keep a copy apart from the store's");
    }
}

/// What new passwords have to be. Blocks while the file of breached passwords is checked, about a
/// second for a gigabyte.
///
/// # Errors
/// [`BreachedError`] when there is to be such a file, and it cannot be used.
pub fn password_rules(settings: &Settings) -> Result<PasswordRules, BreachedError> {
    let PasswordSettings { policy, service_names, breached } = settings.passwords.clone();
    let breached = breached.map(|path| BreachedFile::open(&path)).transpose()?;
    if let Some(file) = &breached {
        let (count, one_in) = (file.count(), file.one_in());
        rare!(
            "once, at the start",
            INFO,
            count,
            one_in,
            "breached passwords; one in so many others is refused too"
        );
    }
    Ok(PasswordRules { policy, service_names, breached: breached.map(Arc::new) })
}

/// Keys and users are for the owner alone.
pub(crate) fn make_private_directory(path: &Path) -> Result<(), Box<dyn Error>> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| format!("cannot make the directory {}: {error}", path.display()).into())
}
