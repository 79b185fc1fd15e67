//! Heads that are refused: the answer, the close, and that nothing after them is a request.

use super::*;
use crate::limits::{
    HEAD_BYTES_DEFAULT, HEAD_BYTES_MAX, HEAD_BYTES_MIN, HEAD_TIME_MAX, REQUEST_LINE_BYTES_MAX,
};

/// A request hidden behind one whose end could be misread.
const HIDDEN: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nhidden";

/// `head` is refused with `code`, and what follows it is never served.
fn check_refused(head: &str, code: u16) {
    check(format!("{head}{HIDDEN}").as_bytes(), &[code], &[], true);
}

#[test]
fn ways_to_smuggle_a_request_are_closed() {
    let post =
        |lines: &str, body: &str| format!("POST /echo HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}");
    for (lines, body) in [
        // CL.TE and TE.CL
        ("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\n"),
        // CL.CL
        ("Content-Length: 0\r\nContent-Length: 6\r\n", ""),
        ("Content-Length: 6, 0\r\n", ""),
        ("Content-Length: +6\r\n", ""),
        ("Content-Length: 6 0\r\n", ""),
        ("Content-Length: 0\n6\r\n", ""),
        // TE.TE: a coding that only one side recognises
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding:\u{b}chunked\r\n", "0\r\n\r\n"),
        ("A: b\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("A: b\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("A: b\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Content-Length: 0\r\n\u{0}: b\r\n", ""),
    ] {
        check_refused(&post(lines, body), 400);
    }
    for lines in ["Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: gzip, chunked\r\n"] {
        check_refused(&post(lines, "0\r\n\r\n"), 501);
    }
    check_refused("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
}

#[test]
fn each_kind_of_wrong_head_has_its_status() {
    check_refused("GET /page HTTP/1.1\r\n\r\n", 400);
    check_refused("GET /page HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    check_refused("GET /page HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    check_refused("GET /page HTTP/1.1\nHost: a\n\n", 400);
    check_refused("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_refused("GET /page\r\n\r\n", 400);
    check_refused("GET /page HTTP/2.0\r\nHost: a\r\n\r\n", 505);
    check_refused("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    let long = "a".repeat(REQUEST_LINE_BYTES_MAX);
    check_refused(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
    let many = "A: b\r\n".repeat(200);
    check_refused(&format!("GET /page HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431);
    let large = "b".repeat(HEAD_BYTES_DEFAULT);
    check_refused(&format!("GET /page HTTP/1.1\r\nHost: a\r\nA: {large}\r\n\r\n"), 431);
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[400], &[], true);
}

#[test]
fn what_the_application_refuses_leaves_the_connection_usable() {
    let none = b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
    let brew = b"BREW /page HTTP/1.1\r\nHost: a\r\n\r\n";
    let input = [&none[..], brew, PAGE].concat();
    check(&input, &[404, 405, 200], &["Page "], false);
    let mut wire = connect();
    wire.feed(brew);
    let answer = sent(&mut wire);
    assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
    assert_eq!(faults(&mut wire), [], "it is no fault of the protocol");
}

/// A refusal of HEAD has the head of the refusal of GET and no content, whatever else is wrong with the request.
/// `after` has what follows the method.
#[track_caller]
fn check_refused_as_head(after: &str, code: u16) {
    let ask = |method: &str, pieces: usize| {
        let mut wire = connect();
        let input = format!("\r\n{method}{after}").into_bytes();
        for piece in input.chunks(input.len().div_ceil(pieces)) {
            wire.feed(piece);
        }
        if !wire.is_finished() {
            wire.end_input();
        }
        assert!(wire.is_finished());
        sent(&mut wire)
    };
    let shown = &after[..after.len().min(60)];
    let with_content = ask("GET", 1);
    assert_eq!(codes(&with_content), [code], "{shown:?}");
    let (head, content) = with_content.split_once("\r\n\r\n").expect("a head");
    assert!(!content.is_empty());
    for pieces in [1, 2, after.len()] {
        assert_eq!(ask("HEAD", pieces), format!("{head}\r\n\r\n"), "{shown:?}");
    }
}

#[test]
fn a_refused_head_is_answered_without_content() {
    check_refused_as_head(" /page HTTP/1.1\r\nNa me: v\r\n\r\n", 400);
    check_refused_as_head(" /page HTTP/1.1\r\n\r\n", 400);
    check_refused_as_head(" /page HTTP/1.1\nHost: a\r\n\r\n", 400);
    check_refused_as_head("  /page HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_refused_as_head("\t/page HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_refused_as_head(" page HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_refused_as_head("\r\n\r\n", 400);
    check_refused_as_head("\n", 400);
    check_refused_as_head(" /page HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400);
    check_refused_as_head(" /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501);
    check_refused_as_head(" /page HTTP/2.0\r\nHost: a\r\n\r\n", 505);
    check_refused_as_head(" /page HTTP/1.1\r\nHost: a\r\nExpect: b\r\n\r\n", 417);
    check_refused_as_head(&format!(" /{}", "a".repeat(REQUEST_LINE_BYTES_MAX)), 414);
    let many = "A: b\r\n".repeat(200);
    check_refused_as_head(&format!(" /page HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431);
    let large = "b".repeat(HEAD_BYTES_DEFAULT);
    check_refused_as_head(&format!(" /page HTTP/1.1\r\nHost: a\r\nA: {large}\r\n\r\n"), 431);
    // Cut off.
    check_refused_as_head(" /page HTTP/1.1\r\nHost: a\r\n", 400);
    check_refused_as_head(" ", 400);
}

#[test]
fn a_head_that_stops_is_answered_without_content() {
    for (begin, has_content) in [
        ("HEAD ", false),
        ("HEAD /page HTTP/1.1\r\nHost", false),
        ("HEADS /", true),
        ("head /", true),
        ("H", true),
    ] {
        let mut wire = connect();
        wire.feed(begin.as_bytes());
        wire.advance(HEAD_TIME_MAX);
        let answer = sent(&mut wire);
        assert_eq!(codes(&answer), [408], "{begin:?}");
        assert_eq!(!answer.ends_with("\r\n\r\n"), has_content, "{begin:?}: {answer}");
    }
}

#[test]
fn how_long_a_head_may_be_can_be_set() {
    let frame = b"GET /page HTTP/1.1\r\nHost: a\r\nA: \r\n\r\n".len();
    let of_length = |bytes| {
        format!("GET /page HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "b".repeat(bytes - frame))
    };
    check(of_length(HEAD_BYTES_DEFAULT).as_bytes(), &[200], &["Page "], false);
    check(of_length(HEAD_BYTES_DEFAULT + 1).as_bytes(), &[431], &[], true);
    for (bytes_max, bytes, code) in [
        (HEAD_BYTES_MIN, HEAD_BYTES_MIN, 200),
        (HEAD_BYTES_MIN, HEAD_BYTES_MIN + 1, 431),
        (HEAD_BYTES_MAX, HEAD_BYTES_MAX, 200),
        (HEAD_BYTES_MAX, HEAD_BYTES_MAX + 1, 431),
    ] {
        let mut wire = connect_to(|shared| shared.with_head_bytes_max(bytes_max));
        wire.feed(of_length(bytes).as_bytes());
        let answer = sent(&mut wire);
        assert_eq!(codes(&answer), [code], "{bytes} of {bytes_max}");
        let named = answer.contains(&format!("The head is longer than {bytes_max} bytes."));
        assert_eq!(named, code == 431, "{answer}");
    }
}

#[test]
fn a_refusal_says_what_was_wrong_and_closes() {
    let mut wire = connect();
    wire.feed(b"GET /page HTTP/1.1\r\n\r\n");
    assert_eq!(
        sent(&mut wire),
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n\
         Cache-Control: no-store\r\nContent-Length: 114\r\nConnection: close\r\n\r\n\
         {\"type\":\"/problems/malformed_request\",\"title\":\"The request is malformed\",\
         \"status\":400,\"detail\":\"Host is missing.\"}"
    );
}
