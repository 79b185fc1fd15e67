//! Opening what the server and the operator's commands both work on: the store and the keys.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use credentials::{
    BreachedError, BreachedFile, KeySource, PasswordRules, PepperKeyring, Purpose, TokenKeyring,
};
use redis_pool::{RedisPool, Refusal, Use};
use service::process::Exit;
use service::rare;
use sessions::LiveRules;
use sessions::SessionKeeper;
use store::{self, Absent, Cause, Migrated, MigrationError, Schema, Store, StoreError, StoreUrl};

use crate::installation::DeploymentFault;
use crate::keyrings::register::{self, KeyFault, OpenError};
use crate::limits::STORE_RETRY;
use crate::node::NodeError;
use crate::settings::{PasswordSettings, Settings};

/// What may be done to a store that lacks this program's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Nothing: for commands, which find out in this way that they look at the wrong place.
    Refuse,
    /// An empty store gets its schema. An older one is its operator's to migrate.
    MakeInEmpty,
    /// An empty store gets its schema, and an older one what it lacks.
    Migrate,
}

/// Why a store cannot be used as it is. Whoever started this program has to decide.
#[derive(Debug, thiserror::Error)]
pub enum SchemaFault {
    /// There is none.
    #[error(
        "there is no store in {0}. If there should be one, name the server's place (--data, --store, \
         --config); to make one, start a server or run `auth_back migrate`"
    )]
    None(StoreUrl),
    /// It is of an older release.
    #[error(
        "{place} has schema version {found}, this program needs {needed}: run `auth_back migrate` as a \
         user of the database who may alter tables, or start a server with --migrate; docs/upgrade.md says what waits \
         meanwhile"
    )]
    Older {
        /// The store.
        place: StoreUrl,
        /// Its version.
        found: u32,
        /// This program's.
        needed: u32,
    },
    /// Whether there is one cannot be seen.
    #[error("cannot look for {place}: {error}; run this as root or as the servers' user (sudo -u)")]
    OutOfReach {
        /// The store.
        place: StoreUrl,
        /// Why not.
        error: io::Error,
    },
    /// It is a backup.
    #[error(
        "{0} is a backup, and sessions that have ended since it was made would be live again: with all servers on it \
         stopped, run `auth_back restored`; docs/backup.md says what that does"
    )]
    Copy(StoreUrl),
}

/// A store that fits this program.
#[expect(missing_debug_implementations, reason = "a store is no text")]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What was done to its schema; none if it was as it should be.
    pub migrated: Option<Migrated>,
}

/// Opens the store.
///
/// # Errors
/// [`SchemaFault`] and [`MigrationError`] when it cannot be used, [`StoreError`] when it cannot be opened or is away.
pub fn store(
    settings: &Settings,
    lacking: Lacking,
    deadline: Instant,
) -> Result<Opened, Box<dyn Error>> {
    let absent = match lacking {
        Lacking::Refuse => Absent::Refuse,
        Lacking::MakeInEmpty | Lacking::Migrate => {
            make_private_directory(&settings.data)?;
            Absent::Create
        }
    };
    let store = store::open(&settings.store, settings.store_connections, absent)?;
    let found = store.schema(deadline)?;
    let migrated = bring(&*store, found, settings, lacking, deadline)?;
    Ok(Opened { store, migrated })
}

/// Tries again and again while the store is away: at a common start of all machines the database is often the
/// slowest. `goes_on` is told why, each time, and says whether to wait.
///
/// # Errors
/// The last one of `open`.
pub fn until_there<T>(
    mut open: impl FnMut() -> Result<T, Box<dyn Error>>,
    mut goes_on: impl FnMut(&Cause) -> bool,
) -> Result<T, Box<dyn Error>> {
    loop {
        match open() {
            Err(error) if cause_that_may_pass(&*error).is_some_and(&mut goes_on) => {
                thread::sleep(STORE_RETRY);
            }
            outcome => return outcome,
        }
    }
}

/// Whether servers may serve from the store, as far as it is about its file: one that `auth_back backup` has made is marked
/// until `auth_back restored` was run.
///
/// # Errors
/// [`SchemaFault::Copy`] when they may not, [`StoreError`] when that cannot be seen.
pub fn check_in_use(settings: &Settings) -> Result<(), Box<dyn Error>> {
    match &settings.store {
        StoreUrl::Sqlite(path) if path.exists() && store::backup::is_out_of_use(path)? => {
            Err(SchemaFault::Copy(settings.store.clone()).into())
        }
        _ => Ok(()),
    }
}

/// Whether a command looks at a place where a store may be.
///
/// # Errors
/// [`SchemaFault::None`] when the SQLite file is not there, [`SchemaFault::OutOfReach`] when that cannot be seen.
pub fn check_place(settings: &Settings) -> Result<(), SchemaFault> {
    let StoreUrl::Sqlite(path) = &settings.store else { return Ok(()) };
    let place = settings.store.clone();
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(SchemaFault::None(place)),
        Err(error) => Err(SchemaFault::OutOfReach { place, error }),
    }
}

