//! What is decided on the head and the body, before any work.

use std::net::IpAddr;

use service::metrics::Counter;

use super::*;
use crate::limits::USER_AGENT_BYTES_MAX;
use crate::work::{Login, Registration, Unanswered, Work};

const BEARER: &str = "Authorization: Bearer t1\r\n";
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const JSON: &str = "Content-Type: application/json\r\n";
const ROUTES: [(&str, &str); 8] = [
    ("register", "POST"),
    ("authenticate", "POST"),
    ("products", "GET, HEAD"),
    ("session", "GET, HEAD"),
    ("sessions", "GET, HEAD"),
    ("logout", "POST"),
    ("revoke_session", "POST"),
    ("change_password", "POST"),
];
/// Those that need a session.
const WITH_SESSION: [(&str, &str); 6] = [
    ("products", "GET"),
    ("session", "GET"),
    ("sessions", "GET"),
    ("logout", "POST"),
    ("revoke_session", "POST"),
    ("change_password", "POST"),
];

/// Sends one request on a connection of its own; it must be answered without a worker.
#[track_caller]
fn check(request: &str, status: u16, code: &str) -> Answer {
    let mut bench = Bench::new();
    let answer = bench.ask(request);
    answer.check(status, code);
    assert!(bench.post.take().is_empty() && bench.heavy.is_empty() && bench.light.is_empty());
    answer
}

#[test]
fn paths_that_are_not_there() {
    for path in ["/", "/open_api/v1/", "/open_api/v1/users", "/open_api/v2/session", "/metrics"] {
        check(&request("GET", path, BEARER), 404, "not_found");
        let post = request("POST", path, &format!("{JSON}Content-Length: 2\r\n")) + "{}";
        check(&post, 404, "not_found");
    }
}

#[test]
fn every_method_that_a_resource_does_not_have_is_refused_with_those_that_it_has() {
    for (resource, allowed) in ROUTES {
        let path = format!("/open_api/v1/{resource}");
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            if allowed.split(", ").any(|has| has == method) {
                continue;
            }
            let mut bench = Bench::new();
            let answer = bench.ask(&request(method, &path, BEARER));
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            assert_eq!(answer.field("Allow"), Some(allowed), "{method} {path}");
            assert_eq!(answer.body.is_empty(), method == "HEAD", "{method} {path}");
        }
    }
}

#[test]
fn a_session_needs_a_token() {
    for (resource, method) in WITH_SESSION {
        let path = format!("/open_api/v1/{resource}");
        let long = format!("Authorization: Bearer {}\r\n", "x".repeat(97));
        let twice = BEARER.repeat(2);
        for (fields, code) in [
            ("", "token_missing"),
            ("Authorization: Basic YWRhOnB3\r\n", "token_missing"),
            ("Authorization: Bearer\r\n", "token_missing"),
            ("Authorization: Digest a=b\r\n", "token_missing"),
            ("Authorization: Bearer a b\r\n", "token_malformed"),
            ("Authorization: Bearer caf\u{e9}\r\n", "token_malformed"),
            (&*long, "token_malformed"),
            (&*twice, "token_malformed"),
        ] {
            let answer = check(&request(method, &path, fields), 401, code);
            // Only a token that came is one that can be invalid.
            let expected = match code {
                "token_missing" => "Bearer realm=\"gatehouse\"",
                _ => "Bearer realm=\"gatehouse\", error=\"invalid_token\"",
            };
            assert_eq!(answer.field("WWW-Authenticate"), Some(expected), "{answer:?}");
        }
    }
}

#[test]
fn a_head_is_answered_like_a_get_without_its_content() {
    for (method, has_body) in [("GET", true), ("HEAD", false)] {
        let mut bench = Bench::new();
        let path = "/open_api/v1/session";
        let answer = bench.ask(&request(method, path, ""));
        assert_eq!((answer.status, answer.body.is_empty()), (401, !has_body));

        bench.send(&request(method, path, BEARER));
        let session = bench.session("t1", HOUR);
        let job = bench.light_job();
        let from_worker = bench.finish(job, Outcome::Session(session));
        let from_lease = bench.ask(&request(method, path, BEARER));
        for answer in [from_worker, from_lease] {
            assert_eq!((answer.status, answer.body.is_empty()), (200, !has_body), "{answer:?}");
            assert_ne!(answer.field("Content-Length"), Some("0"), "{answer:?}");
        }
    }
}

