//! What every store must do: one set of tests, run against each.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use unix_time::unix_ms;

use super::fixtures::{Fixture, MariaDbFixture, SqliteFixture, patient};
use super::limits::{
    NAME_CHARS_MAX, PASSWORD_RECORD_BYTES_MAX, PURGE_BATCH_MAX, RECORD_CHANGES_MAX,
    RECORDS_PAGE_MAX, USER_AGENT_CHARS_MAX, USERNAME_BYTES_MAX,
};
use super::{
    Cause, Inserted, KeyList, KeyRow, Migrated, MigrationError, NewSession, NewUser, RecordChange,
    Schema, SessionRow, Store, StoreError, UserAgent, UserRow, migrations,
};

macro_rules! contract {
    ($($check:ident)+) => {
        mod sqlite {
            $(#[test] fn $check() { super::$check(&super::SqliteFixture::new()); })+
        }
        mod mariadb {
            $(#[test] fn $check() { super::$check(&super::MariaDbFixture::new()); })+
        }
    };
}

mod sessions;

contract! {
    a_user_is_found_by_the_exact_name
    a_name_has_one_owner
    a_repeated_request_is_recognised
    one_of_many_concurrent_registrations_wins
    a_taken_id_is_refused
    users_are_inserted_together
    many_who_insert_the_same_users_together_all_get_an_answer
    a_password_record_is_replaced_only_if_it_is_the_old_one
    one_of_many_concurrent_replacements_wins
    many_password_records_are_replaced_together
    password_records_are_walked_in_pages
    keys_are_kept_by_list_and_id
    that_there_are_sessions_is_known
    a_session_is_live_until_it_expires
    a_deleted_session_is_gone
    a_session_needs_a_user_and_a_new_digest
    the_purge_takes_the_oldest_first
    the_largest_values_fit
    larger_values_are_refused_and_not_quoted
    products_are_listed
    the_time_is_told_in_milliseconds
    a_passed_deadline_is_unavailable_at_once
    few_connections_serve_many_threads
}

mod installation;
mod operators;
mod schema;

const RECORD: &str = "$gh1$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$p1$c2VhbGVk";
const THREADS: u8 = 8;

fn user<'a>(user_id: u64, username: &'a str) -> NewUser<'a> {
    NewUser {
        user_id,
        username,
        password_record: RECORD,
        name: Some("Ada Lovelace"),
        age: Some(36),
        request_id: None,
        created_at_ms: 1_700_000_000_000,
    }
}

fn session(session_id: u64, digest: u8, user_id: u64, expires_at_ms: u64) -> NewSession<'static> {
    NewSession {
        session_id,
        token_digest: [digest; 32],
        user_id,
        epoch: 0,
        created_at_ms: 1_000,
        expires_at_ms,
        ends_at_ms: expires_at_ms,
        client_address: None,
        user_agent: None,
    }
}

#[track_caller]
fn check_insert(store: &dyn Store, user: &NewUser<'_>, expected: Inserted) {
    assert_eq!(store.insert_user(user, patient()).unwrap(), expected, "{user:?}");
}

#[track_caller]
fn check_lookup(store: &dyn Store, username: &str, expected: Option<u64>) {
    let found = store.user_by_name(username, patient()).unwrap();
    let expected = expected.map(|user_id| UserRow {
        user_id,
        password_record: RECORD.to_owned(),
        session_epoch: 0,
        is_disabled: false,
    });
    assert_eq!(found, expected, "{username}");
}

#[track_caller]
fn check_live(store: &dyn Store, digest: u8, now_ms: u64, expected: bool) {
    let found = store.session(&[digest; 32], now_ms, patient()).unwrap();
    assert_eq!(found.is_some(), expected, "digest {digest} at {now_ms}");
}

/// The program is at fault, and the text shows nothing of what was passed in.
#[track_caller]
fn check_refused<T: std::fmt::Debug>(result: Result<T, StoreError>, secret: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, StoreError::Internal(_)), "{error:?}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(secret), "{shown}");
}

