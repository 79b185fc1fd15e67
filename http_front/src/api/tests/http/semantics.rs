//! RFC 9110: methods, headers, conditions, statuses.

use super::*;

#[test]
fn nothing_is_done_before_the_whole_head_is_there() {
    // Each header could be the last that decides.
    for (lines, code) in
        [("Content-Length: x\r\n", 400), ("Expect: b\r\n", 417), ("Host: c\r\n", 400)]
    {
        refused(get(&format!("A: b\r\n{lines}")), code);
    }
}

#[test]
fn unknown_headers_are_ignored_and_names_have_no_case() {
    served(get("X-Unknown: a\r\nUnheard-Of: \"\r\n!#$%&'*+-.^_`|~09azAZ: b\r\n"));
    served("GET /page HTTP/1.1\r\nHost2: c\r\nHost: a\r\n\r\n");
    for heard in check(get("CONNECTION: close\r\n") + GET, &[200], true) {
        assert!(heard.text.contains("Connection: close\r\n"), "{}", heard.text);
    }
    served(get("content-LENGTH: 0\r\n"));
}

#[test]
fn blanks_around_a_value_are_no_part_of_it() {
    served(get("Content-Length: \t 0 \t\r\n"));
    served(get("Connection:keep-alive\r\n"));
    served(get("A:\r\nB: \t \r\n"));
    for heard in check(get("Connection: \t close\t \r\n") + GET, &[200], true) {
        assert!(heard.text.contains("Connection: close\r\n"), "{}", heard.text);
    }
}

#[test]
fn controls_in_a_value_are_refused_and_bytes_over_0x7f_are_opaque() {
    for byte in (0..=0x1f_u8).chain([0x7f]).filter(|&byte| byte != b'\t' && byte != b'\r') {
        refused(
            [b"GET /page HTTP/1.1\r\nHost: a\r\nA: b", &[byte][..], b"c\r\n\r\n"].concat(),
            400,
        );
    }
    for byte in 0x80..=0xff_u8 {
        served([b"GET /page HTTP/1.1\r\nHost: a\r\nA: ", &[byte][..], b"\r\n\r\n"].concat());
    }
    served(get("A: a\tb \"c\" \\\r\n"));
}

#[test]
fn empty_elements_of_lists_are_ignored() {
    for heard in check(get("Connection: , ,close,,\r\n") + GET, &[200], true) {
        assert!(heard.text.contains("Connection: close\r\n"), "{}", heard.text);
    }
    for value in ["", ",", " , ,\t", "100-continue,", ",100-continue"] {
        served(get(&format!("Expect: {value}\r\n")));
    }
    for value in ["If-None-Match: ,\"a\",,\r\n", "If-Match: ,*\r\n"] {
        let code = if value.contains('*') { 412 } else { 200 };
        answered(get(value), code);
    }
}

