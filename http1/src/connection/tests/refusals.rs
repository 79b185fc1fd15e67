//! Heads that are refused: the answer, the close, and that nothing after them is a request.

use super::*;
use crate::limits::{HEAD_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

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
    let large = "b".repeat(HEAD_BYTES_MAX);
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
