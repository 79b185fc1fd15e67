//! Sessions: seen, listed, capped, ended.

use super::*;
use crate::{CacheEra, PasswordChange, Refresh};

contract! {
    a_session_that_is_seen_lives_longer
    of_many_who_saw_a_session_one_notes_it
    sessions_are_noted_together
    a_note_may_come_late
    what_was_ended_is_never_refreshed
    of_a_note_and_an_end_at_once_the_end_holds
    a_row_of_an_older_server_keeps_its_end
    sessions_are_looked_up_together
    a_user_sees_their_live_sessions
    a_session_is_deleted_by_its_users_id_alone
    the_oldest_sessions_make_room
    of_sessions_kept_together_the_last_stays
    many_logins_at_once_leave_no_more_than_the_cap
    a_raised_epoch_ends_every_session
    a_changed_password_ends_every_session
    of_changes_and_raised_epochs_at_once_none_is_lost
    generations_of_a_cache_are_begun_once
    generations_of_a_cache_are_skipped
}

/// A store with the users 1 and 2.
fn store_with_users(fixture: &dyn Fixture) -> Arc<dyn Store> {
    let store = fixture.store();
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    check_insert(&*store, &user(2, "bob"), Inserted::Created);
    store
}

fn insert(store: &dyn Store, new: &NewSession<'_>) {
    store.insert_session(new, patient()).unwrap();
}

/// Notes one session, unless it was seen after `unless_seen_after_ms`. Returns whether it was noted.
fn refresh(
    store: &dyn Store,
    digest: u8,
    unless_seen_after_ms: u64,
    seen_at_ms: u64,
    expires_at_ms: u64,
) -> bool {
    let token_digest = &[digest; 32];
    let refresh = Refresh { token_digest, seen_at_ms, unless_seen_after_ms, expires_at_ms };
    store.refresh_sessions(&[refresh], patient()).unwrap() == 1
}

fn row(store: &dyn Store, digest: u8, now_ms: u64) -> SessionRow {
    store.session(&[digest; 32], now_ms, patient()).unwrap().expect("it is live")
}

fn a_session_that_is_seen_lives_longer(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    insert(&*store, &NewSession { ends_at_ms: 9_000, ..session(10, 1, 1, 3_000) });
    assert!(refresh(&*store, 1, 1_000, 2_000, 4_000));
    let seen = row(&*store, 1, 3_999);
    assert_eq!((seen.created_at_ms, seen.last_seen_at_ms), (1_000, 2_000));
    assert_eq!((seen.expires_at_ms, seen.ends_at_ms), (4_000, 9_000));
    check_live(&*store, 1, 4_000, false);
    assert!(!refresh(&*store, 1, 1_999, 2_500, 8_000), "another saw it since");
    assert_eq!(row(&*store, 1, 0).expires_at_ms, 4_000);
}

fn of_many_who_saw_a_session_one_notes_it(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    insert(&*store, &NewSession { ends_at_ms: 9_000, ..session(10, 1, 1, 3_000) });
    let noted = race(|racer| refresh(&*store, 1, 1_000, 2_000 + u64::from(racer), 4_000));
    assert_eq!(noted.iter().filter(|noted| **noted).count(), 1);
}

