//! What each outcome is to a client.

use super::*;
use crate::token::Device;
use crate::work::{Refusal, Unanswered, Work};

const BEARER: &str = "Authorization: Bearer t1\r\n";

/// What `request` is answered with when its work comes to `outcome`.
#[track_caller]
fn answer(request: &str, outcome: Outcome) -> Answer {
    answer_with(request, |_| outcome)
}

#[track_caller]
fn answer_with(request: &str, outcome: impl FnOnce(&Work) -> Outcome) -> Answer {
    let mut bench = Bench::new();
    bench.send(request);
    let job = crossbeam_channel::select! {
        recv(bench.light) -> job => job.expect("a job"),
        recv(bench.heavy) -> job => job.expect("a job"),
        default(PATIENCE) => panic!("no job for {request}"),
    };
    let outcome = outcome(&job.work);
    bench.finish(job, outcome)
}

#[test]
fn an_account() {
    let outcome = Outcome::Registered { user_id: u64::MAX };
    answer(&registration(), outcome).check_ok(r#"{"user_id":"18446744073709551615"}"#);
}

#[test]
fn a_token() {
    for (expires_in_ms, expected) in [(0, 0), (999, 0), (86_400_999, 86_400)] {
        let outcome = Outcome::Authenticated {
            token: token("ghs_AbZ-09._~+/="),
            expires_in_ms,
            device: None,
            delivery: Delivery::Content,
        };
        let body = format!(r#"{{"token":"ghs_AbZ-09._~+/=","expires_in":{expected}}}"#);
        answer(&login(), outcome).check_ok(&body);
    }
}

#[test]
fn a_token_with_a_marker() {
    let outcome = Outcome::Authenticated {
        token: token("t1"),
        expires_in_ms: 1000,
        device: Device::new(b"d1"),
        delivery: Delivery::Content,
    };
    let answer = answer(&login(), outcome);
    answer.check_ok(r#"{"token":"t1","expires_in":1,"device":"d1"}"#);
    assert_eq!(answer.field("Set-Cookie"), None);
}

#[test]
fn a_session() {
    let mut session = Bench::new().session("t1", HOUR);
    session.facts.username = "\"a\\\u{1}\u{e9}".into();
    // By the time of the answer the session has ended.
    session.facts.expires_at = clock::now() - Duration::from_nanos(1);
    let expected = "{\"user_id\":\"7\",\"username\":\"\\\"a\\\\\\u0001\u{e9}\",\"expires_in\":0}";
    let answer = answer(&get("session", "t1"), Outcome::Session(session));
    answer.check_ok(expected);
    assert_eq!(answer.field("X-User-Id"), Some("7"), "{answer:?}");
    assert_eq!(answer.field("X-User-Name"), None, "it cannot stand in a field: {answer:?}");
}

#[test]
fn products_without_any_list_are_a_defect() {
    let session = Bench::new().session("t1", HOUR);
    let outcome = Outcome::Products { session, list: None };
    answer(&get("products", "t1"), outcome).check(500, "internal");
}

#[test]
fn a_list_of_products() {
    let product = framing::v2::Product {
        id: u64::MAX,
        name: "Tea \"strong\"",
        description: "",
        price_minor: 499,
        currency: framing::v2::Currency::new("EUR").expect("three letters"),
    };
    let products = [product];
    let response = crate::api::render_products(framing::v2::ProductList::new(&products));
    let session = Bench::new().session("t1", HOUR);
    let list = crate::catalog::Rendered::new(response, clock::now(), HOUR);
    let outcome = Outcome::Products { session, list: Some(list) };
    let expected = concat!(
        r#"{"products":[{"id":"18446744073709551615","name":"Tea \"strong\"","description":"","#,
        r#""price_minor":499,"currency":"EUR"}]}"#
    );
    answer(&get("products", "t1"), outcome).check_ok(expected);
}

fn refused(status: u16, code: &str, detail: &str, work: &Work) -> Outcome {
    let (code, detail, basis) = (code.to_owned(), detail.to_owned(), work.basis());
    Outcome::Refused(Refusal { status, code, detail, retry_after_ms: 2500, basis })
}

/// `expected` is the status and the code that a client sees.
#[track_caller]
fn check_refusal(request: &str, status: u16, code: &str, expected: (u16, &str)) {
    let detail = "from auth_back".to_owned();
    let answer = answer_with(request, |work| refused(status, code, &detail, work));
    answer.check(expected.0, expected.1);
    assert_eq!(answer.body.contains(&detail), status == 400, "{answer:?}");
    let challenge = (expected.0 == 401).then_some(match expected.1 {
        "session_not_live" => "Bearer realm=\"gatehouse\", error=\"invalid_token\"",
        _ => "Bearer realm=\"gatehouse\"",
    });
    assert_eq!(answer.field("WWW-Authenticate"), challenge, "{answer:?}");
    assert_eq!(answer.field("Set-Cookie"), None, "{answer:?}");
    let retry_after = match expected.0 {
        429 => Some("3"),
        503 => Some("1"),
        _ => None,
    };
    assert_eq!(answer.field("Retry-After"), retry_after, "{answer:?}");
}

#[test]
fn refusals_of_auth_back() {
    for code in ["username_invalid", "password_invalid", "name_invalid", "age_invalid"] {
        check_refusal(&registration(), 400, code, (400, code));
    }
    check_refusal(&registration(), 409, "username_taken", (409, "username_taken"));
    check_refusal(&login(), 401, "password_wrong", (401, "password_wrong"));
    check_refusal(&login(), 404, "user_unknown", (404, "user_unknown"));
    check_refusal(&get("session", "t1"), 401, "session_not_live", (401, "session_not_live"));
    for code in ["password_common", "password_breached"] {
        check_refusal(&registration(), 400, code, (400, code));
        check_refusal(&change_password(BEARER), 400, code, (400, code));
    }
    check_refusal(&login(), 401, "credentials_wrong", (401, "credentials_wrong"));
    check_refusal(&login(), 403, "account_disabled", (403, "account_disabled"));
    check_refusal(&login(), 429, "too_many_attempts", (429, "too_many_attempts"));
    check_refusal(&registration(), 429, "too_many_attempts", (429, "too_many_attempts"));
    check_refusal(&change_password(BEARER), 401, "password_wrong", (401, "password_wrong"));
    let revoke = post_json("revoke_session", BEARER, r#"{"session_id":"7"}"#);
    check_refusal(&revoke, 404, "session_unknown", (404, "session_unknown"));
    check_refusal(&login(), 503, "overloaded", (503, "overloaded"));
    check_refusal(&login(), 503, "timed_out", (503, "timed_out"));
    check_refusal(&login(), 503, "store_unavailable", (503, "store_unavailable"));
    check_refusal(&login(), 500, "internal", (500, "internal"));
}

#[test]
fn refusals_of_a_newer_auth_back() {
    check_refusal(&registration(), 400, "username_too_old", (400, "request_refused"));
    check_refusal(&get("session", "t1"), 401, "session_moved", (401, "session_not_live"));
    check_refusal(&logout("t1"), 401, "session_moved", (401, "session_not_live"));
    check_refusal(&login(), 401, "account_moved", (401, "credentials_wrong"));
    check_refusal(&login(), 503, "maintenance", (503, "unavailable"));
    check_refusal(&login(), 403, "account_sleeps", (403, "forbidden"));
    check_refusal(&login(), 429, "too_fast", (429, "too_many_attempts"));
    check_refusal(&login(), 599, "", (500, "internal"));
}

#[test]
fn whatever_401_a_logout_by_cookie_gets_its_cookie_ends() {
    let in_cookie = "Cookie: __Host-session=t1\r\nSec-Fetch-Site: same-origin\r\n";
    let both = format!("{BEARER}{in_cookie}");
    for (fields, status, is_ended) in [
        (in_cookie, 401, true),
        (&both, 401, true),
        (BEARER, 401, false),
        (in_cookie, 403, false),
        (in_cookie, 503, false),
    ] {
        for code in ["session_not_live", "token_malformed", "something_new"] {
            for request in [
                request("POST", "/open_api/v1/logout", fields),
                post_json("logout", fields, r#"{"all":true}"#),
            ] {
                let answer = answer_with(&request, |work| refused(status, code, "", work));
                assert_eq!(answer.status, status, "{answer:?}");
                let expected = is_ended.then_some(
                    "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
                );
                assert_eq!(answer.field("Set-Cookie"), expected, "{fields} {code}: {answer:?}");
            }
        }
    }
    // Another request leaves the cookie alone: a page may want to say that the session is over.
    let session = request("GET", "/open_api/v1/session", in_cookie);
    let answer = answer_with(&session, |work| refused(401, "session_not_live", "", work));
    assert_eq!(answer.field("Set-Cookie"), None, "{answer:?}");
}

#[test]
fn silence() {
    for (why, status, code) in [
        (Unanswered::TimedOut, 503, "timed_out"),
        (Unanswered::Unreachable, 503, "auth_unreachable"),
        (Unanswered::Lost, 503, "outcome_unknown"),
        (Unanswered::Unsupported, 503, "unavailable"),
        (Unanswered::Incomprehensible, 500, "internal"),
        (Unanswered::Dropped, 500, "internal"),
    ] {
        for request in [login(), registration(), get("products", "t1"), logout("t1")] {
            let answer = answer(&request, Outcome::Unanswered(why));
            answer.check(status, code);
            assert_eq!(answer.field("Retry-After").is_some(), status == 503, "{answer:?}");
        }
    }
}

#[test]
fn outcomes_show_no_token() {
    let outcomes = [
        Outcome::Authenticated {
            token: token("31415926"),
            expires_in_ms: 1,
            device: Device::new(b"31415926"),
            delivery: Delivery::Content,
        },
        logged_out("31415926"),
        Outcome::Session(Bench::new().session("31415926", HOUR)),
    ];
    let shown = format!("{outcomes:?}");
    assert!(!shown.contains("31415926"), "{shown}");
}
