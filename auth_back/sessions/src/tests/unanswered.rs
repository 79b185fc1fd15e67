//! Ends to which the database gives no answer: it may have done them, or do them yet.

use store::UserRow;

use super::*;

/// The database has done it, and the line broke before it said so. Nobody asks this server for anything afterwards.
#[test]
fn an_end_of_which_nobody_was_told_is_made_up_for() {
    type End = fn(&SessionKeeper, &Digest, &UserRow) -> bool;
    let ends: [End; 4] = [
        |server, digest, _| server.end(digest, patient()).is_ok(),
        |server, _, user| server.end_by_id(user.user_id, 1, patient()).is_ok(),
        |server, _, user| server.end_all(user.user_id, patient()).is_ok(),
        |server, _, user| {
            let (user_id, old, epoch) = (user.user_id, &*user.password_record, user.session_epoch);
            let change = PasswordChange { user_id, old, new: "another", epoch };
            server.change_password(&change, patient()).is_ok()
        },
    ];
    for end in ends {
        let bench = Bench::new();
        let digest = bench.begin();
        bench.until_cached(&digest);
        let user = bench.fixture.store.user_by_id(bench.user_id, patient()).unwrap().unwrap();
        bench.fixture.store.set_fault(Some(Fault::Interrupted));
        assert!(!end(&bench.servers[0], &digest, &user));
        bench.fixture.store.set_fault(None);
        assert!(bench.find(1, &digest), "nobody has told Redis");
        bench.servers[0].make_up();
        check_gone_within(&bench, &digest, GENERATION_LEASE + GENERATION_MARGIN);
    }
}

/// The same, and the database does it only after it has answered another.
#[test]
fn an_end_that_is_done_late_is_made_up_for() {
    let bench = Bench::new();
    let digest = bench.begin();
    bench.until_cached(&digest);
    bench.cache(0).doubt_end();
    bench.servers[0].make_up();
    bench.until_cached(&digest);
    let began = clock::now();
    bench.fixture.store.delete_session(&digest, patient()).unwrap();
    assert!(bench.find(1, &digest), "nobody has told Redis");
    while bench.find(1, &digest) {
        assert!(clock::now() < began + 30 * limits::DONE_LATE_MAX, "it is still found");
        bench.servers[0].make_up();
        thread::sleep(Duration::from_millis(20));
    }
    // And then it is enough.
    let era = || bench.fixture.store.cache_era(patient()).unwrap().generation;
    let generation = era();
    thread::sleep(limits::DONE_LATE_MAX);
    bench.servers[0].make_up();
    assert_eq!(era(), generation);
}