fn sessions_are_noted_together(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    let noted = |count: u8| {
        // Bytes that are no text, and no two alike.
        let digests: Vec<[u8; 32]> = (0..count).map(|place| [!place; 32]).collect();
        let refreshes: Vec<_> = (0..)
            .zip(&digests)
            .map(|(place, token_digest)| Refresh {
                token_digest,
                seen_at_ms: 2_000 + place,
                unless_seen_after_ms: 1_500,
                expires_at_ms: 4_000 + place,
            })
            .collect();
        store.refresh_sessions(&refreshes, patient())
    };
    // As many as for each statement that there is.
    for count in [0, 1, 4, 5, 16, 17, 64] {
        fixture.execute("DELETE FROM session");
        for place in 0..count {
            let seen_at_ms = if place % 3 == 2 { 1_501 } else { 1_000 };
            let new = NewSession {
                created_at_ms: seen_at_ms,
                ends_at_ms: 9_000,
                ..session(u64::from(place), !place, 1 + u64::from(place) % 2, 3_000)
            };
            insert(&*store, &new);
        }
        let expected = (0..count).filter(|place| place % 3 != 2).count();
        assert_eq!(noted(count).unwrap(), u32::try_from(expected).unwrap(), "of {count}");
        for place in 0..count {
            let seen = row(&*store, !place, 0);
            let times = (seen.last_seen_at_ms, seen.expires_at_ms, seen.ends_at_ms);
            let place = u64::from(place);
            let was_seen_by_another = place % 3 == 2;
            let expected = match was_seen_by_another {
                true => (1_501, 3_000, 9_000),
                false => (2_000 + place, 4_000 + place, 9_000),
            };
            assert_eq!(times, expected, "{place} of {count}");
        }
    }
    check_refused(noted(65), "ÿ");
}

fn a_note_may_come_late(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    insert(&*store, &NewSession { ends_at_ms: 9_000, ..session(10, 1, 1, 3_000) });
    check_live(&*store, 1, 3_500, false);
    // Seen at 2,900, and written a while later.
    assert!(refresh(&*store, 1, 2_400, 2_900, 4_900));
    check_live(&*store, 1, 3_500, true);
    // Two servers that could not write for long: the later sight holds, whoever comes first.
    assert!(refresh(&*store, 1, 3_500, 4_000, 6_000));
    assert!(!refresh(&*store, 1, 3_300, 3_800, 5_800));
    assert_eq!(row(&*store, 1, 0).expires_at_ms, 6_000);
}

fn what_was_ended_is_never_refreshed(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    insert(&*store, &session(10, 1, 1, 3_000));
    insert(&*store, &session(11, 3, 1, 3_000));
    let check = |digest, why: &str| {
        assert!(!refresh(&*store, digest, 1_500, 2_000, 9_000), "{why}");
    };
    check(2, "there is none");
    store.delete_session(&[3; 32], patient()).unwrap();
    check(3, "it was deleted");
    fixture.execute("UPDATE user SET disabled_at_ms = 5 WHERE id = 1");
    check(1, "its user is disabled");
    fixture.execute("UPDATE user SET disabled_at_ms = NULL WHERE id = 1");
    store.raise_session_epoch(1, patient()).unwrap();
    check(1, "its epoch is over");
    for digest in 1..=3 {
        check_live(&*store, digest, 0, false);
    }
}

fn of_a_note_and_an_end_at_once_the_end_holds(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    let digests = [1, 2, 3].map(|digest| [digest; 32]);
    for round in 1..=10 {
        fixture.execute("DELETE FROM session");
        insert(&*store, &session(round * 10 + 1, 1, 2, 3_000));
        insert(&*store, &session(round * 10 + 2, 2, 2, 3_000));
        let epoch = u32::try_from(round).unwrap() - 1;
        insert(&*store, &NewSession { epoch, ..session(round * 10 + 3, 3, 1, 3_000) });
        race(|racer| match racer {
            0 => assert!(store.delete_session(&[1; 32], patient()).unwrap()),
            1 => {
                let ended = store.delete_session_by_id(2, round * 10 + 2, patient()).unwrap();
                assert_eq!(ended, Some([2; 32]));
            }
            2 => assert_eq!(store.raise_session_epoch(1, patient()).unwrap(), Some(epoch + 1)),
            _ => {
                let refreshes = digests.each_ref().map(|token_digest| Refresh {
                    token_digest,
                    seen_at_ms: 2_000,
                    unless_seen_after_ms: 1_500,
                    expires_at_ms: 9_000,
                });
                store.refresh_sessions(&refreshes, patient()).unwrap();
            }
        });
        for digest in 1..=3 {
            check_live(&*store, digest, 0, false);
        }
    }
}