/// Runs `work` on many threads that start together and returns what each got.
fn race<T: Send>(work: impl Fn(u8) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(usize::from(THREADS));
    thread::scope(|scope| {
        let racer = |number| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(number)
            })
        };
        let racers: Vec<_> = (0..THREADS).map(racer).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}

fn a_user_is_found_by_the_exact_name(fixture: &dyn Fixture) {
    let store = fixture.store();
    assert!(!store.has_users(patient()).unwrap());
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    check_insert(&*store, &user(2, "bob"), Inserted::Created);
    check_lookup(&*store, "ada", Some(1));
    check_lookup(&*store, "bob", Some(2));
    assert!(store.has_users(patient()).unwrap());
    for other in ["", "ad", "adaa", "ADA", "äda", "%", "a' OR 'a' = 'a"] {
        check_lookup(&*store, other, None);
    }
    // Another server sees the same.
    check_lookup(&*fixture.open(), "ada", Some(1));
}

fn a_name_has_one_owner(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    check_insert(&*store, &user(2, "ada"), Inserted::NameTaken);
    check_insert(&*store, &user(2, "Ada"), Inserted::Created);
    check_lookup(&*store, "ada", Some(1));
}

fn a_repeated_request_is_recognised(fixture: &dyn Fixture) {
    let store = fixture.store();
    let first = NewUser { request_id: Some([7; 16]), ..user(1, "ada") };
    let repeat = NewUser { user_id: 2, ..first };
    check_insert(&*store, &first, Inserted::Created);
    check_insert(&*store, &repeat, Inserted::Repeated { user_id: 1 });
    check_insert(&*store, &first, Inserted::Repeated { user_id: 1 });
    check_insert(&*fixture.open(), &repeat, Inserted::Repeated { user_id: 1 });
    // Another request, or one without a name, is somebody else.
    check_insert(&*store, &NewUser { request_id: Some([8; 16]), ..repeat }, Inserted::NameTaken);
    check_insert(&*store, &NewUser { request_id: None, ..repeat }, Inserted::NameTaken);
    // Two that carry no id are not repeats of each other.
    check_insert(&*store, &user(3, "bob"), Inserted::Created);
    check_insert(&*store, &user(4, "bob"), Inserted::NameTaken);
}

fn one_of_many_concurrent_registrations_wins(fixture: &dyn Fixture) {
    let stores = [fixture.store(), fixture.open()];
    for round in 0..5_u64 {
        let name = format!("ada{round}");
        let outcomes = race(|racer| {
            let store = &stores[usize::from(racer) % stores.len()];
            let id = round * 100 + u64::from(racer) + 1;
            let newcomer = NewUser { request_id: Some([racer; 16]), ..user(id, &name) };
            (id, store.insert_user(&newcomer, patient()).unwrap())
        });
        let winners: Vec<_> =
            outcomes.iter().filter(|(_, outcome)| *outcome == Inserted::Created).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        let losers = outcomes.iter().filter(|(_, outcome)| *outcome == Inserted::NameTaken);
        assert_eq!(losers.count(), usize::from(THREADS) - 1, "{outcomes:?}");
        check_lookup(&*stores[0], &name, Some(winners[0].0));
    }
}

fn a_taken_id_is_refused(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    check_insert(&*store, &user(1, "bob"), Inserted::IdTaken);
    check_lookup(&*store, "bob", None);
}

