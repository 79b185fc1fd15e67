//! Parts of the system go away and come back: what cannot be known is a 503 and never a 401, nothing
//! is lost, and nothing needs a restart.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use e2e::{Answer, Client, Database, MariaDb, Server, StopOnDrop, Store, System, until};

use crate::PASSWORD;

#[test]
fn a_store_that_is_away_is_a_503_until_it_is_back() {
    let mariadb = MariaDb::start();
    let store = Store::MariaDb(mariadb.database());
    let mut system = System::builder().store(store).auth_flags(&["--lease", "0ms"]).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);

    mariadb.kill();
    check_all_unavailable(&user, &token);
    until_readiness(system.auth(), 503);
    until_readiness(system.front(), 503);
    // Alive all the same: restarting a server would not bring its store back.
    system.auth().ops().get("/healthz", None).assert_status(200);
    system.front().ops().get("/healthz", None).assert_status(200);
    // What needs no store is still judged.
    user.register("7up", PASSWORD).assert_status(400);
    user.session("no-token").assert_status(401);

    mariadb.start_again();
    until_readiness(system.auth(), 200);
    until_readiness(system.front(), 200);
    user.session(&token).assert_status(200);
    user.authenticate("ada", PASSWORD).assert_status(200);
    user.register("bob", PASSWORD).assert_status(200);
}

#[test]
fn an_auth_back_that_is_killed_is_a_503_until_it_is_back() {
    let mut system = System::builder().auth_flags(&["--lease", "0ms"]).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);

    system.auth().kill();
    check_all_unavailable(&user, &token);
    until_readiness(system.front(), 503);
    system.front().ops().get("/healthz", None).assert_status(200);

    system.auth().start_again();
    until_readiness(system.front(), 200);
    user.session(&token).assert_status(200);
    user.authenticate("ada", PASSWORD).assert_status(200);
    user.register("bob", PASSWORD).assert_status(200);
}

#[test]
fn fronts_that_start_before_their_auth_back_serve_once_it_is_there() {
    let mut system = System::start();
    system.auth().kill();
    assert!(system.front().stop().success());
    system.front().start_again();
    until_readiness(system.front(), 503);
    let _ = unavailable(system.client().register("ada", PASSWORD));
    system.auth().start_again();
    until_readiness(system.front(), 200);
    system.client().register("ada", PASSWORD).assert_status(200);
}

#[test]
fn users_do_not_notice_that_one_of_two_auth_backs_dies() {
    let store = Store::MariaDb(Database::new());
    // Nothing is to come from a lease, and a busy machine is not to decide the test.
    let mut system = System::builder()
        .store(store)
        .auths(2)
        .auth_flags(&["--lease", "0ms"])
        .front_flags(&["--request-timeout", "30s"])
        .start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    // Somebody else logs in again and again: with enough sessions, the oldest ends.
    user.register("bob", PASSWORD).assert_status(200);

    let stop = AtomicBool::new(false);
    let counts = [0; 3].map(AtomicUsize::new);
    let [checks, logins, registrations] = &counts;
    // As often as it can: every answer has to be a 200.
    let run = |done: &AtomicUsize, request: &dyn Fn(usize) -> Answer| {
        while !stop.load(Ordering::Relaxed) {
            request(done.load(Ordering::Relaxed)).assert_status(200);
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let until_all_progress = || {
        let now = || counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let before = now();
        until("requests of each kind to be answered", || {
            now().iter().zip(before).all(|(now, before)| *now >= before + 20).then_some(())
        });
    };
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| run(checks, &|_| user.session(&token)));
        scope.spawn(|| run(logins, &|_| user.authenticate("bob", PASSWORD)));
        scope.spawn(|| run(registrations, &|n| user.register(&format!("user-{n}"), PASSWORD)));
        // Each in its turn dies under load, and comes back.
        for auth in system.auths() {
            until_all_progress();
            auth.kill();
            until_all_progress();
            auth.start_again();
        }
        until_all_progress();
    });
}

/// Every request that needs the store is refused with 503 and a time to come back.
pub(crate) fn check_all_unavailable(user: &Client, token: &str) {
    for answer in [
        user.register("bob", PASSWORD),
        user.authenticate("ada", PASSWORD),
        user.authenticate("ada", "wrong horse battery"),
        user.authenticate("nobody", PASSWORD),
        user.session(token),
        user.products(Some(token)),
        user.logout(token),
    ] {
        let _ = unavailable(answer);
    }
}

fn unavailable(answer: Answer) -> Answer {
    let answer = answer.assert_status(503);
    let seconds = answer.field("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(seconds.is_some(), "{answer:?}");
    answer
}

/// Waits until the server says that it is ready for all (200), or for nobody (503).
pub(crate) fn until_readiness(server: &Server, status: u16) {
    let ops = server.ops();
    until("readiness to change", || {
        let answer = ops.get("/readyz", None);
        // After an outage it may be ready for reads a moment before.
        (answer.status == status && !answer.text().contains("serves")).then_some(())
    });
}