fn a_row_of_an_older_server_keeps_its_end(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    insert(&*store, &session(10, 1, 1, 9_000));
    fixture.execute("UPDATE session SET last_seen_at_ms = NULL, ends_at_ms = NULL");
    let old = row(&*store, 1, 8_999);
    assert_eq!((old.last_seen_at_ms, old.expires_at_ms, old.ends_at_ms), (1_000, 9_000, 9_000));
    assert!(refresh(&*store, 1, 1_500, 2_000, 4_000));
    let seen = row(&*store, 1, 0);
    assert_eq!((seen.last_seen_at_ms, seen.expires_at_ms, seen.ends_at_ms), (2_000, 4_000, 9_000));
}

fn sessions_are_looked_up_together(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    for (digest, user_id) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        insert(&*store, &session(10 + u64::from(digest), digest, user_id, 3_000));
    }
    insert(&*store, &session(20, 5, 1, 1_500));
    store.delete_session(&[3; 32], patient()).unwrap();
    store.raise_session_epoch(2, patient()).unwrap();
    insert(&*store, &NewSession { epoch: 1, ..session(21, 6, 2, 3_000) });

    // As many as for each statement that there is, and one that stands twice.
    for count in [0, 1, 2, 4, 5, 16, 17, 64] {
        let digests: Vec<[u8; 32]> =
            (0..count).map(|place| [[1, 6, 2, 3, 5, 4, 9, 1][place % 8]; 32]).collect();
        let found = store.sessions(&digests, 2_000, patient()).unwrap();
        let alone: Vec<_> =
            digests.iter().map(|digest| store.session(digest, 2_000, patient()).unwrap()).collect();
        assert_eq!(found, alone, "{count} together");
        let live = found.iter().flatten().count();
        let expected = digests.iter().filter(|digest| matches!(digest[0], 1 | 6)).count();
        assert_eq!(live, expected);
    }
    check_refused(store.sessions(&[[1; 32]; 65], 2_000, patient()), "1, 1");
    let late = store.sessions(&[[1; 32]], 2_000, clock::now());
    assert!(matches!(late, Err(StoreError::Unavailable(Cause::Deadline))), "{late:?}");
}

