//! Bodies with a length and in chunks, `Expect`, and what becomes of bodies that nobody wants.

use super::*;
use crate::limits::{BODY_TIME_MAX, DISCARD_BYTES_MAX};
use crate::{ChunkError, HeadError};

fn post(path: &str, lines: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}").into_bytes()
}

fn with_length(path: &str, body: &str) -> Vec<u8> {
    post(path, &format!("Content-Length: {}\r\n", body.len()), body)
}

fn chunked(path: &str, body: &str) -> Vec<u8> {
    post(path, "Transfer-Encoding: chunked\r\n", body)
}

fn then_page(request: Vec<u8>) -> Vec<u8> {
    [request, PAGE.to_vec()].concat()
}

#[test]
fn bodies_reach_the_application_whole() {
    let check_echo = |request: Vec<u8>, content: &str| {
        let mut wire = connect();
        wire.feed(&then_page(request));
        assert_eq!(sent(&mut wire), ok(content) + &ok("page"));
    };
    let longest = "x".repeat(ECHO_BYTES_MAX);
    check_echo(with_length("/echo", ""), "");
    check_echo(post("/echo", "", ""), "");
    check_echo(with_length("/echo", "hello"), "hello");
    check_echo(with_length("/echo", "\r\n\r\n"), "\r\n\r\n");
    check_echo(with_length("/echo", &longest), &longest);
    check_echo(chunked("/echo", "0\r\n\r\n"), "");
    check_echo(chunked("/echo", "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n"), "hello");
    check_echo(chunked("/echo", "5\r\nhello\r\n0\r\nA: b\r\nHost: c\r\n\r\n"), "hello");
    check_echo(chunked("/echo", &format!("40\r\n{longest}\r\n0\r\n\r\n")), &longest);
}

#[test]
fn a_chunked_body_that_arrives_bytewise_is_whole() {
    let mut wire = connect();
    for byte in chunked("/later", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n") {
        assert_eq!(wire.feed(&[byte]), 1);
    }
    assert_eq!(wire.shared().handler.requests, ["Later hello"]);
}

#[test]
fn a_broken_chunked_body_is_refused_and_nothing_after_it_is_read() {
    for body in ["\r\n", "5\nhello", "5\r\nhelloo", "ffffffffffffffffff\r\n", "0\r\nA : b\r\n\r\n"]
    {
        check(&then_page(chunked("/echo", body)), &[400], &[], true);
    }
    let mut wire = connect();
    wire.feed(&chunked("/echo", "x"));
    assert_eq!(faults(&mut wire), [Fault::Chunk(ChunkError::SizeLine)]);
}

#[test]
fn a_body_longer_than_accepted_is_413() {
    let long = "x".repeat(ECHO_BYTES_MAX + 1);
    // Short and well framed: dropped, and the connection goes on.
    let with_known_length = then_page(with_length("/echo", &long));
    check(&with_known_length, &[413, 200], &["Page "], false);
    // In chunks it shows too late to tell how long it is.
    let in_chunks = then_page(chunked("/echo", &format!("41\r\n{long}\r\n0\r\n\r\n")));
    check(&in_chunks, &[413], &[], true);
}

#[test]
fn a_request_that_takes_no_content_comes_without() {
    for method in ["GET", "HEAD"] {
        let ask = |lines: &str, body: &str| {
            let input = format!("{method} /page HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}");
            then_page(input.into_bytes())
        };
        let chunked = "Transfer-Encoding: chunked\r\n";
        for (lines, body) in [
            ("Content-Length: 0\r\n", ""),
            (chunked, "0\r\n\r\n"),
            (chunked, "0;a=b\r\nA: b\r\n\r\n"),
        ] {
            check(&ask(lines, body), &[200, 200], &["Page ", "Page "], false);
        }
        check(&ask("Content-Length: 1\r\n", "x"), &[400, 200], &["Page "], false);
        let longest = "x".repeat(DISCARD_BYTES_MAX);
        check(
            &ask(&format!("Content-Length: {DISCARD_BYTES_MAX}\r\n"), &longest),
            &[400, 200],
            &["Page "],
            false,
        );
        check(&ask("Content-Length: 99999999\r\n", ""), &[400], &[], true);
        // In chunks it shows too late to go on.
        check(&ask(chunked, "1\r\nx\r\n0\r\n\r\n"), &[400], &[], true);
        let mut wire = connect();
        wire.feed(&ask(chunked, "1\r\nx\r\n0\r\n\r\n"));
        wire.feed(&ask("Content-Length: 1\r\n", "x"));
        assert_eq!(faults(&mut wire), [Fault::UnwantedContent]);
    }
}