fn users_are_inserted_together(fixture: &dyn Fixture) {
    let store = fixture.store();
    let insert = |users: &[NewUser<'_>]| -> Vec<_> {
        store.insert_users(users, patient()).into_iter().map(Result::ok).collect()
    };
    assert_eq!(insert(&[]), []);
    let created = Some(Inserted::Created);
    let asked = NewUser { request_id: Some([7; 16]), ..user(1, "ada") };
    assert_eq!(insert(&[asked, user(2, "bob")]), [created; 2]);
    assert_eq!(insert(&[user(3, "carl")]), [created]);
    // Each by itself.
    let nine = "x".repeat(PASSWORD_RECORD_BYTES_MAX + 1);
    let all = [
        user(11, "zoe"),
        user(12, "bob"),
        user(1, "eve"),
        NewUser { user_id: 13, ..asked },
        NewUser { password_record: &nine, ..user(14, "fred") },
        user(15, "gina"),
        user(16, "gina"),
        NewUser { user_id: u64::MAX, ..user(17, "hugo") },
    ];
    let repeated = Some(Inserted::Repeated { user_id: 1 });
    let (taken, id_taken) = (Some(Inserted::NameTaken), Some(Inserted::IdTaken));
    assert_eq!(insert(&all), [created, taken, id_taken, repeated, None, created, taken, None]);
    let there = |name| store.user_by_name(name, patient()).unwrap().map(|user| user.user_id);
    for (name, id) in [("ada", 1), ("bob", 2), ("carl", 3), ("zoe", 11), ("gina", 15)] {
        assert_eq!(there(name), Some(id), "{name}");
    }
    for name in ["eve", "fred", "hugo"] {
        assert_eq!(there(name), None, "{name}");
    }
    let late = store.insert_users(&[user(21, "ida"), user(22, "jim")], clock::now());
    assert!(late.iter().all(|one| matches!(one, Err(StoreError::Unavailable(_)))), "{late:?}");
    assert_eq!((there("ida"), there("jim")), (None, None));
}

fn many_who_insert_the_same_users_together_all_get_an_answer(fixture: &dyn Fixture) {
    const NAMES: [&str; 8] = ["ada", "bob", "carl", "dora", "eve", "fred", "gina", "hugo"];
    let stores = [fixture.store(), fixture.open()];
    let answers = Mutex::new(Vec::new());
    race(|racer| {
        let store = &stores[usize::from(racer) % 2];
        let mut users: Vec<_> = (0..)
            .zip(NAMES)
            .map(|(place, name)| user(u64::from(racer) * 8 + place + 1, name))
            .collect();
        users.rotate_left(racer.into());
        let inserted = store.insert_users(&users, patient());
        let told = users.iter().zip(inserted).map(|(user, told)| (user.user_id, told.unwrap()));
        answers.lock().unwrap().extend(told.collect::<Vec<_>>());
    });
    let answers = answers.into_inner().unwrap();
    assert_eq!(answers.len(), usize::from(THREADS) * NAMES.len());
    let mut owners: Vec<_> = answers
        .iter()
        .filter(|(_, told)| *told == Inserted::Created)
        .map(|(user_id, _)| *user_id)
        .collect();
    owners.sort_unstable();
    let found = NAMES.map(|name| stores[0].user_by_name(name, patient()).unwrap().unwrap().user_id);
    let mut found = found.to_vec();
    found.sort_unstable();
    assert_eq!(owners, found, "who was told so owns the name, and each has one owner");
}

fn a_password_record_is_replaced_only_if_it_is_the_old_one(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    check_insert(&*store, &user(2, "bob"), Inserted::Created);
    let replace =
        |user_id, old, new| store.replace_password_record(user_id, old, new, patient()).unwrap();
    assert!(replace(1, RECORD, "new"));
    assert!(!replace(1, RECORD, "newer"), "the record had changed");
    assert!(!replace(1, "NEW", "newer"), "case matters");
    assert!(!replace(3, RECORD, "new"), "there is no such user");
    assert!(replace(1, "new", "new"), "a swap to the same value counts");
    assert_eq!(store.user_by_name("ada", patient()).unwrap().unwrap().password_record, "new");
    check_lookup(&*store, "bob", Some(2));
}

fn one_of_many_concurrent_replacements_wins(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    let swapped = race(|racer| {
        store.replace_password_record(1, RECORD, &format!("record {racer}"), patient()).unwrap()
    });
    assert_eq!(swapped.iter().filter(|swapped| **swapped).count(), 1);
}

