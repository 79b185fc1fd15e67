//! Whole users, in and out.

use super::*;
use crate::limits::{IMPORT_BATCH_MAX, PROFILES_PAGE_MAX};
use crate::{Imported, ImportedUser, Trial, UserProfile, UserRange};

contract! {
    users_are_imported_together
    a_repeated_import_is_recognised
    a_rehearsal_leaves_nothing
    no_user_is_imported_when_one_does_not_fit
    of_many_imports_each_name_is_taken_once
    profiles_are_walked_in_pages
    profiles_are_listed_by_name
    a_disabled_user_has_no_live_session
    an_operator_sets_a_password_whatever_it_was
    the_sessions_of_many_users_are_ended_in_ranges
}

fn imported<'a>(user_id: u64, username: &'a str, request: u8) -> ImportedUser<'a> {
    let user = NewUser { request_id: Some([request; 16]), ..user(user_id, username) };
    ImportedUser { user, disabled_at_ms: None }
}

#[track_caller]
fn check_import(store: &dyn Store, users: &[ImportedUser<'_>], expected: &[Imported]) {
    assert_eq!(store.import_users(users, Trial::Real, patient()).unwrap(), expected);
}

fn users_are_imported_together(fixture: &impl Fixture) {
    let store = &*fixture.store();
    let plain = imported(1, "ada", 1);
    let bare = ImportedUser {
        user: NewUser { name: None, age: None, request_id: None, ..user(2, "bob") },
        disabled_at_ms: Some(1_800_000_000_000),
    };
    check_import(store, &[plain, bare], &[Imported::Created; 2]);
    check_import(store, &[], &[]);
    let profile = UserProfile {
        user_id: 1,
        username: "ada".to_owned(),
        password_record: RECORD.to_owned(),
        name: Some("Ada Lovelace".to_owned()),
        age: Some(36),
        created_at_ms: 1_700_000_000_000,
        disabled_at_ms: None,
        session_epoch: 0,
    };
    assert_eq!(store.user_profile("ada", patient()).unwrap(), Some(profile.clone()));
    let bob = UserProfile {
        user_id: 2,
        username: "bob".to_owned(),
        name: None,
        age: None,
        disabled_at_ms: Some(1_800_000_000_000),
        ..profile
    };
    assert_eq!(store.user_profile("bob", patient()).unwrap(), Some(bob));
    assert_eq!(store.user_profile("bobby", patient()).unwrap(), None);
    assert_eq!(store.user_profile("bób", patient()).unwrap(), None);
}

fn a_repeated_import_is_recognised(fixture: &impl Fixture) {
    use Imported::{AlreadyThere, Created, IdTaken, NameTaken};
    let store = &*fixture.store();
    check_insert(store, &user(1, "ada"), Inserted::Created);
    let batch = [
        imported(1, "ada", 1),  // the same id
        imported(2, "ada", 1),  // another one's name
        imported(1, "bob", 2),  // another one's id
        imported(3, "cid", 3),  // new
        imported(4, "cid", 3),  // the same request
        imported(5, "cid", 4),  // taken a moment ago
        imported(6, "dora", 5), // new, after all of these
    ];
    let outcomes = [AlreadyThere, NameTaken, IdTaken, Created, AlreadyThere, NameTaken, Created];
    check_import(store, &batch, &outcomes);
    let again =
        [AlreadyThere, NameTaken, IdTaken, AlreadyThere, AlreadyThere, NameTaken, AlreadyThere];
    check_import(store, &batch, &again);
}

fn a_rehearsal_leaves_nothing(fixture: &impl Fixture) {
    use Imported::{AlreadyThere, Created, NameTaken};
    let store = &*fixture.store();
    check_insert(store, &user(1, "ada"), Inserted::Created);
    let batch = [imported(1, "ada", 1), imported(2, "bob", 2), imported(3, "bob", 3)];
    for _ in 0..2 {
        let outcomes = store.import_users(&batch, Trial::Rehearsal, patient()).unwrap();
        assert_eq!(outcomes, [AlreadyThere, Created, NameTaken]);
    }
    check_lookup(store, "bob", None);
}

fn no_user_is_imported_when_one_does_not_fit(fixture: &impl Fixture) {
    let store = &*fixture.store();
    let long = "x".repeat(PASSWORD_RECORD_BYTES_MAX + 1);
    let bad = ImportedUser {
        user: NewUser { password_record: &long, ..user(2, "bob") },
        disabled_at_ms: None,
    };
    let batch = [imported(1, "ada", 1), bad, imported(3, "cid", 3)];
    check_refused(store.import_users(&batch, Trial::Real, patient()), &long);
    assert!(!store.has_users(patient()).unwrap());
    // The connection is good for what comes next.
    check_import(store, &batch[..1], &[Imported::Created]);
    let many = vec![imported(9, "eve", 9); IMPORT_BATCH_MAX + 1];
    check_refused(store.import_users(&many, Trial::Real, patient()), "eve");
    let huge = imported(u64::MAX, "eve", 9);
    check_refused(store.import_users(&[huge], Trial::Real, patient()), "eve");
}

fn of_many_imports_each_name_is_taken_once(fixture: &impl Fixture) {
    let store = &*fixture.store();
    let names: Vec<String> = (0..20).map(|number| format!("user{number}")).collect();
    let outcomes = race(|number| {
        let user =
            |(index, name)| imported(u64::from(number) * 100 + index as u64 + 1, name, number + 1);
        let mut batch: Vec<_> = names.iter().map(String::as_str).enumerate().map(user).collect();
        // In opposite orders, so that two transactions wait for each other.
        if number % 2 == 0 {
            batch.reverse();
        }
        // Whoever loses a deadlock too often is told so, and comes again.
        loop {
            match store.import_users(&batch, Trial::Real, patient()) {
                Err(StoreError::Unavailable(_)) => {}
                outcomes => break outcomes.unwrap(),
            }
        }
    });
    let created = outcomes.iter().flatten().filter(|outcome| **outcome == Imported::Created);
    assert_eq!(created.count(), names.len());
}

fn profiles_are_walked_in_pages(fixture: &impl Fixture) {
    let store = &*fixture.store();
    for id in [30, 10, 20] {
        check_insert(store, &user(id, &format!("user{id}")), Inserted::Created);
    }
    let walk = |after, limit| -> Vec<u64> {
        let page = store.user_profiles(after, limit, patient()).unwrap();
        page.iter().map(|profile| profile.user_id).collect()
    };
    assert_eq!(walk(0, 2), [10, 20]);
    assert_eq!(walk(20, 2), [30]);
    assert_eq!(walk(30, 2), [0; 0]);
    assert_eq!(walk(0, u32::MAX), [10, 20, 30]);
    assert_eq!(walk(9, PROFILES_PAGE_MAX), [10, 20, 30]);
}

fn profiles_are_listed_by_name(fixture: &impl Fixture) {
    let store = &*fixture.store();
    // Not in their order by id, and with every character next to a prefix.
    for (id, name) in (1..).zip(["adz", "bob", "ada", "ad", "ad.a", "ad-a", "ad_z", "ae", "ad9"]) {
        check_insert(store, &user(id, name), Inserted::Created);
    }
    let list = |prefix, after, limit| -> Vec<String> {
        let page = store.user_profiles_by_name(prefix, after, limit, patient()).unwrap();
        page.into_iter().map(|profile| profile.username).collect()
    };
    let sorted = ["ad", "ad-a", "ad.a", "ad9", "ad_z", "ada", "adz", "ae", "bob"];
    assert_eq!(list("", "", u32::MAX), sorted);
    assert_eq!(list("ad", "", 100), sorted[..7]);
    // In pages, each after the last of the one before.
    assert_eq!(list("ad", "", 3), sorted[..3]);
    assert_eq!(list("ad", "ad.a", 3), sorted[3..6]);
    assert_eq!(list("ad", "ada", 3), sorted[6..7]);
    assert_eq!(list("ad", "adz", 3), [""; 0]);
    assert_eq!(list("bob", "", 3), ["bob"]);
    // A character of a pattern is only itself, and what no name has finds none.
    for nobody in ["bobb", "c", "%", "ad%", "b_b", "AD", "\u{7f}", "ád", "'"] {
        assert_eq!(list(nobody, "", 100), [""; 0], "{nobody}");
    }
}

fn a_disabled_user_has_no_live_session(fixture: &impl Fixture) {
    let store = &*fixture.store();
    check_insert(store, &user(1, "ada"), Inserted::Created);
    store.insert_session(&session(1, 1, 1, 9_000), patient()).unwrap();
    check_live(store, 1, 1_000, true);
    assert!(store.disable_user(1, 5_000, patient()).unwrap());
    check_live(store, 1, 1_000, false);
    assert!(store.user_by_name("ada", patient()).unwrap().unwrap().is_disabled);
    // Again: the time stays, and it is no error.
    assert!(store.disable_user(1, 6_000, patient()).unwrap());
    let profile = || store.user_profile("ada", patient()).unwrap().unwrap();
    assert_eq!(profile().disabled_at_ms, Some(5_000));
    assert!(store.enable_user(1, patient()).unwrap());
    assert!(store.enable_user(1, patient()).unwrap());
    assert_eq!((profile().disabled_at_ms, profile().session_epoch), (None, 2));
    check_live(store, 1, 1_000, false);
    assert!(!store.disable_user(2, 5_000, patient()).unwrap());
    assert!(!store.enable_user(2, patient()).unwrap());
}

fn an_operator_sets_a_password_whatever_it_was(fixture: &impl Fixture) {
    let store = &*fixture.store();
    check_insert(store, &user(1, "ada"), Inserted::Created);
    store.insert_session(&session(1, 1, 1, 9_000), patient()).unwrap();
    assert!(store.set_password_record(1, "$gh1$new", patient()).unwrap());
    check_live(store, 1, 1_000, false);
    let user = store.user_by_name("ada", patient()).unwrap().unwrap();
    assert_eq!((&*user.password_record, user.session_epoch), ("$gh1$new", 1));
    assert!(!store.set_password_record(2, "$gh1$new", patient()).unwrap());
    let long = "x".repeat(PASSWORD_RECORD_BYTES_MAX + 1);
    check_refused(store.set_password_record(1, &long, patient()), &long);
}

fn the_sessions_of_many_users_are_ended_in_ranges(fixture: &impl Fixture) {
    let store = &*fixture.store();
    let range = |after, limit| store.user_range(after, limit, patient()).unwrap();
    assert_eq!(range(0, 5), UserRange { count: 0, last: None });
    let ids = [10_u8, 20, 30];
    for id in ids {
        check_insert(store, &user(id.into(), &format!("user{id}")), Inserted::Created);
        store.insert_session(&session(id.into(), id, id.into(), 9_000), patient()).unwrap();
    }
    assert_eq!(range(0, 2), UserRange { count: 2, last: Some(20) });
    assert_eq!(range(20, 2), UserRange { count: 1, last: Some(30) });
    assert_eq!(range(30, 2), UserRange { count: 0, last: None });
    assert_eq!(range(0, u32::MAX), UserRange { count: 3, last: Some(30) });

    store.raise_session_epochs(10, 20, patient()).unwrap();
    let live = || ids.map(|id| store.session(&[id; 32], 1_000, patient()).unwrap().is_some());
    assert_eq!(live(), [true, false, true], "neither the one before nor the one behind");
    store.raise_session_epochs(0, 30, patient()).unwrap();
    assert_eq!(live(), [false; 3]);
    let epochs = ids.map(|id| {
        store.user_profile(&format!("user{id}"), patient()).unwrap().unwrap().session_epoch
    });
    assert_eq!(epochs, [1, 2, 1]);
    store.raise_session_epochs(30, 40, patient()).unwrap();
}
