//! An account service of a test's own: a SQLite file, hashes that cost next to nothing, and a store
//! that tells what it was asked and fails when told to.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use credentials::ids::{NodeId, Snowflakes, UserId};
use credentials::{
    KeyId, Keyring, PasswordRecord, PasswordRules, PepperKeyring, SecretKey, TokenKeyring,
};
use guard::{Guard, GuardRules};
use hashing::{Annex, ArenaManager, HashEngine, HashPace, Hashers, HashersOptions, Params};
use lane::Admission;
use pool::Pool;
use server_time::ServerTime;
use service::metrics::{Histogram, Registry};
use sessions::LiveRules;
use sessions::{SessionKeeper, SessionRules};
use store::{Store, Users as _};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{Accounts, Decoy, Rules, Upgrades};
use crate::accounts::{NewPassword, Origin, Registration};
use crate::keyrings::LiveRing;
use crate::login::Login;
use crate::login::testing::authenticate;
use crate::node::Ids;

pub(crate) use guard::testing::guard_rules;
pub(crate) use store::testing::{Fault, Spy, patient};

/// New hashes a second that logins may make of old records, as a default deployment has it.
pub(crate) const REHASH_RATE: u32 = 2;

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
        let store = Arc::new(Spy::in_directory(directory.path()));
        Self::on(store, directory, rules)
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
            sessions: SessionKeeper::new(
                Arc::clone(&store) as _,
                None,
                LiveRules::fixed(rules.sessions),
            ),
            store: Arc::clone(&store) as Arc<dyn Store>,
            arenas,
            hashers,
            peppers: Arc::new(LiveRing::fixed(PepperKeyring::new(key()))),
            token_keys: Arc::new(LiveRing::fixed(TokenKeyring::new(key()))),
            guard: Arc::new(Guard::new(guard_rules()).unwrap()),
            decoy: None,
            time: Arc::new(ServerTime::ask_first(&*store, patient()).unwrap()),
            ids: Arc::new(Ids::new(Snowflakes::new(NodeId::new(0, 0).unwrap()))),
            passwords: PasswordRules::default(),
            upgrades: Upgrades::new(REHASH_RATE),
            rules,
        });
        Self { accounts, store, directory }
    }

    /// Runs a statement on the database, past the store.
    pub(crate) fn execute(&self, sql: &str) {
        self.store.execute(sql);
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
        let opened = authenticate(&self.accounts, &login(username, password), patient()).unwrap();
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

pub(crate) fn change(token: &str, current: &str, new: &str) -> NewPassword {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    NewPassword {
        token: text(token),
        current_password: text(current),
        new_password: text(new),
        origin: origin(),
    }
}