#[test]
fn a_target_has_a_host_no_user_and_sound_escapes() {
    for target in [
        "http:///page",
        "http://:80/page",
        "https:///page",
        "http://user@b/page",
        "http://user:pw@b/page",
        "http://@b/page",
    ] {
        refused(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    }
    for target in [
        "/page?%zz",
        "/page?a%",
        "/page?%4",
        "/%zz",
        "/%",
        "/page%2",
        "http://b/%0g",
        "http://b%zz/page",
    ] {
        refused(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    }
    served("GET /page?a=%20%C3%a9 HTTP/1.1\r\nHost: a\r\n\r\n");
    // A path is what it is written as: the same one in other letters is another one.
    for path in ["/%70age", "//page", "/page/", "/./page", "/x/../page", "/PAGE", "/page;a"] {
        let path =
            path.replace("page", "open_api/v1/session").replace("%70age", "%6fpen_api/v1/session");
        answered(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"), 404);
    }
    answered("GET /%68ealthz HTTP/1.1\r\nHost: a\r\n\r\n", 404);
}

#[test]
fn the_asterisk_is_for_options_and_an_authority_for_connect() {
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE"] {
        let heard = check(format!("{method} * HTTP/1.1\r\nHost: a\r\n\r\n{GET}"), &[400], true);
        assert_eq!(heard[0].text.ends_with("\r\n\r\n"), method == "HEAD");
        check(format!("{method} a:80 HTTP/1.1\r\nHost: a\r\n\r\n{GET}"), &[400], true);
    }
}

#[test]
fn a_target_that_says_https_is_misdirected_on_a_plain_connection() {
    for target in ["https://a/page", "HTTPS://a:443/page?b", "https://a/none", "https://[::1]/page"]
    {
        answered(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 421);
    }
    answered("OPTIONS https://a HTTP/1.1\r\nHost: a\r\n\r\n", 421);
}

#[test]
fn a_trusted_proxy_may_send_a_target_that_says_https() {
    let mut bench = Bench::behind_a_proxy();
    let answer =
        bench.ask("GET https://shop.example/open_api/v1/session HTTP/1.1\r\nHost: a\r\n\r\n");
    answer.check(401, "token_missing");
}

#[test]
fn upgrades_are_ignored() {
    for lines in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Upgrade: TLS/1.3\r\n",
    ] {
        for heard in answered(get(lines), 200) {
            assert!(!heard.text.contains("Upgrade"), "{}", heard.text);
        }
    }
    check(
        "GET /page HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: HTTP/1.1\r\n\r\n",
        &[200],
        true,
    );
}

#[test]
fn an_answer_has_a_length_and_no_coding() {
    let none = get("").replace("/page", "/none");
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    let unchanged = get("If-None-Match: *\r\n");
    let input = [GET, &none, options, &unchanged, "x"].concat();
    for heard in check_end(input.as_bytes(), &[200, 404, 204, 304, 400], true, true) {
        assert!(!heard.text.contains("Transfer-Encoding"), "{}", heard.text);
        for answer in heard.text.split("HTTP/1.1 ").skip(1) {
            let (head, content) = answer.split_once("\r\n\r\n").expect("a head");
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            match &head[..3] {
                "204" | "304" => assert_eq!((length, content), (None, ""), "{answer}"),
                _ => assert_eq!(length, Some(&*content.len().to_string()), "{answer}"),
            }
        }
    }
}

#[test]
fn the_answer_to_head_is_that_to_get_without_content() {
    let requests = [
        GET.to_owned(),
        get("").replace("/page", "/none"),
        get("If-Match: \"v7\"\r\n"),
        get("Na me: v\r\n"),
        get("Expect: b\r\n"),
        get("Content-Length: 1\r\n") + "x",
        get("Content-Length: x\r\n"),
        get("Transfer-Encoding: gzip\r\n"),
        "GET /page HTTP/1.1\r\n\r\n".to_owned(),
        "GET /page HTTP/2.0\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000)),
        get(&"A: b\r\n".repeat(101)),
        get(&format!("A: {}\r\n", "b".repeat(33_000))),
        "GET https://a/page HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /page HTTP/1.1\r\nHost".to_owned(),
    ];
    for request in requests {
        for (name, ask) in PORTS {
            let as_get = ask(request.as_bytes(), request.len(), true);
            let (head, content) = as_get.text.split_once("\r\n\r\n").expect("a head");
            assert!(!content.is_empty(), "{name} port, {request:.60}: {head}");
            let request = request.replacen("GET", "HEAD", 1);
            for piece_bytes in [request.len(), 1000, 1 + request.len() / 60] {
                let as_head = ask(request.as_bytes(), piece_bytes, true);
                assert_eq!(as_head.text, format!("{head}\r\n\r\n"), "{name} port, {request:.60}");
            }
        }
    }
}

#[test]
fn get_and_head_are_there_and_change_nothing() {
    served(GET);
    check(GET.replace("GET", "HEAD") + GET, &[200, 200], false);
    for method in ["GET", "HEAD"] {
        for resource in ["register", "authenticate", "logout", "revoke_session", "change_password"]
        {
            let request = request(
                method,
                &format!("/open_api/v1/{resource}"),
                "Authorization: Bearer t1\r\n",
            );
            assert_eq!(
                ask_api(request.as_bytes(), request.len(), false).codes,
                [405],
                "{method} {resource}"
            );
        }
    }
}

#[test]
fn a_method_that_nobody_knows_is_not_implemented() {
    for method in
        ["LOCK", "BREW", "PROPFIND", "M-SEARCH", "get", "Get", "patch", "connect", "GETT", "GE"]
    {
        for path in ["/page", "/none"] {
            answered(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
        }
        answered(format!("{method} /page HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"), 501);
    }
}

#[test]
fn a_method_that_a_resource_does_not_have_is_405_with_those_that_it_has() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        for heard in answered(format!("{method} /page HTTP/1.1\r\nHost: a\r\n\r\n"), 405) {
            assert!(heard.text.contains("\r\nAllow: GET, HEAD\r\n"), "{}", heard.text);
        }
    }
}

