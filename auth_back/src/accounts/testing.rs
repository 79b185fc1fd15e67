//! An account service of a test's own: a SQLite file, hashes that cost next to nothing, and a store
//! that tells what it was asked and fails when told to.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pool::Pool;
use service::lane::Admission;
use service::metrics::{Histogram, Registry};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{Accounts, Decoy, HashPace, Hashers, HashersOptions, Rules, Upgrades};
use crate::credentials::{
    Annex, ArenaManager, HashEngine, KeyId, Keyring, Params, PasswordRecord, PasswordRules,
    PepperKeyring, SecretKey, TokenKeyring,
};
use crate::guard::limits::MEMORY_MIN;
use crate::guard::{Guard, GuardRules};
use crate::ids::{NodeId, Snowflakes, UserId};
use crate::keyrings::LiveRing;
use crate::sessions::{SessionKeeper, SessionRules};
use crate::store::{
    Absent, CacheEra, Cause, Condition, Imported, ImportedUser, Inserted, Kept, KeyList, KeyRow,
    Keys, ListedSession, Migrated, MigrationError, NewSession, NewUser, Operators, PasswordChange,
    Product, RecordChange, RecordRow, Refresh, Schema, SessionRow, Sessions, SqliteStore, Store,
    StoreError, Trial, UserProfile, UserRow, Users,
};
use crate::work::{Login, Origin, Registration};

/// New hashes a second that logins may make of old records, as a default deployment has it.
pub(crate) const REHASH_RATE: u32 = 2;

/// A deadline that only a fault lets pass.
pub(crate) fn patient() -> Instant {
    clock::now() + Duration::from_secs(60)
}

/// Rules as a deployment has them, but for the work factor.
pub(crate) fn rules() -> Rules {
    Rules {
        params: Params::in_record(8, 1, 1).unwrap(),
        sessions: SessionRules {
            lifetime: Duration::from_secs(3600),
            idle: Duration::from_secs(1800),
            per_user: 100,
            lease: Duration::from_millis(250),
        },
    }
}

/// The same with another lease.
pub(crate) fn rules_with_lease(lease: Duration) -> Rules {
    Rules { sessions: SessionRules { lease, ..rules().sessions }, ..rules() }
}

/// Limits as a deployment has them, but for the memory.
pub(crate) fn guard_rules() -> GuardRules {
    GuardRules {
        free: 20,
        delay_max: Duration::from_secs(900),
        account_failures: 100,
        network_per_minute: 10,
        exempt: Box::default(),
        memory: MEMORY_MIN,
    }
}

