//! Lanes that are full or lost, and answers that come late or never.

use super::*;
use crate::limits::ANSWER_MARGIN;
use crate::testing::job;
use crate::work::{Unanswered, Work};

/// A job that only takes up room.
fn filler(bench: &Bench) -> Job {
    job(&bench.mailbox, 99, Work::CheckSession(token("filler")), bench.client.now() + HOUR)
}

/// Sends what the lane has no place for, and returns the answer.
#[track_caller]
fn refused(bench: &mut Bench, request: &str) -> Answer {
    bench.send(request);
    // The first of them is handed over and comes back; the next are known to be refused.
    bench.deliver();
    bench.answer()
}

#[track_caller]
fn check_overloaded(answer: &Answer) {
    answer.check(503, "overloaded");
    assert_eq!(answer.field("Retry-After"), Some("1"), "{answer:?}");
    assert_eq!(answer.field("Connection"), None, "the connection stays: {answer:?}");
}

#[test]
fn a_full_lane_is_an_answer_at_once_and_leaves_the_other_lane_free() {
    let mut bench = Bench::with_lanes(stalled_lane("heavy", 1), lane("light", 1));
    assert!(bench.lanes.heavy.try_submit(filler(&bench)).is_ok());
    check_overloaded(&refused(&mut bench, &login()));
    check_overloaded(&refused(&mut bench, &registration()));
    bench.send(&get("session", "t1"));
    bench.light_job();

    let mut bench = Bench::with_lanes(lane("heavy", 1), stalled_lane("light", 1));
    assert!(bench.lanes.light.try_submit(filler(&bench)).is_ok());
    check_overloaded(&refused(&mut bench, &get("products", "t1")));
    check_overloaded(&refused(&mut bench, &get("session", "t1")));
    check_overloaded(&refused(&mut bench, &logout("t1")));
    bench.send(&login());
    bench.heavy_job();
}

#[test]
fn the_request_after_one_that_found_a_full_lane_gets_its_own_answer() {
    let mut bench = Bench::with_lanes(stalled_lane("heavy", 1), lane("light", 1));
    assert!(bench.lanes.heavy.try_submit(filler(&bench)).is_ok());
    check_overloaded(&refused(&mut bench, &login()));
    bench.send(&(login() + &get("session", "t1")));
    check_overloaded(&bench.answer());
    // The second request waits for its worker. Whatever the first left behind would answer it.
    assert_eq!(bench.deliver(), 0);
    let (job, session) = (bench.light_job(), bench.session("t1", HOUR));
    let expected = r#"{"user_id":"7","username":"ada","expires_in":86400}"#;
    bench.finish(job, Outcome::Session(session)).check_ok(expected);
}

#[test]
fn a_job_that_is_dropped_is_answered() {
    let mut bench = Bench::new();
    bench.send(&(get("session", "t1") + &get("session", "")));
    drop(bench.light_job());
    assert_eq!(bench.deliver(), 1);
    let answers = bench.answers();
    assert_eq!(answers.len(), 2, "{answers:?}");
    answers[0].check(500, "internal");
    answers[1].check(401, "token_missing");
}

#[test]
fn a_request_that_no_worker_answers_is_answered_after_its_deadline_and_a_margin() {
    let mut bench = Bench::new();
    bench.send(&get("session", "t1"));
    let job = bench.light_job();
    bench.client.advance(REQUEST_TIMEOUT + ANSWER_MARGIN - Duration::from_nanos(1));
    assert!(bench.answers().is_empty());
    bench.client.advance(Duration::from_nanos(1));
    let answer = bench.answer();
    answer.check(503, "not_answered_in_time");
    assert_eq!(answer.field("Connection"), Some("close"), "{answer:?}");
    // The worker comes too late.
    job.answer(Outcome::Unanswered(Unanswered::TimedOut));
    assert_eq!(bench.deliver(), 1);
    assert!(bench.answers().is_empty());
}

#[test]
fn pipelined_requests_wait_for_their_turn_and_keep_their_order() {
    let mut bench = Bench::new();
    bench.send(&(get("session", "t1") + &get("session", "t2") + &request("GET", "/", "")));
    for name in ["t1", "t2"] {
        assert!(bench.answers().is_empty());
        let job = bench.light_job();
        assert!(matches!(&job.work, Work::CheckSession(sent) if *sent == token(name)), "{job:?}");
        assert!(bench.light.is_empty(), "one request of a connection is in work at a time");
        job.answer(Outcome::Unanswered(Unanswered::TimedOut));
        assert_eq!(bench.deliver(), 1);
        let answers = bench.answers();
        answers[0].check(503, "timed_out");
        if name == "t2" {
            assert_eq!(answers.len(), 2, "{answers:?}");
            answers[1].check(404, "not_found");
        }
    }
}
