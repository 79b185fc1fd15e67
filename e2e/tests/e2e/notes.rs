//! A store that is read and takes no writes: whoever is logged in stays so.

use std::time::{Duration, Instant};

use e2e::{Client, MariaDb, Redis, Store, System, until};

use crate::PASSWORD;

/// So short that a session outlives it here.
const IDLE: Duration = Duration::from_secs(3);

const FLAGS: [&str; 4] = ["--session-idle", "3s", "--lease", "0ms"];

const PENDING: &str = "auth_back_session_notes_pending";
const FAILURES: &str = "auth_back_session_note_failures_total";
const WRITTEN: &str = "auth_back_session_notes_total{outcome=\"written\"}";

#[test]
fn a_read_only_mariadb_logs_nobody_out() {
    let mariadb = MariaDb::start();
    let store = Store::MariaDb(mariadb.database_of_account());
    let system = System::builder().store(store).auth_flags(&FLAGS).start();
    logs_nobody_out(system, &|_, is_full| mariadb.read_only(is_full));
}

#[test]
fn a_read_only_mariadb_with_redis_logs_nobody_out() {
    let (mariadb, redis) = (MariaDb::start(), Redis::start());
    let store = Store::MariaDb(mariadb.database_of_account());
    let url = redis.url();
    let flags = [&FLAGS[..], &["--sessions", &url]].concat();
    let system = System::builder().store(store).auths(2).auth_flags(&flags).start();
    logs_nobody_out(system, &|_, is_full| mariadb.read_only(is_full));
}

#[test]
fn a_full_disk_logs_nobody_out() {
    let system = System::builder().auth_flags(&FLAGS).auth_outlives_file_limit().start();
    logs_nobody_out(system, &|system, is_full| {
        system.auth().limit_files(is_full.then_some(1));
    });
}

#[test]
fn a_full_disk_with_redis_logs_nobody_out() {
    let redis = Redis::start();
    let url = redis.url();
    let flags = [&FLAGS[..], &["--sessions", &url]].concat();
    let system = System::builder().auth_flags(&flags).auth_outlives_file_limit().start();
    logs_nobody_out(system, &|system, is_full| {
        system.auth().limit_files(is_full.then_some(1));
    });
}

/// `refuse` has the store take no writes, or take them again.
fn logs_nobody_out(mut system: System, refuse: &dyn Fn(&mut System, bool)) {
    let user = system.client();
    let log_in = |name: &str| {
        user.register(name, PASSWORD).assert_status(200);
        user.log_in(name, PASSWORD)
    };
    let used = ["ada", "bob", "cyd", "dan"].map(log_in);
    let unused = log_in("eve");

    refuse(&mut system, true);
    let began = Instant::now();
    let mut rounds = 0;
    // As long as a session lives unseen, and half of that longer; a note is due in each tenth of it.
    while rounds < 100 || began.elapsed() < IDLE * 3 / 2 {
        for token in &used {
            user.session(token).assert_status(200);
        }
        user.products(Some(&used[rounds % used.len()])).assert_status(200);
        rounds += 1;
    }
    check_refuses(&mut system, &user, &unused);

    refuse(&mut system, false);
    until("the notes to be written", || {
        let pending = |system: &mut System| -> f64 {
            system.auths().iter().map(|auth| auth.metric(PENDING)).sum()
        };
        for token in &used {
            user.session(token).assert_status(200);
        }
        (pending(&mut system) == 0.0).then_some(())
    });
    user.session(&unused).assert_status(401);
    let written: f64 = system.auths().iter().map(|auth| auth.metric(WRITTEN)).sum();
    assert!(written >= 4.0, "{written}");
    // What was noted is in the store, and not in the memory of a server.
    let began = Instant::now();
    for auth in system.auths() {
        assert!(auth.stop().success());
        auth.start_again();
    }
    system.until_ready();
    let statuses = used.each_ref().map(|token| user.session(token).status);
    // Where much else runs, that may take longer than a session lives unseen, and shows nothing.
    if began.elapsed() < IDLE * 2 / 3 {
        assert_eq!(statuses, [200; 4]);
    }
    user.authenticate("ada", PASSWORD).assert_status(200);
}

fn check_refuses(system: &mut System, user: &Client, unused: &str) {
    // Nobody can be logged in, and who has idled out is not let in, whether that is known for sure or not.
    user.authenticate("ada", PASSWORD).assert_status(503);
    let status = user.session(unused).status;
    assert!([401, 503].contains(&status), "{status}");
    system.auth().ops().get("/readyz", None).assert_status(200);
    let (mut pending, mut failures) = (0.0, 0.0);
    for auth in system.auths() {
        pending += auth.metric(PENDING);
        failures += auth.metric(FAILURES);
    }
    // Tried once in a while, each time for all that wait; never by a check. The first tries follow quickly.
    assert!((1.0..=10.0).contains(&pending), "{pending}");
    assert!((1.0..=120.0).contains(&failures), "{failures}");
}
