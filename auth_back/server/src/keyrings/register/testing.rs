//! A store and keys of a test's own.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    reason = "a test ends where something is not as it expects"
)]

use std::sync::Arc;
use std::time::Instant;

use credentials::ids::UserId;
use credentials::{
    KeyDirectory, KeyId, KeySource, Keyring, Password, PasswordRecord, PepperKeyring, SecretKey,
};
use hashing::{Arena, HashEngine, Params};
use store::{Absent, NewUser, SqliteStore, Store};
use tempfile::TempDir;

use crate::limits::STORE_CALL_TIME_MAX;

/// A store and a directory of keys.
pub struct Site {
    /// Where both are.
    pub directory: TempDir,
    /// The store, migrated.
    pub store: Arc<dyn Store>,
}

/// The time.
pub fn now_ms() -> u64 {
    unix_time::unix_ms(clock::wall())
}

/// A deadline that only a fault lets pass.
pub fn soon() -> Instant {
    clock::now() + STORE_CALL_TIME_MAX
}

/// A key's number.
pub fn id(id: u16) -> KeyId {
    KeyId::new(id).unwrap()
}

/// Keys of one byte each, by their numbers; the highest is the active one.
pub fn ring(keys: &[(u16, u8)]) -> PepperKeyring {
    let keys: Vec<_> =
        keys.iter().map(|(n, byte)| (id(*n), SecretKey::from([*byte; 32]))).collect();
    let active = keys.iter().map(|(id, _)| *id).max().unwrap();
    PepperKeyring::new(Keyring::new(active, keys).unwrap())
}

impl Site {
    /// An empty one.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open(&directory.path().join("users.sqlite"), 2, Absent::Create).unwrap();
        store.migrate(soon()).unwrap();
        Self { directory, store: Arc::new(store) }
    }

    /// Where its keys are.
    pub fn source(&self) -> KeySource {
        KeySource::Directory(KeyDirectory::at(self.directory.path().join("keys")))
    }

    /// Adds a user whose record is sealed under the active one of `peppers`.
    pub fn user(&self, user_id: u64, peppers: &PepperKeyring) {
        let params = Params::in_record(8, 1, 1).unwrap();
        let mut arena = Arena::new(HashEngine::default(), params).unwrap();
        let user = UserId::new(user_id).unwrap();
        let password = Password::for_login("correct horse battery").unwrap();
        let record = PasswordRecord::create(user, &password, params, peppers, &mut arena).unwrap();
        self.damaged_user(user_id, &record.to_text());
    }

    /// Adds a user with this text for a record.
    pub fn damaged_user(&self, user_id: u64, record: &str) {
        let new = NewUser {
            user_id,
            username: &format!("user{user_id}"),
            password_record: record,
            name: None,
            age: None,
            request_id: None,
            created_at_ms: 0,
        };
        self.store.insert_user(&new, soon()).unwrap();
    }

    /// A user's record, as it is stored.
    pub fn record(&self, user_id: u64) -> String {
        let page = self.store.password_records(user_id - 1, 1, soon()).unwrap();
        page[0].password_record.clone()
    }
}