fn many_password_records_are_replaced_together(fixture: &dyn Fixture) {
    let store = fixture.store();
    for (id, name) in [(1, "ada"), (2, "bob"), (3, "cay")] {
        check_insert(&*store, &user(id, name), Inserted::Created);
    }
    let change = |user_id, old: &str, new: &str| RecordChange {
        user_id,
        old: old.to_owned(),
        new: new.to_owned(),
    };
    let changes = [
        change(1, RECORD, "new 1"),
        change(2, "changed meanwhile", "new 2"),
        change(3, RECORD, "new 3"),
        change(4, RECORD, "nobody"),
    ];
    assert_eq!(store.replace_password_records(&[], patient()).unwrap(), 0);
    assert_eq!(store.replace_password_records(&changes, patient()).unwrap(), 2);
    let records = || {
        let rows = fixture.open().password_records(0, 9, patient()).unwrap();
        rows.into_iter().map(|row| row.password_record).collect::<Vec<_>>()
    };
    assert_eq!(records(), ["new 1", RECORD, "new 3"]);

    // One that cannot be stored leaves all of them.
    let too_long = "r".repeat(PASSWORD_RECORD_BYTES_MAX + 1);
    let changes = [change(1, "new 1", "newer"), change(2, RECORD, &too_long)];
    check_refused(store.replace_password_records(&changes, patient()), &too_long[..9]);
    let many = vec![change(1, "new 1", "newer"); RECORD_CHANGES_MAX + 1];
    check_refused(store.replace_password_records(&many, patient()), "newer");
    assert_eq!(records(), ["new 1", RECORD, "new 3"]);
    // The connection is whole, and nothing is locked.
    assert!(store.replace_password_record(1, "new 1", "newer", patient()).unwrap());
    let all = [change(1, "newer", "newest"), change(2, RECORD, "new 2")];
    assert_eq!(store.replace_password_records(&all, patient()).unwrap(), 2);
    assert_eq!(records(), ["newest", "new 2", "new 3"]);
}

fn password_records_are_walked_in_pages(fixture: &dyn Fixture) {
    let store = fixture.store();
    let page = |after, limit| {
        let page = store.password_records(after, limit, patient()).unwrap();
        page.into_iter().map(|row| (row.user_id, row.password_record)).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 10), []);
    // Inserted in another order than that of their ids.
    for id in [30, 10, 20] {
        let (name, record) = (format!("user{id}"), format!("record {id}"));
        check_insert(
            &*store,
            &NewUser { password_record: &record, ..user(id, &name) },
            Inserted::Created,
        );
    }
    let row = |id: u64| (id, format!("record {id}"));
    assert_eq!(page(0, 2), [row(10), row(20)]);
    assert_eq!(page(20, 2), [row(30)]);
    assert_eq!(page(9, u32::MAX), [row(10), row(20), row(30)]);
    assert_eq!(page(30, 2), []);
    assert_eq!(page(0, 0), []);
    const { assert!(RECORDS_PAGE_MAX < u32::MAX) };
}

fn keys_are_kept_by_list_and_id(fixture: &dyn Fixture) {
    let store = fixture.store();
    for list in [KeyList::Peppers, KeyList::TokenKeys] {
        let keys = || store.keys(list, patient()).unwrap();
        assert_eq!(keys(), []);
        let first = KeyRow { id: 1, since_ms: 5, check_value: [0xff; 16] };
        let last = KeyRow { id: u16::MAX, since_ms: 7, check_value: [0; 16] };
        store.insert_key(list, &last, patient()).unwrap();
        store.insert_key(list, &first, patient()).unwrap();
        assert_eq!(keys(), [first, last]);
        // The row that is there stays.
        let other = KeyRow { since_ms: 9, check_value: [1; 16], ..first };
        store.insert_key(list, &other, patient()).unwrap();
        assert_eq!(fixture.open().keys(list, patient()).unwrap(), [first, last]);
        assert!(store.delete_key(list, 1, patient()).unwrap());
        assert!(!store.delete_key(list, 1, patient()).unwrap());
        assert!(store.delete_key(list, u16::MAX, patient()).unwrap());
    }
}

fn that_there_are_sessions_is_known(fixture: &dyn Fixture) {
    let store = fixture.store();
    let has = |now_ms| store.has_sessions(now_ms, patient()).unwrap();
    assert!(!has(0));
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    store.insert_session(&session(10, 1, 1, 5_000), patient()).unwrap();
    assert!(has(4_999) && !has(5_000));
}

