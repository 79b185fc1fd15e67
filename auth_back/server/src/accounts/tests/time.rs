//! What a doubted clock means for sessions.

use std::time::Duration;

use store::{Cause, StoreError};

use crate::accounts::AccountError;
use crate::accounts::testing::{Fixture, login, patient};
use crate::login::testing::authenticate;

#[test]
fn a_session_that_the_two_times_decide_differently_is_neither_live_nor_dead() {
    let clock = clock::Movable::stopped();
    let fixture = Fixture::new();
    let token = fixture.token("ada", "correct horse");
    let long = Duration::from_millis;
    let ask = || fixture.accounts.time.ask(&*fixture.store, patient()).unwrap();
    let check = |expected: &str| {
        let all = fixture.accounts.check_sessions([token.as_str()].into_iter(), patient());
        let [Some(together)] = &all.answers[..] else { panic!("it was not found") };
        let alone = fixture.accounts.check_session(&token, patient());
        for answer in [together, &alone] {
            let found = match answer {
                Ok(_) => "live",
                Err(AccountError::SessionNotLive) => "dead",
                Err(AccountError::StoreUnavailable(StoreError::Unavailable(
                    Cause::ClockDoubted,
                ))) => "undated",
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, expected);
        }
    };
    clock.step_wall_ahead(long(86_400_000));
    // Nobody has asked, so nobody knows.
    check("live");
    ask();
    assert!(fixture.accounts.time.is_doubted());
    check("undated");
    // Whoever logs in now gets a session by the time that is believed, which is as unsure.
    authenticate(&fixture.accounts, &login("ada", "correct horse"), patient()).unwrap();
    clock.step_wall_back(long(86_400_000));
    ask();
    check("live");

    clock.step_wall_back(long(86_400_000));
    ask();
    check("live");
    clock.advance(fixture.accounts.rules.sessions.idle);
    check("undated");
    clock.step_wall_ahead(long(86_400_000));
    ask();
    check("dead");
}