#[test]
fn posts_are_json() {
    for resource in ["register", "authenticate", "logout", "revoke_session", "change_password"] {
        let path = format!("/open_api/v1/{resource}");
        for media_type in
            ["", "Content-Type: text/plain\r\n", "Content-Type: application/jsonp\r\n"]
        {
            let fields = format!("{BEARER}{media_type}Content-Length: 2\r\n");
            let post = request("POST", &path, &fields) + "{}";
            let answer = check(&post, 415, "unsupported_media_type");
            assert_eq!(answer.field("Accept"), Some("application/json"), "{answer:?}");
            assert_eq!(answer.field("Accept-Encoding"), None, "{answer:?}");
        }
    }
    let with_charset = "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n";
    check(&(request("POST", "/open_api/v1/register", with_charset) + "{}"), 400, "body_malformed");
}

#[test]
fn content_comes_as_it_is() {
    for resource in ["register", "authenticate", "logout", "revoke_session", "change_password"] {
        let path = format!("/open_api/v1/{resource}");
        for coding in ["gzip", "zstd", "x-unknown", "identity, gzip"] {
            let coded = format!("{BEARER}{JSON}Content-Encoding: {coding}\r\n");
            for body in
                ["Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 0\r\n"]
            {
                // The answer does not wait for the body.
                let post = request("POST", &path, &format!("{coded}{body}"));
                let answer = check(&post, 415, "unsupported_content_coding");
                assert_eq!(answer.field("Accept-Encoding"), Some("identity"), "{answer:?}");
                assert_eq!(answer.field("Accept"), None, "{answer:?}");
            }
        }
    }
    for coding in ["identity", "Identity,", ","] {
        let fields = format!("{JSON}Content-Encoding: {coding}\r\nContent-Length: 2\r\n");
        check(&(request("POST", "/open_api/v1/register", &fields) + "{}"), 400, "body_malformed");
    }
}

#[test]
fn bodies_have_a_bound_and_some_requests_have_none() {
    let over = http1::limits::BODY_BYTES_MAX + 1;
    for resource in ["register", "authenticate", "logout", "revoke_session", "change_password"] {
        let fields = format!("{BEARER}{JSON}Content-Length: {over}\r\n");
        let post = request("POST", &format!("/open_api/v1/{resource}"), &fields);
        check(&post, 413, "content_too_large");
    }
    for resource in ["products", "session", "sessions"] {
        let fields = format!("{BEARER}Content-Length: 2\r\n");
        let get = request("GET", &format!("/open_api/v1/{resource}"), &fields) + "{}";
        check(&get, 400, "malformed_request");
    }
}

