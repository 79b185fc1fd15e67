//! Tokens and markers in cookies.

use super::*;
use crate::token::Device;
use crate::work::Work;

const HERE: &str = "Sec-Fetch-Site: same-origin\r\n";
const COOKIE: &str = "Cookie: theme=dark; __Host-session=t1\r\n";
const CLEARED: &str = "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";
const SESSION_T2: &str = "__Host-session=t2; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200";
const DEVICE_D1: &str =
    "__Host-device=d1; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=31536000";

fn cookie_login(fields: &str) -> String {
    let body = r#"{"username":"ada","password":"correct horse","cookie":true}"#;
    post_json("authenticate", fields, body)
}

fn authenticated(device: Option<&str>, delivery: Delivery) -> Outcome {
    let device = device.and_then(|text| Device::new(text.as_bytes()));
    Outcome::Authenticated { token: token("t2"), expires_in_ms: 43_200_000, device, delivery }
}

#[track_caller]
fn check_cookies(answer: &Answer, body: &str, expected: &[&str]) {
    answer.check_ok(body);
    assert_eq!(answer.fields("Set-Cookie").collect::<Vec<_>>(), expected);
}

#[test]
fn a_token_is_delivered_in_a_cookie_and_nowhere_else() {
    let mut bench = Bench::new();
    bench.send(&cookie_login(HERE));
    let job = bench.heavy_job();
    assert!(
        matches!(&job.work, Work::Authenticate(login) if login.delivery == Delivery::Cookie),
        "{job:?}"
    );
    let answer = bench.finish(job, authenticated(Some("d1"), Delivery::Cookie));
    check_cookies(&answer, r#"{"expires_in":43200}"#, &[SESSION_T2, DEVICE_D1]);

    bench.send(&cookie_login(HERE));
    let job = bench.heavy_job();
    let answer = bench.finish(job, authenticated(None, Delivery::Cookie));
    check_cookies(&answer, r#"{"expires_in":43200}"#, &[SESSION_T2]);
}

#[test]
fn a_marker_is_read_from_its_cookie() {
    let check = |fields: &str, expected: Option<&str>| {
        let mut bench = Bench::new();
        bench.send(&cookie_login(&format!("{HERE}{fields}")));
        let job = bench.heavy_job();
        let Work::Authenticate(login) = &job.work else { panic!("{job:?}") };
        assert_eq!(login.device.as_ref().map(Device::expose), expected, "{fields}");
    };
    check("", None);
    check("Cookie: __Host-device=d1\r\n", Some("d1"));
    check("Cookie: __Host-device=d1; __Host-device=d2\r\n", None);
    check("Cookie: __Host-device=d 1\r\n", None);
    // Whoever logs in anew may still have a cookie of the last time.
    check("Cookie: __Host-session=t1; __Host-device=d1\r\n", Some("d1"));
}

/// Sends a request that needs a session, with these fields, and checks whose it is taken for.
#[track_caller]
fn check_token(fields: &str, expected: Result<&str, &str>) {
    let mut bench = Bench::new();
    bench.send(&request("GET", "/open_api/v1/session", fields));
    match expected {
        Ok(expected) => {
            let job = bench.light_job();
            let taken = matches!(&job.work, Work::CheckSession(sent) if *sent == token(expected));
            assert!(taken, "{fields}");
        }
        Err(code) => {
            bench.answer().check(401, code);
        }
    }
}

#[test]
fn a_token_comes_from_the_field_or_from_the_cookie() {
    let long = "x".repeat(97);
    check_token("Authorization: Bearer t1\r\n", Ok("t1"));
    check_token(COOKIE, Ok("t1"));
    check_token(&format!("Authorization: Bearer t1\r\n{COOKIE}"), Ok("t1"));
    check_token(&format!("Authorization: Basic YWRhOnB3\r\n{COOKIE}"), Ok("t1"));
    check_token(&format!("Authorization: Bearer t2\r\n{COOKIE}"), Err("token_malformed"));
    check_token(&format!("Authorization: Bearer \r\n{COOKIE}"), Ok("t1"));
    check_token("Cookie: __Host-session=t1; __Host-session=t1\r\n", Err("token_malformed"));
    check_token(&format!("{COOKIE}{COOKIE}"), Err("token_malformed"));
    check_token("Cookie: __Host-session=\r\n", Err("token_malformed"));
    check_token("Cookie: __Host-session=\"t1\"\r\n", Err("token_malformed"));
    check_token(&format!("Cookie: __Host-session={long}\r\n"), Err("token_malformed"));
    check_token("Cookie: session=t1; __host-session=t1\r\n", Err("token_missing"));
}

#[test]
fn a_cookie_is_no_permission_for_other_sites() {
    let revoke = r#"{"session_id":"5"}"#;
    let requests: [&dyn Fn(&str) -> String; 5] = [
        &|fields| cookie_login(fields),
        &|fields| change_password(&format!("{COOKIE}{fields}")),
        &|fields| post_json("revoke_session", &format!("{COOKIE}{fields}"), revoke),
        &|fields| post_json("logout", &format!("{COOKIE}{fields}"), r#"{"all":true}"#),
        &|fields| request("POST", "/open_api/v1/logout", &format!("{COOKIE}{fields}")),
    ];
    let check = |request: &str, passes: bool| {
        let mut bench = Bench::new();
        bench.send(request);
        if passes {
            assert!(bench.answers().is_empty(), "{request}");
        } else {
            bench.answer().check(403, "cross_site");
            assert!(bench.heavy.is_empty() && bench.light.is_empty(), "{request}");
        }
    };
    for request in requests {
        check(&request(HERE), true);
        check(&request("Sec-Fetch-Site: none\r\n"), true);
        check(&request("Origin: https://gatehouse\r\n"), true);
        check(&request("Origin: http://gatehouse\r\n"), false);
        check(&request("X-Forwarded-Proto: http\r\nOrigin: http://gatehouse\r\n"), false);
        check(&request(""), false);
        check(&request("Sec-Fetch-Site: same-site\r\n"), false);
        check(&request("Sec-Fetch-Site: cross-site\r\nOrigin: https://gatehouse\r\n"), false);
        check(&request("Origin: https://other.example\r\n"), false);
        check(&request("Origin: null\r\n"), false);
    }
    // A trusted proxy says that users come by plain HTTP.
    let mut bench = Bench::behind_a_proxy();
    bench.send(&cookie_login("X-Forwarded-Proto: http\r\nOrigin: http://gatehouse\r\n"));
    assert!(bench.answers().is_empty());
    // The target says whom the request is for, and not `Host`.
    for (origin, passes) in [("https://shop.example", true), ("https://gatehouse", false)] {
        let fields = format!("{COOKIE}Origin: {origin}\r\n");
        check(&request("POST", "http://shop.example/open_api/v1/logout", &fields), passes);
    }
    // No browser sends `Authorization` for another site.
    check(&change_password("Authorization: Bearer t1\r\n"), true);
    check(&change_password(&format!("Authorization: Bearer t1\r\n{COOKIE}")), true);
    // Reading changes nothing, and no other site sees the answer.
    let fields = format!("{COOKIE}Sec-Fetch-Site: cross-site\r\n");
    check(&request("GET", "/open_api/v1/sessions", &fields), true);
}

#[test]
fn a_logout_clears_the_cookie_that_carried_the_token() {
    let both = format!("Authorization: Bearer t1\r\n{COOKIE}");
    let in_cookie = format!("{HERE}{COOKIE}");
    for (fields, delivery, expected) in [
        (&*in_cookie, Delivery::Cookie, &[CLEARED][..]),
        (&*both, Delivery::Both, &[CLEARED]),
        ("Authorization: Bearer t1\r\n", Delivery::Content, &[]),
    ] {
        let mut bench = Bench::new();
        bench.send(&request("POST", "/open_api/v1/logout", fields));
        let job = bench.light_job();
        let Work::Logout(sent) = &job.work else { panic!("{job:?}") };
        assert_eq!(sent.delivery, delivery, "{fields}");
        let outcome = Outcome::LoggedOut { token: token("t1"), all: false, delivery };
        check_cookies(&bench.finish(job, outcome), "{}", expected);
    }
}

#[test]
fn a_logout_whose_cookie_cannot_hold_a_token_ends_it() {
    let long = format!("Cookie: __Host-session={}\r\n", "x".repeat(97));
    for (fields, code, ends) in [
        ("Cookie: __Host-session=\r\n", "token_malformed", true),
        ("Cookie: __Host-session=\"t1\"\r\n", "token_malformed", true),
        (&*long, "token_malformed", true),
        ("Cookie: __Host-session=t1; __Host-session=t2\r\n", "token_malformed", true),
        ("Authorization: Basic YWRhOnB3\r\nCookie: __Host-session=\r\n", "token_malformed", true),
        // Of two, the cookie may be the live one.
        ("Authorization: Bearer t2\r\nCookie: __Host-session=t1\r\n", "token_malformed", false),
        ("Authorization: Bearer a b\r\n", "token_malformed", false),
        ("", "token_missing", false),
        ("Cookie: theme=dark\r\n", "token_missing", false),
    ] {
        for request in [
            request("POST", "/open_api/v1/logout", &format!("{HERE}{fields}")),
            post_json("logout", &format!("{HERE}{fields}"), r#"{"all":true}"#),
        ] {
            let answer = Bench::new().ask(&request);
            answer.check(401, code);
            assert_eq!(answer.field("Set-Cookie"), ends.then_some(CLEARED), "{fields}: {answer:?}");
            assert!(answer.field("WWW-Authenticate").is_some(), "{answer:?}");
        }
    }
    // Another site has no say in it.
    let answer = Bench::new().ask(&request("POST", "/open_api/v1/logout", COOKIE));
    answer.check(403, "cross_site");
    assert_eq!(answer.field("Set-Cookie"), None);
}

#[test]
fn another_password_replaces_the_cookie_that_carried_the_token() {
    let both = format!("Authorization: Bearer t1\r\n{COOKIE}");
    let in_cookie = format!("{HERE}{COOKIE}");
    let with_token = r#"{"token":"t2","expires_in":43200}"#;
    for (fields, delivery, body, expected) in [
        (&*in_cookie, Delivery::Cookie, r#"{"expires_in":43200}"#, &[SESSION_T2][..]),
        (&*both, Delivery::Both, with_token, &[SESSION_T2]),
        ("Authorization: Bearer t1\r\n", Delivery::Content, with_token, &[]),
    ] {
        let mut bench = Bench::new();
        bench.send(&change_password(fields));
        let job = bench.heavy_job();
        let Work::ChangePassword(sent) = &job.work else { panic!("{job:?}") };
        assert_eq!(sent.delivery, delivery, "{fields}");
        let (user_id, expires_in_ms) = (7, 43_200_000);
        let token = token("t2");
        let outcome = Outcome::PasswordChanged { user_id, token, expires_in_ms, delivery };
        check_cookies(&bench.finish(job, outcome), body, expected);
    }
}
