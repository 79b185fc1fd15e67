//! Which keys a store takes for its peppers.

use std::sync::Arc;

use super::testing::{Site, ring, soon};
use super::*;

impl Site {
    #[track_caller]
    fn check_listed(&self, expected: &[u16]) {
        let rows = self.store.peppers(soon()).unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_admit(&self, keys: &[(u16, u8)], expected: Result<(), &str>) {
        let outcome = admit(&ring(keys), &*self.store, soon()).map_err(|error| error.to_string());
        match (outcome, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
            (outcome, _) => panic!("{outcome:?} instead of {expected:?}: {keys:?}"),
        }
    }
}

#[test]
fn the_active_pepper_is_listed_before_it_is_used() {
    let site = Site::new();
    site.check_admit(&[(1, 7)], Ok(()));
    site.check_listed(&[1]);
    // One that is known and not active is nobody's yet.
    site.check_admit(&[(1, 7), (2, 8), (3, 9)], Ok(()));
    site.check_listed(&[1, 3]);
    let since = |rows: Vec<PepperRow>| rows.iter().map(|row| row.since_ms).collect::<Vec<_>>();
    let before = since(site.store.peppers(soon()).unwrap());
    site.check_admit(&[(1, 7), (3, 9)], Ok(()));
    assert_eq!(since(site.store.peppers(soon()).unwrap()), before);
}

#[test]
fn other_keys_than_the_listed_ones_are_refused() {
    let site = Site::new();
    site.check_admit(&[(1, 7), (2, 8)], Ok(()));
    site.check_admit(&[(1, 7), (2, 8), (3, 9)], Ok(()));
    site.check_listed(&[2, 3]);
    site.check_admit(&[(2, 8)], Err("sealed under pepper 3, which is not among the keys"));
    site.check_admit(&[(2, 8), (3, 8)], Err("pepper 3 is another key"));
    site.check_admit(&[(2, 9), (3, 9), (4, 9)], Err("pepper 2 is another key"));
    site.check_listed(&[2, 3]);
    site.check_admit(&[(2, 8), (3, 9)], Ok(()));
}

#[test]
fn a_first_start_makes_a_key_and_a_later_one_does_not() {
    let site = Site::new();
    let (peppers, created) = open(&site.source(), &*site.store, soon()).unwrap();
    let created = created.unwrap();
    site.check_listed(&[1]);
    site.user(5, &peppers);
    let (again, none) = open(&site.source(), &*site.store, soon()).unwrap();
    assert_eq!((again.active_id(), none), (KeyId::FIRST, None));

    // Lost keys are not replaced by new ones, even where nobody has registered yet.
    for store in [Arc::clone(&site.store), Arc::clone(&Site::new().store)] {
        let _ = admit(&peppers, &*store, soon());
        let _ = std::fs::remove_file(&created);
        let error = open(&site.source(), &*store, soon()).unwrap_err();
        assert!(matches!(error, OpenError::Keys(KeysError::Missing { .. })), "{error}");
    }
}

#[test]
fn a_list_is_made_from_the_records_of_an_older_version() {
    let check = |records: &[&[(u16, u8)]], keys: &[(u16, u8)], expected: Result<&[u16], &str>| {
        let site = Site::new();
        for (user_id, sealed_under) in (1..).zip(records) {
            site.user(user_id, &ring(sealed_under));
        }
        site.damaged_user(1000, "not a record");
        match (seed(&ring(keys), &*site.store), expected) {
            (Ok(()), Ok(listed)) => site.check_listed(listed),
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "{error}");
                site.check_listed(&[]);
            }
            (outcome, _) => panic!("{outcome:?} instead of {expected:?}"),
        }
    };
    check(&[&[(1, 7)], &[(1, 7)]], &[(1, 7), (2, 8)], Ok(&[1]));
    check(&[&[(1, 7)], &[(2, 8)]], &[(1, 7), (2, 8)], Ok(&[1, 2]));
    check(&[&[(1, 7)], &[(2, 8)]], &[(2, 8)], Err("under pepper 1, which is not among"));
    check(&[&[(1, 7)], &[(2, 8)]], &[(1, 7), (2, 9)], Err("pepper 2 is another key"));
    // One damaged record is not a wrong key.
    check(&[&[(1, 9)], &[(1, 7)]], &[(1, 7)], Ok(&[1]));
    check(&[], &[(1, 7)], Ok(&[]));
}

#[test]
fn a_walk_shows_everybody_once() {
    let site = Site::new();
    let count = u64::from(RECORD_PAGE) * 2 + 1;
    for user_id in 1..=count {
        site.damaged_user(user_id, "record");
    }
    let mut seen = Vec::new();
    walk(&*site.store, |row| seen.push(row.user_id)).unwrap();
    assert_eq!(seen, (1..=count).collect::<Vec<_>>());
}
