use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::*;
use crate::date::DateCache;
use crate::problem::Problem;

/// The example of RFC 9110 section 5.6.7.
fn example_clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

#[expect(clippy::disallowed_methods, reason = "a test needs some point in time to start from")]
fn any_instant() -> Instant {
    clock::now()
}

const GOES_ON: Form = Form { head_only: false, persistence: Persistence::Implied };

/// Checks what `answer` writes behind other output, with `Date` taken out.
fn check(form: Form, answer: impl FnOnce(Reply<'_>) -> Answered, expected: &str) {
    let mut out = b"earlier|".to_vec();
    let mut dates = DateCache::new(example_clock);
    let answered = answer(Reply::new(&mut out, &mut dates, any_instant(), form));
    let text = String::from_utf8(out).unwrap();
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    assert_eq!(text.matches(date).count(), 1, "{text}");
    assert_eq!(text.replace(date, ""), format!("earlier|{expected}"));
    assert_eq!(answered.persists, !expected.contains("Connection: close"));
}

#[test]
fn content_comes_with_its_length_and_type() {
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                    Content-Length: 12\r\n\r\n{\"a\":\"bcde\"}";
    let json = Response::json(Status::Ok);
    let content = b"{\"a\":\"bcde\"}";
    check(GOES_ON, |reply| reply.send(&json, content), expected);
    check(GOES_ON, |reply| reply.send_prepared(&PreparedResponse::new(&json, content)), expected);
    check(GOES_ON, |reply| reply.send_with(&json, |out| out.push(content)), expected);
}

#[test]
fn the_answer_to_head_is_the_head_of_the_answer_to_get() {
    let form = Form { head_only: true, ..GOES_ON };
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    let plain = Response::new(Status::Ok);
    check(form, |reply| reply.send(&plain, b"abc"), expected);
    check(form, |reply| reply.send_prepared(&PreparedResponse::new(&plain, b"abc")), expected);
    check(form, |reply| reply.send_with(&plain, |out| out.push(b"abc")), expected);
}

#[test]
fn an_answer_without_content_says_so_only_where_content_could_be() {
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    check(GOES_ON, |reply| reply.send(&Response::new(Status::Ok), b""), empty);
    let none = "HTTP/1.1 204 No Content\r\n\r\n";
    check(GOES_ON, |reply| reply.send(&Response::new(Status::NoContent), b""), none);
    let unchanged = "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n";
    let response = Response::new(Status::NotModified).fields(&[("ETag", "\"1\"")]);
    check(GOES_ON, |reply| reply.send(&response, b""), unchanged);
}

#[test]
fn the_answer_tells_what_becomes_of_the_connection() {
    let send = |reply: Reply<'_>| reply.send(&Response::new(Status::Ok), b"");
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    let with = |persistence| Form { persistence, ..GOES_ON };
    check(with(Persistence::Implied), send, &format!("{head}\r\n"));
    check(with(Persistence::Announced), send, &format!("{head}Connection: keep-alive\r\n\r\n"));
    check(with(Persistence::Close), send, &format!("{head}Connection: close\r\n\r\n"));
    check(GOES_ON, |reply| send(reply.closing()), &format!("{head}Connection: close\r\n\r\n"));
}

#[test]
fn problems_are_documents_of_rfc_9457() {
    const BARE: Problem = Problem::new(Status::NotFound, "no_such_thing", "No such thing", "Gone.");
    check(
        GOES_ON,
        |reply| reply.problem(&BARE),
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\
         Cache-Control: no-store\r\nContent-Length: 88\r\n\r\n\
         {\"type\":\"/problems/no_such_thing\",\"title\":\"No such thing\",\"status\":404,\
         \"detail\":\"Gone.\"}",
    );
    let full = BARE
        .with_retry_after(u32::MAX)
        .with_allow("GET, HEAD")
        .with_authenticate("Bearer")
        .with_detail("a \"quote\", a\nline, a \u{1} and \u{e9}");
    check(
        GOES_ON,
        |reply| reply.problem(&full),
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\
         Cache-Control: no-store\r\nRetry-After: 4294967295\r\nAllow: GET, HEAD\r\n\
         WWW-Authenticate: Bearer\r\nContent-Length: 120\r\n\r\n\
         {\"type\":\"/problems/no_such_thing\",\"title\":\"No such thing\",\"status\":404,\
         \"detail\":\"a \\\"quote\\\", a\\nline, a \\u0001 and \u{e9}\"}",
    );
}

#[test]
fn numbers_are_written_in_full() {
    let check = |number: u64| {
        let mut out = Vec::new();
        append_decimal(&mut out, number);
        assert_eq!(out, number.to_string().as_bytes());
    };
    for number in [0, 1, 9, 10, 99, 100, 16_384, u64::MAX] {
        check(number);
    }
}

#[test]
#[should_panic(expected = "control character")]
fn a_field_value_cannot_start_another_line() {
    let response = Response::new(Status::Ok).fields(&[("A", "b\r\nC: d")]);
    let _ = PreparedResponse::new(&response, b"");
}

#[test]
#[should_panic(expected = "is no token")]
fn a_field_name_is_a_token() {
    let _ = PreparedResponse::new(&Response::new(Status::Ok).fields(&[("A: b", "c")]), b"");
}

#[test]
#[should_panic(expected = "is written by Reply")]
fn framing_is_not_the_business_of_whoever_answers() {
    let response = Response::new(Status::Ok).fields(&[("content-length", "5")]);
    let _ = PreparedResponse::new(&response, b"");
}

#[test]
#[should_panic(expected = "content in a 204 answer")]
fn content_where_none_may_be_is_a_bug() {
    let _ = PreparedResponse::new(&Response::new(Status::NoContent), b"a");
}
