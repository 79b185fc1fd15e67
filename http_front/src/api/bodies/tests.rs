use std::time::Instant;

use super::*;

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
    let exchange = crate::api::tests::exchange(Instant::now());
    let long = "x".repeat(USERNAME_BYTES_MAX + 1);
    for (username, password, code) in
        [(&*long, "31415926", "username_invalid"), ("ada", &*long, "password_invalid")]
    {
        let body = format!(r#"{{"username":"{username}","password":"{password}"}}"#);
        let problem = registration(body.as_bytes(), &exchange).err().expect("too long");
        assert_eq!(problem.code(), code);
        let problem = login(body.as_bytes(), &exchange, None).err().expect("too long");
        assert_eq!(problem.code(), code);
    }
}

#[test]
fn a_logout_has_no_body_or_an_empty_object() {
    assert!(logout(b"").is_ok());
    assert!(logout(b"{}").is_ok());
    assert!(logout(br#"{"all":1}"#).is_err());
    assert!(logout(b"x").is_err());
}
