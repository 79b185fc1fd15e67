//! What RFC 9110 and RFC 9112 ask of a server, on both ports: the API's and that of operators. Each test is a row
//! of `http_front/HTTP.md`, which says the rule.

mod messages;
mod page;
mod semantics;

use std::sync::Arc;

use http1::Connection;
use parking_lot::RwLock;
use reactor::testing::Harness;
use service::metrics::Registry;
use service::ops::{Faults, Ops, Readiness};

use super::*;

/// Both ports have this page, for GET and HEAD; on the API's it is a session, with a token that is leased.
const GET: &str = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
/// A request with these lines after `Host`.
fn get(lines: &str) -> String {
    format!("GET /page HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// A request with content for a page that has no POST: what is asked of framing is asked of it all the same.
fn post(lines: &str, body: &str) -> String {
    format!("POST /page HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}")
}

/// As long as those that are given.
const ONE_ID: &str = "00000000000000000000000000000000";

/// What a client heard.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    codes: Vec<u16>,
    /// All answers, without `Date`, which may be another one in the next second, and with one word for all ids.
    text: String,
    /// How many lines there were of `Date`, of the right length.
    dates: usize,
    closed: bool,
}

/// Sends input to a connection in pieces, and perhaps ends the sending side.
type Port = fn(&[u8], usize, bool) -> Heard;

const PORTS: [(&str, Port); 2] = [("the API's", ask_api), ("the operators'", ask_ops)];

fn ask_api(input: &[u8], piece_bytes: usize, ends: bool) -> Heard {
    let mut bench = api();
    let with_token = replace(input, b"Host: a\r\n", b"Host: a\r\nAuthorization: Bearer t1\r\n");
    let input = replace(&with_token, b"/page", b"/open_api/v1/session");
    let heard = ask(&mut bench.client, &input, piece_bytes, ends);
    assert!(bench.light.is_empty() && bench.heavy.is_empty(), "all of it was answered on the loop");
    heard
}

/// A connection to the API's port, on a loop that has a lease on the session "t1".
fn api() -> Bench {
    let mut bench = Bench::new();
    bench.send(&request("GET", "/open_api/v1/session", "Authorization: Bearer t1\r\n"));
    let (job, session) = (bench.light_job(), bench.session("t1", HOUR));
    assert_eq!(bench.finish(job, Outcome::Session(session)).status, 200);
    bench
}

fn ask_ops(input: &[u8], piece_bytes: usize, ends: bool) -> Heard {
    ask(&mut ops(), &replace(input, b"/page", b"/healthz"), piece_bytes, ends)
}

/// A connection to the operators' port.
fn ops() -> Harness<Connection<Ops>> {
    let mut registry = Registry::new("test");
    let faults = Faults::observe(&mut registry, "ops");
    Harness::new(Shared::new(Ops::new(
        Arc::new(RwLock::new(registry)),
        Readiness::unknown(),
        faults,
    )))
}

fn ask<H: http1::Handler>(
    wire: &mut Harness<Connection<H>>,
    input: &[u8],
    piece_bytes: usize,
    ends: bool,
) -> Heard {
    wire.take_output();
    for piece in input.chunks(piece_bytes) {
        wire.feed(piece);
    }
    if ends {
        wire.end_input();
    }
    let text = String::from_utf8(wire.take_output()).expect("answers of text");
    let codes = text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().expect("digits"));
    let codes = codes.collect();
    let is_date = |line: &&str| {
        let example = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        line.starts_with("Date: ") && line.len() == example.len() && line.ends_with(" GMT\r\n")
    };
    let lines = || text.split_inclusive("\r\n");
    let dates = lines().filter(is_date).count();
    let without_dates: String = lines().filter(|line| !is_date(line)).collect();
    let id =
        |line: &str| line.strip_prefix("X-Request-Id: ")?.strip_suffix("\r\n").map(str::to_owned);
    let text = lines().filter_map(id).fold(without_dates, |text, id| text.replace(&id, ONE_ID));
    Heard { codes, text, dates, closed: wire.is_finished() }
}

fn replace(input: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut rest = input;
    let mut replaced = Vec::new();
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

/// What both ports answer to some input, whole and in pieces: the codes are as expected, and so is whether the
/// connection was closed. Returns what was heard from each.
#[track_caller]
fn check(input: impl AsRef<[u8]>, codes: &[u16], closed: bool) -> [Heard; 2] {
    check_end(input.as_ref(), codes, closed, false)
}

/// As [`check`], of a client that sends nothing more.
#[track_caller]
fn check_end(input: &[u8], codes: &[u16], closed: bool, ends: bool) -> [Heard; 2] {
    let shown = String::from_utf8_lossy(&input[..input.len().min(300)]);
    PORTS.map(|(name, ask)| {
        let whole = ask(input, input.len().max(1), ends);
        assert_eq!(
            (&whole.codes[..], whole.closed),
            (codes, closed),
            "{name} port, {shown:?}: {}",
            whole.text
        );
        // A byte at a time, unless that takes long.
        let small = if input.len() < 2000 { 1 } else { 1000 };
        for piece_bytes in [small, 7, input.len() / 2 + 1] {
            assert_eq!(
                ask(input, piece_bytes, ends),
                whole,
                "{name} port, {shown:?} by {piece_bytes}"
            );
        }
        whole
    })
}

/// The request is served, and the next one too.
#[track_caller]
fn served(request: impl AsRef<[u8]>) {
    check([request.as_ref(), GET.as_bytes()].concat(), &[200, 200], false);
}

/// The request is refused, and what follows is not looked at.
#[track_caller]
fn refused(request: impl AsRef<[u8]>, code: u16) {
    for heard in check([request.as_ref(), GET.as_bytes()].concat(), &[code], true) {
        assert!(heard.text.contains("\r\nConnection: close\r\n"), "{}", heard.text);
    }
}

/// The request is answered with `code`, and the next one is served.
#[track_caller]
fn answered(request: impl AsRef<[u8]>, code: u16) -> [Heard; 2] {
    check([request.as_ref(), GET.as_bytes()].concat(), &[code, 200], false)
}
