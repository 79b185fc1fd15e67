//! Request lines, versions, targets.

use super::*;

#[test]
fn request_lines_are_taken_apart() {
    let get = |path: &str, query: Option<&str>| {
        let query = query.map(str::to_owned);
        Ok((Method::Get, path.to_owned(), query, BodyLength::Exact(0), true))
    };
    check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &get("/", None));
    check(b"GET /a/b?c=d HTTP/1.1\r\nhOsT:a\r\n\r\n", &get("/a/b", Some("c=d")));
    check(b"GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n", &get("/c", None));
    for (token, method) in [
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("PATCH", Method::Patch),
        ("DELETE", Method::Delete),
        ("OPTIONS", Method::Options),
        ("TRACE", Method::Trace),
        ("get", Method::Other),
        ("patch", Method::Other),
        ("connect", Method::Other),
        ("LOCK", Method::Other),
        ("BREW", Method::Other),
        ("M-SEARCH", Method::Other),
    ] {
        let input = format!("{token} / HTTP/1.1\r\nHost: a\r\n\r\n");
        let expected = (method, "/".to_owned(), None, BodyLength::Exact(0), true);
        check(input.as_bytes(), &Ok(expected));
    }
}

#[test]
fn malformed_request_lines_are_refused() {
    for line in [
        &b"GET"[..],
        b"GET /",
        b"GET / ",
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET\t/\tHTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET / HTTP/1.11",
        b"GET / HTTP/11",
        b"GET / http/1.1",
        b"GET / HTTP/x.y",
        b"GET / HTTP",
        b"G(T / HTTP/1.1",
        b"GET /\0 HTTP/1.1",
        b"GET /\x1f HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET /\r HTTP/1.1",
    ] {
        refused(&[line, b"\r\nHost: a\r\n\r\n"].concat(), HeadError::RequestLine);
    }
    refused(b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target);
    refused(b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target);
    refused(b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target);
    refused(b"GET http://b@c/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target);
    refused("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes(), HeadError::Target);
    refused(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Connect);
}

#[test]
fn bytes_over_0x7f_in_the_target_are_refused_as_utf_8_or_not() {
    for target in [&b"/\xe9"[..], b"/\xc3\xa9", b"/\xff", b"/\x80"] {
        let input = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let error = parse(&input).expect_err("it is refused");
        assert_eq!(error.status().code(), 400, "{target:?}");
    }
}

#[test]
fn other_versions_are_refused_as_such() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/2.1", "HTTP/9.9"] {
        let input = format!("GET / {version}\r\nHost: a\r\n\r\n");
        refused(input.as_bytes(), HeadError::Version);
    }
}

#[test]
fn a_later_minor_version_is_taken_as_1_1() {
    for minor in 2..=9 {
        for rest in ["Host: a\r\n\r\n", "Host: a\r\nConnection: close\r\n\r\n"] {
            let head =
                |version: &str| format!("POST /a?b {version}\r\nContent-Length: 3\r\n{rest}");
            let expected = parse(head("HTTP/1.1").as_bytes());
            assert!(expected.is_ok());
            check(head(&format!("HTTP/1.{minor}")).as_bytes(), &expected);
        }
        // With all that 1.1 asks for.
        refused(format!("GET / HTTP/1.{minor}\r\n\r\n").as_bytes(), HeadError::HostMissing);
    }
    for version in [
        "HTTP/1.",
        "HTTP/1.a",
        "HTTP/1.10",
        "HTTP/1.77",
        "HTTP/1.7 ",
        "HTTP/01.7",
        "http/1.7",
        "HTTP/1,7",
    ] {
        let input = format!("GET / {version}\r\nHost: a\r\n\r\n");
        refused(input.as_bytes(), HeadError::RequestLine);
    }
    refused(b"GET  / HTTP/1.7\r\nHost: a\r\n\r\n", HeadError::RequestLine);
    refused(b"GET /a b HTTP/1.7\r\nHost: a\r\n\r\n", HeadError::RequestLine);
    refused(b"GET / HTTP/1.7\r\nHost: a\n\r\n", HeadError::BareLineFeed);
}

