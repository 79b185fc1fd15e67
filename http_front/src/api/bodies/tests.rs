use super::*;

fn client() -> Client {
    Client { address: std::net::Ipv4Addr::LOCALHOST.into(), is_forwarded: false, user_agent: None }
}

fn entry(is_ours: bool) -> Entry {
    Entry { client: client(), device: Device::new(b"kept"), is_ours }
}

/// Parses `body` as a register request; `expected` is a part of the detail, or `None` for success.
fn check(body: &[u8], expected: Option<&str>) {
    let parsed: Result<RegisterBody, Problem> = parse(body);
    let shown = String::from_utf8_lossy(body);
    match (parsed, expected) {
        (Ok(_), None) => {}
        (Err(problem), Some(part)) => {
            let detail = format!("{problem:?}");
            assert!(detail.contains(part), "{shown}: {detail}");
            assert!(!detail.contains("31415926"), "{shown}: the password is in {detail}");
        }
        (Ok(_), Some(part)) => panic!("{shown} was taken, expected: {part}"),
        (Err(problem), None) => panic!("{shown}: {problem:?}"),
    }
}

#[test]
fn shapes_that_are_taken() {
    check(br#"{"username":"ada","password":"31415926"}"#, None);
    check(br#"{"password":"31415926","username":"ada","name":"Ada","age":36}"#, None);
    check(br#" {"username":"ada","password":"31415926","name":null,"age":null} "#, None);
    check(r#"{"username":"ada","password":"p\u00e4ssw\ud83d\ude00rt"}"#.as_bytes(), None);
}

#[test]
fn shapes_that_are_refused_and_why() {
    check(b"", Some("empty"));
    check(b"{", Some("EOF"));
    check(b"[]", Some("array"));
    check(br#" ["ada","31415926","Ada",36]"#, Some("array"));
    check(b"null", Some("expected"));
    check(b"username=ada&password=31415926", Some("expected value"));
    check(br#"{"username":"ada","password":"31415926"} x"#, Some("trailing characters"));
    check(br#"{"username":"ada"}"#, Some("missing field `password`"));
    check(br#"{"password":"31415926"}"#, Some("missing field `username`"));
    check(
        br#"{"username":"ada","password":"31415926","admin":true}"#,
        Some("unknown field `admin`"),
    );
    check(br#"{"username":"ada","username":"eve","password":"31415926"}"#, Some("duplicate field"));
    check(br#"{"username":"ada","password":"x","password":"31415926"}"#, Some("duplicate field"));
    check(br#"{"username":5,"password":"31415926"}"#, Some("expected a string"));
    check(br#"{"username":"ada","password":"31415926","age":-1}"#, Some("expected u8"));
    check(br#"{"username":"ada","password":"31415926","age":"36"}"#, Some("u8"));
    check(b"{\"username\":\"a\0da\",\"password\":\"31415926\"}", Some("control character"));
    check(b"{\"username\":\"\xff\",\"password\":\"31415926\"}", Some("unicode"));
}

#[test]
fn a_password_of_another_type_is_not_repeated() {
    for value in
        ["31415926", "-31415926", "31415926.5", "true", "null", "[31415926]", "{\"31415926\":1}"]
    {
        let body = format!(r#"{{"username":"ada","password":{value}}}"#);
        check(body.as_bytes(), Some(""));
    }
}

#[test]
fn texts_that_no_frame_carries_are_refused_by_name() {
    let long = "x".repeat(USERNAME_BYTES_MAX + 1);
    for (username, password, code) in
        [(&*long, "31415926", "username_invalid"), ("ada", &*long, "password_invalid")]
    {
        let body = format!(r#"{{"username":"{username}","password":"{password}"}}"#);
        let problem = registration(body.as_bytes(), client()).err().expect("too long");
        assert_eq!(problem.code(), code);
        let problem = login(body.as_bytes(), entry(true)).err().expect("too long");
        assert_eq!(problem.code(), code);
    }
}

#[test]
fn a_logout_has_no_body_or_an_object_that_says_how_much_ends() {
    let check = |body: &[u8], expected: Option<bool>| {
        let shown = String::from_utf8_lossy(body);
        assert_eq!(logout(body).ok(), expected, "{shown}");
    };
    check(b"", Some(false));
    check(b"{}", Some(false));
    check(br#"{"all":false}"#, Some(false));
    check(br#"{"all":true}"#, Some(true));
    check(br#"{"all":1}"#, None);
    check(br#"{"all":null}"#, None);
    check(br#"{"every":true}"#, None);
    check(b"[true]", None);
    check(b"x", None);
}

#[test]
fn a_session_is_named_by_its_digits() {
    let check = |id: &str, expected: Option<u64>| {
        let body = format!(r#"{{"session_id":{id}}}"#);
        assert_eq!(revocation(body.as_bytes()).ok(), expected, "{body}");
    };
    check("\"7\"", Some(7));
    check("\"0\"", Some(0));
    check("\"18446744073709551615\"", Some(u64::MAX));
    check("\"18446744073709551616\"", None);
    check("\"+7\"", None);
    check("\"-7\"", None);
    check("\" 7\"", None);
    check("\"\"", None);
    check("7", None);
    check("null", None);
}

#[test]
fn both_passwords_are_read() {
    let check = |body: &str, expected: Result<(&str, &str), &str>| {
        let read = passwords(body.as_bytes());
        let read = read.as_ref().map(|(current, new)| (current.as_str(), new.as_str()));
        assert_eq!(read.map_err(Problem::code), expected, "{body}");
    };
    check(r#"{"current_password":"a","new_password":"\u00e4"}"#, Ok(("a", "\u{e4}")));
    check(r#"{"current_password":"a"}"#, Err("body_malformed"));
    check(r#"{"new_password":"a"}"#, Err("body_malformed"));
    check(r#"{"current_password":"a","new_password":1}"#, Err("body_malformed"));
    let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
    let body = format!(r#"{{"current_password":"{long}","new_password":"a"}}"#);
    check(&body, Err("password_invalid"));
    let body = format!(r#"{{"current_password":"a","new_password":"{long}"}}"#);
    check(&body, Err("password_invalid"));
}

#[test]
fn a_login_says_where_its_token_is_wanted_and_what_was_kept() {
    let check = |more: &str, is_ours, expected: Result<(Delivery, &str), &str>| {
        let body = format!(r#"{{"username":"ada","password":"31415926"{more}}}"#);
        let login = login(body.as_bytes(), entry(is_ours));
        let read = login.as_ref().map(|login| {
            (login.delivery, login.device.as_ref().map_or("", |device| device.expose()))
        });
        assert_eq!(read.map_err(Problem::code), expected, "{body}");
    };
    check("", false, Ok((Delivery::Content, "kept")));
    check(r#","cookie":false"#, false, Ok((Delivery::Content, "kept")));
    check(r#","cookie":true"#, true, Ok((Delivery::Cookie, "kept")));
    check(r#","cookie":true"#, false, Err("cross_site"));
    check(r#","cookie":1"#, true, Err("body_malformed"));
    check(r#","device":"sent""#, true, Ok((Delivery::Content, "sent")));
    check(r#","device":null"#, true, Ok((Delivery::Content, "kept")));
    check(r#","device":"no marker""#, true, Ok((Delivery::Content, "kept")));
    check(r#","device":5"#, true, Err("body_malformed"));
}
