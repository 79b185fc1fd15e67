//! Bodies and requests that nobody should send: each is refused with a problem document that says
//! what is wrong, and the connection goes on.

use e2e::{RawConnection, System};

use crate::PASSWORD;

/// A request with this body, and its length.
fn post(path: &str, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let content_type =
        content_type.map_or_else(String::new, |it| format!("Content-Type: {it}\r\n"));
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\n{content_type}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Sends a request; checks status and code of the answer, and that the connection is as good as new.
#[track_caller]
fn check(connection: &mut RawConnection, request: &[u8], status: u16, code: &str) {
    connection.send(request);
    let answer = connection.answer();
    let shown = String::from_utf8_lossy(request);
    assert_eq!(answer.status, status, "{shown:?}: {answer:?}");
    assert_eq!(answer.problem_code(), code, "{shown:?}: {answer:?}");
    assert_eq!(
        answer.field("connection"),
        None,
        "the connection is to stay: {shown:?}: {answer:?}"
    );
    connection.send(b"GET /still/there HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.answer().assert_status(404);
}

/// [`check`] with a JSON body, on both routes that take credentials.
#[track_caller]
fn check_bodies(connection: &mut RawConnection, body: &[u8], code: &str) {
    for path in ["/open_api/v1/register", "/open_api/v1/authenticate"] {
        check(connection, &post(path, Some("application/json"), body), 400, code);
    }
}

#[test]
fn bodies_that_are_no_credentials() {
    let system = System::start();
    let mut connection = system.raw_http();
    let mut malformed = |body: &[u8]| check_bodies(&mut connection, body, "body_malformed");

    malformed(b"");
    malformed(b"{");
    malformed(b"}");
    malformed(b"null");
    malformed(b"[]");
    malformed(b"\"ada\"");
    malformed(b"17");
    malformed(b"{}");
    malformed(b"username=ada&password=correct+horse+battery");
    malformed(br#"{"username":"ada"}"#);
    malformed(br#"{"password":"correct horse battery"}"#);
    malformed(br#"{"username":"ada","password":"correct horse battery"} x"#);
    malformed(br#"{"username":"ada","password":"correct horse battery",}"#);
    malformed(br#"{'username':'ada','password':'correct horse battery'}"#);
    malformed(br#"{"username":"ada","password":"correct horse battery","admin":true}"#);
    malformed(br#"{"username":"ada","username":"eve","password":"correct horse battery"}"#);
    malformed(br#"{"username":"ada","password":"one two three","password":"one two three"}"#);
    malformed(br#"{"username":7,"password":"correct horse battery"}"#);
    malformed(br#"{"username":null,"password":"correct horse battery"}"#);
    malformed(br#"{"username":["ada"],"password":"correct horse battery"}"#);
    malformed(br#"{"username":"ada","password":12345678}"#);
    malformed(br#"{"username":"ada","password":{"a":"correct horse battery"}}"#);
    // The keys are the contract: values in the order of some struct are not.
    malformed(br#"["ada","correct horse battery"]"#);
    malformed(br#"["ada","correct horse battery",null,null]"#);
    // JSON is UTF-8 (RFC 8259 section 8.1) without bare controls (section 7) or lone surrogates.
    malformed(b"{\"username\":\"ada\",\"password\":\"correct\xffhorse\"}");
    malformed(b"\xef\xbb\xbf{\"username\":\"ada\",\"password\":\"correct horse battery\"}");
    malformed(b"{\"username\":\"ada\",\"password\":\"correct\0horse battery\"}");
    malformed(br#"{"username":"ada","password":"correct \ud800 battery"}"#);
    malformed("{\"username\":\"ada\",\"password\":\"correct horse battery\"}\0".as_bytes());
    let deep = [vec![b'['; 10_000], vec![b']'; 100]].concat();
    malformed(&deep);

    assert_no_user(&system);
}

#[test]
fn usernames_outside_the_convention() {
    let system = System::start();
    let mut connection = system.raw_http();
    let long = "a".repeat(33);
    let far_too_long = "a".repeat(4000);
    let usernames = [
        "",
        "a",
        "ab",
        &long,
        &far_too_long,
        "7up",
        "_ada",
        ".ada",
        "-ada",
        "ada lovelace",
        "ada@example",
        " ada",
        "ada ",
        "ada\u{e9}",
        "\u{430}da",
        "a\\u0000da",
        "ada\\n",
        "ada'--",
        "ada\\u202egnp",
    ];
    for username in usernames {
        let body = format!(r#"{{"username":"{username}","password":"{PASSWORD}"}}"#);
        check_bodies(&mut connection, body.as_bytes(), "username_invalid");
    }
    assert_no_user(&system);
}

#[test]
fn passwords_outside_the_convention() {
    let system = System::start();
    let mut connection = system.raw_http();
    let long = "x".repeat(129);
    let far_too_long = "x".repeat(5000);
    // Seven code points in 28 bytes: length is counted in characters.
    let passwords =
        ["", "short", "seven77", &long, &far_too_long, "null\\u0000byte", "😀😀😀😀😀😀😀"];
    for password in passwords {
        let body = format!(r#"{{"username":"ada","password":"{password}"}}"#);
        let request = post("/open_api/v1/register", Some("application/json"), body.as_bytes());
        check(&mut connection, &request, 400, "password_invalid");
    }
    assert_no_user(&system);
}

#[test]
fn common_passwords_are_refused_as_what_they_are_at_their_limits_others_are_taken() {
    let system = System::start();
    let user = system.client();
    user.register("ada", &"x1".repeat(64)).assert_status(200);
    user.register("bob", "x\u{fc}3%&8Q ").assert_status(200);
    user.register("cyd", &"\u{1f600}\u{1f680}".repeat(64)).assert_status(200);
    user.register("d.d-d_d", PASSWORD).assert_status(200);
    user.register(&"e".repeat(32), PASSWORD).assert_status(200);
}

#[test]
fn names_and_ages_that_cannot_be() {
    let system = System::start();
    let mut connection = system.raw_http();
    let mut register = |more: &str, code: &str| {
        let body = format!(r#"{{"username":"ada","password":"{PASSWORD}",{more}}}"#);
        let request = post("/open_api/v1/register", Some("application/json"), body.as_bytes());
        check(&mut connection, &request, 400, code);
    };
    register(r#""age":-1"#, "body_malformed");
    register(r#""age":256"#, "body_malformed");
    register(r#""age":36.5"#, "body_malformed");
    register(r#""age":"36""#, "body_malformed");
    register(r#""age":true"#, "body_malformed");
    register(r#""name":7"#, "body_malformed");
    register(r#""name":["Ada"]"#, "body_malformed");
    register(&format!(r#""name":"{}""#, "n".repeat(2000)), "name_invalid");
    register(r#""name":"a\u0000b""#, "name_invalid");
    assert_no_user(&system);
}

#[test]
fn content_that_is_not_said_to_be_json() {
    let system = System::start();
    let mut connection = system.raw_http();
    let body = br#"{"username":"ada","password":"correct horse battery"}"#;
    for path in ["/open_api/v1/register", "/open_api/v1/authenticate"] {
        for kind in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("json")]
        {
            check(&mut connection, &post(path, kind, body), 415, "unsupported_media_type");
        }
    }
    assert_no_user(&system);
    let utf8 = Some("Application/JSON; charset=utf-8");
    connection.send(&post("/open_api/v1/register", utf8, body));
    connection.answer().assert_status(200);
}

#[test]
fn content_that_is_too_long() {
    let system = System::start();
    let long = format!(r#"{{"username":"ada","password":"{}"}}"#, "x".repeat(64 * 1024));
    for path in ["/open_api/v1/register", "/open_api/v1/authenticate"] {
        let mut connection = system.raw_http();
        // The server may answer and close before all is sent.
        let _ = connection.try_send(&post(path, Some("application/json"), long.as_bytes()));
        let answer = connection.answer().assert_status(413);
        assert_eq!(answer.problem_code(), "content_too_large");
    }
    assert_no_user(&system);
}

#[test]
fn methods_and_paths_that_are_not_there() {
    let system = System::start();
    let mut connection = system.raw_http();
    for (path, method, allow) in [
        ("register", "GET", "POST"),
        ("authenticate", "PUT", "POST"),
        ("logout", "DELETE", "POST"),
        ("products", "PATCH", "GET, HEAD"),
        ("session", "TRACE", "GET, HEAD"),
    ] {
        let request = format!("{method} /open_api/v1/{path} HTTP/1.1\r\nHost: a\r\n\r\n");
        connection.send(request.as_bytes());
        let answer = connection.answer().assert_status(405);
        assert_eq!(answer.field("allow"), Some(allow), "{answer:?}");
    }
    for method in ["BREW", "get"] {
        let request = format!("{method} /open_api/v1/session HTTP/1.1\r\nHost: a\r\n\r\n");
        check(&mut connection, request.as_bytes(), 501, "not_implemented");
    }
    for path in ["/", "/open_api/v1/", "/open_api/v1/products/", "/open_api/v2/products", "/%2e%2e"]
    {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        check(&mut connection, request.as_bytes(), 404, "not_found");
    }
}

#[test]
fn tokens_that_are_none() {
    let system = System::start();
    let mut connection = system.raw_http();
    let long = format!("Bearer {}", "x".repeat(4000));
    let values = [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic YWRhOnB3",
        "Token abc",
        "Bearer a b",
        "Bearer \u{e9}",
        "Bearer ../../etc/passwd",
        "Bearer '; DROP TABLE session; --",
        &long,
    ];
    for value in values {
        for (method, route) in [("GET", "products"), ("GET", "session"), ("POST", "logout")] {
            let body = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
            connection.send(
                format!("{method} /open_api/v1/{route} HTTP/1.1\r\nHost: a\r\nAuthorization: {value}\r\n{body}\r\n")
                    .as_bytes(),
            );
            let answer = connection.answer().assert_status(401);
            // Only of a token that came is it told that it is invalid.
            let expected = match value.trim_end().strip_prefix("Bearer ") {
                Some(_) => "Bearer realm=\"gatehouse\", error=\"invalid_token\"",
                None => "Bearer realm=\"gatehouse\"",
            };
            assert_eq!(answer.field("www-authenticate"), Some(expected), "{value}: {answer:?}");
        }
    }
}

#[test]
fn a_token_changed_in_any_one_place_is_no_token() {
    let system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    for at in 0..token.len() {
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut forged = token.clone();
        forged.replace_range(at..=at, other);
        user.session(&forged).assert_status(401);
    }
    user.session(&token[..token.len() - 1]).assert_status(401);
    user.session(&format!("{token}A")).assert_status(401);
    user.session(&token).assert_status(200);
}

/// None of the refused bodies has made an account.
fn assert_no_user(system: &System) {
    system.client().authenticate("ada", PASSWORD).assert_status(404);
}
