use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::*;
use crate::date::DateCache;
use crate::precondition::Conditions;
use crate::problem::Problem;
use crate::{FieldSlots, Head};

/// The example of RFC 9110 section 5.6.7.
fn example_clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

#[expect(clippy::disallowed_methods, reason = "a test needs some point in time to start from")]
fn any_instant() -> Instant {
    clock::now()
}

/// The form of an ordinary request.
fn goes_on() -> Form {
    Form { head_only: false, persistence: Persistence::Implied, conditions: None, request_id: None }
}

/// Checks what `answer` writes behind other output, with what stands in every answer taken out.
fn check(form: Form, answer: impl FnOnce(Reply<'_>) -> Answered, expected: &str) {
    let mut out = b"earlier|".to_vec();
    let mut dates = DateCache::new(example_clock);
    let answered = answer(Reply::new(&mut out, &mut dates, any_instant(), form));
    let text = String::from_utf8(out).unwrap();
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let for_browsers =
        "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n";
    for lines in [date, for_browsers] {
        assert_eq!(text.matches(lines).count(), 1, "{text}");
    }
    assert_eq!(text.replace(date, "").replace(for_browsers, ""), format!("earlier|{expected}"));
    assert_eq!(answered.persists, !expected.contains("Connection: close"));
}

#[test]
fn content_comes_with_its_length_and_type() {
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                    Content-Length: 12\r\n\r\n{\"a\":\"bcde\"}";
    let json = Response::json(Status::Ok);
    let content = b"{\"a\":\"bcde\"}";
    check(goes_on(), |reply| reply.send(&json, content), expected);
    check(goes_on(), |reply| reply.send_prepared(&PreparedResponse::new(&json, content)), expected);
    check(goes_on(), |reply| reply.send_with(&json, |out| out.push(content)), expected);
}

#[test]
fn the_answer_to_head_is_the_head_of_the_answer_to_get() {
    let form = || Form { head_only: true, ..goes_on() };
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    let plain = Response::new(Status::Ok);
    check(form(), |reply| reply.send(&plain, b"abc"), expected);
    check(form(), |reply| reply.send_prepared(&PreparedResponse::new(&plain, b"abc")), expected);
    check(form(), |reply| reply.send_with(&plain, |out| out.push(b"abc")), expected);
}

#[test]
fn an_answer_without_content_says_so_only_where_content_could_be() {
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    check(goes_on(), |reply| reply.send(&Response::new(Status::Ok), b""), empty);
    let none = "HTTP/1.1 204 No Content\r\n\r\n";
    check(goes_on(), |reply| reply.send(&Response::new(Status::NoContent), b""), none);
    let unchanged = "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n";
    let response = Response::new(Status::NotModified).entity_tag("\"1\"");
    check(goes_on(), |reply| reply.send(&response, b""), unchanged);
}

/// Checks what the preconditions `lines` make of an answer with the tag `"v7"`, in each way of sending one.
#[track_caller]
fn check_conditions(head_only: bool, lines: &str, expected: &str) {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let form = || {
        let mut slots = FieldSlots::new();
        let head = Head::parse(head.as_bytes(), &mut slots).expect("a head of the test's own");
        Form { head_only, conditions: Some(Box::new(Conditions::of(&head))), ..goes_on() }
    };
    let fields = [("Cache-Control", "no-store"), ("X-User-Id", "7"), ("vary", "Cookie")];
    let response = Response::json(Status::Ok).entity_tag("\"v7\"").fields(&fields);
    check(form(), |reply| reply.send(&response, b"{}"), expected);
    check(form(), |reply| reply.send_prepared(&PreparedResponse::new(&response, b"{}")), expected);
    check(form(), |reply| reply.send_with(&response, |out| out.push(b"{}")), expected);
}

#[test]
fn an_answer_that_meets_the_preconditions_is_sent_and_another_in_its_place() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"v7\"\r\n\
                 Cache-Control: no-store\r\nX-User-Id: 7\r\nvary: Cookie\r\nContent-Length: 2\r\n\r\n";
    let unchanged = "HTTP/1.1 304 Not Modified\r\nETag: \"v7\"\r\nCache-Control: no-store\r\nvary: Cookie\r\n\r\n";
    let failed = "HTTP/1.1 412 Precondition Failed\r\nContent-Type: application/problem+json\r\n\
                  Cache-Control: no-store\r\nContent-Length: 167\r\n\r\n";
    let document = "{\"type\":\"/problems/precondition_failed\",\"title\":\"The precondition is not met\",\
                    \"status\":412,\"detail\":\"If-Match names no entity tag of what is there. Nothing was done.\"}";
    for (head_only, content, document) in [(false, "{}", document), (true, "", "")] {
        let whole = format!("{whole}{content}");
        check_conditions(head_only, "If-Match: \"v7\"\r\nIf-None-Match: \"v6\"\r\n", &whole);
        check_conditions(head_only, "If-None-Match: \"v7\"\r\n", unchanged);
        check_conditions(head_only, "If-None-Match: *\r\n", unchanged);
        check_conditions(head_only, "If-Match: \"v6\"\r\n", &format!("{failed}{document}"));
    }
}

#[test]
fn preconditions_count_only_where_the_answer_would_be_2xx() {
    let form = || Form { conditions: Some(Box::new(Conditions::never_met())), ..goes_on() };
    let response = Response::new(Status::SeeOther);
    let expected = "HTTP/1.1 303 See Other\r\nContent-Length: 0\r\n\r\n";
    check(form(), |reply| reply.send(&response, b""), expected);
    check(form(), |reply| reply.send_prepared(&PreparedResponse::new(&response, b"")), expected);
}

#[test]
fn the_answer_tells_what_becomes_of_the_connection() {
    let send = |reply: Reply<'_>| reply.send(&Response::new(Status::Ok), b"");
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    let with = |persistence| Form { persistence, ..goes_on() };
    check(with(Persistence::Implied), send, &format!("{head}\r\n"));
    check(with(Persistence::Announced), send, &format!("{head}Connection: keep-alive\r\n\r\n"));
    check(with(Persistence::Close), send, &format!("{head}Connection: close\r\n\r\n"));
    check(goes_on(), |reply| send(reply.closing()), &format!("{head}Connection: close\r\n\r\n"));
}

#[test]
fn problems_are_documents_of_rfc_9457() {
    const BARE: Problem = Problem::new(Status::NotFound, "no_such_thing", "No such thing", "Gone.");
    check(
        goes_on(),
        |reply| reply.problem(&BARE),
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\
         Cache-Control: no-store\r\nContent-Length: 88\r\n\r\n\
         {\"type\":\"/problems/no_such_thing\",\"title\":\"No such thing\",\"status\":404,\
         \"detail\":\"Gone.\"}",
    );
    let full = BARE
        .with_retry_after(u32::MAX)
        .with_field(&("Allow", "GET, HEAD"))
        .with_field(&("WWW-Authenticate", "Bearer"))
        .with_detail("a \"quote\", a\nline, a \u{1} and \u{e9}");
    check(
        goes_on(),
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
