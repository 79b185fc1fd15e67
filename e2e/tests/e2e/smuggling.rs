//! Requests whose end two servers could see in different places (RFC 9112 section 11.2): refused,
//! and nothing that follows on the connection is taken for a request.

use e2e::{RawConnection, System};

/// What an attacker wants to be answered under somebody else's name.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends `request` with something behind it. There is one answer, with `status`, then the end.
#[track_caller]
fn check(system: &System, request: &str, status: u16) {
    check_bytes(system, request.as_bytes(), status);
}

#[track_caller]
fn check_bytes(system: &System, request: &[u8], status: u16) {
    let mut connection = system.raw_http();
    connection.send(&[request, SMUGGLED.as_bytes()].concat());
    let answer = connection.answer();
    let shown = String::from_utf8_lossy(request);
    assert_eq!(answer.status, status, "{shown:?}: {answer:?}");
    let _ = answer.problem_code();
    assert_eq!(answer.field("connection"), Some("close"), "{shown:?}: {answer:?}");
    connection.assert_closed();
}

/// A request to register with these fields, then `body`.
fn post(fields: &str, body: &str) -> String {
    format!(
        "POST /open_api/v1/register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{fields}\r\n{body}"
    )
}

#[test]
fn lengths_that_can_be_read_in_two_ways() {
    let system = System::start();
    for fields in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: five\r\n",
        "Content-Length: 18446744073709551621\r\n",
        "Content-Length : 5\r\n",
        "Content-Length\t: 5\r\n",
        " Content-Length: 5\r\n",
        "X: a\r\n Content-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: \r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        check(&system, &post(fields, "0\r\n\r\n"), 400);
    }
}

#[test]
fn codings_that_are_not_known() {
    let system = System::start();
    for coding in ["gzip", "identity", "gzip, chunked", "xchunked", "\"chunked\"", "chunked\u{b}"] {
        let mut connection = system.raw_http();
        let fields = format!("Transfer-Encoding: {coding}\r\n");
        connection.send([post(&fields, "0\r\n\r\n"), SMUGGLED.to_owned()].concat().as_bytes());
        let answer = connection.answer();
        assert!(matches!(answer.status, 400 | 501), "{coding:?}: {answer:?}");
        connection.assert_closed();
    }
    check(&system, &post("Transfer-Encoding: gzip\r\n", ""), 501);
}

