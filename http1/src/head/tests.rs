use super::*;
use crate::limits::HEAD_BYTES_MAX;
use proptest::prelude::*;

/// What a test looks at: method, path, query, length, whether the connection goes on.
type Gist = (Method, String, Option<String>, BodyLength, bool);

fn gist(head: &Head<'_>) -> Gist {
    let query = head.query().map(str::to_owned);
    (head.method(), head.path().to_owned(), query, head.body_length(), head.persists())
}

/// As a head that arrives in pieces is parsed: its gist, and its length.
fn parse_scanned(input: &[u8]) -> Result<Option<(Gist, usize)>, HeadError> {
    let Some(length) = HeadScan::default().advance(input, HEAD_BYTES_MAX)? else { return Ok(None) };
    let copy = as_http_1_1(&input[..length]);
    let mut slots = FieldSlots::new();
    let head = Head::parse(copy.as_ref().map_or(&input[..length], |copy| copy), &mut slots)?;
    Ok(Some((gist(&head), length)))
}

/// As one that has come whole is parsed.
fn parse_whole(input: &[u8]) -> Option<(Gist, usize)> {
    let mut slots = FieldSlots::new();
    let (head, length) = Head::parse_whole(input, &mut slots).ok()??;
    Some((gist(&head), length))
}

fn parse(input: &[u8]) -> Result<Gist, HeadError> {
    let scanned = parse_scanned(input);
    // Later minor versions never count as whole: they are rare.
    if input.len() <= REQUEST_LINE_BYTES_MAX && as_http_1_1(input).is_none() {
        assert_eq!(parse_whole(input), scanned.clone().unwrap_or(None), "both ways find the same");
    }
    let (gist, length) = scanned?.expect("the head is complete");
    assert_eq!(length, input.len(), "the head ends with the input");
    Ok(gist)
}

fn check(input: &[u8], expected: &Result<Gist, HeadError>) {
    let shown = String::from_utf8_lossy(&input[..input.len().min(200)]);
    assert_eq!(&parse(input), expected, "{shown:?}");
}

fn refused(input: &[u8], error: HeadError) {
    check(input, &Err(error));
}

