//! Which records a login upgrades, and what it leaves alone.

use std::thread;
use std::time::Duration;

use credentials::{KeyId, Keyring, SecretKey};
use hashing::Params;
use hashing::threads::Work;
use lane::Flow;
use store::Users as _;

use super::*;
use crate::accounts::testing::{Fault, Fixture, REHASH_RATE, login, patient, rules};
use crate::accounts::upgrades::Budget;
use crate::accounts::{AccountError, Rules, Upgrades};
use crate::login::testing::authenticate;

const PASSWORD: &str = "correct horse battery";

fn id(id: u16) -> KeyId {
    KeyId::new(id).unwrap()
}

/// A ring of these keys, the last of which is active.
fn ring(ids: &[u16]) -> Keyring {
    let key = |n: &u16| (id(*n), SecretKey::from([u8::try_from(*n).unwrap(); 32]));
    Keyring::new(id(*ids.last().unwrap()), ids.iter().map(key).collect()).unwrap()
}

fn params(t: u32) -> Rules {
    Rules { params: Params::in_record(8, t, 1).unwrap(), ..rules() }
}

fn record(fixture: &Fixture, username: &str) -> PasswordRecord {
    let user = fixture.store.user_by_name(username, patient()).unwrap().unwrap();
    fixture.store.take_calls();
    user.password_record.parse().unwrap()
}

/// Logs in and says which of the counts went up.
#[track_caller]
fn upgrades(fixture: &Fixture, username: &str, deadline: Instant) -> Vec<Upgrade> {
    let counts = || Upgrade::ALL.map(|upgrade| fixture.accounts.upgrades.count(upgrade));
    let before = counts();
    authenticate(&fixture.accounts, &login(username, PASSWORD), deadline)
        .expect("the login counts");
    let counted = counts().into_iter().zip(before).zip(Upgrade::ALL);
    counted
        .flat_map(|((now, then), upgrade)| vec![upgrade; usize::try_from(now - then).unwrap()])
        .collect()
}

#[test]
fn a_record_that_is_up_to_date_stays() {
    let fixture = Fixture::new();
    fixture.user("ada", PASSWORD);
    let before = record(&fixture, "ada");
    assert_eq!(upgrades(&fixture, "ada", patient()), []);
    assert_eq!(fixture.store.take_calls(), ["user_by_name", "keep_sessions"]);
    assert!(record(&fixture, "ada") == before);
}

#[test]
fn another_work_factor_is_brought_in_within_the_budget() {
    let fixture = Fixture::with(params(1));
    let users = ["ada", "bob", "cay", "dot"];
    for user in users {
        fixture.user(user, PASSWORD);
    }
    let fixture = fixture.restarted(params(2));
    let before: Vec<_> = users.iter().map(|user| record(&fixture, user)).collect();
    // How many more than the burst were in the budget is the clock's to say.
    let outcomes: Vec<_> =
        users.iter().flat_map(|user| upgrades(&fixture, user, patient())).collect();
    let count = |upgrade| outcomes.iter().filter(|outcome| **outcome == upgrade).count();
    assert_eq!(count(Upgrade::Rehashed) + count(Upgrade::Postponed), users.len(), "{outcomes:?}");
    assert!(count(Upgrade::Rehashed) >= usize::try_from(REHASH_RATE).unwrap(), "{outcomes:?}");
    assert_eq!(outcomes[0], Upgrade::Rehashed);
    for ((user, before), outcome) in users.iter().zip(before).zip(outcomes) {
        let after = record(&fixture, user);
        assert_eq!(after == before, outcome == Upgrade::Postponed);
        let t = if outcome == Upgrade::Rehashed { 2 } else { 1 };
        assert_eq!(after.params(), Some(params(t).params));
    }
}

#[test]
fn without_time_a_budget_or_an_arena_nothing_is_hashed() {
    let fixture = Fixture::with(params(1));
    fixture.user("ada", PASSWORD);
    let mut fixture = fixture.restarted(params(2));
    let before = record(&fixture, "ada");
    let soon = clock::now() + REHASH_TIME_MIN;
    // Whether the login is still in time is the clock's to say; that nothing is hashed is not.
    let _ = authenticate(&fixture.accounts, &login("ada", PASSWORD), soon);
    assert!(record(&fixture, "ada") == before);

    let user = fixture.store.user_by_name("ada", patient()).unwrap().unwrap();
    let (user_id, password) =
        (UserId::new(user.user_id).unwrap(), Arc::new(Password::for_login(PASSWORD).unwrap()));
    let only_one = fixture.accounts.arenas.acquire(patient()).unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            fixture.accounts.hashers.run(Flow::ONE, patient(), Work::Unknown(Box::new(|_| ())))
        });
        while fixture.accounts.hashers.is_free() {
            thread::yield_now();
        }
        fixture.accounts.upgrade(user_id, &user.password_record, &before, &password, patient());
        drop(only_one);
        other.join().unwrap().unwrap();
    });
    assert!(record(&fixture, "ada") == before);

    Arc::get_mut(&mut fixture.accounts).unwrap().upgrades = Upgrades::new(0);
    assert_eq!(upgrades(&fixture, "ada", patient()), [Upgrade::Postponed]);
    assert!(record(&fixture, "ada") == before);
}