#[test]
fn options_of_the_server_as_a_whole() {
    for target in ["*", "http://a", "http://[::1]:80"] {
        let request = format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: a\r\nIf-Match: \"v7\"\r\nMax-Forwards: 0\r\n\r\n"
        );
        let [api, ops] = answered(request, 204);
        assert!(api.text.contains("\r\nAllow: GET, HEAD, POST, OPTIONS\r\n"), "{}", api.text);
        assert!(ops.text.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), "{}", ops.text);
    }
    answered("OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 204);
    answered("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 404);
}

#[test]
fn there_are_no_tunnels() {
    for target in ["a:80", "a:443", "a:", "a", "[::1]:80", "/page", "http://a/"] {
        refused(format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
    }
}

#[test]
fn a_read_comes_without_content() {
    for lines in ["", "Content-Length: 0\r\n"] {
        served(get(lines));
    }
    served(get("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n");
    answered(get("Content-Length: 2\r\n") + "hi", 400);
    refused(get("Transfer-Encoding: chunked\r\n") + "2\r\nhi\r\n0\r\n\r\n", 400);
    check(get("Content-Length: 99999999\r\n"), &[400], true);
}

#[test]
fn expectations() {
    // There is nothing to wait for, or the answer is there already.
    served(get("Expect: 100-continue\r\n"));
    served(get("expect: 100-CONTINUE\r\n"));
    check(post("Expect: 100-continue\r\nContent-Length: 2\r\n", ""), &[405], true);
    for heard in check(get("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"), &[100], false)
    {
        assert_eq!(heard.text, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    for value in ["200-ok", "100-continue, b", "100-continue; a=b", "100", "\"100-continue\""] {
        refused(get(&format!("Expect: {value}\r\n")), 417);
    }
    // HTTP/1.0 has neither expectations nor answers of 1xx.
    for value in ["100-continue", "b"] {
        let request = format!(
            "GET /page HTTP/1.0\r\nHost: a\r\nExpect: {value}\r\nConnection: keep-alive\r\n\r\n"
        );
        served(request);
    }
}

#[test]
fn preconditions() {
    for method in ["GET", "HEAD"] {
        let ask = |lines: &str, code: u16| {
            let request = get(lines).replace("GET", method);
            check(request + GET, &[code, 200], false)
        };
        ask("If-Match: *\r\n", 200);
        ask("If-Match: \"v7\"\r\n", 412);
        ask("If-Match: W/\"v7\"\r\n", 412);
        ask("If-Match: v7\r\n", 412);
        ask("If-None-Match: \"v7\"\r\n", 200);
        ask("If-None-Match: \"a\", W/\"b\"\r\nIf-None-Match: \"c\"\r\n", 200);
        ask("If-Match: \"v7\"\r\nIf-None-Match: *\r\n", 412);
        ask("If-None-Match: *\r\nIf-Match: *\r\n", 304);
        for heard in ask("If-None-Match: *\r\n", 304) {
            let (unchanged, _) = heard.text.split_once("\r\n\r\n").expect("a head");
            assert!(
                unchanged.contains("\r\nCache-Control: no-store\r\n")
                    || unchanged.ends_with("no-store")
            );
            assert!(!unchanged.contains("\r\nContent-"), "{unchanged}");
        }
        // Nothing has a date, and there are no ranges.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        ask(&format!("If-Modified-Since: {date}\r\n"), 200);
        ask(&format!("If-Unmodified-Since: {date}\r\n"), 200);
        ask("If-Modified-Since: yesterday\r\nIf-Unmodified-Since: tomorrow\r\n", 200);
        ask("If-Range: \"v7\"\r\nRange: bytes=0-0\r\n", 200);
    }
    // Where the answer would be none of 2xx they are ignored.
    for lines in ["If-Match: \"v7\"\r\n", "If-None-Match: *\r\n"] {
        answered(get(lines).replace("/page", "/none"), 404);
        answered(get(lines).replace("GET", "DELETE"), 405);
        answered(get(lines).replace("GET /page", "OPTIONS *"), 204);
    }
}

#[test]
fn ranges_are_ignored() {
    for lines in [
        "Range: bytes=0-0\r\n",
        "Range: bytes=99999999999999999999-\r\n",
        "Range: lines=1\r\n",
        "Content-Range: bytes 0-0/1\r\n",
        "Content-Location: /x\r\n",
    ] {
        for heard in answered(get(lines), 200) {
            assert!(!heard.text.contains("Range"), "{}", heard.text);
        }
    }
}

#[test]
fn preferences_of_form_are_ignored() {
    for lines in [
        "Accept: text/html\r\n",
        "Accept-Encoding: gzip, identity;q=0\r\n",
        "Accept-Charset: x\r\n",
        "Accept-Language: tlh\r\n",
        "TE: trailers, gzip\r\n",
        "From: root@a\r\n",
        "Max-Forwards: 0\r\n",
    ] {
        served(get(lines));
    }
}

#[test]
fn every_answer_has_a_date_and_every_error_an_explanation() {
    for (request, code) in [
        (GET.to_owned(), 200),
        (get("If-None-Match: *\r\n"), 304),
        (get("").replace("/page", "/none"), 404),
        (get("").replace("GET", "LOCK"), 501),
        (get("If-Match: \"v7\"\r\n"), 412),
        (get("Expect: b\r\n"), 417),
        ("GET /page HTTP/2.0\r\n\r\n".to_owned(), 505),
        ("x\r\n\r\n".to_owned(), 400),
    ] {
        for heard in check_end(request.as_bytes(), &[code], true, true) {
            assert_eq!(heard.dates, 1, "{}", heard.text);
            if code >= 400 {
                let (head, content) = heard.text.split_once("\r\n\r\n").expect("a head");
                assert!(head.contains("Content-Type: application/problem+json\r\n"), "{head}");
                let content: serde_json::Value = serde_json::from_str(content).expect("JSON");
                assert_eq!(content["status"], code, "{content}");
                assert!(content["detail"].as_str().is_some_and(|it| !it.is_empty()), "{content}");
            }
            for line in [
                "X-Content-Type-Options: nosniff\r\n",
                "Cross-Origin-Resource-Policy: same-origin\r\n",
            ] {
                assert_eq!(heard.text.matches(line).count(), 1, "{}", heard.text);
            }
        }
    }
}
