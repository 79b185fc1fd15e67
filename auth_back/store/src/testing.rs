//! For tests of those who use a store: one that notes what it is asked, and fails when told to.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{
    Absent, CacheEra, Cause, Condition, DeploymentRow, Imported, ImportedUser, Inserted,
    Installation, Kept, KeyList, KeyRow, Keys, ListedServer, ListedSession, Migrated,
    MigrationError, NewSession, NewUser, Operators, PasswordChange, Product, RecordChange,
    RecordRow, Refresh, Schema, ServerRow, Servers, SessionRow, Sessions, SqliteStore, Store,
    StoreError, Tag, Trial, UserProfile, UserRange, UserRow, Users,
};

/// What a store does instead of what it is asked.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is away.
    Unavailable,
    /// It holds what nobody wrote.
    Corrupt,
    /// It answers, and takes nothing new: its disk is full, or it is a replica.
    ReadOnly,
    /// It answers, after the deadline.
    Late,
    /// It does what it is asked, and nobody is told.
    Interrupted,
    /// Its code is wrong.
    Panic,
}

/// Readers of a file under test: few, so that threads compete for them.
const READERS: usize = 2;

/// Of users that tests add: as large as those of a server, and none that a session has.
const USER_IDS_FROM: u64 = 1 << 57;

/// A deadline that only a fault lets pass.
#[must_use]
pub fn patient() -> Instant {
    clock::now() + Duration::from_secs(60)
}

/// Calls that write nothing.
const READS: [&str; 17] = [
    "time",
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
    "user_range",
    "session",
    "sessions",
    "sessions_of_user",
    "cache_era",
];

/// A real store that notes what it is asked, and fails when told to.
pub struct Spy {
    store: SqliteStore,
    path: PathBuf,
    calls: Mutex<Vec<&'static str>>,
    /// How often it was asked what time it is; that is not among the calls.
    time_asked: AtomicUsize,
    users_added: AtomicU64,
    fault: Mutex<Option<Fault>>,
    after_session: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Spy {
    /// A new SQLite file in this directory, migrated.
    ///
    /// # Panics
    ///
    /// If the file cannot be made.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        let path = directory.join("users.sqlite");
        let store =
            SqliteStore::open(&path, READERS, Absent::Create).expect("the file cannot be made");
        store.migrate(patient()).expect("the file cannot be migrated");
        Self {
            store,
            path,
            calls: Mutex::default(),
            time_asked: AtomicUsize::new(0),
            users_added: AtomicU64::new(0),
            fault: Mutex::default(),
            after_session: Mutex::default(),
        }
    }

    /// Adds a user, whose password nobody knows, and forgets that it was asked to.
    ///
    /// # Panics
    ///
    /// If there is one of that name.
    pub fn add_user(&self, name: &str) -> u64 {
        let user_id = USER_IDS_FROM + self.users_added.fetch_add(1, Ordering::Relaxed);
        let user = NewUser {
            user_id,
            username: name,
            password_record: "of no password",
            name: None,
            age: None,
            request_id: None,
            created_at_ms: 1,
        };
        let inserted = self.store.insert_user(&user, patient()).expect("the file takes a user");
        assert!(matches!(inserted, Inserted::Created), "there is a {name}");
        user_id
    }

    /// Runs statements on the database, past the store.
    ///
    /// # Panics
    ///
    /// If one of them fails.
    pub fn execute(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.path).expect("the file opens");
        connection.execute_batch(sql).expect(sql);
    }

    /// Has something happen between the next lookup of a session and its answer.
    pub fn after_session(&self, happens: impl FnOnce() + Send + 'static) {
        *self.after_session.lock() = Some(Box::new(happens));
    }

    /// What was asked since the last time.
    pub fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock())
    }

    /// How often it was asked what time it is.
    pub fn time_asked(&self) -> usize {
        self.time_asked.load(Ordering::Relaxed)
    }

    /// Fails from now on, or works again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *self.fault.lock() = fault;
    }

    fn call<T>(
        &self,
        name: &'static str,
        deadline: Instant,
        work: impl FnOnce(&SqliteStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.calls.lock().push(name);
        self.answer(name, deadline, work)
    }

    fn answer<T>(
        &self,
        name: &'static str,
        deadline: Instant,
        work: impl FnOnce(&SqliteStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = *self.fault.lock();
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
            Some(Fault::Interrupted) => {
                work(&self.store)?;
                Err(StoreError::Unavailable(Cause::Interrupted("told to break off".to_owned())))
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

    fn time(&self, deadline: Instant) -> Result<u64, StoreError> {
        self.time_asked.fetch_add(1, Ordering::Relaxed);
        self.answer("time", deadline, |store| store.time(deadline))
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

    fn insert_users(
        &self,
        users: &[NewUser<'_>],
        deadline: Instant,
    ) -> Vec<Result<Inserted, StoreError>> {
        let mut inserted = Vec::new();
        let done = self.call("insert_users", deadline, |store| {
            inserted = store.insert_users(users, deadline);
            Ok(())
        });
        match done {
            Ok(()) => inserted,
            Err(error) => users.iter().map(|_| Err(error.clone())).collect(),
        }
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

impl Installation for Spy {
    fn servers(&self, deadline: Instant) -> Result<Servers, StoreError> {
        self.call("servers", deadline, |store| store.servers(deadline))
    }

    fn take_node(
        &self,
        seen: Option<&ListedServer>,
        row: &ServerRow,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.call("take_node", deadline, |store| store.take_node(seen, row, deadline))
    }

    fn renew_node(&self, row: &ServerRow, deadline: Instant) -> Result<bool, StoreError> {
        self.call("renew_node", deadline, |store| store.renew_node(row, deadline))
    }

    fn release_node(
        &self,
        node: u16,
        run: &Tag,
        ids_until_ms: u64,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.call("release_node", deadline, |store| {
            store.release_node(node, run, ids_until_ms, deadline)
        })
    }

    fn free_all_nodes(
        &self,
        run: &Tag,
        ids_until_ms: u64,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        self.call("free_all_nodes", deadline, |store| {
            store.free_all_nodes(run, ids_until_ms, deadline)
        })
    }

    fn deployment(&self, deadline: Instant) -> Result<DeploymentRow, StoreError> {
        self.call("deployment", deadline, |store| store.deployment(deadline))
    }

    fn change_deployment(
        &self,
        revision: u64,
        settings: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.call("change_deployment", deadline, |store| {
            store.change_deployment(revision, settings, deadline)
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

    fn user_range(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<UserRange, StoreError> {
        self.call("user_range", deadline, |store| store.user_range(after, limit, deadline))
    }

    fn raise_session_epochs(
        &self,
        after: u64,
        last: u64,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        self.call("raise_session_epochs", deadline, |store| {
            store.raise_session_epochs(after, last, deadline)
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
        let happens = self.after_session.lock().take();
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

    fn skip_cache_eras(&self, generation: u64, deadline: Instant) -> Result<(), StoreError> {
        self.call("skip_cache_eras", deadline, |store| store.skip_cache_eras(generation, deadline))
    }
}