#[test]
fn bodies_that_no_worker_sees() {
    check(&post_json("register", "", ""), 400, "body_malformed");
    check(&post_json("authenticate", "", "{}"), 400, "body_malformed");
    check(&post_json("logout", BEARER, "[]"), 400, "body_malformed");
    check(&post_json("revoke_session", BEARER, ""), 400, "body_malformed");
    check(&post_json("revoke_session", BEARER, r#"{"session_id":"x"}"#), 400, "body_malformed");
    check(&post_json("change_password", BEARER, "{}"), 400, "body_malformed");
    let long = "x".repeat(framing::limits::USERNAME_BYTES_MAX + 1);
    let body = |username: &str, password: &str, more: &str| {
        format!(r#"{{"username":"{username}","password":"{password}"{more}}}"#)
    };
    check(&post_json("register", "", &body(&long, "p", "")), 400, "username_invalid");
    check(&post_json("authenticate", "", &body("ada", &long, "")), 400, "password_invalid");
    let name = format!(r#","name":"{long}""#);
    check(&post_json("register", "", &body("ada", "p", &name)), 400, "name_invalid");
}

#[test]
fn what_a_client_sent_reaches_the_worker() {
    let mut bench = Bench::new();
    bench.send(&post_json(
        "register",
        "",
        r#"{"username":"Ada","password":"p\u00e4ss \"1\"","name":"A. L.","age":36}"#,
    ));
    let job = bench.heavy_job();
    assert_eq!(job.deadline, bench.client.now() + REQUEST_TIMEOUT);
    let Work::Register(sent) = job.work else { panic!("{job:?}") };
    assert_eq!((&*sent.username, sent.password.as_str()), ("Ada", "p\u{e4}ss \"1\""));
    assert_eq!((sent.name.as_deref(), sent.age), (Some("A. L."), Some(36)));
    assert_eq!((sent.client.address, sent.client.user_agent), (LOCALHOST, None));

    let mut bench = Bench::new();
    let agent = "\u{e4}".repeat(USER_AGENT_BYTES_MAX);
    let fields = format!("User-Agent: x{agent}\r\n");
    let body = r#"{"username":"ada","password":"correct horse"}"#;
    bench.send(&post_json("authenticate", &fields, body));
    let job = bench.heavy_job();
    let Work::Authenticate(login) = job.work else { panic!("{job:?}") };
    assert_eq!((&*login.username, login.password.as_str()), ("ada", "correct horse"));
    let seen = login.client.user_agent.expect("a user agent");
    assert_eq!(seen.len(), USER_AGENT_BYTES_MAX - 1, "cut at a character");
    assert_eq!(login.client.address, LOCALHOST);
    assert_eq!((login.device, login.delivery), (None, Delivery::Content));
}

#[test]
fn every_request_that_may_be_sent_again_has_an_id_of_its_own() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        for request in [login(), registration()] {
            let mut bench = Bench::new();
            bench.send(&request);
            ids.push(match bench.heavy_job().work {
                Work::Register(registration) => registration.request_id,
                Work::Authenticate(login) => login.request_id,
                _ => panic!("a light job in the heavy lane"),
            });
        }
    }
    assert!((1..ids.len()).all(|index| !ids[..index].contains(&ids[index])), "{ids:?}");
}

#[test]
fn a_logout_comes_with_or_without_an_empty_object() {
    for request in [logout("t1"), post_json("logout", BEARER, "{}")] {
        let mut bench = Bench::new();
        bench.send(&request);
        let job = bench.light_job();
        let Work::Logout(sent) = &job.work else { panic!("{job:?}") };
        assert_eq!((&sent.token, sent.all), (&token("t1"), false));
        assert_eq!((sent.client_address, sent.delivery), (LOCALHOST, Delivery::Content));
        bench.finish(job, logged_out("t1")).check_ok("{}");
    }
}

#[test]
fn a_logout_without_content_needs_no_type_however_it_is_framed() {
    let logout = |fields: &str, body: &str| {
        request("POST", "/open_api/v1/logout", &format!("{BEARER}{fields}")) + body
    };
    let chunked = "Transfer-Encoding: chunked\r\n";
    for request in [
        logout("", ""),
        logout("Content-Length: 0\r\n", ""),
        logout("Content-Type: text/plain\r\n", ""),
        logout(chunked, "0\r\n\r\n"),
        logout(chunked, "0;a=b\r\nA: b\r\n\r\n"),
        logout(&format!("{chunked}Content-Type: text/plain\r\n"), "0\r\n\r\n"),
        logout(&format!("{chunked}{JSON}"), "0\r\n\r\n"),
        logout(&format!("{chunked}{JSON}"), "2\r\n{}\r\n0\r\n\r\n"),
    ] {
        let mut bench = Bench::new();
        bench.send(&request);
        let job = bench.light_job();
        assert!(matches!(&job.work, Work::Logout(sent) if !sent.all), "{request}");
        bench.finish(job, logged_out("t1")).check_ok("{}");
    }
    let with_content = "2\r\n{}\r\n0\r\n\r\n";
    check(&logout(chunked, with_content), 415, "unsupported_media_type");
    let of_another_type = format!("{chunked}Content-Type: text/plain\r\n");
    check(&logout(&of_another_type, with_content), 415, "unsupported_media_type");
    check(&logout("Content-Length: 2\r\n", "{}"), 415, "unsupported_media_type");
}

/// Preconditions of what has a representation are judged once it is known that the session is live, and of what
/// has none before anything is done.
#[test]
fn preconditions_are_judged_where_the_answer_would_be_a_success() {
    let live = |bench: &mut Bench, request: &str| {
        bench.send(request);
        let (job, session) = (bench.light_job(), bench.session("t1", HOUR));
        assert!(matches!(&job.work, Work::CheckSession(sent) if *sent == token("t1")), "{job:?}");
        bench.finish(job, Outcome::Session(session))
    };
    for method in ["GET", "HEAD"] {
        for (line, status) in [
            ("If-Match: \"v7\"\r\n", 412),
            ("If-Match: *\r\n", 200),
            ("If-None-Match: *\r\n", 304),
            ("If-None-Match: \"v7\"\r\n", 200),
        ] {
            let request =
                |fields: &str| request(method, "/open_api/v1/session", &format!("{fields}{line}"));
            let mut bench = Bench::new();
            assert_eq!(live(&mut bench, &request(BEARER)).status, status, "{method} {line}");
            // From the lease.
            assert_eq!(bench.ask(&request(BEARER)).status, status, "{method} {line}");
            // What is refused anyway is refused as without them.
            assert_eq!(bench.ask(&request("")).status, 401, "{method} {line}");
        }
    }
    let list = crate::api::render_sessions(framing::v2::SessionList::new(&[]));
    let mut bench = Bench::new();
    bench.send(&request("GET", "/open_api/v1/sessions", &format!("{BEARER}If-Match: \"v7\"\r\n")));
    let job = bench.light_job();
    bench.finish(job, Outcome::Sessions(list)).check(412, "precondition_failed");

    let body = r#"{"username":"ada","password":"correct horse"}"#;
    for line in ["If-Match: *\r\n", "If-Match: \"v7\"\r\n"] {
        let with_token = format!("{BEARER}{line}");
        for resource in ["register", "authenticate"] {
            check(&post_json(resource, line, body), 412, "precondition_failed");
        }
        // A logout of a session that is over is a success too.
        check(&request("POST", "/open_api/v1/logout", &with_token), 412, "precondition_failed");
        let revoke = post_json("revoke_session", &with_token, r#"{"session_id":"5"}"#);
        for post in [revoke, change_password(&with_token)] {
            let mut bench = Bench::new();
            live(&mut bench, &post).check(412, "precondition_failed");
            assert!(bench.heavy.is_empty() && bench.light.is_empty(), "{post}");
        }
        check(&change_password(line), 401, "token_missing");
        check(&request("POST", "/open_api/v1/session", &with_token), 405, "method_not_allowed");
        check(&request("GET", "/nowhere", &with_token), 404, "not_found");
    }
    // `If-None-Match` names nothing that is there.
    let mut bench = Bench::new();
    bench.send(&request("POST", "/open_api/v1/logout", &format!("{BEARER}If-None-Match: *\r\n")));
    let job = bench.light_job();
    bench.finish(job, logged_out("t1")).check_ok("{}");
}

#[test]
fn answers_are_counted_apart_from_what_http_refuses() {
    let mut bench = Bench::new();
    for (request, status) in [
        (request("GET", "/nowhere", ""), 404),
        (request("LOCK", "/nowhere", ""), 501),
        (
            request("GET", "/open_api/v1/session", &format!("{BEARER}Content-Length: 1\r\n")) + "x",
            400,
        ),
        (request("OPTIONS", "*", ""), 204),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 501),
    ] {
        assert_eq!(bench.ask(&request).status, status, "{request}");
    }
    let metrics = &bench.client.shared().handler.metrics;
    assert_eq!(metrics.answers.by_class(), [0, 1, 0, 1, 0]);
    assert_eq!(metrics.faults.count(http1::Reason::Method), 2);
    assert_eq!(metrics.faults.count(http1::Reason::UnwantedContent), 1);
    // An application that does not answer in time is a failure of ours.
    let mut bench = Bench::new();
    bench.send(&get("session", "t1"));
    let _job = bench.light_job();
    bench.client.advance(REQUEST_TIMEOUT + crate::limits::ANSWER_MARGIN);
    assert_eq!(bench.answer().status, 503);
    let metrics = &bench.client.shared().handler.metrics;
    assert_eq!(metrics.answers.by_class(), [0, 0, 0, 0, 1]);
}

#[test]
fn a_trusted_proxy_says_where_a_client_is_and_what_is_wrong_is_counted() {
    const USER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    const LISTED: &str = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n";
    /// Whose address is told, whether a proxy brought it, and what was counted of untrusted proxies, of trusted
    /// ones without the header, and with one that cannot be read.
    #[track_caller]
    fn check(mut bench: Bench, headers: &str, address: IpAddr, forwarded: bool, counted: [u64; 3]) {
        let body = r#"{"username":"ada","password":"correct horse"}"#;
        for resource in ["register", "authenticate"] {
            bench.send(&post_json(resource, headers, body));
            let job = bench.heavy_job();
            let (Work::Register(Registration { client, .. })
            | Work::Authenticate(Login { client, .. })) = &job.work
            else {
                panic!("{job:?}")
            };
            assert_eq!((client.address, client.is_forwarded), (address, forwarded), "{resource}");
            bench.finish(job, Unanswered::Dropped.into());
        }
        let notices = &bench.client.shared().handler.metrics.proxy_notices;
        let counts = [&notices.untrusted, &notices.missing, &notices.unreadable].map(Counter::get);
        assert_eq!(counts, counted, "{headers}");
    }
    check(Bench::new(), "", LOCALHOST, false, [0, 0, 0]);
    for headers in
        [LISTED, "Forwarded: for=192.0.2.7\r\n", "Via: 1.1 x\r\n", "X-Real-IP: 192.0.2.7\r\n"]
    {
        check(Bench::new(), headers, LOCALHOST, true, [2, 0, 0]);
    }
    let behind = Bench::behind_a_proxy;
    check(behind(), LISTED, USER, true, [0, 0, 0]);
    check(behind(), "", LOCALHOST, true, [0, 2, 0]);
    check(behind(), "Forwarded: for=192.0.2.7\r\n", LOCALHOST, true, [0, 2, 0]);
    check(behind(), "X-Forwarded-For: unknown\r\n", LOCALHOST, true, [0, 0, 2]);
}