#[test]
fn a_coding_that_http_1_0_does_not_have() {
    let system = System::start();
    check(
        &system,
        "POST /open_api/v1/register HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    );
}

#[test]
fn chunks_that_can_be_read_in_two_ways() {
    let system = System::start();
    for body in [
        "\r\n\r\n",              // an empty size line
        "5\nhello\r\n0\r\n\r\n", // a bare LF
        "5\r\nhello\n0\r\n\r\n", // a bare LF after the data
        "5\rhello\r\n0\r\n\r\n", // a bare CR
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;\0\r\nhello\r\n0\r\n\r\n", // NUL in an extension
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "0\r\nbad trailer\r\n\r\n",
        "0\r\nContent-Length: 5\n\r\n",
    ] {
        check(&system, &post("Transfer-Encoding: chunked\r\n", body), 400);
    }
}

#[test]
fn line_ends_and_bytes_that_some_servers_forgive() {
    let system = System::start();
    check(&system, "GET / HTTP/1.1\nHost: a\n\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\nHost: a\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400);
    check(&system, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check(&system, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check(&system, "GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check(&system, "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check(&system, "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_bytes(&system, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check(&system, "G\u{0}T / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400);
    check(&system, "GET / http/1.1\r\nHost: a\r\n\r\n", 400);
    check(&system, "GET /\r\nHost: a\r\n\r\n", 400);
    check(&system, "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n", 400);
    check(&system, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
}

#[test]
fn hosts_that_are_missing_repeated_or_invalid() {
    let system = System::start();
    check(&system, "GET / HTTP/1.1\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a:port\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", 400);
    check(&system, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400);
}

#[test]
fn heads_over_the_limits() {
    let system = System::start();
    let line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9_000));
    check(&system, &line, 414);
    let with_field =
        |bytes| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes));
    check(&system, &with_field(33_000), 431);
    let mut connection = system.raw_http();
    connection.send(with_field(32_000).as_bytes());
    connection.answer().assert_status(404);
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(101));
    check(&system, &fields, 431);

    let system = System::builder().front_flags(&["--head-bytes-max", "64KiB"]).start();
    check(&system, &with_field(66_000), 431);
    let mut connection = system.raw_http();
    connection.send(with_field(65_000).as_bytes());
    connection.answer().assert_status(404);
}

#[test]
fn what_is_well_formed_is_served_however_it_arrives() {
    let body = r#"{"username":"ada","password":"correct horse battery"}"#;
    let (first, second) = body.split_at(20);
    let chunked = format!(
        "{:x};note=\"a\"\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nX-Trailer: 1\r\n\r\n",
        first.len(),
        second.len()
    );
    let system = System::start();
    let mut connection = system.raw_http();

    // Pipelined: a chunked body, an unknown path and a HEAD, answered in order.
    let mut batch = post("Transfer-Encoding: Chunked\r\n", &chunked);
    batch.push_str("GET /nowhere HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    batch.push_str("HEAD /open_api/v1/products HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.send(batch.as_bytes());
    connection.answer().assert_status(200);
    connection.answer().assert_status(404);
    assert_eq!(connection.answer_without_content().status, 401);

    // The same, a byte at a time, is the same; only the name is taken by now.
    connection.send_byte_by_byte(batch.as_bytes());
    connection.answer().assert_status(409);
    connection.answer().assert_status(404);
    assert_eq!(connection.answer_without_content().status, 401);

    // Asked first, told to go on, answered.
    let length = body.len();
    connection.send(
        post(&format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"), "").as_bytes(),
    );
    assert_eq!(connection.answer_without_content().status, 100);
    connection.send(body.as_bytes());
    connection.answer().assert_status(409);

    // Half-closed with a request in flight, it is answered all the same.
    connection.send(post(&format!("Content-Length: {length}\r\n"), body).as_bytes());
    connection.finish_sending();
    connection.answer().assert_status(409);
    connection.assert_closed();
}

#[test]
fn a_request_that_asks_for_the_end_gets_it() {
    let system = System::start();
    for request in [
        "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
        "GET /nowhere HTTP/1.0\r\n\r\n",
    ] {
        let mut connection = system.raw_http();
        connection.send([request, SMUGGLED].concat().as_bytes());
        connection.answer().assert_status(404);
        connection.assert_closed();
    }
}

#[test]
fn other_protocols_are_told_on_both_ports() {
    let mut system = System::start();
    let front = system.front();
    let ports = [("http", front.address()), ("ops", front.ops_address())];
    let proxy_v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    for (hello, status, name) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], 400, "TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n", 400, "the PROXY protocol"),
        (proxy_v2, 400, "the PROXY protocol"),
    ] {
        for (_, address) in ports {
            let mut connection = RawConnection::open(address);
            connection.send(hello);
            let answer = connection.answer().assert_status(status);
            assert!(answer.text().contains(&format!("This looks like {name}")), "{answer:?}");
            connection.assert_closed();
        }
    }
    let metrics = front.ops().get("/metrics", None).assert_status(200);
    for (listener, _) in ports {
        for (status, reason, count) in
            [(400, "tls", 1), (505, "http2", 1), (400, "proxy_protocol", 2)]
        {
            let line = format!(
                "http_front_http_faults_total{{listener=\"{listener}\",status=\"{status}\",reason=\"{reason}\"}} {count}"
            );
            assert!(metrics.text().lines().any(|it| it == line), "{line}");
        }
    }
    // A stranger's mistake is no failure of ours.
    let failures = "http_front_answers_total{class=\"5xx\"} 0";
    assert!(metrics.text().lines().any(|it| it == failures), "{}", metrics.text());
    // One line for each protocol and port, with the peer.
    let log = front.log();
    assert_eq!(log.matches("came to a port that speaks").count(), 6, "{log}");
    assert_eq!(log.matches("\"peer\":\"127.0.0.1\"").count(), 6, "{log}");
}
