//! Batches, faults and the end.

use std::thread;

use server_time::limits::TIME_BELIEVED_AFTER;
use sessions::SessionRules;

use super::*;
use crate::accounts::Rules;
use crate::accounts::testing::{Fault, Fixture, patient, rules};

/// Inserts `count` sessions that end at `expires_at_ms`, in one go.
fn insert_sessions(fixture: &Fixture, user_id: u64, count: u32, expires_at_ms: u64) {
    fixture.execute(&format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT {count}) \
         INSERT INTO session (token_digest, id, user_id, created_at_ms, expires_at_ms) \
         SELECT randomblob(32), n, {user_id}, 0, {expires_at_ms} FROM number"
    ));
}

fn purge(fixture: &Fixture, limit: u32) -> u32 {
    purge_batch(&*fixture.store, &fixture.accounts.time, limit).unwrap()
}

fn start(fixture: &Fixture, interval: Duration) -> Janitor {
    let time = Arc::clone(&fixture.accounts.time);
    Janitor::start(Arc::clone(&fixture.store) as _, time, interval).unwrap()
}

#[test]
fn expired_sessions_are_deleted_in_batches() {
    let clock = clock::Movable::running();
    let fixture = Fixture::new();
    clock.advance(TIME_BELIEVED_AFTER);
    let user_id = fixture.user("ada", "correct horse");
    let token = fixture.token("bob", "correct horse");
    insert_sessions(&fixture, user_id, 2 * PURGE_BATCH + 10, 1_000);
    for expected in [PURGE_BATCH, PURGE_BATCH, 10, 0] {
        assert_eq!(purge(&fixture, PURGE_BATCH), expected);
    }
    fixture.accounts.check_session(&token, patient()).expect("it has not expired");
}

/// The store takes writes again, and the purge is the first who does: what was in use meanwhile outlives it.
#[test]
fn a_session_is_left_for_a_while_after_it_has_expired() {
    let clock = clock::Movable::stopped();
    let sessions = SessionRules { lifetime: Duration::from_secs(43_200), ..rules().sessions };
    let fixture = Fixture::with(Rules { sessions, ..rules() });
    let token = fixture.token("ada", "correct horse");
    let session = || fixture.accounts.check_session(&token, patient());
    let idle = fixture.accounts.rules.sessions.idle;
    let step = idle - Duration::from_secs(60);
    fixture.store.set_fault(Some(Fault::ReadOnly));
    // It idles out in the store, and is used all the while.
    for _ in 0..2 {
        clock.advance(step);
        session().expect("it is in use");
    }
    fixture.store.set_fault(None);
    assert_eq!(purge(&fixture, PURGE_BATCH), 0);
    fixture.accounts.sessions.write_notes();
    session().expect("the note has come in time");
    // One that nobody notes goes.
    clock.advance(idle);
    assert!(session().is_err());
    clock.advance(PURGE_AFTER - Duration::from_millis(1));
    assert_eq!(purge(&fixture, PURGE_BATCH), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(purge(&fixture, PURGE_BATCH), 1);
}

/// Waits until the store was asked `count` times more.
fn wait_for_calls(fixture: &Fixture, count: usize) {
    let deadline = patient();
    let mut seen = 0;
    while seen < count {
        assert!(clock::now() < deadline, "the store is not asked any more");
        seen += fixture.store.take_calls().len();
        thread::yield_now();
    }
}

#[test]
fn a_full_batch_is_followed_by_the_next_and_a_fault_by_another_try() {
    let clock = clock::Movable::running();
    let fixture = Fixture::new();
    clock.advance(TIME_BELIEVED_AFTER);
    let user_id = fixture.user("ada", "correct horse");
    insert_sessions(&fixture, user_id, PURGE_BATCH_MIN + 1, 1_000);
    fixture.store.set_fault(Some(Fault::Panic));
    let janitor = start(&fixture, Duration::from_millis(1));
    for fault in [Fault::Panic, Fault::Unavailable] {
        fixture.store.set_fault(Some(fault));
        wait_for_calls(&fixture, 3);
    }
    fixture.store.set_fault(None);
    // Those that met the fault do not count, however many there were. Two more take all.
    fixture.store.take_calls();
    wait_for_calls(&fixture, 3);
    assert!(janitor.end_by(patient()));
    assert_eq!(purge(&fixture, 1), 0);
}

#[test]
fn nothing_is_deleted_by_a_clock_that_may_be_wrong() {
    let clock = clock::Movable::stopped();
    let day = Duration::from_secs(86_400);
    // The clock is a day ahead already when the server starts.
    clock.step_wall_ahead(day);
    let fixture = Fixture::new();
    clock.step_wall_back(day);
    let ask = || fixture.accounts.time.ask(&*fixture.store, patient()).unwrap();
    let user_id = fixture.user("ada", "correct horse");
    let now_ms = unix_time::unix_ms(clock::wall());
    insert_sessions(&fixture, user_id, 1, now_ms + 7_200_000);
    assert_eq!(purge(&fixture, PURGE_BATCH), 0);
    ask();
    clock.advance(TIME_BELIEVED_AFTER);
    assert_eq!(purge(&fixture, PURGE_BATCH), 0, "it is doubted");
    ask();
    assert!(!fixture.accounts.time.is_doubted());
    assert_eq!(purge(&fixture, PURGE_BATCH), 0, "it is believed since just now");
    // It has been right for an hour, and steps for as long as a round of the purge.
    clock.advance(TIME_BELIEVED_AFTER / 2);
    ask();
    clock.step_wall_ahead(day);
    ask();
    clock.advance(TIME_BELIEVED_AFTER / 2);
    assert_eq!(purge(&fixture, PURGE_BATCH), 0, "it is doubted again");
    clock.step_wall_back(day);
    ask();
    assert_eq!(purge(&fixture, PURGE_BATCH), 0, "it is live");
    clock.advance(PURGE_AFTER);
    assert_eq!(purge(&fixture, PURGE_BATCH), 1, "its time is over");
}

#[test]
fn stopping_does_not_wait_for_the_interval() {
    let fixture = Fixture::new();
    let hour = Duration::from_secs(3600);
    let janitor = start(&fixture, hour);
    assert!(janitor.end_by(patient()));
    assert_eq!(fixture.store.take_calls(), [""; 0]);
}

#[test]
fn slow_batches_get_smaller_and_leave_most_of_the_time_to_others() {
    let mut tempo = Tempo::new();
    let mut check = |took_ms, pause_ms, limit| {
        let pause = tempo.pause_after(Duration::from_millis(took_ms));
        assert_eq!((pause, tempo.limit), (Duration::from_millis(pause_ms), limit), "{took_ms} ms");
    };
    check(1, 50, 50);
    check(1, 50, 100);
    check(2, 50, 200);
    check(3, 50, 200);
    check(10, 90, 200);
    check(11, 99, 100);
    check(2_000, 18_000, 50);
    check(300, 2_700, 25);
    check(300, 2_700, 25);
    for _ in 0..9 {
        tempo.pause_after(Duration::ZERO);
    }
    assert_eq!(tempo.limit, PURGE_BATCH);
}
