//! Bounds in number and time, and the ends of a connection.

use std::time::Duration;

use framing::v2::Health;

use super::super::testing::{Bench, hello, request};
use super::super::*;
use crate::job::Done;
use crate::limits::BUDGET_MAX;

const MOMENT: Duration = Duration::from_millis(1);
const BYTE: Duration = Duration::from_secs(1);

fn healthy() -> Result<Done, AccountError> {
    Ok(Done::Health(Ok(())))
}

fn health(correlations: impl Iterator<Item = u64>) -> Vec<u8> {
    correlations.flat_map(|correlation| request(correlation, &Health)).collect()
}

#[test]
fn input_pauses_at_the_bound_of_requests_in_work() {
    let mut bench = Bench::greeted();
    let bound = u64::from(IN_FLIGHT_MAX);
    bench.send(&health(0..bound + 2));
    let accepted =
        |bench: &mut Bench| bench.harness.shared().lanes.light.stats().snapshot().accepted;
    assert_eq!(accepted(&mut bench), bound);
    assert_eq!(bench.harness.deadline(), None, "a peer that waits for answers is not idle");

    for answered in 1..=bound + 2 {
        let job = bench.light_job();
        bench.answer(job, healthy());
        assert_eq!(accepted(&mut bench), bound + answered.min(2));
    }
    let answers = bench.answers();
    assert!(answers.iter().map(|answer| answer.0).eq(0..bound + 2), "{answers:?}");
    assert_eq!(bench.harness.deadline(), Some(IDLE_TIME_MAX));
}

#[test]
fn a_full_lane_refuses_at_once() {
    let mut bench = Bench::full();
    bench.send(&request(3, &Health));
    bench.deliver();
    assert_eq!(bench.answers(), [(3, 503, "overloaded".to_owned())]);
    // From here on it is known.
    bench.send(&request(4, &Health));
    assert_eq!(bench.answers(), [(4, 503, "overloaded".to_owned())]);
    bench.post.check_empty();
    assert_eq!(bench.harness.shared().metrics.overloaded.get(), 2);

    // The refused one is not in work: two answers, and the connection is idle.
    for correlation in [1, 2] {
        assert_eq!(bench.harness.deadline(), None);
        let job = bench.light_job();
        bench.answer(job, healthy());
        assert_eq!(bench.answers(), [(correlation, 200, String::new())]);
    }
    assert_eq!(bench.harness.deadline(), Some(IDLE_TIME_MAX));
}

#[test]
fn a_job_that_is_dropped_is_answered() {
    let mut bench = Bench::greeted();
    bench.send(&request(2, &Health));
    drop(bench.light_job());
    bench.deliver();
    assert_eq!(bench.answers(), [(2, 500, "internal".to_owned())]);
    bench.post.check_empty();
}

#[test]
fn a_silent_peer_is_closed() {
    let mut bench = Bench::new(true);
    bench.harness.advance(GREETING_TIME_MAX - MOMENT);
    assert!(!bench.harness.is_finished());
    bench.harness.advance(MOMENT);
    assert!(bench.harness.is_aborted());

    let mut bench = Bench::greeted();
    bench.harness.advance(IDLE_TIME_MAX - MOMENT);
    assert!(!bench.harness.is_finished());
    bench.harness.advance(MOMENT);
    assert!(bench.harness.is_aborted());
    assert_eq!(bench.protocol_errors(), 0, "idling is no fault");
}

#[test]
fn a_connection_is_idle_when_nothing_is_in_work_or_arrives() {
    let mut bench = Bench::new(true);
    let opened_at = bench.harness.now();
    bench.harness.advance(MOMENT);
    assert_eq!(bench.harness.idle_since(), Some(opened_at), "before it has said anything");
    bench.send(&hello()[..1]);
    assert_eq!(bench.harness.idle_since(), None, "its greeting arrives");

    let mut bench = Bench::greeted();
    let greeted_at = bench.harness.now();
    bench.harness.advance(MOMENT);
    assert_eq!(bench.harness.idle_since(), Some(greeted_at));
    let message = request(1, &Health);
    bench.send(&message[..1]);
    assert_eq!(bench.harness.idle_since(), None, "a message arrives");
    bench.send(&message[1..]);
    assert_eq!(bench.harness.idle_since(), None, "it is in work");
    let job = bench.light_job();
    bench.answer(job, healthy());
    assert_eq!(bench.harness.idle_since(), Some(bench.harness.now()));
}

/// Sends `bytes` one in each [`BYTE`] of time, until the connection is closed. Returns how long it
/// took.
fn drip(bench: &mut Bench, bytes: &[u8]) -> Duration {
    let mut took = Duration::ZERO;
    for byte in bytes {
        if bench.harness.is_finished() {
            assert_eq!(bench.protocol_errors(), 1);
            return took;
        }
        bench.send(&[*byte]);
        bench.harness.advance(BYTE);
        took += BYTE;
    }
    panic!("all bytes were taken");
}

