//! When a logout is acknowledged, its token is dead on every front, although each front may answer
//! for a session by itself for a while.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use e2e::{Client, Redis, StopOnDrop, System};

use crate::PASSWORD;

/// Users at a time, and logouts of each: 200 rounds in all.
const USERS: usize = 8;
const ROUNDS: usize = 25;

#[test]
fn an_acknowledged_logout_holds_at_once_on_the_other_front() {
    // Long enough that the other front surely answers from its lease in between.
    let system = System::builder().fronts(2).auth_flags(&["--lease", "60ms"]).start();
    thread::scope(|scope| {
        for user in 0..USERS {
            let fronts = [system.client_of(0), system.client_of(1)];
            scope.spawn(move || log_out_again_and_again(&format!("user-{user}"), &fronts));
        }
    });
}

fn log_out_again_and_again(name: &str, fronts: &[Client; 2]) {
    fronts[0].register(name, PASSWORD).assert_status(200);
    for round in 0..ROUNDS {
        let [here, there] = if round % 2 == 0 { [0, 1] } else { [1, 0] }.map(|it| &fronts[it]);
        let token = here.log_in(name, PASSWORD);
        there.session(&token).assert_status(200);

        let [acknowledged, stop] = [false; 2].map(AtomicBool::new);
        thread::scope(|scope| {
            let _stop = StopOnDrop(&stop);
            // The lease over there is renewed as often as it can be.
            let refused = scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let dead = acknowledged.load(Ordering::SeqCst);
                    let answer = there.session(&token);
                    match answer.status {
                        200 => assert!(!dead, "alive after its logout: {answer:?}"),
                        401 => return,
                        _ => panic!("{answer:?}"),
                    }
                }
            });
            here.logout(&token).assert_status(200);
            acknowledged.store(true, Ordering::SeqCst);
            there.products(Some(&token)).assert_status(401);
            here.session(&token).assert_status(401);
            refused.join().expect("the other front refuses");
        });
    }
}

#[test]
fn without_leases_every_check_asks() {
    let system = System::builder().fronts(2).auth_flags(&["--lease", "0ms"]).start();
    log_out_again_and_again("ada", &[system.client_of(0), system.client_of(1)]);
}

#[test]
fn another_session_of_the_same_user_lives_on() {
    let system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let [one, other] = [0; 2].map(|_| user.log_in("ada", PASSWORD));
    user.logout(&one).assert_status(200);
    user.session(&one).assert_status(401);
    user.session(&other).assert_status(200);
}

#[test]
fn a_session_ends_when_its_lifetime_does() {
    let system = System::builder().auth_flags(&["--session-lifetime", "1s"]).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    e2e::until("the session to end", || (user.session(&token).status == 401).then_some(()));
    user.products(Some(&token)).assert_status(401);
}

#[test]
fn a_session_that_idles_ends_and_one_that_is_used_goes_on() {
    idle_session_ends(&[]);
    let redis = Redis::start();
    idle_session_ends(&["--sessions", &redis.url()]);
}

fn idle_session_ends(flags: &[&str]) {
    let flags = [flags, &["--lease", "100ms", "--session-idle", "1s"]].concat();
    let system = System::builder().auth_flags(&flags).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let [used, idle] = [0; 2].map(|_| user.log_in("ada", PASSWORD));
    for token in [&used, &idle] {
        user.products(Some(token)).assert_status(200);
    }
    // To look at the one is to use the other.
    let listed =
        || user.sessions(&used).assert_status(200).json()["sessions"].as_array().map(Vec::len);
    assert_eq!(listed(), Some(2));
    e2e::until("the idle session to end", || (listed() == Some(1)).then_some(()));
    user.products(Some(&idle)).assert_status(401);
    user.products(Some(&used)).assert_status(200);
}
