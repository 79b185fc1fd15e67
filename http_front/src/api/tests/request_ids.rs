//! What requests and their answers are found again by.

use super::*;
use crate::catalog::Rendered;
use crate::work::{Basis, Refusal, Unanswered};
use http1::{PreparedResponse, Response, Status};

/// The id of an answer, which its problem document says too.
#[track_caller]
fn id(answer: &Answer) -> String {
    let id = answer.field("X-Request-Id").expect("an id").to_owned();
    if !answer.code().is_empty() {
        let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(document["request_id"], id.as_str(), "{answer:?}");
    }
    id
}

#[track_caller]
fn assert_ours(id: &str) {
    let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    assert!(id.len() == 32 && is_hex, "{id}");
}

fn login_with(id: &str) -> String {
    let body = r#"{"username":"ada","password":"correct horse"}"#;
    post_json("authenticate", &format!("X-Request-Id: {id}\r\n"), body)
}

/// Sends `request`, and compares the ids that auth_back and the client are told; returns it.
#[track_caller]
fn id_on_the_way(bench: &mut Bench, request: &str) -> String {
    bench.send(request);
    let job = bench.heavy_job();
    let told = job.http_request_id.as_ref().expect("auth_back is told an id").to_string();
    let answer = bench.finish(job, Outcome::Unanswered(Unanswered::TimedOut));
    assert_eq!(id(&answer), told);
    told
}

#[test]
fn each_request_has_one_of_its_own() {
    let mut bench = Bench::new();
    let ids = [(); 3].map(|()| id_on_the_way(&mut bench, &login()));
    ids.iter().for_each(|id| assert_ours(id));
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
}

#[test]
fn only_a_trusted_proxy_gives_ids() {
    let given = "4f1c2d3e-0a9b-4c8d-8e7f-123456789abc";
    assert_eq!(id_on_the_way(&mut Bench::behind_a_proxy(), &login_with(given)), given);
    assert_ours(&id_on_the_way(&mut Bench::new(), &login_with(given)));
}

#[test]
fn what_is_no_id_is_passed_over() {
    let twice = "a\r\nX-Request-Id: b";
    let too_long = "x".repeat(65);
    for bad in ["", "a b", "a\"b", "{a}", twice, &too_long] {
        assert_ours(&id_on_the_way(&mut Bench::behind_a_proxy(), &login_with(bad)));
    }
}

#[test]
fn what_is_refused_on_the_loop_has_one_too() {
    let mut bench = Bench::behind_a_proxy();
    let with_id = |path: &str| request("GET", path, "X-Request-Id: q1\r\n");
    assert_eq!(id(bench.ask(&with_id("/nothing")).check(404, "not_found")), "q1");
    let session = bench.ask(&with_id("/open_api/v1/session"));
    assert_eq!(id(session.check(401, "token_missing")), "q1");
    let malformed = bench.ask("GET /open_api/v1/session HTTP/1.1\r\nX-Request-Id: q1\r\n\r\n");
    assert_ours(&id(malformed.check(400, "malformed_request")));
}

#[test]
fn a_refusal_of_auth_back_has_one() {
    let mut bench = Bench::behind_a_proxy();
    bench.send(&login_with("q2"));
    let refusal = Refusal {
        status: 401,
        code: "password_wrong".into(),
        detail: String::new(),
        retry_after_ms: 0,
        basis: Basis::Password,
    };
    let job = bench.heavy_job();
    let answer = bench.finish(job, Outcome::Refused(refusal));
    assert_eq!(id(answer.check(401, "password_wrong")), "q2");
}

/// Nobody but the loop knows of them.
#[test]
fn answers_on_a_lease_have_none() {
    let mut bench = Bench::new();
    bench.send(&get("products", "t1"));
    let (job, session) = (bench.light_job(), bench.session("t1", HOUR));
    let ok = Response::json(Status::Ok).fields(&[("Cache-Control", "no-store")]);
    let list = Rendered::new(PreparedResponse::new(&ok, b"{}"), bench.client.now(), HOUR);
    let answer = bench.finish(job, Outcome::Products { session, list: Some(list) });
    assert_ours(&id(&answer));
    for resource in ["products", "session"] {
        let answer = bench.ask(&get(resource, "t1"));
        assert_eq!((answer.status, answer.field("X-Request-Id")), (200, None), "{resource}");
    }
}