fn a_user_sees_their_live_sessions(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    let address = Some(IpAddr::from([192, 0, 2, 1]));
    let agent = Some(UserAgent::clip("curl/8"));
    insert(
        &*store,
        &NewSession { client_address: address, user_agent: agent, ..session(10, 1, 1, 5_000) },
    );
    insert(&*store, &session(11, 2, 1, 6_000));
    insert(&*store, &session(12, 3, 2, 6_000));
    let ids = |user_id, now_ms, limit| {
        let listed = store.sessions_of_user(user_id, now_ms, limit, patient()).unwrap();
        listed.iter().map(|session| session.session_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(1, 0, 9), [11, 10]);
    assert_eq!(ids(1, 0, 1), [11]);
    assert_eq!(ids(1, 5_000, 9), [11]);
    assert_eq!(ids(2, 0, 9), [12]);
    assert_eq!(ids(3, 0, 9), [0; 0]);
    let listed = &store.sessions_of_user(1, 0, 9, patient()).unwrap()[1];
    assert_eq!(listed.token_digest, [1; 32]);
    assert_eq!(
        (listed.created_at_ms, listed.last_seen_at_ms, listed.expires_at_ms),
        (1_000, 1_000, 5_000)
    );
    assert_eq!((listed.client_address, listed.user_agent.as_deref()), (address, Some("curl/8")));
    store.raise_session_epoch(1, patient()).unwrap();
    assert_eq!(ids(1, 0, 9), [0; 0]);
}

fn a_session_is_deleted_by_its_users_id_alone(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    insert(&*store, &session(10, 1, 1, 5_000));
    insert(&*store, &session(11, 2, 2, 5_000));
    let delete = |user_id, id| store.delete_session_by_id(user_id, id, patient()).unwrap();
    assert_eq!(delete(1, 11), None, "it is another's");
    assert_eq!(delete(1, u64::MAX), None, "no session has this number");
    check_live(&*store, 2, 0, true);
    assert_eq!(delete(1, 10), Some([1; 32]));
    assert_eq!(delete(1, 10), None);
    check_live(&*store, 1, 0, false);
}

fn the_oldest_sessions_make_room(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    for digest in 1..=6 {
        insert(&*store, &session(u64::from(digest), digest, 1, 5_000));
    }
    insert(&*store, &session(7, 7, 2, 5_000));
    let trim = |keep, created_at_ms| {
        let newest = NewSession { created_at_ms, ..session(6, 6, 1, 5_000) };
        let mut gone = store.trim_sessions(&newest, keep, patient()).unwrap();
        gone.sort_unstable();
        gone
    };
    assert_eq!(trim(6, 0), [[0; 32]; 0]);
    assert_eq!(trim(4, 0), [[1; 32], [2; 32]]);
    assert_eq!(trim(4, 0), [[0; 32]; 0]);
    for (digest, left) in [(1, false), (2, false), (3, true), (6, true), (7, true)] {
        check_live(&*store, digest, 0, left);
    }
    // The dead, which wait to be purged, take no place of the living.
    for digest in 11..=14 {
        insert(&*store, &session(u64::from(digest), digest, 1, 3_000));
    }
    assert_eq!(trim(4, 4_000), [[0; 32]; 0]);
    check_live(&*store, 3, 4_000, true);
    // Of a server whose clock is behind.
    let late = NewSession { created_at_ms: 4_000, ..session(0, 20, 1, 5_000) };
    insert(&*store, &late);
    assert_eq!(store.trim_sessions(&late, 1, patient()).unwrap().len(), 4);
    check_live(&*store, 20, 4_000, true);
    // Both in one, and several in one; who is refused leaves the others as they are.
    let next = NewSession { session_id: late.session_id + 1, token_digest: [99; 32], ..late };
    let last = NewSession { session_id: late.session_id + 2, token_digest: [98; 32], ..late };
    let mut kept = store.keep_sessions(&[next, next, last], 1, patient()).into_iter();
    assert_eq!(kept.next().unwrap().unwrap(), [late.token_digest]);
    let again = kept.next().unwrap();
    assert!(matches!(again, Err(StoreError::Internal(_))), "{again:?}");
    assert_eq!(kept.next().unwrap().unwrap(), [next.token_digest]);
    check_live(&*store, 99, 4_000, false);
    check_live(&*store, 98, 4_000, true);
    assert!(store.keep_sessions(&[], 1, patient()).is_empty());
}

/// Two programs of a user log in at the same moment, and one of them has to go.
fn of_sessions_kept_together_the_last_stays(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    let before = session(1, 1, 1, 5_000);
    insert(&*store, &before);
    let together = [session(2, 2, 1, 5_000), session(3, 3, 2, 5_000), session(4, 4, 1, 5_000)];
    let kept = store.keep_sessions(&together, 1, patient());
    let mut gone: Vec<_> = kept.into_iter().flat_map(Result::unwrap).collect();
    gone.sort_unstable();
    assert_eq!(gone, [before.token_digest, together[0].token_digest]);
    for (digest, live) in [(1, false), (2, false), (3, true), (4, true)] {
        check_live(&*store, digest, 0, live);
    }
}

fn many_logins_at_once_leave_no_more_than_the_cap(fixture: &dyn Fixture) {
    let stores = [store_with_users(fixture), fixture.open()];
    race(|racer| {
        let store = &stores[usize::from(racer) % 2];
        for round in 0..5 {
            let digest = racer * 10 + round + 1;
            let new = session(u64::from(digest), digest, 1, 5_000);
            insert(&**store, &new);
            store.trim_sessions(&new, 3, patient()).unwrap();
        }
    });
    // Fewer if two at once, whose ids are not in the order of their inserts, chose differently.
    let left = stores[0].sessions_of_user(1, 0, 99, patient()).unwrap().len();
    assert!((1..=3).contains(&left), "{left}");
}

fn a_raised_epoch_ends_every_session(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    for digest in 1..=3 {
        insert(&*store, &session(u64::from(digest), digest, 1, 5_000));
    }
    insert(&*store, &session(4, 4, 2, 5_000));
    assert_eq!(store.raise_session_epoch(1, patient()).unwrap(), Some(1));
    assert_eq!(store.raise_session_epoch(3, patient()).unwrap(), None);
    for (digest, live) in [(1, false), (2, false), (3, false), (4, true)] {
        check_live(&*store, digest, 0, live);
    }
    // Begun before, made after.
    insert(&*store, &session(5, 5, 1, 5_000));
    check_live(&*store, 5, 0, false);
    insert(&*store, &NewSession { epoch: 1, ..session(6, 6, 1, 5_000) });
    check_live(&*store, 6, 0, true);

    let delete = |limit| store.delete_superseded_sessions(1, 1, limit, patient()).unwrap();
    assert_eq!(delete(3), 3);
    assert_eq!(delete(3), 1);
    assert_eq!(delete(u32::MAX), 0);
    check_live(&*store, 6, 0, true);
    check_live(&*store, 4, 0, true);
}

fn a_changed_password_ends_every_session(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    insert(&*store, &session(1, 1, 1, 5_000));
    let change = |old, new, epoch| {
        let change = PasswordChange { user_id: 1, old, new, epoch };
        store.change_password_record(&change, patient()).unwrap()
    };
    assert!(!change("other", "new", 0), "the record had changed");
    assert!(!change(RECORD, "new", 1), "the epoch had changed");
    check_live(&*store, 1, 0, true);
    assert!(change(RECORD, "new", 0));
    check_live(&*store, 1, 0, false);
    let ada = store.user_by_name("ada", patient()).unwrap().unwrap();
    assert_eq!((ada.password_record.as_str(), ada.session_epoch), ("new", 1));
    assert_eq!(store.user_by_id(1, patient()).unwrap(), Some(ada));
    assert_eq!(store.user_by_id(3, patient()).unwrap(), None);
    check_lookup(&*store, "bob", Some(2));
}

fn of_changes_and_raised_epochs_at_once_none_is_lost(fixture: &dyn Fixture) {
    let store = store_with_users(fixture);
    let outcomes = race(|racer| {
        if racer % 2 == 0 {
            return store.raise_session_epoch(1, patient()).unwrap().is_some();
        }
        let change = PasswordChange { user_id: 1, old: RECORD, new: "new", epoch: 0 };
        store.change_password_record(&change, patient()).unwrap()
    });
    let done = outcomes.iter().filter(|done| **done).count();
    let epoch = store.user_by_id(1, patient()).unwrap().unwrap().session_epoch;
    assert_eq!(usize::try_from(epoch).unwrap(), done, "{outcomes:?}");
}

fn generations_of_a_cache_are_begun_once(fixture: &dyn Fixture) {
    let store = fixture.store();
    let era = |generation, instance: &str| CacheEra { generation, instance: instance.to_owned() };
    assert_eq!(store.cache_era(patient()).unwrap(), era(0, ""));
    let begun = race(|racer| store.begin_cache_era(0, &format!("run {racer}"), patient()).unwrap());
    assert_eq!(begun.iter().filter(|begun| **begun).count(), 1);
    let winner = begun.iter().position(|begun| *begun).unwrap();
    assert_eq!(store.cache_era(patient()).unwrap(), era(1, &format!("run {winner}")));
    race(|_| store.end_cache_era(patient()).unwrap());
    let ended = store.cache_era(patient()).unwrap();
    assert_eq!(ended, era(1 + u64::from(THREADS), &format!("run {winner}")));
    assert!(!store.begin_cache_era(1, "late", patient()).unwrap());
    assert_eq!(store.cache_era(patient()).unwrap(), ended);
}

fn generations_of_a_cache_are_skipped(fixture: &dyn Fixture) {
    let store = fixture.store();
    assert!(store.begin_cache_era(0, "run", patient()).unwrap());
    for (at_least, expected) in [(7, 7), (7, 8), (3, 9), (1_900_000_000_000, 1_900_000_000_000)] {
        store.skip_cache_eras(at_least, patient()).unwrap();
        let expected = CacheEra { generation: expected, instance: "run".to_owned() };
        assert_eq!(store.cache_era(patient()).unwrap(), expected);
    }
    check_refused(store.skip_cache_eras(u64::MAX, patient()), "1844");
}