#[test]
fn dripping_bytes_does_not_extend_a_deadline() {
    assert_eq!(drip(&mut Bench::new(false), &hello()), GREETING_TIME_MAX);
    assert_eq!(drip(&mut Bench::new(true), b"\x04AUTH\0\x03ada\0\x03abc\0\0\0"), GREETING_TIME_MAX);
    assert_eq!(drip(&mut Bench::greeted(), &request(2, &Health)), FRAME_TIME_MAX);
}

#[test]
fn an_answer_does_not_extend_the_deadline_of_half_a_message() {
    let mut bench = Bench::greeted();
    bench.send(&[&request(2, &Health)[..], b"G"].concat());
    bench.harness.advance(FRAME_TIME_MAX - MOMENT);
    let job = bench.light_job();
    bench.answer(job, healthy());
    assert_eq!(bench.answers(), [(2, 200, String::new())]);
    bench.harness.advance(MOMENT);
    assert!(bench.harness.is_aborted());
    assert_eq!(bench.protocol_errors(), 1);
}

#[test]
fn each_message_has_its_own_time() {
    let mut bench = Bench::greeted();
    let frame = request(2, &Health);
    for _ in 0..3 {
        bench.harness.advance(FRAME_TIME_MAX);
        bench.send(&frame[..10]);
        bench.harness.advance(FRAME_TIME_MAX - MOMENT);
        bench.send(&frame[10..]);
        let job = bench.light_job();
        bench.answer(job, healthy());
        assert_eq!(bench.harness.deadline(), Some(IDLE_TIME_MAX));
    }
}

/// Ends a connection in one way with requests in work and half a message, and checks that what is
/// in work is answered before it closes, however long that takes.
fn check_answered_then_closed(end: fn(&mut Bench)) {
    let mut bench = Bench::greeted();
    bench.send(&[health(2..4), b"GH".to_vec()].concat());
    end(&mut bench);
    bench.harness.advance(BUDGET_MAX);
    for correlation in [2, 3] {
        assert!(!bench.harness.is_finished());
        let job = bench.light_job();
        bench.answer(job, healthy());
        assert_eq!(bench.answers(), [(correlation, 200, String::new())]);
    }
    assert!(bench.harness.is_finished() && !bench.harness.is_aborted());
    assert_eq!(bench.protocol_errors(), 0);
}

#[test]
fn what_is_in_work_is_answered_after_the_peers_fin() {
    check_answered_then_closed(|bench| bench.harness.end_input());
}

#[test]
fn what_is_in_work_is_answered_at_shutdown() {
    check_answered_then_closed(|bench| bench.harness.shut_down());
}

#[test]
fn everything_before_the_end_is_answered() {
    let ends: [fn(&mut Bench); 2] =
        [|bench| bench.harness.end_input(), |bench| bench.harness.shut_down()];
    for end in ends {
        let mut bench = Bench::greeted();
        let bound = u64::from(IN_FLIGHT_MAX);
        bench.send(&health(0..bound + 1));
        end(&mut bench);
        for _ in 0..=bound {
            assert!(!bench.harness.is_finished());
            let job = bench.light_job();
            bench.answer(job, healthy());
        }
        assert_eq!(bench.answers().len(), IN_FLIGHT_MAX as usize + 1);
        assert!(bench.harness.is_finished());
    }
}

#[test]
fn nothing_is_begun_at_shutdown() {
    let mut bench = Bench::greeted();
    bench.send(&request(2, &Health));
    bench.harness.shut_down();
    bench.harness.feed(&request(3, &Health));
    let job = bench.light_job();
    bench.answer(job, healthy());
    assert_eq!(bench.answers(), [(2, 200, String::new())]);
    assert!(bench.harness.is_finished());
    assert_eq!(bench.harness.shared().lanes.light.stats().snapshot().accepted, 1);
}

#[test]
fn an_idle_connection_ends_at_once() {
    let stages: [fn() -> Bench; 3] = [|| Bench::new(false), || Bench::new(true), Bench::greeted];
    let ends: [fn(&mut Bench); 2] =
        [|bench| bench.harness.end_input(), |bench| bench.harness.shut_down()];
    for (stage, end) in stages.iter().flat_map(|stage| ends.map(|end| (stage, end))) {
        let mut bench = stage();
        end(&mut bench);
        assert!(bench.harness.is_finished() && !bench.harness.is_aborted());
        assert_eq!(bench.protocol_errors(), 0);
    }
}

#[test]
fn an_answer_that_comes_too_late_is_nobodys() {
    let mut bench = Bench::greeted();
    bench.send(&request(2, &Health));
    let job = bench.light_job();
    bench.harness.feed(b"garbage");
    assert!(bench.harness.is_aborted());
    bench.answer(job, healthy());
    assert_eq!(bench.answers(), []);
}
