//! What is decided on the head and the body, before any work.

use std::net::IpAddr;

use service::metrics::Counter;

use super::*;
use crate::limits::USER_AGENT_BYTES_MAX;
use crate::work::{Login, Registration, Work};

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
            ("Authorization: Bearer a b\r\n", "token_malformed"),
            ("Authorization: Bearer caf\u{e9}\r\n", "token_malformed"),
            (&*long, "token_malformed"),
            (&*twice, "token_malformed"),
        ] {
            let answer = check(&request(method, &path, fields), 401, code);
            assert_eq!(answer.field("WWW-Authenticate"), Some("Bearer"), "{answer:?}");
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
            check(&post, 415, "unsupported_media_type");
        }
    }
    let with_charset = "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n";
    check(&(request("POST", "/open_api/v1/register", with_charset) + "{}"), 400, "body_malformed");
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
        check(&get, 413, "content_too_large");
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
            bench.finish(job, Outcome::dropped());
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