#[test]
fn an_older_pepper_is_replaced_without_a_hash_or_a_budget() {
    let mut fixture = Fixture::with(params(1)).with_peppers(ring(&[1]));
    fixture.user("ada", PASSWORD);
    let before = record(&fixture, "ada");
    fixture = fixture.with_peppers(ring(&[1, 2]));
    Arc::get_mut(&mut fixture.accounts).unwrap().upgrades = Upgrades::new(0);
    assert_eq!(upgrades(&fixture, "ada", patient()), [Upgrade::Resealed]);
    assert_eq!(record(&fixture, "ada").pepper_id(), id(2));
    assert_eq!(upgrades(&fixture, "ada", patient()), []);

    // With another work factor that has to wait, the pepper does not wait.
    let user = fixture.store.user_by_name("ada", patient()).unwrap().unwrap();
    let (old, new) = (user.password_record, before.to_text());
    assert!(fixture.store.replace_password_record(user.user_id, &old, &new, patient()).unwrap());
    let mut fixture = fixture.restarted(params(2));
    let both = [Upgrade::Resealed, Upgrade::Postponed];
    assert_eq!(upgrades(&fixture, "ada", patient()), both);
    assert_eq!(record(&fixture, "ada").params(), Some(params(1).params));

    // A server that does not know of the newest pepper does not go back to the one before.
    fixture = fixture.with_peppers(ring(&[2, 1]));
    assert_eq!(upgrades(&fixture, "ada", patient()), []);
    assert_eq!(record(&fixture, "ada").pepper_id(), id(2));
}

#[test]
fn a_wrong_password_upgrades_nothing() {
    let fixture = Fixture::with(params(1)).with_peppers(ring(&[1]));
    fixture.user("ada", PASSWORD);
    let fixture = fixture.restarted(params(2)).with_peppers(ring(&[1, 2]));
    let before = record(&fixture, "ada");
    let outcome = authenticate(&fixture.accounts, &login("ada", "wrong horse battery"), patient());
    assert!(matches!(outcome, Err(AccountError::PasswordWrong)), "{outcome:?}");
    assert!(record(&fixture, "ada") == before);
    assert_eq!(Upgrade::ALL.map(|upgrade| fixture.accounts.upgrades.count(upgrade)), [0; 5]);
}

#[test]
fn what_was_changed_meanwhile_stays_and_a_fault_is_nobodys_affair() {
    let fixture = Fixture::with(params(1)).with_peppers(ring(&[1]));
    fixture.user("ada", PASSWORD);
    let fixture = fixture.with_peppers(ring(&[1, 2]));
    let user = fixture.store.user_by_name("ada", patient()).unwrap().unwrap();
    let (user_id, password) =
        (UserId::new(user.user_id).unwrap(), Arc::new(Password::for_login(PASSWORD).unwrap()));
    let old = record(&fixture, "ada");
    let upgrade = || {
        fixture.accounts.upgrade(user_id, &user.password_record, &old, &password, patient());
    };
    fixture.store.set_fault(Some(Fault::Unavailable));
    upgrade();
    fixture.store.set_fault(None);
    assert_eq!(fixture.accounts.upgrades.count(Upgrade::Failed), 1);

    let changed = old.reseal(user_id, &fixture.accounts.peppers.current()).unwrap();
    let (old_text, new_text) = (&user.password_record, changed.to_text());
    assert!(
        fixture
            .store
            .replace_password_record(user_id.get(), old_text, &new_text, patient())
            .unwrap()
    );
    upgrade();
    assert_eq!(fixture.accounts.upgrades.count(Upgrade::Lost), 1);
    assert!(record(&fixture, "ada") == changed);
}

#[test]
fn a_budget_gives_so_many_a_second() {
    let start = clock::now();
    let taken = |budget: &Budget, ms: u64| {
        let now = start + Duration::from_millis(ms);
        (0..1_000).take_while(|_| budget.take(now)).count()
    };
    let budget = Budget::new(4, start);
    assert_eq!(taken(&budget, 0), 4);
    assert_eq!(taken(&budget, 249), 0);
    assert_eq!(taken(&budget, 250), 1);
    assert_eq!(taken(&budget, 1_000), 3);
    // However long nobody asked, and whatever another thread saw as now.
    assert_eq!(taken(&budget, 3_600_000), 4);
    assert_eq!(taken(&budget, 1_000), 0);
    assert_eq!(taken(&budget, 3_600_250), 1);
    let none = Budget::new(0, start);
    assert_eq!(taken(&none, 3_600_000), 0);
}

#[test]
fn every_upgrade_has_a_place_to_be_counted() {
    for (index, upgrade) in Upgrade::ALL.into_iter().enumerate() {
        assert_eq!(upgrade as usize, index);
    }
}