#[test]
fn other_protocols_are_told_by_name() {
    for hello in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\x16"] {
        refused(hello, HeadError::Tls);
    }
    // The preface of HTTP/2 (RFC 9113 section 3.4), also up to its first empty line only.
    refused(b"PRI * HTTP/2.0\r\n\r\n", HeadError::Http2);
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04", HeadError::Http2);
    for line in
        ["PROXY TCP4 192.0.2.1 192.0.2.2 4711 80", "PROXY TCP6 ::1 ::1 4711 80", "PROXY UNKNOWN"]
    {
        // As soon as the line is there.
        refused(format!("{line}\r\n").as_bytes(), HeadError::ProxyProtocol);
        refused(
            format!("{line}\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
            HeadError::ProxyProtocol,
        );
    }
    // Nearly so.
    refused(b"\x17\x03\x01", HeadError::RequestLine);
    refused(b"PRI / HTTP/2.0\r\n\r\n", HeadError::Version);
    refused(b"PROXY TCP4\r\n\r\n", HeadError::RequestLine);
    let proxy = (Method::Other, "/".to_owned(), None, BodyLength::Exact(0), true);
    check(b"PROXY / HTTP/1.1\r\nHost: a\r\n\r\n", &Ok(proxy));
}

#[test]
fn a_method_longer_than_any_is_not_a_target_that_is_too_long() {
    let line = |method: usize, target: usize| {
        let (method, target) = ("M".repeat(method), "a".repeat(target));
        format!("{method} /{target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
    };
    refused(&vec![b'M'; REQUEST_LINE_BYTES_MAX + 3], HeadError::MethodTooLong);
    refused(&line(REQUEST_LINE_BYTES_MAX, 0), HeadError::MethodTooLong);
    refused(&line(8, REQUEST_LINE_BYTES_MAX), HeadError::MethodTooLong);
    refused(&line(7, REQUEST_LINE_BYTES_MAX), HeadError::RequestLineTooLong);
    refused(&line(3, REQUEST_LINE_BYTES_MAX), HeadError::RequestLineTooLong);
    // A line that fits says what it is.
    assert_eq!(parse(&line(4000, 0)).expect("it is valid").0, Method::Other);
}

#[test]
fn percent_encoding_has_two_digits() {
    for target in [
        "/%zz",
        "/%",
        "/%4",
        "/a%2",
        "/?%zz",
        "/a?b=%",
        "/a?%4g",
        "/%C3%",
        "http://a/%g0",
        "/a?b%%41",
    ] {
        refused(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), HeadError::Target);
    }
    for (path, query) in [
        ("/%00", None),
        ("/%C3%a9", None),
        ("/a", Some("%25")),
        ("/a%3F", Some("b?%2f")),
        ("/", Some("?")),
    ] {
        let target = query.map_or(path.to_owned(), |query: &str| format!("{path}?{query}"));
        let expected =
            (Method::Get, path.to_owned(), query.map(str::to_owned), BodyLength::Exact(0), true);
        check(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), &Ok(expected));
    }
}

/// What a head says of whom it is for: the authority, and whether by https.
#[track_caller]
fn check_authority(head: &str, expected: Option<(&str, bool)>) {
    let head = format!("{head}\r\n\r\n");
    let find = |head: &Head<'_>| {
        let authority =
            head.authority().map(|it| std::str::from_utf8(it).expect("ASCII").to_owned());
        authority.map(|it| (it, head.names_https()))
    };
    let expected = expected.map(|(authority, https)| (authority.to_owned(), https));
    let (mut slots, mut more_slots) = (FieldSlots::new(), FieldSlots::new());
    let parsed = Head::parse(head.as_bytes(), &mut slots).expect("it is valid");
    assert_eq!(find(&parsed), expected, "{head:?}");
    let (parsed, _) =
        Head::parse_whole(head.as_bytes(), &mut more_slots).expect("valid").expect("whole");
    assert_eq!(find(&parsed), expected, "{head:?} whole");
}

#[test]
fn the_authority_is_that_of_the_target_or_else_of_host() {
    check_authority("GET / HTTP/1.1\r\nHost: shop.example", Some(("shop.example", false)));
    check_authority(
        "GET / HTTP/1.1\r\nHost: shop.example:8443",
        Some(("shop.example:8443", false)),
    );
    check_authority(
        "GET http://shop.example/ HTTP/1.1\r\nHost: inner.example",
        Some(("shop.example", false)),
    );
    check_authority(
        "GET https://shop.example/ HTTP/1.1\r\nHost: inner.example",
        Some(("shop.example", true)),
    );
    check_authority(
        "GET HTTPS://shop.example:443?a HTTP/1.1\r\nHost: b",
        Some(("shop.example:443", true)),
    );
    check_authority("OPTIONS http://[::1]:80 HTTP/1.1\r\nHost: b", Some(("[::1]:80", false)));
    check_authority("OPTIONS * HTTP/1.1\r\nHost: b", Some(("b", false)));
    check_authority("GET / HTTP/1.0", None);
    check_authority("GET / HTTP/1.0\r\nHost: a", Some(("a", false)));
    check_authority("GET https://a/ HTTP/1.0", Some(("a", true)));
}