#[test]
fn a_short_body_of_a_refused_request_is_dropped() {
    let longest = "x".repeat(DISCARD_BYTES_MAX);
    for request in [
        with_length("/none", ""),
        with_length("/none", "hello"),
        with_length("/none", &longest),
        chunked("/none", "0\r\n\r\n"),
        chunked("/none", "5\r\nhello\r\n0\r\nA: b\r\n\r\n"),
        chunked("/none", &format!("{DISCARD_BYTES_MAX:x}\r\n{longest}\r\n0\r\n\r\n")),
    ] {
        check(&then_page(request), &[404, 200], &["Page "], false);
    }
    check(&then_page(with_length("/page", "hello")), &[405, 200], &["Page "], false);
}

#[test]
fn a_long_or_broken_body_of_a_refused_request_costs_the_connection() {
    let long = "x".repeat(DISCARD_BYTES_MAX + 1);
    check(&then_page(with_length("/none", &long)), &[404], &[], true);
    let huge = post("/none", "Content-Length: 18446744073709551615\r\n", "");
    check(&then_page(huge), &[404], &[], true);
    let in_chunks = chunked("/none", &format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len()));
    check(&then_page(in_chunks), &[404], &[], true);
    check(&then_page(chunked("/none", "5\nhello")), &[404], &[], true);
}

#[test]
fn the_time_to_drop_a_body_is_bounded() {
    let mut wire = connect();
    wire.feed(&post("/none", "Content-Length: 5\r\n", "he"));
    assert_eq!(codes(&sent(&mut wire)), [404]);
    assert_eq!(wire.deadline(), Some(BODY_TIME_MAX));
    wire.advance(BODY_TIME_MAX);
    assert_eq!(sent(&mut wire), "", "it has its answer");
    assert!(wire.is_finished());
    assert_eq!(faults(&mut wire), [Fault::BodyTimeout]);
}

#[test]
fn who_waits_for_100_is_told_to_go_on() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    for (framing, body) in
        [("Content-Length: 2", "hi"), ("Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n")]
    {
        let mut wire = connect();
        wire.feed(&post("/echo", &format!("Expect: 100-continue\r\n{framing}\r\n"), ""));
        assert_eq!(sent(&mut wire), interim);
        wire.feed(body.as_bytes());
        assert_eq!(sent(&mut wire), ok("hi"));
    }
}

#[test]
fn who_does_not_wait_for_100_is_not_told() {
    let expect = "Expect: 100-continue\r\nContent-Length: 2\r\n";
    let mut wire = connect();
    wire.feed(&post("/echo", expect, "h"));
    assert_eq!(sent(&mut wire), "");
    wire.feed(b"i");
    assert_eq!(sent(&mut wire), ok("hi"));
    wire.feed(&post("/echo", "Expect: 100-continue\r\nContent-Length: 0\r\n", ""));
    assert_eq!(sent(&mut wire), ok(""), "there is nothing to wait for");
    wire.feed(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(sent(&mut wire), "", "HTTP/1.0 does not know it");
}

#[test]
fn a_refused_expectation_ends_the_connection() {
    // The client may send the body all the same, or not; what follows could be either.
    let expect = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    check(&then_page(post("/none", expect, "")), &[404], &[], true);
    let too_long = "Expect: 100-continue\r\nContent-Length: 65\r\n";
    check(&then_page(post("/echo", too_long, "")), &[413], &[], true);
    let without_body = "Expect: 100-continue\r\n";
    check(&then_page(post("/none", without_body, "")), &[404, 200], &["Page "], false);

    let mut wire = connect();
    wire.feed(&post("/echo", "Expect: a-miracle\r\nContent-Length: 5\r\n", ""));
    assert_eq!(codes(&sent(&mut wire)), [417]);
    assert!(wire.is_finished());
    assert_eq!(faults(&mut wire), [Fault::Head(HeadError::Expectation)]);
}

#[test]
fn what_has_come_of_a_body_counts_as_memory_of_the_connection() {
    let mut wire = connect();
    assert_eq!(wire.held_bytes(), 0);
    wire.feed(&chunked("/echo", "28\r\n0123456789012345678901234567890123456789\r\n1"));
    assert!(wire.held_bytes() >= 40, "{} bytes", wire.held_bytes());
    wire.feed(b"\r\nx\r\n0\r\n\r\n");
    assert_eq!(wire.held_bytes(), 0);
    wire.feed(&chunked("/echo", "3\r\nabc\r\n"));
    assert!(wire.held_bytes() >= 3);
    wire.advance(BODY_TIME_MAX);
    assert_eq!((wire.is_finished(), wire.held_bytes()), (true, 0));
    let mut wire = connect();
    wire.feed(&chunked("/echo", "3\r\nabc\r\nx"));
    assert_eq!((wire.is_finished(), wire.held_bytes()), (true, 0));
}
