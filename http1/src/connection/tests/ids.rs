//! What answers are found again by.

use super::*;

/// A connection to a site that gives its requests ids: the number of the request, or what the head says.
fn connect() -> Wire {
    let mut wire = super::connect();
    wire.shared().handler.ids_given = Some(0);
    wire
}

/// Sends `input` and compares the `X-Request-Id` of the answers; nothing where an answer has none.
#[track_caller]
fn check(wire: &mut Wire, input: &[u8], expected: &[&str]) {
    wire.feed(input);
    assert_eq!(ids(&sent(wire)), expected);
}

fn ids(sent: &str) -> Vec<&str> {
    let answers = sent.split("HTTP/1.1 ").skip(1);
    let id = |answer: &'_ str| -> Option<std::ops::Range<usize>> {
        let start = answer.find("X-Request-Id: ")? + "X-Request-Id: ".len();
        Some(start..start + answer[start..].find("\r\n")?)
    };
    answers.map(|answer| id(answer).map_or("", |range| &answer[range])).collect()
}

const FIRST: &str = "01010101010101010101010101010101";
const SECOND: &str = "02020202020202020202020202020202";

#[test]
fn each_request_is_given_one() {
    let mut wire = connect();
    check(&mut wire, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", &[FIRST]);
    let in_chunks = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(&mut wire, in_chunks, &[]);
    check(&mut wire, b"1\r\nx\r\n0\r\n\r\n", &[SECOND]);
    check(&mut wire, b"GET /none HTTP/1.1\r\nHost: a\r\nX-Request-Id: a-b\r\n\r\n", &["a-b"]);
}

#[test]
fn it_is_the_same_when_the_answer_comes_later() {
    let mut wire = connect();
    check(&mut wire, LATER, &[]);
    wire.complete("done".into());
    assert_eq!(ids(&sent(&mut wire)), [FIRST]);
    check(&mut wire, LATER, &[]);
    wire.advance(LATER_TIME_MAX);
    let given_up = sent(&mut wire);
    assert_eq!((codes(&given_up), ids(&given_up)), (vec![503], vec![SECOND]));
}

#[test]
fn what_needs_none_has_none() {
    check(&mut connect(), PAGE, &[""]);
    check(&mut super::connect(), b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n", &[""]);
}

#[test]
fn refusals_have_one_too() {
    for refused in [
        &b"NOTHING\r\n\r\n"[..],
        b"GET /page HTTP/1.1\r\n\r\n",
        b"BREW /page HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n",
        b"GET https://a/page HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        check(&mut connect(), refused, &[FIRST]);
    }
    let mut wire = connect();
    check(&mut wire, b"GET /page HT", &[]);
    wire.advance(crate::limits::HEAD_TIME_MAX);
    assert_eq!(ids(&sent(&mut wire)), [FIRST]);
}

#[test]
fn problem_documents_say_it() {
    let mut wire = connect();
    wire.feed(b"GET /none HTTP/1.1\r\nHost: a\r\nX-Request-Id: a+b/c=\r\n\r\n");
    let sent = sent(&mut wire);
    let (_, content) = sent.split_once("\r\n\r\n").expect("a head");
    let document: serde_json::Value = serde_json::from_str(content).expect("JSON");
    assert_eq!(document["request_id"], "a+b/c=", "{content}");
}
