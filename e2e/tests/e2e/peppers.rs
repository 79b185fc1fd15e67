//! A pepper is replaced under twenty thousand users, while they log in, register and change passwords.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use credentials::ids::UserId;
use credentials::{
    KeyDirectory, KeyId, KeySource, Keyring, OnMissing, Password, PasswordRecord, PepperKeyring,
    Purpose, Verdict,
};
use e2e::{Client, Database, StopOnDrop, Store, System, until};
use hashing::{Arena, HashEngine, Params};
use mysql::prelude::Queryable as _;
use serde_json::Value;
use server::limits::REWRAP_AFTER;

const USERS: u64 = 20_000;

/// How many records are sealed anew before each of the two kills. Far from all of them.
const KILLED_AFTER: u64 = 2_500;

/// Of so many users, the password of one is changed; others keep theirs.
const CHANGING: u64 = 40;

/// Users that are tried over HTTP at the end.
const SAMPLE: u64 = 100;

#[test]
fn a_pepper_is_replaced_under_load_on_sqlite() {
    replace_a_pepper(Store::Sqlite);
}

#[test]
fn a_pepper_is_replaced_under_load_on_mariadb() {
    replace_a_pepper(Store::MariaDb(Database::new()));
}

fn replace_a_pepper(store: Store) {
    let mut system = System::builder()
        .store(store)
        // A change of password waits for leases to run; here there are none.
        .auth_flags(&["--lease", "0ms"])
        // A busy machine is not to decide the test.
        .front_flags(&["--request-timeout", "30s"])
        .start();
    let people = People::new(&system);
    people.settle();
    assert_eq!(people.count_under(1), USERS);

    let stop = AtomicBool::new(false);
    let user = system.client();
    let rounds = [0; 2].map(AtomicUsize::new);
    let [registrations, changes] = &rounds;
    let run = |rounds: &AtomicUsize, act: &dyn Fn()| {
        while !stop.load(Ordering::Relaxed) {
            act();
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| {
            run(registrations, &|| {
                people.register(&user);
                people.log_in(&user);
            });
        });
        scope.spawn(|| {
            run(changes, &|| {
                people.change_a_password(&user);
                people.log_in(&user);
            });
        });
        let until_all_progress = || {
            let now = || rounds.each_ref().map(|count| count.load(Ordering::Relaxed));
            let before = now();
            until("logins, registrations and changes of passwords", || {
                now().iter().zip(before).all(|(now, before)| *now >= before + 5).then_some(())
            });
        };
        until_all_progress();

        system.operator(&["pepper", "rotate"]).succeed();
        let refused = system.operator(&["pepper", "retire", "1"]).run();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        // Nobody has to be told, but this is quicker than the few seconds that it takes otherwise.
        system.auths()[0].signal("HUP");
        until("the server to seal under the new pepper", || {
            people.register(&user);
            (people.count_under(2) > 0).then_some(())
        });

        // For all that is known, another server has not read the new pepper yet.
        let refused = system.operator(&["pepper", "rewrap"]).run();
        assert!(refused.errors.contains("came into use less than 12s ago"), "{refused:?}");
        people.backdate_pepper(2, REWRAP_AFTER);

        // Cut off twice in the middle, once at a time of its own choosing.
        for _ in 0..2 {
            let before = people.count_under(1);
            let mut rewrap = system.operator(&["pepper", "rewrap", "--rate", "2000"]).begin();
            until("records to be sealed anew", || {
                (people.count_under(1) + KILLED_AFTER < before).then_some(())
            });
            rewrap.kill().expect("a child can be killed");
            let status = rewrap.wait().expect("a child can be waited for");
            assert!(!status.success(), "it was to be killed in the middle");
            assert!(people.count_under(1) > KILLED_AFTER, "it was to be killed in the middle");
            until_all_progress();
        }
        let refused = system.operator(&["pepper", "retire", "1"]).run();
        assert!(refused.errors.contains("2m"), "{refused:?}");
        system.operator(&["pepper", "rewrap"]).succeed();
        until_all_progress();
    });

    assert_eq!(people.count_under(1), 0);
    let status = system.operator(&["pepper", "status", "--json"]).succeed();
    let status: Value = serde_json::from_str(&status).expect("it is JSON");
    assert_eq!(status["active"], 2, "{status}");
    assert_eq!(status["peppers"][0]["records"], 0, "{status}");
    assert_eq!(status["peppers"][1]["records"], people.count(), "{status}");

    people.backdate_pepper(2, Duration::from_secs(3_600));
    let refused = system.operator(&["pepper", "retire", "1"]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.errors.contains("--yes"), "{refused:?}");
    system.operator(&["pepper", "retire", "1", "--yes"]).succeed();
    assert!(!system.keys().join("pepper-1.key").exists());
    assert!(system.keys().join("pepper-1.key.retired").exists());
    system.auth().kill_and_start_again();
    system.until_ready();
    people.check_everybody(&system.client());
}