/// An account service with one arena, and the store behind it.
pub(crate) struct Fixture {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) store: Arc<Spy>,
    directory: Arc<TempDir>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(rules())
    }

    pub(crate) fn with(rules: Rules) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let store =
            SqliteStore::open(&directory.path().join("users.sqlite"), 2, Absent::Create).unwrap();
        store.migrate(patient()).unwrap();
        Self::on(Arc::new(Spy::new(store)), directory, rules)
    }

    /// A server that does not tell which users there are.
    pub(crate) fn uniform() -> Self {
        let mut fixture = Self::new();
        let accounts = Arc::get_mut(&mut fixture.accounts).expect("nobody else uses it");
        let mut arena = accounts.arenas.acquire(patient()).unwrap();
        let decoy = Decoy::new(UserId::new(1).unwrap(), accounts.rules.params, &mut arena);
        drop(arena);
        accounts.decoy = Some(decoy.unwrap());
        fixture
    }

    /// Another server on the same store, with keys of its own.
    pub(crate) fn stranger(&self) -> Self {
        Self::on(Arc::clone(&self.store), Arc::clone(&self.directory), self.accounts.rules)
    }

    /// The same server after a restart with other rules.
    pub(crate) fn restarted(mut self, rules: Rules) -> Self {
        let accounts = Arc::get_mut(&mut self.accounts).expect("nobody else uses it");
        accounts.rules = rules;
        (accounts.arenas, accounts.hashers) = one_arena(rules);
        self
    }

    /// The same server with these peppers.
    pub(crate) fn with_peppers(mut self, keys: Keyring) -> Self {
        let accounts = Arc::get_mut(&mut self.accounts).expect("nobody else uses it");
        accounts.peppers = Arc::new(LiveRing::fixed(PepperKeyring::new(keys)));
        self
    }

    /// The same server with other limits, and nothing counted yet.
    pub(crate) fn with_limits(mut self, change: impl FnOnce(&mut GuardRules)) -> Self {
        let accounts = Arc::get_mut(&mut self.accounts).expect("nobody else uses it");
        let mut rules = guard_rules();
        change(&mut rules);
        accounts.guard = Arc::new(Guard::new(rules).unwrap());
        self
    }

    fn on(store: Arc<Spy>, directory: Arc<TempDir>, rules: Rules) -> Self {
        let key = || Keyring::single(KeyId::FIRST, SecretKey::random().unwrap());
        let (arenas, hashers) = one_arena(rules);
        let accounts = Arc::new(Accounts {
            sessions: SessionKeeper::new(Arc::clone(&store) as _, None, rules.sessions),
            store: Arc::clone(&store) as Arc<dyn Store>,
            arenas,
            hashers,
            peppers: Arc::new(LiveRing::fixed(PepperKeyring::new(key()))),
            token_keys: Arc::new(LiveRing::fixed(TokenKeyring::new(key()))),
            guard: Arc::new(Guard::new(guard_rules()).unwrap()),
            decoy: None,
            ids: Snowflakes::new(NodeId::new(0, 0).unwrap()),
            passwords: PasswordRules::default(),
            upgrades: Upgrades::new(REHASH_RATE),
            rules,
        });
        Self { accounts, store, directory }
    }

    /// Runs a statement on the database, past the store.
    pub(crate) fn execute(&self, sql: &str) {
        let path = self.directory.path().join("users.sqlite");
        rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    }

    /// Registers a user and forgets that the store was asked.
    pub(crate) fn user(&self, username: &str, password: &str) -> u64 {
        let user_id = self.accounts.register(&registration(username, password), patient()).unwrap();
        self.store.take_calls();
        user_id.get()
    }

    /// Gives a user a record of a hash that another system made.
    pub(crate) fn import(&self, name: &str, user_id: u64, hash: &str) {
        let id = UserId::new(user_id).unwrap();
        let hash = hash.parse().unwrap();
        let record = PasswordRecord::import(id, &hash, &self.accounts.peppers.current()).unwrap();
        let old = self.store.user_by_name(name, patient()).unwrap().unwrap().password_record;
        let new = record.to_text();
        assert!(self.store.replace_password_record(user_id, &old, &new, patient()).unwrap());
    }

    /// Registers a user, logs in, and forgets that the store was asked. Returns the token.
    pub(crate) fn token(&self, username: &str, password: &str) -> String {
        self.user(username, password);
        let opened = self.accounts.authenticate(&login(username, password), patient()).unwrap();
        self.store.take_calls();
        opened.token.expose().to_owned()
    }
}

/// Where the times of hashes go that no test looks at.
pub(crate) fn hash_seconds() -> Histogram {
    Registry::new("test").latency("hash_seconds", "Of the test")
}

fn one_arena(rules: Rules) -> (Pool<ArenaManager>, Hashers) {
    let manager = ArenaManager::new(HashEngine::default(), rules.params);
    let arenas = Pool::new(manager, pool::Config::new(1).unwrap().without_liveness_check());
    let (threads, callers) = (NonZeroUsize::MIN, NonZeroUsize::new(64).unwrap());
    let options = HashersOptions {
        arenas: arenas.clone(),
        annex: Annex::new(HashEngine::default()),
        threads,
        callers,
        pace: Arc::new(HashPace::new(threads, Admission::open(), hash_seconds())),
    };
    (arenas, Hashers::start(options).unwrap())
}

/// Where requests come from that say nothing else.
pub(crate) fn origin() -> Origin {
    Origin::at([192, 0, 2, 7].into())
}

pub(crate) fn registration(username: &str, password: &str) -> Registration {
    Registration {
        username: username.to_owned(),
        password: Zeroizing::new(password.to_owned()),
        name: None,
        age: None,
        request_id: None,
        origin: origin(),
    }
}

pub(crate) fn login(username: &str, password: &str) -> Login {
    Login {
        username: username.to_owned(),
        password: Zeroizing::new(password.to_owned()),
        device: None,
        origin: origin(),
    }
}

/// What a store does instead of what it is asked.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// It is away.
    Unavailable,
    /// It holds what nobody wrote.
    Corrupt,
    /// It answers, and takes nothing new: its disk is full, or it is a replica.
    ReadOnly,
    /// It answers, after the deadline.
    Late,
    /// Its code is wrong.
    Panic,
}

/// Calls that write nothing.
const READS: [&str; 15] = [
    "products",
    "ping",
    "user_by_name",
    "user_by_id",
    "has_sessions",
    "has_users",
    "password_records",
    "keys",
    "user_profiles",
    "user_profiles_by_name",
    "user_profile",
    "session",
    "sessions",
    "sessions_of_user",
    "cache_era",
];

