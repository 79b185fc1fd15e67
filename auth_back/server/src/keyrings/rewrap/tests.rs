//! What a pass replaces, and what it leaves alone.

use super::*;
use crate::keyrings::register::testing::{Site, ring};

fn id_of(site: &Site, user_id: u64) -> Option<u16> {
    let record: PasswordRecord = site.record(user_id).parse().ok()?;
    Some(record.pepper_id().get())
}

#[test]
fn all_that_is_under_an_older_pepper_is_sealed_anew() {
    let site = Site::new();
    let count = u64::try_from(REWRAP_BATCH).unwrap() * 2 + 1;
    for user_id in 1..=count {
        site.user(user_id, &ring(&[(1, 7)]));
    }
    site.user(count + 1, &ring(&[(2, 8)]));
    site.user(count + 2, &ring(&[(4, 9)]));
    site.damaged_user(count + 3, "not a record");
    site.user(count + 4, &ring(&[(1, 6)]));
    let kept: Vec<_> = (1..=4).map(|more| site.record(count + more)).collect();

    let peppers = ring(&[(1, 7), (2, 8)]);
    let mut watched = Vec::new();
    let first = pass(
        &*site.store,
        &peppers,
        None,
        |done| {
            watched.push(done);
            ControlFlow::Continue(())
        },
        |_| {},
    )
    .unwrap();
    let unreadable = vec![count + 3, count + 4];
    assert_eq!(first, Pass { resealed: count, overtaken: 0, unreadable: unreadable.clone() });
    assert_eq!(watched, [REWRAP_BATCH, REWRAP_BATCH, 1]);
    assert!((1..=count).all(|user_id| id_of(&site, user_id) == Some(2)));
    assert_eq!((1..=4).map(|more| site.record(count + more)).collect::<Vec<_>>(), kept);
    // What was sealed opens, so the password is still the password.
    let again =
        pass(&*site.store, &ring(&[(2, 8), (3, 5)]), None, |_| ControlFlow::Continue(()), |_| {})
            .unwrap();
    assert_eq!(again.resealed, count + 1);

    let nothing =
        pass(&*site.store, &ring(&[(2, 8), (3, 5)]), None, |_| ControlFlow::Continue(()), |_| {})
            .unwrap();
    assert_eq!((nothing.resealed, nothing.overtaken), (0, 0));
}

#[test]
fn a_pass_that_is_stopped_leaves_the_rest() {
    let site = Site::new();
    let count = u64::try_from(REWRAP_BATCH).unwrap() * 2 + 1;
    (1..=count).for_each(|user_id| site.user(user_id, &ring(&[(1, 7)])));
    let peppers = ring(&[(1, 7), (2, 8)]);
    let stopped = pass(&*site.store, &peppers, None, |_| ControlFlow::Break(()), |_| {}).unwrap();
    assert_eq!(stopped.resealed, REWRAP_BATCH as u64);
    let rest = pass(&*site.store, &peppers, None, |_| ControlFlow::Continue(()), |_| {}).unwrap();
    assert_eq!(rest.resealed, count - REWRAP_BATCH as u64);
}

#[test]
fn a_record_that_was_changed_meanwhile_stays() {
    let site = Site::new();
    for user_id in 1..=3 {
        site.user(user_id, &ring(&[(1, 7)]));
    }
    let peppers = ring(&[(1, 7), (2, 8)]);
    let rows = site.store.password_records(0, 3, clock::now() + STORE_CALL_TIME_MAX).unwrap();
    let changes: Vec<_> =
        rows.iter().filter_map(|row| change(row, &peppers).ok().flatten()).collect();
    assert_eq!(changes.len(), 3);
    let soon = clock::now() + STORE_CALL_TIME_MAX;
    assert!(site.store.replace_password_record(2, &changes[1].old, "newer", soon).unwrap());
    assert_eq!(site.store.replace_password_records(&changes, soon).unwrap(), 2);
    assert_eq!(site.record(2), "newer");
}

#[test]
fn the_store_is_left_alone_for_as_long_as_it_was_busy() {
    let check = |count, took_ms, rate, expected_ms| {
        let pause = pause(count, Duration::from_millis(took_ms), rate);
        assert_eq!(pause, Duration::from_millis(expected_ms));
    };
    check(100, 20, None, 20);
    check(100, 20, Some(100), 980);
    check(100, 20, Some(1_000), 80);
    check(100, 20, Some(10_000), 20);
    check(1, 20, Some(1), 980);
}