fn a_session_is_live_until_it_expires(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    let new = session(10, 1, 1, 5_000);
    store.insert_session(&new, patient()).unwrap();
    assert_eq!(
        store.session(&[1; 32], 4_999, patient()).unwrap(),
        Some(SessionRow {
            session_id: 10,
            user_id: 1,
            username: "ada".to_owned(),
            epoch: 0,
            created_at_ms: 1_000,
            last_seen_at_ms: 1_000,
            expires_at_ms: 5_000,
            ends_at_ms: 5_000,
        })
    );
    check_live(&*store, 1, 0, true);
    check_live(&*store, 1, 5_000, false);
    check_live(&*store, 2, 0, false);
    check_live(&*fixture.open(), 1, 4_999, true);
}

fn a_deleted_session_is_gone(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    store.insert_session(&session(10, 1, 1, 5_000), patient()).unwrap();
    store.insert_session(&session(11, 2, 1, 5_000), patient()).unwrap();
    assert!(store.delete_session(&[1; 32], patient()).unwrap());
    assert!(!store.delete_session(&[1; 32], patient()).unwrap());
    check_live(&*store, 1, 0, false);
    check_live(&*store, 2, 0, true);
}

fn a_session_needs_a_user_and_a_new_digest(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    store.insert_session(&session(10, b'x', 1, 5_000), patient()).unwrap();
    check_refused(store.insert_session(&session(11, b'x', 1, 5_000), patient()), "xxx");
    check_refused(store.insert_session(&session(11, b'y', 2, 5_000), patient()), "yyy");
}

fn the_purge_takes_the_oldest_first(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    for digest in 1..=6 {
        let expires_at_ms = u64::from(7 - digest) * 1_000;
        store
            .insert_session(&session(u64::from(digest), digest, 1, expires_at_ms), patient())
            .unwrap();
    }
    let purge = |now_ms, limit| store.delete_expired_sessions(now_ms, limit, patient()).unwrap();
    assert_eq!(purge(999, 10), 0);
    assert_eq!(purge(4_000, 0), 0);
    // Digests 6, 5, 4 and 3 have expired, in this order.
    assert_eq!(purge(4_000, 3), 3);
    for (digest, left) in [(1, true), (2, true), (3, true), (4, false), (5, false), (6, false)] {
        check_live(&*store, digest, 0, left);
    }
    assert_eq!(purge(4_000, 3), 1);
    assert_eq!(purge(4_000, u32::MAX), 0);
    check_live(&*store, 2, 4_000, true);
    const { assert!(PURGE_BATCH_MAX < u32::MAX) };
}

fn the_largest_values_fit(fixture: &dyn Fixture) {
    let store = fixture.store();
    let largest = u64::try_from(i64::MAX).unwrap();
    let username = "u".repeat(USERNAME_BYTES_MAX);
    let record = "r".repeat(PASSWORD_RECORD_BYTES_MAX);
    let new = NewUser {
        user_id: largest,
        username: &username,
        password_record: &record,
        name: Some(&"𝒜".repeat(NAME_CHARS_MAX)),
        age: Some(u8::MAX),
        request_id: Some([0xff; 16]),
        created_at_ms: largest,
    };
    check_insert(&*store, &new, Inserted::Created);
    let row =
        UserRow { user_id: largest, password_record: record, session_epoch: 0, is_disabled: false };
    assert_eq!(store.user_by_name(&username, patient()).unwrap(), Some(row));

    let agent = "𝒜".repeat(USER_AGENT_CHARS_MAX + 1);
    let new = NewSession {
        client_address: Some(IpAddr::V6(Ipv6Addr::from([0xfe; 16]))),
        user_agent: Some(UserAgent::clip(&agent)),
        ..session(largest, 0xff, largest, largest)
    };
    store.insert_session(&new, patient()).unwrap();
    check_live(&*store, 0xff, largest - 1, true);
}