/// A real store that notes what it is asked, and fails when told to.
pub(crate) struct Spy {
    store: SqliteStore,
    calls: Mutex<Vec<&'static str>>,
    fault: Mutex<Option<Fault>>,
    after_session: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Spy {
    fn new(store: SqliteStore) -> Self {
        Self {
            store,
            calls: Mutex::default(),
            fault: Mutex::default(),
            after_session: Mutex::default(),
        }
    }

    /// Has something happen between the next lookup of a session and its answer.
    pub(crate) fn after_session(&self, happens: impl FnOnce() + Send + 'static) {
        *self.after_session.lock().unwrap() = Some(Box::new(happens));
    }

    /// What was asked since the last time.
    pub(crate) fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Fails from now on, or works again.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn call<T>(
        &self,
        name: &'static str,
        deadline: Instant,
        work: impl FnOnce(&SqliteStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.calls.lock().unwrap().push(name);
        let fault = *self.fault.lock().unwrap();
        let broken = || Cause::Database("told to fail".to_owned());
        match fault {
            None => work(&self.store),
            Some(Fault::ReadOnly) if READS.contains(&name) => work(&self.store),
            Some(Fault::Unavailable | Fault::ReadOnly) => Err(StoreError::Unavailable(broken())),
            Some(Fault::Corrupt) => Err(StoreError::Corrupt(broken())),
            Some(Fault::Late) => {
                let done = work(&self.store);
                while clock::now() < deadline {
                    thread::sleep(deadline.saturating_duration_since(clock::now()));
                }
                done
            }
            Some(Fault::Panic) => panic!("told to panic"),
        }
    }
}

impl Store for Spy {
    fn schema(&self, deadline: Instant) -> Result<Schema, MigrationError> {
        self.store.schema(deadline)
    }

    fn migrate(&self, deadline: Instant) -> Result<Migrated, MigrationError> {
        self.store.migrate(deadline)
    }

    fn products(&self, deadline: Instant) -> Result<Vec<Product>, StoreError> {
        self.call("products", deadline, |store| store.products(deadline))
    }

    fn ping(&self, deadline: Instant) -> Result<(), StoreError> {
        self.call("ping", deadline, |store| store.ping(deadline))
    }

    fn condition(&self) -> Condition {
        self.store.condition()
    }

    fn connections(&self) -> pool::Stats {
        self.store.connections()
    }
}

impl Users for Spy {
    fn insert_user(&self, user: &NewUser<'_>, deadline: Instant) -> Result<Inserted, StoreError> {
        self.call("insert_user", deadline, |store| store.insert_user(user, deadline))
    }

    fn user_by_name(&self, name: &str, deadline: Instant) -> Result<Option<UserRow>, StoreError> {
        self.call("user_by_name", deadline, |store| store.user_by_name(name, deadline))
    }

    fn user_by_id(&self, user_id: u64, deadline: Instant) -> Result<Option<UserRow>, StoreError> {
        self.call("user_by_id", deadline, |store| store.user_by_id(user_id, deadline))
    }

    fn change_password_record(
        &self,
        change: &PasswordChange<'_>,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.call("change_password_record", deadline, |store| {
            store.change_password_record(change, deadline)
        })
    }

    fn raise_session_epoch(
        &self,
        user_id: u64,
        deadline: Instant,
    ) -> Result<Option<u32>, StoreError> {
        self.call("raise_session_epoch", deadline, |store| {
            store.raise_session_epoch(user_id, deadline)
        })
    }

    fn has_users(&self, deadline: Instant) -> Result<bool, StoreError> {
        self.call("has_users", deadline, |store| store.has_users(deadline))
    }

    fn replace_password_record(
        &self,
        user_id: u64,
        old: &str,
        new: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.call("replace_password_record", deadline, |store| {
            store.replace_password_record(user_id, old, new, deadline)
        })
    }

    fn replace_password_records(
        &self,
        changes: &[RecordChange],
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        self.call("replace_password_records", deadline, |store| {
            store.replace_password_records(changes, deadline)
        })
    }

    fn password_records(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<RecordRow>, StoreError> {
        self.call("password_records", deadline, |store| {
            store.password_records(after, limit, deadline)
        })
    }
}

impl Keys for Spy {
    fn keys(&self, list: KeyList, deadline: Instant) -> Result<Vec<KeyRow>, StoreError> {
        self.call("keys", deadline, |store| store.keys(list, deadline))
    }

    fn insert_key(&self, list: KeyList, key: &KeyRow, deadline: Instant) -> Result<(), StoreError> {
        self.call("insert_key", deadline, |store| store.insert_key(list, key, deadline))
    }

