//! Many sessions of one user: listed, ended, capped, idle; and changed passwords.

use lane::Flow;
use sessions::SessionRules;
use unix_time::millis;

use super::*;
use crate::accounts::testing::change;
use crate::login::testing::authenticate;

const NEW: &str = "staple battery horse";

fn log_in(fixture: &Fixture, name: &str, password: &str) -> String {
    let opened = authenticate(&fixture.accounts, &login(name, password), patient()).unwrap();
    opened.token.expose().to_owned()
}

#[track_caller]
fn check_live(fixture: &Fixture, token: &str, expected: bool) {
    match fixture.accounts.check_session(token, patient()) {
        Ok(_) => assert!(expected, "it is live"),
        Err(AccountError::SessionNotLive) => assert!(!expected, "it is dead"),
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn logging_out_everywhere_ends_every_session_of_the_user() {
    let fixture = Fixture::new();
    let first = fixture.token("ada", PASSWORD);
    let second = log_in(&fixture, "ada", PASSWORD);
    let other = fixture.token("bob", PASSWORD);
    let ended = fixture.accounts.log_out_everywhere(&first, patient()).unwrap();
    assert_eq!(ended.settles_in, rules().sessions.lease + LEASE_MARGIN);
    check_live(&fixture, &first, false);
    check_live(&fixture, &second, false);
    check_live(&fixture, &other, true);
    let again = fixture.accounts.log_out_everywhere(&first, patient());
    check_refused!(again, AccountError::SessionNotLive);
    let fresh = log_in(&fixture, "ada", PASSWORD);
    check_live(&fixture, &fresh, true);
}

#[test]
fn a_user_lists_and_revokes_their_own_sessions_alone() {
    let fixture = Fixture::new();
    let Fixture { accounts, .. } = &fixture;
    let first = fixture.token("ada", PASSWORD);
    let second = log_in(&fixture, "ada", PASSWORD);
    let other = fixture.token("bob", PASSWORD);

    let listed = accounts.list_sessions(&first, patient()).unwrap();
    let ids: Vec<u64> = listed.sessions.iter().map(|session| session.session_id).collect();
    assert_eq!((ids.len(), ids[1]), (2, listed.current.session_id), "newest first");
    let others = accounts.list_sessions(&other, patient()).unwrap();
    assert_eq!(others.sessions.len(), 1);

    let revoke = |token: &str, id| accounts.revoke_session(token, id, patient(), &mut None);
    check_refused!(revoke(&first, others.current.session_id), AccountError::SessionUnknown);
    check_refused!(revoke(&first, 1), AccountError::SessionUnknown);
    check_refused!(revoke(&first, u64::MAX), AccountError::SessionUnknown);
    check_live(&fixture, &other, true);
    let ended = revoke(&first, ids[0]).unwrap();
    assert_eq!(ended.settles_in, rules().sessions.lease + LEASE_MARGIN);
    check_live(&fixture, &second, false);
    check_refused!(revoke(&first, ids[0]), AccountError::SessionUnknown);
    revoke(&first, ids[1]).expect("one's own");
    check_live(&fixture, &first, false);
    check_refused!(revoke(&first, ids[1]), AccountError::SessionNotLive);
    check_refused!(accounts.list_sessions(&first, patient()), AccountError::SessionNotLive);
}

#[test]
fn a_changed_password_leaves_one_session_a_new_one() {
    let fixture = Fixture::new();
    let Fixture { accounts, .. } = &fixture;
    let first = fixture.token("ada", PASSWORD);
    let second = log_in(&fixture, "ada", PASSWORD);
    let changed = accounts
        .change_password(&change(&first, PASSWORD, NEW), Flow::ONE, patient(), &mut None)
        .unwrap();
    assert_eq!(changed.settles_in, rules().sessions.lease + LEASE_MARGIN);
    check_live(&fixture, &first, false);
    check_live(&fixture, &second, false);
    check_live(&fixture, changed.opened.token.expose(), true);
    let authenticate = |password| authenticate(accounts, &login("ada", password), patient());
    check_refused!(authenticate(PASSWORD), AccountError::PasswordWrong);
    authenticate(NEW).expect("it is the password now");
    let listed = accounts.list_sessions(changed.opened.token.expose(), patient()).unwrap();
    assert_eq!(listed.sessions.len(), 2);
}

#[test]
fn a_password_is_changed_by_who_knows_it_and_to_what_is_allowed() {
    let fixture = Fixture::new();
    let token = fixture.token("ada", PASSWORD);
    let tried = |current, new| {
        fixture.accounts.change_password(
            &change(&token, current, new),
            Flow::ONE,
            patient(),
            &mut None,
        )
    };
    check_refused!(tried(WRONG, NEW), AccountError::PasswordWrong);
    check_refused!(tried(PASSWORD, "short"), AccountError::Password(_));
    check_refused!(tried(PASSWORD, "password1"), AccountError::Password(_));
    check_refused!(tried("", NEW), AccountError::Password(_));
    let over = clock::now();
    let late = fixture.accounts.change_password(
        &change(&token, PASSWORD, NEW),
        Flow::ONE,
        over,
        &mut None,
    );
    check_refused!(late, AccountError::TimedOut);
    check_live(&fixture, &token, true);
    authenticate(&fixture.accounts, &login("ada", PASSWORD), patient()).expect("it is unchanged");
    let forged = change("gate_x", PASSWORD, NEW);
    let refused = fixture.accounts.change_password(&forged, Flow::ONE, patient(), &mut None);
    check_refused!(refused, AccountError::SessionNotLive);
}

/// Whoever logs everybody out, or changes the password first, has the last word.
#[test]
fn of_many_changes_of_a_password_at_once_one_wins() {
    let fixture = Fixture::new();
    let Fixture { accounts, .. } = &fixture;
    let token = fixture.token("ada", PASSWORD);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let racers: Vec<_> = (0..4)
            .map(|racer| {
                let token = &token;
                scope.spawn(move || {
                    let new = format!("{NEW} {racer}");
                    accounts.change_password(
                        &change(token, PASSWORD, &new),
                        Flow::ONE,
                        patient(),
                        &mut None,
                    )
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let winners: Vec<_> = outcomes.iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    check_live(&fixture, winners[0].opened.token.expose(), true);
    for outcome in &outcomes {
        assert!(matches!(outcome, Ok(_) | Err(AccountError::SessionNotLive)), "{outcome:?}");
    }
}

#[test]
fn a_login_that_began_before_everybody_was_logged_out_is_dead() {
    let fixture = Fixture::new();
    let Fixture { accounts, store, .. } = &fixture;
    let ada = fixture.user("ada", PASSWORD);
    let only_one = accounts.arenas.acquire(patient()).unwrap();
    let opened = thread::scope(|scope| {
        let login = scope.spawn(|| authenticate(accounts, &login("ada", PASSWORD), patient()));
        while accounts.arenas.stats().waiting == 0 {
            thread::yield_now();
        }
        // The epoch has been read, the password has not been checked.
        store.raise_session_epoch(ada, patient()).unwrap();
        drop(only_one);
        login.join().unwrap().unwrap()
    });
    check_live(&fixture, opened.token.expose(), false);
}

#[test]
fn with_one_session_too_many_the_oldest_ends() {
    let sessions = SessionRules { per_user: 2, ..rules().sessions };
    let fixture = Fixture::with(Rules { sessions, ..rules() });
    let tokens = [
        fixture.token("ada", PASSWORD),
        log_in(&fixture, "ada", PASSWORD),
        log_in(&fixture, "ada", PASSWORD),
    ];
    check_live(&fixture, &tokens[0], false);
    check_live(&fixture, &tokens[1], true);
    check_live(&fixture, &tokens[2], true);
}

#[test]
fn a_session_that_is_used_is_noted_a_few_times_and_lives_on() {
    let fixture = Fixture::new();
    let token = fixture.token("ada", PASSWORD);
    for _ in 0..3 {
        check_live(&fixture, &token, true);
    }
    assert_eq!(fixture.store.take_calls(), ["session"; 3], "it was just begun");

    let row = fixture.accounts.list_sessions(&token, patient()).unwrap().current;
    let idle_ms = millis(rules().sessions.idle);
    assert_eq!(row.expires_at_ms, row.created_at_ms + idle_ms);
    // As if a tenth of the idle time had passed.
    let earlier = row.last_seen_at_ms - idle_ms / 10;
    fixture.execute(&format!(
        "UPDATE session SET last_seen_at_ms = {earlier}, created_at_ms = {earlier}"
    ));
    fixture.store.take_calls();
    check_live(&fixture, &token, true);
    check_live(&fixture, &token, true);
    assert_eq!(fixture.store.take_calls(), ["session"; 2], "nobody waits for the note");
    fixture.accounts.sessions.write_notes();
    assert_eq!(fixture.store.take_calls(), ["refresh_sessions"], "which is made once");
    let seen = fixture.accounts.list_sessions(&token, patient()).unwrap().current;
    assert!(seen.last_seen_at_ms >= row.last_seen_at_ms, "{seen:?}");
    assert_eq!(seen.expires_at_ms, seen.last_seen_at_ms + idle_ms);
    assert_eq!(seen.ends_at_ms, row.ends_at_ms);

    // However busy it is, it ends.
    let soon = seen.last_seen_at_ms + 60_000;
    fixture
        .execute(&format!("UPDATE session SET last_seen_at_ms = {earlier}, ends_at_ms = {soon}"));
    check_live(&fixture, &token, true);
    fixture.accounts.sessions.write_notes();
    let last = fixture.accounts.list_sessions(&token, patient()).unwrap().current;
    assert_eq!(last.expires_at_ms, soon);
    let live = fixture.accounts.check_session(&token, patient()).unwrap();
    assert!(live.expires_in <= Duration::from_secs(60), "{live:?}");
}
