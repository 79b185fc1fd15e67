//! RFC 9112: messages, framing, connections.

use http1::limits::{
    BODY_BYTES_MAX, CHUNK_LINE_BYTES_MAX, CHUNK_OVERHEAD_BYTES_MAX, EMPTY_LINES_MAX, FIELDS_MAX,
    HEAD_BYTES_DEFAULT, REQUEST_LINE_BYTES_MAX, TRAILER_BYTES_MAX,
};

use super::*;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn empty_lines_before_a_request_line_are_ignored() {
    let lines = |count: u8| "\r\n".repeat(count.into());
    served(lines(1) + GET);
    served(lines(EMPTY_LINES_MAX) + GET);
    served(GET.to_owned() + &lines(EMPTY_LINES_MAX));
    refused(lines(EMPTY_LINES_MAX + 1), 400);
}

#[test]
fn a_bare_cr_is_refused_wherever_it_stands() {
    refused("\rGET /page HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("GET\r/page HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("GET /pa\rge HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("GET /page HTTP/1.1\rHost: a\r\n\r\n", 400);
    refused(get("A: b\rc\r\n"), 400);
    refused(get("A\r: b\r\n"), 400);
    refused(get("A: b\r\r\n"), 400);
    refused("GET /page HTTP/1.1\r\nHost: a\r\n\rA: b\r\n\r\n", 400);
    refused(post(CHUNKED, "2\rhi\r\n0\r\n\r\n").replace("POST", "GET"), 400);
}

#[test]
fn a_bare_lf_ends_no_line() {
    refused("GET /page HTTP/1.1\nHost: a\r\n\r\n", 400);
    refused("GET /page HTTP/1.1\r\nHost: a\n\r\n", 400);
    refused("GET /page HTTP/1.1\r\nHost: a\r\n\n", 400);
    refused("GET /page HTTP/1.1\nHost: a\n\n", 400);
    refused("\nGET /page HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused(get("A: b\nContent-Length: 2\r\n"), 400);
}

#[test]
fn whitespace_before_the_first_header_is_refused() {
    for blank in [" ", "\t", " \t "] {
        refused(format!("GET /page HTTP/1.1\r\n{blank}Host: a\r\n\r\n"), 400);
        refused(format!("GET /page HTTP/1.1\r\n{blank}\r\nHost: a\r\n\r\n"), 400);
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for line in [
        "",
        "GET",
        "GET /page",
        "GET /page ",
        "/page HTTP/1.1",
        "GET HTTP/1.1",
        "HTTP/1.1 200 OK",
        ":",
        "G(T /page HTTP/1.1",
    ] {
        // What is empty is an empty line, and what follows it a header without a request.
        refused(format!("{line}\r\nHost: a\r\n\r\n"), 400);
    }
    for bytes in [&b"\0"[..], b"\x80", b"\xff\xfe", b"{\"a\":1}", b"\x05\x01\x00", b"\x01"] {
        refused(bytes, 400);
    }
}

#[test]
fn a_malformed_request_line_is_not_put_right() {
    for line in [
        "GET  /page HTTP/1.1",
        "GET /page  HTTP/1.1",
        " GET /page HTTP/1.1",
        "GET /page HTTP/1.1 ",
        "GET\t/page\tHTTP/1.1",
        "GET /page x HTTP/1.1",
        "GET /page\u{b}HTTP/1.1",
        "GET /page#a HTTP/1.1",
        "GET page HTTP/1.1",
        "GET /page http/1.1",
        "GET /page HTTP /1.1",
        "GET /page HTTP/1.1\0",
        "GET /\u{e9} HTTP/1.1",
        "GET /pa\"ge\u{7f} HTTP/1.1",
        "\"GET\" /page HTTP/1.1",
    ] {
        refused(format!("{line}\r\nHost: a\r\n\r\n"), 400);
    }
}

#[test]
fn the_major_version_is_1_and_a_later_minor_one_is_taken_as_1_1() {
    for minor in 1..=9 {
        served(format!("GET /page HTTP/1.{minor}\r\nHost: a\r\n\r\n"));
        refused(format!("GET /page HTTP/1.{minor}\r\n\r\n"), 400);
    }
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9", "HTTP/2.1"] {
        refused(format!("GET /page {version}\r\nHost: a\r\n\r\n"), 505);
    }
    for version in [
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.10",
        "HTTP/1.1.1",
        "HTTP/11",
        "HTTP/x.1",
        "HTTP/1,1",
        "HTTPS/1.1",
        "HTTP/+1.1",
    ] {
        refused(format!("GET /page {version}\r\nHost: a\r\n\r\n"), 400);
    }
    // All of it is answered as 1.1.
    for heard in check("GET /page HTTP/1.0\r\nHost: a\r\n\r\n", &[200], true) {
        assert!(heard.text.starts_with("HTTP/1.1 200 OK\r\n"), "{}", heard.text);
    }
}

#[test]
fn a_long_method_is_501_and_a_long_target_414() {
    let target = |bytes: usize| {
        let frame = "GET /none? HTTP/1.1".len();
        format!("GET /none?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - frame))
    };
    const { assert!(REQUEST_LINE_BYTES_MAX >= 8000) };
    answered(target(8000), 404);
    answered(target(REQUEST_LINE_BYTES_MAX), 404);
    refused(target(REQUEST_LINE_BYTES_MAX + 1), 414);
    refused("M".repeat(REQUEST_LINE_BYTES_MAX + 10), 501);
    refused(
        format!("{} /page HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(REQUEST_LINE_BYTES_MAX)),
        501,
    );
}

#[test]
fn a_request_of_1_1_has_one_valid_host() {
    let with = |lines: &str| format!("GET /page HTTP/1.1\r\n{lines}\r\n");
    refused(with(""), 400);
    refused(with("Host: b\r\nHost: b\r\n"), 400);
    refused(with("Host: b\r\nA: b\r\nhost: c\r\n"), 400);
    for host in
        ["", " ", "b c", "b/c", "user@b", "b:x", "b:65536", "[::1", "::1", "b%2", "b#c", "http://b"]
    {
        refused(with(&format!("Host: {host}\r\n")), 400);
    }
    refused("GET http://b/page HTTP/1.1\r\n\r\n", 400);
    refused("GET http://b/page HTTP/1.1\r\nHost: b c\r\n\r\n", 400);
    refused("GET /page HTTP/1.0\r\nHost: b\r\nHost: b\r\n\r\n", 400);
    served("GET /page HTTP/1.1\r\nA: b\r\nHost: a\r\n\r\n");
}

#[test]
fn the_absolute_form_is_taken() {
    for target in
        ["http://b/page", "HTTP://b:80/page?x", "http://[::1]:8080/page", "http://b:/page"]
    {
        served(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for target in [
        "http://",
        "http:///page",
        "http://u@b/page",
        "http://b:x/page",
        "ftp://b/page",
        "http:/page",
        "b/page",
        "//b/page x",
    ] {
        refused(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    }
}

#[test]
fn a_status_line_has_three_parts() {
    let [api, ops] = check(
        GET.to_owned() + &get("").replace("/page", "/none") + "x\r\n\r\n",
        &[200, 404, 400],
        true,
    );
    for heard in [api, ops] {
        for line in
            ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 404 Not Found\r\n", "HTTP/1.1 400 Bad Request\r\n"]
        {
            assert!(heard.text.contains(line), "{}", heard.text);
        }
    }
}

#[test]
fn a_blank_before_a_colon_is_refused() {
    for line in [
        "A : b",
        "A\t: b",
        "Content-Length : 0",
        "Transfer-Encoding : chunked",
        " : b",
        ": b",
        "A b: c",
        "A",
    ] {
        refused(get(&format!("{line}\r\n")), 400);
    }
}

#[test]
fn a_folded_line_is_refused() {
    for line in ["A: b\r\n c", "A: b\r\n\tc", "A:\r\n b", "A: b\r\n ", "Content-Length: 0\r\n 1"] {
        refused(get(&format!("{line}\r\n")), 400);
    }
}

#[test]
fn the_only_transfer_coding_is_chunked() {
    served(get("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n");
    served(get("transfer-encoding:\tCHUNKED \r\n") + "0\r\n\r\n");
    for coding in [
        "gzip",
        "gzip, chunked",
        "identity",
        "identity, chunked",
        "xchunked",
        "chunked;a=b",
        "deflate",
    ] {
        refused(post(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"), 501);
    }
    refused(post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 501);
}

#[test]
fn chunked_is_the_last_coding_and_stands_once() {
    for coding in [
        "chunked, gzip",
        "chunked, chunked",
        "chunked, identity",
        "chunked gzip",
        "\"chunked\"",
        "chunked\u{b}",
    ] {
        refused(post(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"), 400);
    }
    refused(post(&CHUNKED.repeat(2), "0\r\n\r\n"), 400);
    // A list with empty elements too: another parser may not see that there is a coding.
    for coding in ["", ",", "chunked,", ",chunked"] {
        refused(post(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"), 400);
    }
}

#[test]
fn a_transfer_coding_in_http_1_0_is_faulty_framing() {
    for lines in [
        CHUNKED,
        "Transfer-Encoding: gzip\r\n",
        "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n",
    ] {
        refused(format!("POST /page HTTP/1.0\r\nHost: a\r\n{lines}\r\n0\r\n\r\n"), 400);
    }
    refused(
        format!("POST /page HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n{CHUNKED}\r\n0\r\n\r\n"),
        400,
    );
}

#[test]
fn length_and_coding_together_are_refused() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: gzip\r\nContent-Length: 0\r\n",
    ] {
        refused(post(lines, "0\r\n\r\n"), 400);
    }
}

#[test]
fn a_content_length_is_one_number_that_does_not_overflow() {
    for value in [
        "",
        "x",
        "+1",
        "-1",
        "1 1",
        "1,1",
        "1, 1",
        "0x1",
        "1.0",
        "1;",
        "\"1\"",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        refused(post(&format!("Content-Length: {value}\r\n"), "x"), 400);
    }
    refused(post("Content-Length: 1\r\nContent-Length: 1\r\n", "x"), 400);
    refused(post("Content-Length: 1\r\nContent-Length: 2\r\n", "x"), 400);
    answered(post("Content-Length: 1\r\n", "x"), 405);
    answered(post("content-length:\t001 \r\n", "x"), 405);
    // Known to be too long to be read on: the answer comes, and the connection goes.
    for heard in check(post("Content-Length: 18446744073709551615\r\n", "x"), &[405], true) {
        assert!(heard.text.contains("\r\nConnection: close\r\n"), "{}", heard.text);
    }
}

#[test]
fn an_incomplete_request_is_refused_and_closed() {
    for input in ["G", "GET /page HTTP/1.1\r\nHost: a\r\n", "GET /page HTTP/1.1\r\nHost: a\r\n\r"] {
        check_end(input.as_bytes(), &[400], true, true);
    }
    let chunked = get(CHUNKED);
    for body in ["", "0", "0\r\n", "0\r\nA: b\r\n", "0\r\n\r"] {
        check_end((chunked.clone() + body).as_bytes(), &[400], true, true);
    }
    // A refused one has its answer already.
    check_end(post("Content-Length: 5\r\n", "hel").as_bytes(), &[405], true, true);
    check_end(b"", &[], true, true);
    check_end(GET.as_bytes(), &[200], true, true);
}

#[test]
fn chunks_are_decoded_and_checked() {
    answered(post(CHUNKED, "5\r\nhello\r\n0\r\n\r\n"), 405);
    answered(post(CHUNKED, "A\r\n0123456789\r\n00b\r\n0123456789a\r\n000\r\n\r\n"), 405);
    answered(post(CHUNKED, "2\r\n\r\n\r\n0\r\n\r\n"), 405);
    for body in [
        "\r\n",
        "g\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
    ] {
        check(post(CHUNKED, body) + GET, &[405], true);
        refused(get(CHUNKED) + body, 400);
    }
}

#[test]
fn a_chunk_size_does_not_overflow() {
    for size in [
        "10000000000000000",
        "fffffffffffffffff",
        "100000000000000000000000005",
        "ffffffffffffffff",
    ] {
        check(post(CHUNKED, &format!("{size}\r\nhello\r\n0\r\n\r\n")) + GET, &[405], true);
        refused(get(CHUNKED) + &format!("{size}\r\nhello\r\n0\r\n\r\n"), 400);
    }
    answered(post(CHUNKED, "0000000000000000000000005\r\nhello\r\n0\r\n\r\n"), 405);
}

#[test]
fn chunk_extensions_are_ignored_and_malformed_ones_refused() {
    for extension in [
        ";a",
        ";a=b",
        ";a=\"b;c\"",
        " ; a = b",
        ";a=\"\\\"\\\\\"",
        ";note=\"\u{e9}\"",
        ";a;b=c;d=\"\"",
        "\t;a",
    ] {
        served(get(CHUNKED) + &format!("0{extension}\r\n\r\n"));
        answered(post(CHUNKED, &format!("2{extension}\r\nhi\r\n0{extension}\r\n\r\n")), 405);
    }
    for extension in [
        ";note=\"half",
        ";no{te",
        ";note=a{b",
        ";note=\"x\"y",
        ";",
        ";=b",
        ";a=",
        ";a b",
        ";a ",
        "; ;a",
        ";a=\"\n\"",
        ";a=\"\\\r\n\"",
    ] {
        refused(get(CHUNKED) + &format!("0{extension}\r\n\r\n"), 400);
        for body in
            [format!("2{extension}\r\nhi\r\n0\r\n\r\n"), format!("2\r\nhi\r\n0{extension}\r\n\r\n")]
        {
            check(post(CHUNKED, &body) + GET, &[405], true);
        }
    }
}

#[test]
fn what_the_chunked_coding_adds_has_a_bound() {
    let line = |bytes: usize| format!("0;{}\r\n\r\n", "a".repeat(bytes - 2));
    served(get(CHUNKED) + &line(CHUNK_LINE_BYTES_MAX));
    refused(get(CHUNKED) + &line(CHUNK_LINE_BYTES_MAX + 1), 400);
    let tiny = "1\r\na\r\n".repeat(CHUNK_OVERHEAD_BYTES_MAX / 5 + 1);
    check(post(CHUNKED, &tiny), &[405], true);
    let trailers = |bytes: usize| format!("0\r\nA:{}\r\n\r\n", "b".repeat(bytes - 6));
    served(get(CHUNKED) + &trailers(TRAILER_BYTES_MAX));
    refused(get(CHUNKED) + &trailers(TRAILER_BYTES_MAX + 1), 400);
}

#[test]
fn trailers_are_checked_and_never_become_headers() {
    // None of these has an effect, whatever it would have as a header.
    for trailer in [
        "A: b",
        "Host: c",
        "Content-Length: 5",
        "Connection: close",
        "If-Match: \"x\"",
        "Transfer-Encoding: chunked",
    ] {
        served(get(CHUNKED) + &format!("0\r\n{trailer}\r\n\r\n"));
    }
    let without_token = "GET /page HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n";
    let input = format!("{without_token}0\r\nAuthorization: Bearer t1\r\n\r\n");
    assert_eq!(ask_api(input.as_bytes(), input.len(), false).codes, [401]);
    for trailer in ["A : b", "A", ": b", "A: b\r\n c", "A: \0", "A: b\n", "GET /page HTTP/1.1"] {
        refused(get(CHUNKED) + &format!("0\r\n{trailer}\r\n\r\n"), 400);
    }
}

#[test]
fn a_body_is_read_to_its_end_or_the_connection_closed() {
    // Were it looked at, it would be requests.
    let body = "GET /none HTTP/1.1\r\nHost: b\r\n\r\n".repeat(3);
    answered(post(&format!("Content-Length: {}\r\n", body.len()), &body), 405);
    answered(post(CHUNKED, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())), 405);
    let long = "x".repeat(BODY_BYTES_MAX + 1);
    for heard in
        check(post(&format!("Content-Length: {}\r\n", long.len()), &long) + GET, &[405], true)
    {
        assert!(heard.text.contains("\r\nConnection: close\r\n"), "{}", heard.text);
    }
    check(post(CHUNKED, &format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len())) + GET, &[405], true);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let none = get("").replace("/page", "/none");
    let head = GET.replace("GET", "HEAD");
    let input = [
        GET,
        &none,
        &head,
        &post("Content-Length: 2\r\n", "hi"),
        &get(CHUNKED),
        "0\r\n\r\n",
        "\r\n",
        &none,
        GET,
    ]
    .concat();
    check(input, &[200, 404, 200, 405, 200, 404, 200], false);
}

#[test]
fn a_connection_goes_on_unless_somebody_wants_its_end() {
    let last = |request: &str| {
        for heard in check(request.to_owned() + GET, &[200], true) {
            assert!(heard.text.contains("\r\nConnection: close\r\n"), "{}", heard.text);
        }
    };
    served(GET);
    served(get("Connection: keep-alive\r\n"));
    served(get("Connection: closed, x-close\r\n"));
    served(get("Connection: upgrade\r\nUpgrade: h2c\r\n"));
    for option in [
        "close",
        "CLOSE",
        "a, close",
        "close, keep-alive",
        ",close,",
        "keep-alive\r\nConnection: close",
        "close\r\nConnection: keep-alive",
    ] {
        last(&get(&format!("Connection: {option}\r\n")));
    }
    let old = "GET /page HTTP/1.0\r\nHost: a\r\n\r\n";
    last(old);
    last(&old.replace("\r\n\r\n", "\r\nConnection: keep-alive, close\r\n\r\n"));
    let kept = old.replace("\r\n\r\n", "\r\nConnection: Keep-Alive\r\n\r\n");
    for heard in check(kept + GET, &[200, 200], false) {
        assert!(heard.text.contains("\r\nConnection: keep-alive\r\n"), "{}", heard.text);
    }
}

#[test]
fn a_head_has_bounds() {
    let frame =
        get("A: \r\n").len() + "Authorization: Bearer t1\r\n".len() + "/open_api/v1/session".len();
    served(get(&format!("A: {}\r\n", "b".repeat(HEAD_BYTES_DEFAULT - frame))));
    refused(get(&format!("A: {}\r\n", "b".repeat(HEAD_BYTES_DEFAULT))), 431);
    // `Host` is one of them, and the token of the API another.
    served(get(&"A: b\r\n".repeat(FIELDS_MAX - 2)));
    refused(get(&"A: b\r\n".repeat(FIELDS_MAX)), 431);
}
