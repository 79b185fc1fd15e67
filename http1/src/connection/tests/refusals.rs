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
}

#[test]
fn a_long_method_is_not_implemented() {
    for line in [
        "M".repeat(9000),
        format!("{} / HTTP/1.1", "M".repeat(9000)),
        format!("MMMMMMMM /{}", "a".repeat(9000)),
    ] {
        check(format!("{line}\r\nHost: a\r\n\r\n{HIDDEN}").as_bytes(), &[501], &[], true);
    }
}

#[test]
fn a_later_minor_version_is_answered_as_1_1() {
    for minor in 2..=9 {
        let page = format!("GET /page HTTP/1.{minor}\r\nHost: a\r\n\r\n");
        let echo = format!(
            "POST /echo HTTP/1.{minor}\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        );
        let input = [page.as_bytes(), echo.as_bytes(), PAGE].concat();
        for pieces in [input.len(), 7, 1] {
            let mut wire = connect();
            for piece in input.chunks(pieces) {
                wire.feed(piece);
            }
            assert_eq!(
                sent(&mut wire),
                ok("page") + &ok("hi") + &ok("page"),
                "1.{minor} by {pieces}"
            );
            assert!(!wire.is_finished());
        }
    }
    check_refused("GET /page HTTP/1.10\r\nHost: a\r\n\r\n", 400);
    check_refused("GET /page HTTP/1.x\r\nHost: a\r\n\r\n", 400);
    check_refused("GET /page HTTP/1.7\r\n\r\n", 400);
}

#[test]
fn other_protocols_are_told_by_name_at_once() {
    let check = |hello: &[u8], code: u16, name: &str, reason: Reason| {
        for pieces in [hello.len(), 1] {
            let mut wire = connect();
            for piece in hello.chunks(pieces) {
                wire.feed(piece);
            }
            let answer = sent(&mut wire);
            assert_eq!(codes(&answer), [code], "{hello:?}");
            assert!(answer.contains(&format!("This looks like {name}")), "{answer}");
            assert!(wire.is_finished());
            let reasons: Vec<Reason> = faults(&mut wire).into_iter().map(Fault::reason).collect();
            assert_eq!(reasons, [reason]);
        }
    };
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "TLS", Reason::Tls);
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2", Reason::Http2);
    check(
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n",
        400,
        "the PROXY protocol",
        Reason::ProxyProtocol,
    );
    check(b"PROXY UNKNOWN\r\nGET", 400, "the PROXY protocol", Reason::ProxyProtocol);
    check(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 400, "the PROXY protocol", Reason::ProxyProtocol);
    for other in [&b"\0"[..], b"\r\n\0\r\nQUIT\n"] {
        let mut wire = connect();
        wire.feed(other);
        assert_eq!(faults(&mut wire), [Fault::Head(HeadError::RequestLine)], "{other:?}");
    }
}