/// Everybody, their passwords, and a way into the store past the servers.
struct People {
    keys: KeySource,
    url: String,
    store: Arc<dyn store::Store>,
    /// Passwords by name, of those who registered or changed theirs.
    passwords: Mutex<BTreeMap<String, String>>,
    turn: AtomicUsize,
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn params() -> Params {
    Params::in_record(8, 1, 1).expect("as the servers of these tests have it")
}

fn arena() -> Arena {
    Arena::new(HashEngine::Reference, params()).expect("8 KiB")
}

fn record(user: UserId, password: &str, peppers: &PepperKeyring, arena: &mut Arena) -> String {
    let password = Password::for_login(password).expect("a password");
    let record = PasswordRecord::create(user, &password, params(), peppers, arena);
    record.expect("there are random bytes").to_text()
}

fn name(number: u64) -> String {
    format!("user{number}")
}

fn first_password(number: u64) -> String {
    format!("correct horse battery {number}")
}

impl People {
    fn new(system: &System) -> Self {
        let url = system.store_url().to_owned();
        let store = store::open(&url.parse().expect("a store"), 2, store::Absent::Refuse)
            .expect("it can be opened");
        Self {
            keys: KeySource::Directory(KeyDirectory::at(system.keys())),
            url,
            store,
            passwords: Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }

    fn peppers(&self) -> PepperKeyring {
        self.ring().into()
    }

    fn ring(&self) -> Keyring {
        self.keys.load(Purpose::Pepper, OnMissing::Refuse).expect("keys").keys
    }

    /// Runs statements on the database, past any store.
    fn execute(&self, statements: &[String]) {
        match self.sqlite() {
            Some(connection) => {
                connection.execute_batch(&statements.join(";")).expect("the statements are right");
            }
            None => {
                let mut connection = self.mysql();
                for statement in statements {
                    connection.query_drop(statement).expect("the statement is right");
                }
            }
        }
    }

    fn number(&self, query: &str) -> u64 {
        match self.sqlite() {
            Some(connection) => {
                let count: i64 =
                    connection.query_row(query, [], |row| row.get(0)).expect("a number");
                u64::try_from(count).expect("a count")
            }
            None => self.mysql().query_first(query).expect("a number").expect("a row"),
        }
    }

    fn sqlite(&self) -> Option<rusqlite::Connection> {
        let path = self.url.strip_prefix("sqlite:")?;
        let connection = rusqlite::Connection::open(Path::new(path)).expect("the database opens");
        connection.busy_timeout(Duration::from_secs(30)).expect("it can wait");
        Some(connection)
    }

    fn mysql(&self) -> mysql::Conn {
        let opts = mysql::Opts::from_url(&self.url).expect("a URL");
        mysql::Conn::new(opts).expect("the database is there")
    }

    fn count(&self) -> u64 {
        self.number("SELECT COUNT(*) FROM user")
    }

    fn count_under(&self, pepper: u16) -> u64 {
        self.number(&format!(
            "SELECT COUNT(*) FROM user WHERE password_record LIKE '%$k={pepper}$%'"
        ))
    }

    /// Makes it look as if that pepper had come into use so much earlier.
    fn backdate_pepper(&self, id: u16, by: Duration) {
        let ms = by.as_millis();
        self.execute(&[format!("UPDATE pepper SET since_ms = since_ms - {ms} WHERE id = {id}")]);
    }

    /// Inserts everybody, as if they had registered before.
    fn settle(&self) {
        let (peppers, mut arena) = (self.peppers(), arena());
        let mut row = |number: u64| {
            let user = UserId::new(number).expect("an id");
            let record = record(user, &first_password(number), &peppers, &mut arena);
            format!("({number}, '{}', '{record}', 0)", name(number))
        };
        let mut statements = vec!["BEGIN".to_owned()];
        for start in (1..=USERS).step_by(500) {
            let rows: Vec<_> = (start..start + 500).map(&mut row).collect();
            let columns = "id, username, password_record, created_at_ms";
            statements.push(format!("INSERT INTO user ({columns}) VALUES {}", rows.join(",")));
        }
        statements.push("COMMIT".to_owned());
        self.execute(&statements);
    }

    /// Another number from 0 each time, in no order.
    fn next(&self) -> u64 {
        let turn = u64::try_from(self.turn.fetch_add(1, Ordering::Relaxed)).expect("not so many");
        turn.wrapping_mul(7_919)
    }

    /// Somebody logs in; somebody else tries a wrong password.
    fn log_in(&self, user: &Client) {
        let constant = || {
            let number = 1 + self.next() % (USERS - 1);
            if number.is_multiple_of(CHANGING) { number + 1 } else { number }
        };
        let (number, other) = (constant(), constant());
        user.authenticate(&name(number), &first_password(number)).assert_status(200);
        if other != number {
            user.authenticate(&name(other), &first_password(number)).assert_status(401);
        }
    }

    fn register(&self, user: &Client) {
        let number = self.next();
        let (name, password) = (format!("new{number}"), format!("a new password {number}"));
        user.register(&name, &password).assert_status(200);
        self.passwords().insert(name, password);
    }

    /// Somebody changes their password: somebody whose record comes next when all are sealed anew, and
    /// may have been read for that and not yet replaced.
    fn change_a_password(&self, user: &Client) {
        let front = "SELECT COALESCE(MIN(id), 1) FROM user WHERE password_record LIKE '%$k=1$%'";
        let number = (self.number(front) + self.next() % 400) / CHANGING + 1;
        let number = (number * CHANGING).min(USERS);
        let (name, password) = (name(number), format!("a changed password {}", self.next()));
        let before = self.passwords().get(&name).cloned();
        let before = before.unwrap_or_else(|| first_password(number));
        let token = user.log_in(&name, &before);
        user.change_password(&token, &before, &password).assert_status(200);
        user.authenticate(&name, &before).assert_status(401);
        self.passwords().insert(name, password);
    }

    fn passwords(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.passwords.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every record is under the second pepper and opens with it alone, and every password is right.
    fn check_everybody(&self, user: &Client) {
        let peppers = self.peppers();
        assert_eq!(self.ring().ids(), [KeyId::new(2).expect("an id")]);
        let passwords = self.passwords();
        let changed = passwords.keys().filter(|name| name.starts_with("user")).count();
        assert!(changed > 0 && changed < passwords.len(), "{changed} of {}", passwords.len());
        let mut arena = arena();
        let mut records = BTreeMap::new();
        let mut after = 0;
        loop {
            let page =
                self.store.password_records(after, 1_000, soon()).expect("the store answers");
            let Some(last) = page.last() else { break };
            after = last.user_id;
            records.extend(page.into_iter().map(|row| (row.user_id, row.password_record)));
        }
        let mut check = |user_id: u64, password: &str| {
            let record: PasswordRecord = records[&user_id].parse().expect("a record");
            let user = UserId::new(user_id).expect("an id");
            let mut verify = |password: &str| {
                let password = Password::for_login(password).expect("a password");
                record.verify(user, &password, &peppers, &mut arena).expect("it opens")
            };
            assert_eq!(verify(password), Verdict::Match, "user {user_id}");
            if user_id.is_multiple_of(10) {
                assert_eq!(verify("a wrong password"), Verdict::Mismatch, "user {user_id}");
            }
        };
        for number in 1..=USERS {
            let first = first_password(number);
            check(number, passwords.get(&name(number)).unwrap_or(&first));
        }
        for (name, password) in passwords.iter() {
            let user = self.store.user_by_name(name, soon()).expect("the store answers");
            check(user.expect("who registered is there").user_id, password);
        }
        for number in (1..=USERS).step_by(usize::try_from(USERS / SAMPLE).expect("not so many")) {
            let (name, first) = (name(number), first_password(number));
            let password = passwords.get(&name).unwrap_or(&first);
            user.authenticate(&name, password).assert_status(200);
            user.authenticate(&name, "a wrong password").assert_status(401);
        }
    }
}
