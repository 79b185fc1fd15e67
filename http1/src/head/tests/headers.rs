//! Headers that decide about framing, connections and hosts.

use super::*;

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