#[test]
fn a_method_that_is_not_known_is_not_implemented() {
    let check_method = |head: &str, body: &str| {
        let input = [head.as_bytes(), b"\r\nHost: a\r\n", body.as_bytes(), PAGE].concat();
        check(&input, &[501, 200], &["Page "], false);
    };
    for method in
        ["LOCK", "BREW", "get", "patch", "post", "M-SEARCH", "PROPFINDPROPFIND", "connect", "PROXY"]
    {
        for path in ["/page", "/none", "/", "http://a/page"] {
            check_method(&format!("{method} {path} HTTP/1.1"), "\r\n");
        }
        check_method(&format!("{method} /page HTTP/1.1"), "Content-Length: 2\r\n\r\nhi");
        check_method(
            &format!("{method} /page HTTP/1.1"),
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        );
    }
    // Those that are known, and that a resource does not have.
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        let input = format!("{method} /page HTTP/1.1\r\nHost: a\r\n\r\n");
        check(input.as_bytes(), &[405], &[], false);
    }
    check_refused("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    let mut wire = connect();
    wire.feed(b"LOCK /page HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(faults(&mut wire), [Fault::Method]);
}

#[test]
fn the_server_as_a_whole_tells_its_methods() {
    for target in ["*", "http://a", "HTTP://a:80"] {
        let options = format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n");
        for body in
            ["\r\n", "Content-Length: 2\r\n\r\nhi", "If-Match: \"a\"\r\nIf-None-Match: *\r\n\r\n"]
        {
            let mut wire = connect();
            wire.feed(&[options.as_bytes(), body.as_bytes(), PAGE].concat());
            let allow = "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, OPTIONS\r\n\r\n";
            assert_eq!(sent(&mut wire), allow.to_owned() + &ok("page"), "{target}");
            assert_eq!(wire.shared().handler.answered, [204, 200]);
        }
    }
    // The root is a resource like any other.
    for target in ["/", "http://a/", "http://a?", "/*"] {
        let input = format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        check(input.as_bytes(), &[404], &[], false);
    }
}

#[test]
fn a_target_that_says_https_is_for_gateways_to_send() {
    let https = b"GET https://a/page HTTP/1.1\r\nHost: a\r\n\r\n";
    check(&[https, PAGE].concat(), &[421, 200], &["Page "], false);
    check(b"GET HTTPS://a:443/none HTTP/1.0\r\n\r\n", &[421], &[], true);
    check(b"OPTIONS https://a HTTP/1.1\r\nHost: a\r\n\r\n", &[421], &[], false);
    check(b"GET http://a/page HTTP/1.1\r\nHost: b\r\n\r\n", &[200], &["Page "], false);
    let mut wire = connect();
    wire.shared().handler.peer_is_gateway = true;
    wire.feed(https);
    assert_eq!(codes(&sent(&mut wire)), [200]);
}

#[test]
fn what_the_application_refuses_leaves_the_connection_usable() {
    let none = b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
    let delete = b"DELETE /page HTTP/1.1\r\nHost: a\r\n\r\n";
    let input = [&none[..], delete, PAGE].concat();
    check(&input, &[404, 405, 200], &["Page "], false);
    let mut wire = connect();
    wire.feed(delete);
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
fn preconditions_are_evaluated_where_the_answer_would_be_2xx() {
    for method in ["GET", "HEAD"] {
        for (lines, code) in [
            ("If-Match: \"v7\"\r\n", 412),
            ("If-Match: *\r\n", 200),
            ("If-None-Match: *\r\n", 304),
            ("If-None-Match: \"v7\"\r\n", 200),
            ("If-None-Match: \"v7\"\r\nIf-Match: \"v7\"\r\n", 412),
            ("If-None-Match: *\r\nIf-Match: *\r\n", 304),
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200),
            ("If-Range: \"v7\"\r\n", 200),
        ] {
            let ask = |path: &str| format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            check(
                (ask("/page") + &ask("/page")).as_bytes(),
                &[code, code],
                &["Page ", "Page "],
                false,
            );
            check(ask("/none").as_bytes(), &[404], &[], false);
            // A worker's answer meets them as well.
            let mut wire = connect();
            wire.feed(ask("/later").as_bytes());
            wire.feed(PAGE);
            wire.complete("done".to_owned());
            assert_eq!(codes(&sent(&mut wire)), [code, 200], "{lines}");
        }
    }
}

#[test]
fn what_changes_something_is_not_done_when_if_match_names_what_is_not_there() {
    for line in ["If-Match: *\r\n", "If-Match: \"v7\"\r\n"] {
        let post = |path: &str| {
            format!("POST {path} HTTP/1.1\r\nHost: a\r\n{line}Content-Length: 2\r\n\r\nhi")
        };
        check(&[post("/echo").as_bytes(), PAGE].concat(), &[412, 200], &["Page "], false);
        check(&[post("/none").as_bytes(), PAGE].concat(), &[404, 200], &["Page "], false);
        check(&[post("/page").as_bytes(), PAGE].concat(), &[405, 200], &["Page "], false);
        // What has no effect may be done, and its answer is 412 if it would be 2xx.
        check(
            &[post("/look").as_bytes(), PAGE].concat(),
            &[412, 200],
            &["Look hi", "Page "],
            false,
        );
        check(
            &[post("/look?404").as_bytes(), PAGE].concat(),
            &[404, 200],
            &["Look hi", "Page "],
            false,
        );
    }
    // There is nothing that `If-None-Match` could name.
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nContent-Length: 2\r\n\r\nhi";
    check(post.as_bytes(), &[200], &["Echo hi"], false);
}

#[test]
fn it_is_told_who_gave_an_answer() {
    let mut wire = connect();
    let options = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    let unknown = b"LOCK /page HTTP/1.1\r\nHost: a\r\n\r\n";
    let none = b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
    let content = b"GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    let long = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n";
    wire.feed(
        &[
            PAGE,
            options,
            unknown,
            none,
            content,
            long,
            &[b'x'; 65],
            b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
        .concat(),
    );
    assert_eq!(codes(&sent(&mut wire)), [200, 204, 501, 404, 400, 413, 501]);
    assert_eq!(wire.shared().handler.answered, [200, 204, 501, 404, 400, 413, 501]);
    assert_eq!(wire.shared().handler.refused, [501, 400, 413, 501]);
    let expected = [
        Fault::Method,
        Fault::UnwantedContent,
        Fault::ContentTooLarge { bytes_max: 64 },
        Fault::Head(HeadError::Connect),
    ];
    assert_eq!(faults(&mut wire), expected);

    // An application that does not answer is not the peer's fault.
    let mut wire = connect();
    wire.feed(LATER);
    wire.advance(LATER_TIME_MAX);
    assert_eq!(wire.shared().handler.answered, [503]);
    assert_eq!(wire.shared().handler.refused, [0; 0]);
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