fn larger_values_are_refused_and_not_quoted(fixture: &dyn Fixture) {
    let store = fixture.store();
    let refuse = |user: &NewUser<'_>, secret: &str| {
        check_refused(store.insert_user(user, patient()), secret);
    };
    let username = "u".repeat(USERNAME_BYTES_MAX + 1);
    refuse(&user(1, &username), &username[..9]);
    let record = "r".repeat(PASSWORD_RECORD_BYTES_MAX + 1);
    refuse(&NewUser { password_record: &record, ..user(1, "ada") }, &record[..9]);
    let name = "n".repeat(NAME_CHARS_MAX + 1);
    refuse(&NewUser { name: Some(&name), ..user(1, "ada") }, &name[..9]);
    let too_large = u64::try_from(i64::MAX).unwrap() + 1;
    refuse(&user(too_large, "ada"), "ada");
    refuse(&NewUser { created_at_ms: too_large, ..user(1, "ada") }, "ada");
    check_lookup(&*store, "ada", None);

    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    check_refused(store.replace_password_record(1, RECORD, &record, patient()), &record[..9]);
    check_refused(store.insert_session(&session(1, 1, 1, too_large), patient()), "secret");
}

fn products_are_listed(fixture: &dyn Fixture) {
    let products = fixture.store().products(patient()).unwrap();
    let ids: Vec<_> = products.iter().map(|product| product.product_id).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    let first = &products[0];
    assert_eq!(
        (&*first.name, &*first.description, first.price_minor, &*first.currency),
        ("Field notebook", "Ninety-six dotted pages, thread-bound, lies flat.", 1250, "EUR")
    );
}

/// Both run on this machine, so their clock is this one.
fn the_time_is_told_in_milliseconds(fixture: &dyn Fixture) {
    let store = fixture.store();
    let wall = || unix_ms(clock::wall());
    for _ in 0..20 {
        let before = wall();
        let time = store.time(patient()).unwrap();
        assert!((before..=wall()).contains(&time), "{before} {time}");
    }
}

fn a_passed_deadline_is_unavailable_at_once(fixture: &dyn Fixture) {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    let passed = clock::now();
    let results = [
        store.insert_user(&user(2, "bob"), passed).map(drop),
        store.user_by_name("ada", passed).map(drop),
        store.has_users(passed).map(drop),
        store.replace_password_record(1, RECORD, "new", passed).map(drop),
        store.replace_password_records(&[], passed).map(drop),
        store.password_records(0, 1, passed).map(drop),
        store.keys(KeyList::Peppers, passed).map(drop),
        store.insert_key(
            KeyList::Peppers,
            &KeyRow { id: 1, since_ms: 0, check_value: [0; 16] },
            passed,
        ),
        store.delete_key(KeyList::Peppers, 1, passed).map(drop),
        store.insert_session(&session(1, 1, 1, 1), passed),
        store.session(&[1; 32], 0, passed).map(drop),
        store.delete_session(&[1; 32], passed).map(drop),
        store.delete_expired_sessions(0, 1, passed).map(drop),
        store.products(passed).map(drop),
        store.ping(passed),
    ];
    for result in results {
        assert!(matches!(result, Err(StoreError::Unavailable(Cause::Deadline))), "{result:?}");
    }
    let migrated = store.migrate(passed);
    assert!(
        matches!(migrated, Err(MigrationError::Store(StoreError::Unavailable(Cause::Deadline)))),
        "{migrated:?}"
    );
    // Nothing was sent.
    check_lookup(&*store, "ada", Some(1));
    check_lookup(&*store, "bob", None);
}

fn few_connections_serve_many_threads(fixture: &dyn Fixture) {
    let store = fixture.store();
    race(|racer| {
        for round in 0..10_u64 {
            let id = u64::from(racer) * 100 + round + 1;
            let name = format!("user{id}");
            check_insert(&*store, &user(id, &name), Inserted::Created);
            check_lookup(&*store, &name, Some(id));
            store.ping(patient()).unwrap();
        }
    });
    let connections = store.connections();
    assert!(connections.size < usize::from(THREADS), "{connections:?}");
    assert!(connections.idle <= connections.size && connections.lent == 0, "{connections:?}");
}