/// A GET with one valid `Host` and these lines.
fn with_lines(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

fn check_length(lines: &str, expected: Result<BodyLength, HeadError>) {
    check(
        &with_lines(lines),
        &expected.map(|length| (Method::Get, "/".to_owned(), None, length, true)),
    );
}

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

#[test]
fn malformed_field_lines_are_refused() {
    for line in [
        "A : b",
        "A\t: b",
        " A: b",
        "A",
        ": b",
        "A: b\r\n c",
        "A: b\r\n\tc",
        "A: b\rc",
        "A: \0",
        "A: \u{7f}",
        "A: \u{1}",
        "A(: b",
        "A\u{e9}: b",
    ] {
        refused(&with_lines(&format!("{line}\r\n")), HeadError::FieldLine);
    }
    // A blank before the first field could be a fold of the request line.
    refused(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", HeadError::FieldLine);
    refused(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeadError::FieldLine);
}

#[test]
fn a_request_has_one_valid_host() {
    let with_host = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n").into_bytes();
    refused(&with_host(""), HeadError::HostMissing);
    refused(&with_host("Host: a\r\nHost: a\r\n"), HeadError::HostRepeated);
    refused(&with_host("Host: a\r\nA: b\r\nhost: c\r\n"), HeadError::HostRepeated);
    for value in ["", " ", "a b", "a, b", "a/b", "a@b", "a:b", "[::1", "a:70000"] {
        refused(&with_host(&format!("Host: {value}\r\n")), HeadError::HostInvalid);
    }
    refused(b"GET http://b/ HTTP/1.1\r\n\r\n", HeadError::HostMissing);
    refused(b"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", HeadError::HostInvalid);
    refused(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", HeadError::HostRepeated);
    let old = (Method::Get, "/".to_owned(), None, BodyLength::Exact(0), false);
    check(b"GET / HTTP/1.0\r\n\r\n", &Ok(old));
}

#[test]
fn a_content_length_is_one_plain_number() {
    check_length("Content-Length: 0\r\n", Ok(BodyLength::Exact(0)));
    check_length("content-length:\t17 \r\n", Ok(BodyLength::Exact(17)));
    check_length("Content-Length: 007\r\n", Ok(BodyLength::Exact(7)));
    check_length("Content-Length: 18446744073709551615\r\n", Ok(BodyLength::Exact(u64::MAX)));
    for value in [
        "",
        "+5",
        "-5",
        "5, 5",
        "5,5",
        "5 5",
        "5;",
        "0x5",
        "5.0",
        "five",
        "5\u{b2}",
        "\"5\"",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        let line = format!("Content-Length: {value}\r\n");
        check_length(&line, Err(HeadError::ContentLength));
    }
    let repeated = "Content-Length: 5\r\nContent-Length: 5\r\n";
    check_length(repeated, Err(HeadError::ContentLength));
    let differing = "Content-Length: 5\r\nA: b\r\ncontent-length: 6\r\n";
    check_length(differing, Err(HeadError::ContentLength));
}

#[test]
fn the_only_transfer_coding_is_chunked_once_and_last() {
    let coding = |value: &str| format!("Transfer-Encoding: {value}\r\n");
    for value in ["chunked", "Chunked", "CHUNKED", " chunked\t"] {
        check_length(&coding(value), Ok(BodyLength::Chunked));
    }
    for value in [
        "gzip",
        "gzip, chunked",
        "identity",
        "xchunked",
        "chunkedx",
        "\"chunked\"x",
        "chunked;a=b",
        "identity, chunked",
    ] {
        let expected = if value.contains('"') {
            HeadError::TransferEncoding
        } else {
            HeadError::UnknownCoding
        };
        check_length(&coding(value), Err(expected));
    }
    for value in [
        "",
        ",",
        "chunked,",
        ",chunked",
        "chunked, chunked",
        "chunked, gzip",
        "chunked, identity",
        "chun ked",
        "chunked gzip",
        "\u{e9}chunked",
    ] {
        check_length(&coding(value), Err(HeadError::TransferEncoding));
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    check_length(twice, Err(HeadError::TransferEncoding));
    let over_two_lines = "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n";
    check_length(over_two_lines, Err(HeadError::UnknownCoding));
    // A control character in the value never gets as far as the coding.
    check_length(&coding("\u{b}chunked"), Err(HeadError::FieldLine));
}

#[test]
fn length_and_coding_exclude_each_other() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
        "Transfer-Encoding:\r\nContent-Length: 0\r\n",
    ] {
        check_length(lines, Err(HeadError::LengthAndCoding));
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(old, HeadError::CodingInHttp10);
}

#[test]
fn connection_options_decide_on_persistence() {
    let check = |version: &str, options: &str, expected: bool| {
        let input = format!("GET / {version}\r\nHost: a\r\n{options}\r\n");
        let (.., persists) = parse(input.as_bytes()).expect("it is valid");
        assert_eq!(persists, expected, "{input:?}");
    };
    check("HTTP/1.1", "", true);
    check("HTTP/1.1", "Connection: close\r\n", false);
    check("HTTP/1.1", "connection: CLOSE\r\n", false);
    check("HTTP/1.1", "Connection: te , Close\r\n", false);
    check("HTTP/1.1", "Connection: keep-alive, close\r\n", false);
    check("HTTP/1.1", "Connection: te\r\nConnection: close\r\n", false);
    check("HTTP/1.1", "Connection: closed\r\n", true);
    check("HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n", true);
    check("HTTP/1.0", "", false);
    check("HTTP/1.0", "Connection: Keep-Alive\r\n", true);
    check("HTTP/1.0", "Connection: keep-alive, close\r\n", false);
}

#[test]
fn the_only_expectation_is_100_continue() {
    let check = |version: &str, value: &str, expected: Result<bool, HeadError>| {
        let input = format!("POST / {version}\r\nHost: a\r\nExpect: {value}\r\n\r\n");
        let mut slots = FieldSlots::new();
        let expects = Head::parse(input.as_bytes(), &mut slots).map(|head| head.expects_continue());
        assert_eq!(expects, expected, "{input:?}");
    };
    check("HTTP/1.1", "100-continue", Ok(true));
    check("HTTP/1.1", "100-Continue", Ok(true));
    check("HTTP/1.1", "100-continue,", Ok(true));
    check("HTTP/1.1", ",\t, 100-continue ,,", Ok(true));
    check("HTTP/1.1", "100-continue, 100-continue", Ok(true));
    check("HTTP/1.1", ",\r\nExpect: 100-continue", Ok(true));
    check("HTTP/1.1", "100-continue\r\nExpect:", Ok(true));
    // A list without a member expects nothing.
    check("HTTP/1.1", "", Ok(false));
    check("HTTP/1.1", ",", Ok(false));
    check("HTTP/1.1", " , ,\t,", Ok(false));
    check("HTTP/1.1", "200-ok", Err(HeadError::Expectation));
    check("HTTP/1.1", "100-continue, more", Err(HeadError::Expectation));
    check("HTTP/1.1", "100-continue\r\nExpect: more", Err(HeadError::Expectation));
    check("HTTP/1.1", "100-continue;a", Err(HeadError::Expectation));
    check("HTTP/1.1", "100-continue=a", Err(HeadError::Expectation));
    check("HTTP/1.1", "\"100-continue\"", Err(HeadError::Expectation));
    check("HTTP/1.0", "100-continue", Ok(false));
    check("HTTP/1.0", "more", Ok(false));
}

#[test]
fn there_may_be_as_many_fields_as_the_limit_and_not_one_more() {
    // `Host` is one of them.
    assert!(parse(&with_lines(&"A: b\r\n".repeat(FIELDS_MAX - 1))).is_ok());
    refused(&with_lines(&"A: b\r\n".repeat(FIELDS_MAX)), HeadError::TooManyFields);
}

#[test]
fn a_head_as_long_as_the_limit_is_parsed() {
    let frame = with_lines("A: \r\n").len();
    let longest = with_lines(&format!("A: {}\r\n", "b".repeat(HEAD_BYTES_MAX - frame)));
    assert_eq!(longest.len(), HEAD_BYTES_MAX);
    assert!(parse(&longest).is_ok());
}

#[test]
fn fields_are_found_by_name_and_repetition_is_an_error() {
    let input = with_lines("Authorization: Bearer x\r\nB: 1\r\nb: 2\r\nC: \r\n");
    let mut slots = FieldSlots::new();
    let head = Head::parse(&input, &mut slots).unwrap();
    let check = |name: &str, expected: Result<Option<&str>, RepeatedField>| {
        assert_eq!(head.field(name), expected.map(|value| value.map(str::as_bytes)), "{name}");
    };
    check("AUTHORIZATION", Ok(Some("Bearer x")));
    check("b", Err(RepeatedField));
    check("c", Ok(Some("")));
    check("d", Ok(None));
    assert_eq!(head.fields("B").collect::<Vec<_>>(), [b"1", b"2"]);
    assert!(!format!("{head:?}").contains("Bearer"), "tokens stay out of logs");
}

#[test]
fn fields_are_found_however_long_their_names_are() {
    for length in (1..=130).filter(|&length| length != "Host".len()) {
        let name = "x".repeat(length);
        let input = with_lines(&format!("{}: a\r\n", name.to_uppercase()));
        let mut slots = FieldSlots::new();
        let head = Head::parse(&input, &mut slots).unwrap();
        assert_eq!(head.field(&name), Ok(Some(&b"a"[..])), "{length}");
        assert_eq!(head.fields(&name).count(), 1, "{length}");
        for other in ["x".repeat(length + 1), "y".repeat(length)] {
            assert_eq!(head.field(&other), Ok(None), "{length}");
            assert_eq!(head.fields(&other).count(), 0, "{length}");
        }
    }
}

#[test]
fn content_codings_other_than_identity_are_told() {
    let check = |lines: &str, expected: bool| {
        let input = with_lines(lines);
        let mut slots = FieldSlots::new();
        let head = Head::parse(&input, &mut slots).unwrap();
        assert_eq!(head.has_content_coding(), expected, "{lines:?}");
    };
    check("", false);
    check("Content-Encoding: identity\r\n", false);
    check("content-encoding: ,Identity,\r\n", false);
    check("Content-Encoding:\r\nContent-Encoding: ,\r\n", false);
    for coding in ["gzip", "x-gzip", "zstd", "identity, br", "aws-chunked", "\"identity\"", "ident"]
    {
        check(&format!("Content-Encoding: {coding}\r\n"), true);
    }
    check("Content-Encoding: identity\r\nContent-Encoding: gzip\r\n", true);
    check("Accept-Encoding: gzip\r\nTE: gzip\r\n", false);
}

#[test]
fn media_types_compare_without_case_and_parameters() {
    let check = |lines: &str, expected: bool| {
        let input = with_lines(lines);
        let mut slots = FieldSlots::new();
        let head = Head::parse(&input, &mut slots).unwrap();
        assert_eq!(head.has_media_type("application/json"), expected, "{lines:?}");
    };
    check("Content-Type: application/json\r\n", true);
    check("content-type: Application/JSON ; charset=utf-8\r\n", true);
    check("Content-Type: application/jsonp\r\n", false);
    check("Content-Type: text/plain; application/json\r\n", false);
    check("Content-Type: application/json\r\nContent-Type: text/plain\r\n", false);
    check("", false);
}

/// Pieces of heads, right and wrong, of which lines and ends of lines can be made.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET / HTTP/1.1",
        "POST /a?b HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "CONNECT a:1 HTTP/1.1",
        "GET / HTTP/2.0",
        "GET / HTTP/1.2",
        "GET http://b/%41 HTTP/1.1",
        "OPTIONS https://b HTTP/1.1",
        "GET /%4 HTTP/1.1",
        "PRI * HTTP/2.0",
        "PROXY TCP4 a b 1 2",
        "\u{16}",
        "If-Match: *",
        "Expect: ,",
        "GET  / HTTP/1.1",
        "\r\n",
        "\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "\n\n",
        "Host: a",
        "host:b:80",
        "Host: a@b",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Connection: close",
        "A: b",
        "A : b",
        " folded",
        ":",
        "\0",
        "\u{e9}",
        "x",
    ])
}

