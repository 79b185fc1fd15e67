//! REG and AUTH, as a client sends them that knows nothing else.

use std::net::Ipv4Addr;

use framing::v1::{self, split_response};

use super::super::testing::{Bench, time_left};
use super::super::*;
use crate::accounts::Origin;
use crate::accounts::testing::{Fixture, patient};
use crate::job::Done;
use crate::limits::V1_BUDGET;
use crate::login::testing::authenticate;

const REG: &[u8] = b"\x03REG\0\x03ada\0\x0dcorrect horse\0\x03Ada\x24";
const AUTH: &[u8] = b"\x04AUTH\0\x03ada\0\x0dcorrect horse\0\0\0";

/// Checks what was answered: status and message of each answer.
#[track_caller]
fn check_answers(bench: &mut Bench, expected: &[(u16, &str)]) {
    let output = bench.harness.take_output();
    let mut rest = &output[..];
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let (response, taken) = split_response(rest).unwrap().expect("only whole answers");
        answers.push((response.status.get(), response.message().unwrap().expose()));
        rest = &rest[taken..];
    }
    assert_eq!(answers, expected);
}

fn session_not_live() -> Result<Done, AccountError> {
    Err(AccountError::SessionNotLive)
}

#[test]
fn v1_is_off_unless_it_is_on() {
    let mut bench = Bench::new(false);
    bench.harness.feed(REG);
    bench.check_closed_for_input();
}

#[test]
fn register_byte_by_byte() {
    let mut bench = Bench::new(true);
    for byte in REG {
        bench.send(&[*byte]);
    }
    let job = bench.heavy_job();
    let Request::Register(request) = &job.request else { panic!("not a registration") };
    assert_eq!((&*request.username, &**request.password), ("ada", "correct horse"));
    assert_eq!((request.name.as_deref(), request.age), (Some("Ada"), Some(36)));
    assert_eq!(request.request_id, None);
    // A message says no address; the harness connects from 127.0.0.1.
    assert_eq!(request.origin, Origin::at(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(time_left(&bench, job.deadline), V1_BUDGET);

    let user_id = credentials::ids::UserId::new(7).unwrap();
    bench.answer(job, Ok(Done::Registered(user_id)));
    check_answers(&mut bench, &[(200, "")]);
}

#[test]
fn authenticate_byte_by_byte_answers_with_the_token() {
    let fixture = Fixture::new();
    fixture.user("ada", "correct horse");
    let mut bench = Bench::new(true);
    for byte in AUTH {
        bench.send(&[*byte]);
    }
    let job = bench.heavy_job();
    let Request::Authenticate(request) = &job.request else { panic!("not a login") };
    assert_eq!(request.origin, Origin::at(Ipv4Addr::LOCALHOST.into()));
    let opened = authenticate(&fixture.accounts, request, patient()).unwrap();
    let token = opened.token.expose().to_owned();
    bench.answer(job, Ok(Done::Authenticated(opened)));
    check_answers(&mut bench, &[(200, &token)]);
}

#[test]
fn one_request_is_in_work_at_a_time() {
    let mut bench = Bench::new(true);
    bench.send(&[REG, AUTH, AUTH].concat());
    for number in 1..=3 {
        let job = bench.heavy_job();
        assert!(bench.heavy.is_empty());
        assert_eq!(bench.harness.shared().lanes.heavy.stats().snapshot().accepted, number);
        bench.answer(job, session_not_live());
        check_answers(&mut bench, &[(401, "the session is not live")]);
    }
}

#[test]
fn a_text_that_is_not_utf8_costs_its_request_only() {
    let mut bench = Bench::new(true);
    bench.send(b"\x04AUTH\0\x01\xff\0\x03abc\0\0\0");
    check_answers(&mut bench, &[(400, "a text is not UTF-8")]);
    bench.send(AUTH);
    let job = bench.heavy_job();
    bench.answer(job, session_not_live());
    check_answers(&mut bench, &[(401, "the session is not live")]);
}

#[test]
fn what_is_no_request_closes() {
    for bytes in [&b"\x03REX"[..], b"\x04REG\0", b"\x03REG\xff\xff"] {
        let mut bench = Bench::new(true);
        bench.harness.feed(bytes);
        bench.check_closed_for_input();
    }
    // Also after a good one, and then with what is in work.
    let mut bench = Bench::new(true);
    bench.send(REG);
    let job = bench.heavy_job();
    bench.answer(job, session_not_live());
    bench.harness.feed(b"G");
    bench.check_closed_for_input();
}

#[test]
fn details_of_our_own_faults_stay_here() {
    let mut bench = Bench::new(true);
    bench.send(AUTH);
    drop(bench.heavy_job());
    bench.deliver();
    check_answers(&mut bench, &[(500, "the server failed; its log says more")]);
}

#[test]
fn the_longest_request_is_taken() {
    let long = "x".repeat(1024);
    let mut bytes = Vec::new();
    let password = framing::Secret::new(&long);
    let request =
        v1::Request::Register { username: &long, password, name: Some(&long), age: Some(255) };
    v1::encode_request(&mut bytes, &request).unwrap();
    let mut bench = Bench::new(true);
    bench.send(&bytes);
    let job = bench.heavy_job();
    bench.answer(job, session_not_live());
    check_answers(&mut bench, &[(401, "the session is not live")]);
}