/// Does what is to be done to a store that has `found` of the schema.
fn bring(
    store: &dyn Store,
    found: Schema,
    settings: &Settings,
    lacking: Lacking,
    deadline: Instant,
) -> Result<Option<Migrated>, Box<dyn Error>> {
    let place = || settings.store.clone();
    match (found, lacking) {
        (Schema::Fits { .. }, _) => Ok(None),
        (Schema::None, Lacking::Refuse) => Err(SchemaFault::None(place()).into()),
        (Schema::None, _) => {
            warn_of_older_keys(settings);
            Ok(Some(store.migrate(deadline)?))
        }
        (Schema::Older { .. }, Lacking::Migrate) => Ok(Some(store.migrate(deadline)?)),
        // A first start that was cut off in the middle, or a store that nobody has used: no table is large.
        (Schema::Older { found: 1.., .. }, Lacking::MakeInEmpty)
            if !store.has_users(deadline)? =>
        {
            Ok(Some(store.migrate(deadline)?))
        }
        (Schema::Older { found, needed }, _) => {
            Err(SchemaFault::Older { place: place(), found, needed }.into())
        }
    }
}

/// Of an error because the store is away, why it is.
fn cause_that_may_pass<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Cause> {
    match store_error(error)? {
        StoreError::Unavailable(cause) if cause.may_pass() => Some(cause),
        _ => None,
    }
}

/// What the store said, whichever of its callers wrapped it.
fn store_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e StoreError> {
    if let Some(MigrationError::Store(error)) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(OpenError::Fault(KeyFault::Store(error))) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(KeyFault::Store(error)) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(NodeError::Store(error)) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(DeploymentFault::Store(error)) = error.downcast_ref() {
        return Some(error);
    }
    error.downcast_ref()
}

/// How the process has to end after an error, as far as that is about the store: whether it may work later, or
/// somebody has to change something first.
#[must_use]
pub fn exit_of(error: &(dyn Error + 'static)) -> Option<Exit> {
    match store_error(error) {
        Some(StoreError::Unavailable(cause)) if cause.may_pass() => Some(Exit::TryAgain),
        Some(StoreError::Unavailable(_)) => Some(Exit::Refused),
        Some(_) => None,
        None if error.is::<Refusal>() => Some(Exit::Refused),
        None if error.is::<SchemaFault>() || error.is::<MigrationError>() => Some(Exit::Refused),
        None if error.is::<NodeError>() => Some(Exit::TryAgain),
        None => match error.downcast_ref::<DeploymentFault>()? {
            DeploymentFault::Contended => Some(Exit::TryAgain),
            _ => Some(Exit::Refused),
        },
    }
}

/// Keys without a store are what is left where a database was forgotten in a restore, or a path mistyped.
fn warn_of_older_keys(settings: &Settings) {
    if let KeySource::Directory(keys) = &settings.pepper_keys
        && keys.has_any(Purpose::Pepper)
    {
        rare!(
            "once in the life of a store",
            WARN,
            keys = %keys.path().display(),
            store = %settings.store,
            "the store is NEW and has no users, although its keys were here before: if there should be \
             users, this is another place, or a backup that lacks the database or its -wal file"
        );
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
    rules: LiveRules,
) -> Result<SessionKeeper, Box<dyn Error>> {
    let redis = redis(settings, Use::Sessions)?;
    Ok(SessionKeeper::new(Arc::clone(store), redis, rules))
}

/// Connections to Redis for a use, if the settings name one. Does not connect.
fn redis(settings: &Settings, name_of_use: Use) -> Result<Option<RedisPool>, Box<dyn Error>> {
    let url = settings.redis.clone();
    let pool = |url| RedisPool::new(url, settings.store_connections, name_of_use);
    Ok(url.map(pool).transpose()?)
}

/// The same for a start, which looks at once: a Redis that is away is done without, one that does not let us in would
/// never be used.
///
/// # Errors
/// [`Refusal`], in Redis' own words.
pub fn redis_that_lets_us_in(
    settings: &Settings,
    name_of_use: Use,
) -> Result<Option<RedisPool>, Box<dyn Error>> {
    let redis = redis(settings, name_of_use)?;
    if let Some(redis) = &redis {
        redis.look()?;
    }
    Ok(redis)
}

/// Reads the peppers and holds them against the store; see [`register::open`].
///
/// # Errors
/// [`register::OpenError`].
pub fn peppers(
    settings: &Settings,
    store: &dyn Store,
    now_ms: u64,
    deadline: Instant,
) -> Result<PepperKeyring, Box<dyn Error>> {
    let (peppers, created) = register::open(&settings.pepper_keys, store, now_ms, deadline)?;
    tell_of(created.as_deref());
    Ok(peppers)
}

/// Reads the token keys and holds them against the store; see [`register::open_token_keys`].
///
/// # Errors
/// [`register::OpenError`].
pub fn token_keys(
    settings: &Settings,
    store: &dyn Store,
    now_ms: u64,
    deadline: Instant,
) -> Result<TokenKeyring, Box<dyn Error>> {
    let (keys, created) = register::open_token_keys(&settings.token_keys, store, now_ms, deadline)?;
    tell_of(created.as_deref());
    Ok(keys)
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
///
/// # Errors
///
/// What the system says of one that it does not make.
pub fn make_private_directory(path: &Path) -> Result<(), Box<dyn Error>> {
    ownership::make_directories(path)
        .map_err(|error| format!("cannot make the directory {}: {error}", path.display()).into())
}