    fn delete_key(&self, list: KeyList, id: u16, deadline: Instant) -> Result<bool, StoreError> {
        self.call("delete_key", deadline, |store| store.delete_key(list, id, deadline))
    }
}

impl Operators for Spy {
    fn import_users(
        &self,
        users: &[ImportedUser<'_>],
        trial: Trial,
        deadline: Instant,
    ) -> Result<Vec<Imported>, StoreError> {
        self.call("import_users", deadline, |store| store.import_users(users, trial, deadline))
    }

    fn user_profiles(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<UserProfile>, StoreError> {
        self.call("user_profiles", deadline, |store| store.user_profiles(after, limit, deadline))
    }

    fn user_profiles_by_name(
        &self,
        prefix: &str,
        after: &str,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<UserProfile>, StoreError> {
        self.call("user_profiles_by_name", deadline, |store| {
            store.user_profiles_by_name(prefix, after, limit, deadline)
        })
    }

    fn user_profile(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserProfile>, StoreError> {
        self.call("user_profile", deadline, |store| store.user_profile(username, deadline))
    }

    fn disable_user(
        &self,
        user_id: u64,
        at_ms: u64,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.call("disable_user", deadline, |store| store.disable_user(user_id, at_ms, deadline))
    }

    fn enable_user(&self, user_id: u64, deadline: Instant) -> Result<bool, StoreError> {
        self.call("enable_user", deadline, |store| store.enable_user(user_id, deadline))
    }

    fn set_password_record(
        &self,
        user_id: u64,
        record: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.call("set_password_record", deadline, |store| {
            store.set_password_record(user_id, record, deadline)
        })
    }
}

impl Sessions for Spy {
    fn has_sessions(&self, now_ms: u64, deadline: Instant) -> Result<bool, StoreError> {
        self.call("has_sessions", deadline, |store| store.has_sessions(now_ms, deadline))
    }

    fn keep_sessions(&self, new: &[NewSession<'_>], keep: u32, deadline: Instant) -> Vec<Kept> {
        let kept = self
            .call("keep_sessions", deadline, |store| Ok(store.keep_sessions(new, keep, deadline)));
        kept.unwrap_or_else(|error| new.iter().map(|_| Err(error.clone())).collect())
    }

    fn kept_together_max(&self) -> usize {
        self.store.kept_together_max()
    }

    fn insert_session(&self, new: &NewSession<'_>, deadline: Instant) -> Result<(), StoreError> {
        self.call("insert_session", deadline, |store| store.insert_session(new, deadline))
    }

    fn session(
        &self,
        digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let found = self.call("session", deadline, |store| store.session(digest, now_ms, deadline));
        let happens = self.after_session.lock().unwrap().take();
        happens.into_iter().for_each(|happens| happens());
        found
    }

    fn sessions(
        &self,
        digests: &[[u8; 32]],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Vec<Option<SessionRow>>, StoreError> {
        self.call("sessions", deadline, |store| store.sessions(digests, now_ms, deadline))
    }

    fn delete_session(&self, digest: &[u8; 32], deadline: Instant) -> Result<bool, StoreError> {
        self.call("delete_session", deadline, |store| store.delete_session(digest, deadline))
    }

    fn delete_expired_sessions(
        &self,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        self.call("delete_expired_sessions", deadline, |store| {
            store.delete_expired_sessions(now_ms, limit, deadline)
        })
    }

    fn refresh_sessions(
        &self,
        refreshes: &[Refresh<'_>],
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        self.call("refresh_sessions", deadline, |store| store.refresh_sessions(refreshes, deadline))
    }

    fn sessions_of_user(
        &self,
        user_id: u64,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<ListedSession>, StoreError> {
        self.call("sessions_of_user", deadline, |store| {
            store.sessions_of_user(user_id, now_ms, limit, deadline)
        })
    }

    fn trim_sessions(
        &self,
        newest: &NewSession<'_>,
        keep: u32,
        deadline: Instant,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        self.call("trim_sessions", deadline, |store| store.trim_sessions(newest, keep, deadline))
    }

    fn delete_session_by_id(
        &self,
        user_id: u64,
        session_id: u64,
        deadline: Instant,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        self.call("delete_session_by_id", deadline, |store| {
            store.delete_session_by_id(user_id, session_id, deadline)
        })
    }

    fn delete_superseded_sessions(
        &self,
        user_id: u64,
        epoch: u32,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        self.call("delete_superseded_sessions", deadline, |store| {
            store.delete_superseded_sessions(user_id, epoch, limit, deadline)
        })
    }

    fn cache_era(&self, deadline: Instant) -> Result<CacheEra, StoreError> {
        self.call("cache_era", deadline, |store| store.cache_era(deadline))
    }

    fn begin_cache_era(
        &self,
        generation: u64,
        instance: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.call("begin_cache_era", deadline, |store| {
            store.begin_cache_era(generation, instance, deadline)
        })
    }

    fn end_cache_era(&self, deadline: Instant) -> Result<(), StoreError> {
        self.call("end_cache_era", deadline, |store| store.end_cache_era(deadline))
    }
}
