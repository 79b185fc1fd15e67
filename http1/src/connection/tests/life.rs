//! Keep-alive, pipelining, requests in flight, deadlines and ends.

use reactor::Protocol;

use super::*;
use crate::limits::{BODY_TIME_MAX, EMPTY_LINES_MAX, HEAD_TIME_MAX, IDLE_TIME_DEFAULT};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn requests_of_one_connection_are_answered_one_after_the_other() {
    let mut wire = connect();
    for _ in 0..3 {
        wire.feed(PAGE);
        assert_eq!(sent(&mut wire), ok("page"));
    }
    assert!(!wire.is_finished());
}

#[test]
fn the_answer_to_head_has_the_length_and_no_content() {
    let mut wire = connect();
    wire.feed(b"HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(sent(&mut wire), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    wire.feed(b"HEAD /none HTTP/1.1\r\nHost: a\r\n\r\n");
    let refusal = sent(&mut wire);
    assert!(refusal.starts_with("HTTP/1.1 404 "), "{refusal}");
    assert!(refusal.ends_with("\r\n\r\n"), "{refusal}");
    assert!(!wire.is_finished());
}

#[test]
fn a_request_that_asks_for_it_is_the_last() {
    let mut wire = connect();
    let input = b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    wire.feed(&[input, PAGE].concat());
    assert_eq!(sent(&mut wire), ok_and_close("page"));
    assert!(wire.is_finished());
}

#[test]
fn http_1_0_is_served_and_goes_on_only_when_asked() {
    let mut wire = connect();
    wire.feed(b"GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let kept = ok("page").replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(sent(&mut wire), kept);
    wire.feed(b"GET /page HTTP/1.0\r\n\r\n");
    assert_eq!(sent(&mut wire), ok_and_close("page"));
    assert!(wire.is_finished());
}

#[test]
fn pipelined_requests_wait_for_the_one_in_flight_and_keep_their_order() {
    let mut wire = connect();
    wire.feed(&[PAGE, LATER, PAGE, LATER].concat());
    assert_eq!(sent(&mut wire), ok("page"));
    assert_eq!(wire.shared().handler.requests, ["Page ", "Later hi"]);
    wire.complete("done".to_owned());
    assert_eq!(sent(&mut wire), ok("done") + &ok("page"));
    wire.complete("done again".to_owned());
    assert_eq!(sent(&mut wire), ok("done again"));
    assert!(!wire.is_finished());
}

#[test]
fn empty_lines_before_a_request_are_dropped_up_to_a_bound() {
    let lines = |count: u8| "\r\n".repeat(usize::from(count)).into_bytes();
    let tolerated = [&lines(EMPTY_LINES_MAX)[..], PAGE, &lines(EMPTY_LINES_MAX), PAGE].concat();
    check(&tolerated, &[200, 200], &["Page ", "Page "], false);
    check(&[&lines(EMPTY_LINES_MAX + 1)[..], PAGE].concat(), &[400], &[], true);
    check(&[b"\n", PAGE].concat(), &[400], &[], true);
    check(&[b"\r", PAGE].concat(), &[400], &[], true);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let mut wire = connect();
    assert_eq!(wire.deadline(), Some(IDLE_TIME_DEFAULT), "before the first request");
    wire.advance(IDLE_TIME_DEFAULT - SECOND);
    wire.feed(PAGE);
    sent(&mut wire);
    assert_eq!(wire.deadline(), Some(IDLE_TIME_DEFAULT), "again after it");
    wire.feed(b"\r\n");
    wire.advance(IDLE_TIME_DEFAULT);
    assert_eq!(sent(&mut wire), "");
    assert!(wire.is_finished());
    assert_eq!(faults(&mut wire), []);
}

#[test]
fn a_slow_sender_cannot_extend_the_time_for_its_head() {
    let mut wire = connect();
    for byte in &PAGE[..10] {
        wire.feed(&[*byte]);
        wire.advance(HEAD_TIME_MAX / 10);
    }
    assert_eq!(codes(&sent(&mut wire)), [408]);
    assert!(wire.is_finished());
    assert_eq!(faults(&mut wire), [Fault::HeadTimeout]);
}

#[test]
fn a_slow_sender_cannot_extend_the_time_for_its_body() {
    for head in ["Content-Length: 11", "Transfer-Encoding: chunked"] {
        let mut wire = connect();
        let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n");
        wire.feed(head.as_bytes());
        for byte in b"9\r\n1234567" {
            wire.feed(&[*byte]);
            wire.advance(BODY_TIME_MAX / 10);
        }
        assert_eq!(codes(&sent(&mut wire)), [408]);
        assert!(wire.is_finished());
        assert_eq!(faults(&mut wire), [Fault::BodyTimeout]);
    }
}

#[test]
fn the_time_for_a_head_starts_with_its_own_first_byte() {
    let mut wire = connect();
    wire.feed(LATER);
    wire.feed(&PAGE[..5]);
    wire.advance(LATER_TIME_MAX - SECOND);
    wire.complete("done".to_owned());
    assert_eq!(wire.deadline(), Some(HEAD_TIME_MAX));
    wire.feed(&PAGE[5..]);
    assert_eq!(codes(&sent(&mut wire)), [200, 200]);
}

#[test]
fn a_request_that_no_worker_answers_is_answered_all_the_same() {
    let mut wire = connect();
    wire.feed(&[LATER, PAGE].concat());
    assert_eq!(wire.deadline(), Some(LATER_TIME_MAX));
    wire.advance(LATER_TIME_MAX);
    let answer = sent(&mut wire);
    assert_eq!(codes(&answer), [503]);
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    assert!(answer.contains("Retry-After: 1\r\n"), "{answer}");
    assert!(wire.is_finished());
    assert_eq!(faults(&mut wire), [Fault::Expired]);
    wire.complete("too late".to_owned());
    assert_eq!(sent(&mut wire), "");
}

#[test]
fn a_peer_that_ends_its_side_still_gets_its_answer() {
    let mut wire = connect();
    wire.feed(&[LATER, PAGE].concat());
    wire.end_input();
    assert!(!wire.is_finished());
    wire.complete("done".to_owned());
    assert_eq!(sent(&mut wire), ok("done") + &ok("page"), "pipelined requests too");
    assert!(wire.is_finished());

    let mut wire = connect();
    wire.feed(LATER);
    wire.end_input();
    wire.complete("done".to_owned());
    assert_eq!(sent(&mut wire), ok_and_close("done"));
    assert!(wire.is_finished());
}

#[test]
fn an_end_in_the_middle_of_a_request_is_told() {
    let check = |input: &[u8], codes_expected: &[u16], faults_expected: &[Fault]| {
        let mut wire = connect();
        wire.feed(input);
        wire.end_input();
        let shown = String::from_utf8_lossy(input).into_owned();
        assert_eq!(codes(&sent(&mut wire)), codes_expected, "{shown:?}");
        assert!(wire.is_finished(), "{shown:?}");
        assert_eq!(faults(&mut wire), faults_expected, "{shown:?}");
    };
    check(b"", &[], &[]);
    check(b"\r\n", &[], &[]);
    check(b"\r", &[], &[]);
    check(PAGE, &[200], &[]);
    check(&PAGE[..9], &[400], &[Fault::Truncated]);
    check(&LATER[..LATER.len() - 1], &[400], &[Fault::Truncated]);
    let chunked = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
    check(chunked, &[400], &[Fault::Truncated]);
    let refused = b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel";
    check(refused, &[404], &[Fault::Truncated]);
}

#[test]
fn on_shutdown_idle_connections_close_and_others_after_their_answer() {
    let mut idle = connect();
    idle.feed(PAGE);
    sent(&mut idle);
    idle.shut_down();
    assert_eq!(sent(&mut idle), "");
    assert!(idle.is_finished());

    let mut in_flight = connect();
    in_flight.feed(&[LATER, PAGE].concat());
    in_flight.shut_down();
    assert!(!in_flight.is_finished());
    in_flight.complete("done".to_owned());
    assert_eq!(sent(&mut in_flight), ok_and_close("done"));
    assert!(in_flight.is_finished());

    for arrived in 1..LATER.len() {
        let mut arriving = connect();
        arriving.feed(&LATER[..arrived]);
        arriving.shut_down();
        assert!(!arriving.is_finished(), "{arrived} bytes had arrived");
        arriving.feed(&LATER[arrived..]);
        arriving.complete("done".to_owned());
        assert_eq!(sent(&mut arriving), ok_and_close("done"));
        assert!(arriving.is_finished());
    }
}

#[test]
fn while_the_server_drains_each_answer_is_the_last() {
    for arrived in [0, 1, LATER.len()] {
        let mut wire = connect();
        wire.feed(&LATER[..arrived]);
        wire.drain();
        assert!(!wire.is_finished());
        wire.feed(&LATER[arrived..]);
        wire.complete("done".to_owned());
        assert_eq!(sent(&mut wire), ok_and_close("done"));
        assert!(wire.is_finished());
    }
    // Whoever asks nothing is left alone.
    let mut idle = connect();
    idle.drain();
    assert!(!idle.is_finished());
    idle.shut_down();
    assert!(idle.is_finished());
}

#[test]
fn how_long_a_connection_may_idle_can_be_set() {
    let minute = Duration::from_secs(60);
    let mut wire = connect_to(|shared| shared.with_idle_time(minute));
    assert_eq!(wire.deadline(), Some(minute));
    wire.feed(PAGE);
    assert_eq!(wire.deadline(), Some(minute));
}

#[test]
fn a_connection_is_idle_between_requests_and_at_no_other_time() {
    let mut wire = connect();
    assert_eq!(wire.idle_since(), Some(wire.now()), "before the first");
    let opened_at = wire.now();
    wire.advance(SECOND);
    assert_eq!(wire.idle_since(), Some(opened_at));
    for arrived in 1..LATER.len() {
        let mut wire = connect();
        wire.feed(&LATER[..arrived]);
        assert_eq!(wire.idle_since(), None, "{arrived} bytes have arrived");
    }
    wire.feed(LATER);
    assert_eq!(wire.idle_since(), None, "in work");
    wire.complete("done".to_owned());
    assert_eq!(wire.idle_since(), Some(wire.now()));
    wire.feed(b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(wire.idle_since(), None, "a body is being dropped");
    wire.feed(b"llo");
    assert_eq!(wire.idle_since(), Some(wire.now()));
}

#[test]
fn a_rejected_connection_gets_a_whole_answer() {
    let shared = shared();
    let answer = str::from_utf8(Connection::rejection(&shared)).expect("text");
    let (head, content) = answer.split_once("\r\n\r\n").expect("a head and content");
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
    for line in [&*format!("Content-Length: {}", content.len()), "Connection: close"] {
        assert!(head.lines().any(|other| other == line), "no {line} in {head}");
    }
    let problem = Problem::new(
        Status::ServiceUnavailable,
        "too_many_connections",
        "There are too many connections",
        "The server has as many connections as it may.",
    );
    let mut out = Vec::new();
    let form = crate::response::Form {
        head_only: false,
        persistence: crate::response::Persistence::Close,
        conditions: None,
        request_id: None,
    };
    let mut dates = DateCache::new(|| UNIX_EPOCH);
    let _ = Reply::new(&mut out, &mut dates, connect().now(), form).problem(&problem);
    assert!(out.ends_with(content.as_bytes()), "as other problems are written");
}
