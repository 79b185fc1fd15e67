//! Which keys a store takes for its peppers.

use std::sync::Arc;

use credentials::{Keyring, SecretKey};
use store::NewSession;

use super::testing::{Site, id, now_ms, ring, soon};
use super::*;

impl Site {
    #[track_caller]
    fn check_listed(&self, expected: &[u16]) {
        let rows = self.store.keys(KeyList::Peppers, soon()).unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_admit(&self, keys: &[(u16, u8)], expected: Result<(), &str>) {
        let outcome =
            admit(&ring(keys), &*self.store, now_ms(), soon()).map_err(|error| error.to_string());
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
    let since = |rows: Vec<KeyRow>| rows.iter().map(|row| row.since_ms).collect::<Vec<_>>();
    let before = since(site.store.keys(KeyList::Peppers, soon()).unwrap());
    site.check_admit(&[(1, 7), (3, 9)], Ok(()));
    assert_eq!(since(site.store.keys(KeyList::Peppers, soon()).unwrap()), before);
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
    let (peppers, created) = open(&site.source(), &*site.store, now_ms(), soon()).unwrap();
    let created = created.unwrap();
    site.check_listed(&[1]);
    site.user(5, &peppers);
    let (again, none) = open(&site.source(), &*site.store, now_ms(), soon()).unwrap();
    assert_eq!((again.active_id(), none), (KeyId::FIRST, None));

    // Lost keys are not replaced by new ones, even where nobody has registered yet.
    for store in [Arc::clone(&site.store), Arc::clone(&Site::new().store)] {
        let _ = admit(&peppers, &*store, now_ms(), soon());
        let _ = std::fs::remove_file(&created);
        let error = open(&site.source(), &*store, now_ms(), soon()).unwrap_err();
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
        match (seed(&ring(keys), &*site.store, now_ms()), expected) {
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

fn token_ring(keys: &[(u16, u8)]) -> TokenKeyring {
    let keys: Vec<_> =
        keys.iter().map(|(n, byte)| (id(*n), SecretKey::from([*byte; 32]))).collect();
    let active = keys.iter().map(|(id, _)| *id).max().unwrap();
    TokenKeyring::from(Keyring::new(active, keys).unwrap())
}

#[test]
fn token_keys_are_listed_apart_from_peppers() {
    let site = Site::new();
    site.check_admit(&[(1, 7)], Ok(()));
    let admit = |keys: &[(u16, u8)]| admit(&token_ring(keys), &*site.store, now_ms(), soon());
    admit(&[(1, 9)]).unwrap();
    admit(&[(1, 9), (2, 8)]).unwrap();
    let rows = site.store.keys(KeyList::TokenKeys, soon()).unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 2]);
    for (keys, words) in [
        (&[(1, 9)][..], "signed under token key 2, which is not among the keys"),
        (&[(1, 9), (2, 7)], "token key 2 is another key than the one that sessions"),
        (&[(1, 7), (2, 8), (3, 1)], "token key 1 is another key"),
    ] {
        let error = admit(keys).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    site.check_listed(&[1]);
}

#[test]
fn a_first_token_key_is_made_where_there_is_neither_a_list_nor_a_session() {
    let site = Site::new();
    let open = |site: &Site| open_token_keys(&site.source(), &*site.store, now_ms(), soon());
    let (keys, created) = open(&site).unwrap();
    assert_eq!((keys.keys().active_id(), created.is_some()), (KeyId::FIRST, true));
    assert!(open(&site).unwrap().1.is_none());
    // Lost: to make another would call everybody's session forged.
    std::fs::remove_file(created.unwrap()).unwrap();
    assert!(matches!(open(&site), Err(OpenError::Fault(KeyFault::Missing(Purpose::Token, _)))));

    // An older version made no list.
    let site = Site::new();
    let keys = [(1, 7), (2, 8), (5, 9)];
    let write = |(n, byte): (u16, u8)| {
        let directory = site.directory.path().join("keys");
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("token-{n}.key"));
        std::fs::write(&path, format!("0{}", byte.to_string().repeat(63))).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
    };
    keys.into_iter().for_each(write);
    open(&site).unwrap();
    let rows = site.store.keys(KeyList::TokenKeys, soon()).unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 2, 5]);

    // Sessions, and the keys are gone.
    let site = Site::new();
    site.damaged_user(1, "record");
    let session = NewSession {
        session_id: 1,
        token_digest: [1; 32],
        user_id: 1,
        epoch: 0,
        created_at_ms: 0,
        expires_at_ms: i64::MAX as u64,
        ends_at_ms: i64::MAX as u64,
        client_address: None,
        user_agent: None,
    };
    site.store.insert_session(&session, soon()).unwrap();
    assert!(matches!(open(&site), Err(OpenError::Fault(KeyFault::Lost))));
}
