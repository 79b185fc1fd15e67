//! When a pepper may be retired, and what is counted.

use server::keyrings::register::testing::{Site, ring};

use super::*;

fn id(id: u16) -> KeyId {
    KeyId::new(id).unwrap()
}

#[test]
fn a_pepper_is_retired_once_it_has_been_replaced_for_long_enough() {
    let now_ms = 1_700_000_000_000;
    let row = |id, since_ms| KeyRow { id, since_ms, check_value: [0; 16] };
    let check = |active: u16, rows: &[KeyRow], expected: Result<(), &str>| match (
        check_replaced(id(3), id(active), rows, now_ms),
        expected,
    ) {
        (Ok(()), Ok(())) => {}
        (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
        (outcome, _) => panic!("{outcome:?} instead of {expected:?}"),
    };
    let least_ms = millis(PEPPER_RETIRE_AFTER);
    let long_ago = now_ms - least_ms - 1;
    check(4, &[row(3, 0), row(4, long_ago)], Ok(()));
    check(4, &[row(3, 0), row(4, now_ms)], Err("less than 2m ago"));
    check(4, &[row(3, 0), row(4, now_ms + 60_000)], Err("less than 2m ago"));
    // The key that is active here is the one that counts: others may have come before it.
    check(5, &[row(3, 0), row(4, long_ago), row(5, now_ms)], Err("less than 2m ago"));
    check(4, &[row(3, 0)], Err("no server has sealed under a newer one"));
    check(2, &[row(2, 0), row(3, long_ago)], Err("no server has sealed under a newer one"));
}

#[test]
fn records_are_counted_by_key() {
    let site = Site::new();
    for (user_id, keys) in [(1, (1, 7)), (2, (2, 8)), (3, (1, 7))] {
        site.user(user_id, &ring(&[keys]));
    }
    site.damaged_user(4, "not a record");
    let counts = status::count(&*site.store).unwrap();
    assert_eq!(counts.by_pepper.into_iter().collect::<Vec<_>>(), [(id(1), 2), (id(2), 1)]);
    assert_eq!(counts.unreadable, 1);
    assert!(check_unused(&*site.store, id(1)).is_err());
    assert!(check_unused(&*site.store, id(3)).is_ok());
}