proptest! {
    /// Whatever arrives in one piece is taken exactly when it would be taken piece by piece, and as the
    /// same request.
    #[test]
    fn a_whole_head_is_parsed_as_one_in_pieces_is(
        begins_well in any::<bool>(),
        pieces in prop::collection::vec(piece(), 0..14),
    ) {
        let begin = if begins_well { "GET / HTTP/1.1\r\nHost: a\r\n" } else { "" };
        let input = [begin, &pieces.concat()].concat();
        // Later minor versions never count as whole.
        let scanned = parse_scanned(input.as_bytes()).unwrap_or(None);
        let scanned = scanned.filter(|(_, length)| as_http_1_1(&input.as_bytes()[..*length]).is_none());
        prop_assert_eq!(parse_whole(input.as_bytes()), scanned);
    }
}

#[test]
fn only_so_much_is_looked_at_for_a_whole_head() {
    let of_length = |bytes: usize| {
        let filler = vec![b'b'; bytes - with_lines("A: \r\n").len()];
        with_lines(&format!("A: {}\r\n", String::from_utf8(filler).expect("letters")))
    };
    let longest = of_length(REQUEST_LINE_BYTES_MAX);
    assert_eq!(parse_whole(&longest).expect("it is whole").1, REQUEST_LINE_BYTES_MAX);
    assert_eq!(
        parse_whole(&[&longest[..], b"GET"].concat()).expect("it is whole").1,
        longest.len()
    );
    assert_eq!(parse_whole(&of_length(REQUEST_LINE_BYTES_MAX + 1)), None);
}

#[test]
fn a_bare_line_feed_is_found_wherever_it_stands() {
    for head in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB: \t \r\nC: d e \r\nF: g\r\n\r\n",
    ] {
        assert!(parse_whole(head).is_some());
        for at in 0..head.len() {
            let (before, after) = head.split_at(at);
            let lengthened = [before, b"\n", after].concat();
            let expected = parse_scanned(&lengthened).unwrap_or(None);
            assert_eq!(parse_whole(&lengthened), expected, "LF at {at}");
            if let [b'\r', after @ ..] = after {
                let bare = [before, after].concat();
                assert_eq!(parse_whole(&bare), None, "no CR at {at}");
                let mut slots = FieldSlots::new();
                let parsed = Head::parse(&bare, &mut slots).map(|head| gist(&head));
                assert_eq!(parsed, Err(HeadError::BareLineFeed), "no CR at {at}");
            }
        }
    }
}
