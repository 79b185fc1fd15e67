//! Large bodies that are refused before they have come: whoever sends all of a body before it reads gets its whole
//! answer, directly and through proxies, and no proxy takes a server for broken.

use std::{net::SocketAddr, thread, time::Duration};

use e2e::{HaProxy, Nginx, RawConnection, System};

/// What is sent before anything is read.
const BODY_BYTES: usize = 64 << 20;

/// At a time; also the size of a chunk.
const PIECE_BYTES: usize = 1 << 20;

/// Between two pieces, for a sender that takes some seconds for all of them: well below the time for which a server
/// waits for the next one, and all below the time for which it waits at all.
const PACE: Duration = Duration::from_millis(100);

const _: () = assert!(BODY_BYTES.is_multiple_of(PIECE_BYTES));

/// How a request says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    /// Not at all, or the head says it.
    None,
}

/// A request that is answered before its body has come.
struct Early {
    status: u16,
    /// Without the line that frames it, and the empty line.
    head: String,
    framings: &'static [Framing],
}

const BOTH: &[Framing] = &[Framing::Length, Framing::Chunked];

fn early(status: u16, head: String) -> Early {
    Early { status, head, framings: BOTH }
}

const JSON: &str = "Content-Type: application/json";

/// One of each status that the API gives early.
fn early_answers_of_the_api() -> Vec<Early> {
    let post = |path: &str, lines: &str| {
        format!("POST /open_api/v1/{path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
    };
    let cross_site = "Sec-Fetch-Site: cross-site\r\nCookie: __Host-session=gate_x";
    let mut all = vec![
        early(401, post("logout", JSON)),
        early(403, post("logout", &format!("{JSON}\r\n{cross_site}"))),
        early(404, post("nothing", JSON)),
        early(405, post("products", JSON)),
        early(413, post("register", JSON)),
        early(415, post("register", "Content-Type: text/plain")),
    ];
    all.extend(early_answers_of_http("/open_api/v1/products"));
    all
}

/// The same of the listener for operators.
fn early_answers_of_ops() -> Vec<Early> {
    let request = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n");
    let mut all = vec![
        early(404, request("POST /nothing")),
        early(405, request("POST /healthz")),
        early(400, request("GET /healthz")),
    ];
    all.extend(early_answers_of_http("/healthz"));
    all
}

/// What the protocol itself answers, before anybody is asked for a path.
fn early_answers_of_http(path: &str) -> [Early; 4] {
    let head =
        |version: &str, line: &str| format!("POST {path} HTTP/{version}\r\nHost: a\r\n{line}");
    [
        early(400, head("1.1", "Na me: v\r\n")),
        early(417, head("1.1", "Expect: a-miracle\r\n")),
        Early {
            status: 501,
            head: head("1.1", "Transfer-Encoding: gzip\r\n"),
            framings: &[Framing::None],
        },
        early(505, head("2.0", "")),
    ]
}

/// Sends a head, and 64 MiB after it, without reading; a server that resets the connection meanwhile fails the test.
fn send_all(connection: &mut RawConnection, head: &str, framing: Framing, pace: Option<Duration>) {
    let line = match framing {
        Framing::Length => format!("Content-Length: {BODY_BYTES}\r\n"),
        Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
        Framing::None => String::new(),
    };
    connection.send(format!("{head}{line}\r\n").as_bytes());
    send_body(connection, framing, pace);
}

fn send_body(connection: &mut RawConnection, framing: Framing, pace: Option<Duration>) {
    let mut piece = vec![b'x'; PIECE_BYTES];
    if framing == Framing::Chunked {
        piece = [format!("{PIECE_BYTES:x}\r\n").as_bytes(), &piece, b"\r\n"].concat();
    }
    for _ in 0..BODY_BYTES / PIECE_BYTES {
        connection.send(&piece);
        if let Some(pace) = pace {
            thread::sleep(pace);
        }
    }
    if framing == Framing::Chunked {
        connection.send(b"0\r\n\r\n");
    }
}

/// Checks one kind of early answer, framed in each of its ways, on connections of their own.
fn check(address: SocketAddr, early: &Early, pace: Option<Duration>) {
    let Early { status, head, framings } = early;
    for framing in *framings {
        let mut connection = RawConnection::open(address);
        send_all(&mut connection, head, *framing, pace);
        let answer = connection.answer();
        assert_eq!(answer.status, *status, "{head:?} {framing:?}: {answer:?}");
        let _ = answer.problem_code();
        connection.assert_closed();
    }
}

#[test]
fn every_early_answer_of_the_api_arrives() {
    let mut system = System::start();
    let address = system.front().address();
    for early in early_answers_of_the_api() {
        check(address, &early, None);
    }
}

#[test]
fn every_early_answer_of_the_api_arrives_at_a_slow_sender() {
    let mut system = System::start();
    let address = system.front().address();
    thread::scope(|scope| {
        for early in early_answers_of_the_api() {
            scope.spawn(move || check(address, &early, Some(PACE)));
        }
    });
}

#[test]
fn every_early_answer_of_the_ops_listeners_arrives() {
    let mut system = System::start();
    for address in [system.front().ops_address(), system.auth().ops_address()] {
        for early in early_answers_of_ops() {
            check(address, &early, None);
        }
    }
}

#[test]
fn every_early_answer_of_an_ops_listener_arrives_at_a_slow_sender() {
    let mut system = System::start();
    let address = system.front().ops_address();
    let all = early_answers_of_ops();
    // No more at a time than may linger there.
    for some in all.chunks(3) {
        thread::scope(|scope| {
            for early in some {
                scope.spawn(move || check(address, early, Some(PACE)));
            }
        });
    }
}

#[test]
fn what_comes_after_the_last_request_costs_no_answer() {
    let mut system = System::start();
    for (address, path, status) in [
        (system.front().address(), "/open_api/v1/products", 401),
        (system.front().ops_address(), "/readyz", 200),
    ] {
        for pace in [None, Some(PACE)] {
            let mut connection = RawConnection::open(address);
            let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
            send_all(&mut connection, &head, Framing::None, pace);
            assert_eq!(connection.answer().status, status, "{path}");
            connection.assert_closed();
        }
    }
}

#[test]
fn a_request_that_stops_has_its_answer_also_if_it_goes_on_later() {
    let mut system = System::start();
    let head = format!("POST /open_api/v1/register HTTP/1.1\r\nHost: a\r\n{JSON}\r\n");
    let begun = [
        head[..40].to_owned(),
        format!("{head}Content-Length: 100\r\n\r\n{{"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{"),
    ];
    let addresses = [system.front().address(), system.front().ops_address()];
    thread::scope(|scope| {
        for address in addresses {
            // The other listener wants no bodies.
            let count = if address == addresses[0] { begun.len() } else { 1 };
            for begun in &begun[..count] {
                scope.spawn(move || {
                    let mut connection = RawConnection::open(address);
                    connection.send(begun.as_bytes());
                    connection.wait_for_bytes();
                    send_body(&mut connection, Framing::None, None);
                    connection.answer().assert_status(408);
                    connection.assert_closed();
                });
            }
        }
    });
}

#[test]
fn answers_to_earlier_requests_are_not_lost() {
    let system = System::start();
    let count = 200;
    for framing in [Framing::Length, Framing::Chunked] {
        let mut connection = system.raw_http();
        connection.send(&b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".repeat(count));
        let malformed = "GET / HTTP/1.1\r\nHost: a\r\nNa me: v\r\n";
        send_all(&mut connection, malformed, framing, None);
        for _ in 0..count {
            connection.answer().assert_status(404);
        }
        connection.answer().assert_status(400);
        connection.assert_closed();
    }
}

/// Sends large bodies that are refused through a proxy at `address`, each more often than there are servers behind it:
/// had one of them been taken for broken, none would be left for what comes after.
#[track_caller]
fn check_through_proxy(address: SocketAddr, framings: &[Framing]) {
    let post = |path: &str| format!("POST /open_api/v1/{path} HTTP/1.1\r\nHost: a\r\n{JSON}\r\n");
    for framing in framings {
        for (path, status) in [("register", 413), ("logout", 401)] {
            for _ in 0..3 {
                let mut connection = RawConnection::open(address);
                send_all(&mut connection, &post(path), *framing, None);
                let answer = connection.answer();
                assert_eq!(answer.status, status, "{path} {framing:?}: {answer:?}");
                let _ = answer.problem_code();
                let mut next = RawConnection::open(address);
                next.send(b"GET /open_api/v1/session HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(
                    next.answer().problem_code(),
                    "token_missing",
                    "after {path} {framing:?}"
                );
            }
        }
    }
}

#[test]
fn nginx_passes_early_answers_on_and_fails_no_server() {
    let mut system = System::builder().fronts(2).start();
    let servers: String = system
        .fronts()
        .iter()
        .map(|front| format!("server {} max_fails=1 fail_timeout=60s;\n", front.address()))
        .collect();
    let upstream =
        format!("upstream fronts {{\n{servers}keepalive 8;\n}}\nclient_max_body_size 0;");
    for buffering in ["on", "off"] {
        let location = format!(
            "location / {{\nproxy_pass http://fronts;\nproxy_http_version 1.1;\n\
             proxy_set_header Connection \"\";\nproxy_set_header Host $http_host;\n\
             proxy_request_buffering {buffering};\n}}"
        );
        let nginx = Nginx::start(&upstream, &location);
        check_through_proxy(nginx.address(), BOTH);
        let errors = nginx.errors();
        assert!(!errors.contains("upstream"), "buffering {buffering}:\n{errors}");
    }
}

#[test]
fn haproxy_passes_early_answers_on_and_fails_no_server() {
    let mut system = System::builder().fronts(2).start();
    let servers: String = system
        .fronts()
        .iter()
        .enumerate()
        .map(|(number, front)| {
            // One answer that is broken, and it is out of use for longer than the test takes.
            format!(
                " server front{number} {} check inter 600s fall 1 observe layer7 error-limit 1 on-error mark-down\n",
                front.address()
            )
        })
        .collect();
    for buffering in ["", "    option http-buffer-request\n"] {
        let frontend = format!("    mode http\n    default_backend fronts\n{buffering}");
        let backend = format!("backend fronts\n    mode http\n    retries 0\n{servers}");
        let haproxy = HaProxy::start(&frontend, &backend);
        check_through_proxy(haproxy.address(), BOTH);
    }
}
