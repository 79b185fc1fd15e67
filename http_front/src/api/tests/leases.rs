//! What a loop answers by itself, and when it has to ask.

use super::*;
use crate::catalog::Rendered;
use crate::limits::{SETTLE_TIME_MAX, SLEEP_CHECK_INTERVAL};
use crate::work::{Basis, Refusal, Work};
use http1::{PreparedResponse, Response, Status};

/// Shorter than the time for which a connection may idle.
const LEASE: Duration = Duration::from_secs(30);
/// Shorter than the time for which the body of a request may take to come.
const LEASE_LEFT: Duration = Duration::from_secs(1);
const LIST: &str = r#"{"products":[]}"#;

impl Bench {
    /// A list that was asked for now.
    fn list(&self, content: &str, fresh_for: Duration) -> Rendered {
        let ok = Response::json(Status::Ok).fields(&[("Cache-Control", "no-store")]);
        let response = PreparedResponse::new(&ok, content.as_bytes());
        Rendered::new(response, self.client.now(), fresh_for)
    }

    /// Has the products asked for, and the list fetched, with a lease on the session.
    #[track_caller]
    fn view_products(&mut self, token: &str, lease: Duration, fresh_for: Duration) {
        self.send(&get("products", token));
        let job = self.light_job();
        check_work(&job, true);
        let (session, list) = (self.session(token, lease), self.list(LIST, fresh_for));
        self.finish(job, Outcome::Products { session, list: Some(list) }).check_ok(LIST);
    }

    /// Has a session checked and leased.
    #[track_caller]
    fn view_session(&mut self, token: &str) {
        self.send(&get("session", token));
        let (job, session) = (self.light_job(), self.session(token, HOUR));
        assert_eq!(self.finish(job, Outcome::Session(session)).status, 200);
    }
}

fn not_live() -> Outcome {
    let code = "session_not_live".to_owned();
    let (detail, basis) = (String::new(), Basis::Token);
    Outcome::Refused(Refusal { status: 401, code, detail, retry_after_ms: 0, basis })
}

#[track_caller]
fn check_work(job: &Job, expected: bool) {
    let Work::ViewProducts { fetch_list, .. } = job.work else { panic!("{job:?}") };
    assert_eq!(fetch_list, expected, "whether the list is asked for");
}

#[test]
fn a_leased_session_sees_the_products_without_a_worker() {
    let mut bench = Bench::new();
    bench.view_products("t1", HOUR, HOUR);
    bench.ask(&get("products", "t1")).check_ok(LIST);
    let expected = r#"{"user_id":"7","username":"ada","expires_in":86400}"#;
    bench.ask(&get("session", "t1")).check_ok(expected);
    assert_eq!(bench.client.shared().handler.metrics.leased.get(), 2);
}

#[test]
fn pipelined_requests_are_answered_together_from_a_lease() {
    let mut bench = Bench::new();
    bench.view_products("t1", HOUR, HOUR);
    bench.send(&get("products", "t1").repeat(3));
    let answers = bench.answers();
    assert_eq!(answers.len(), 3);
    answers.iter().for_each(|answer| answer.check_ok(LIST));
}

#[test]
fn a_list_that_a_client_has_is_not_sent_again() {
    let mut bench = Bench::new();
    bench.send(&get("products", "t1"));
    let job = bench.light_job();
    let list = crate::api::render_products(framing::v2::ProductList::new(&[]));
    let list = Rendered::new(list, bench.client.now(), HOUR);
    let session = bench.session("t1", HOUR);
    let first = bench.finish(job, Outcome::Products { session, list: Some(list) });
    first.check_ok(LIST);
    let tag = first.field("ETag").expect("a tag").to_owned();
    // Strong, and the same on each server: the digest of what is sent.
    assert_eq!(tag, "\"86d8b086af0fc30d06856e218fcfdb6b\"");
    let ask = |bench: &mut Bench, method: &str, lines: &str| {
        let fields = format!("Authorization: Bearer t1\r\n{lines}");
        bench.ask(&request(method, "/open_api/v1/products", &fields))
    };
    for (lines, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"x\", W/{tag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_owned(), 304),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        (format!("If-Match: {tag}\r\n"), 200),
        (format!("If-Match: W/{tag}\r\n"), 412),
        (format!("If-Match: \"x\"\r\nIf-None-Match: {tag}\r\n"), 412),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = ask(&mut bench, method, &lines);
            assert_eq!(answer.status, status, "{method} {lines}: {answer:?}");
            let expected = (status != 412).then_some(&*tag);
            assert_eq!(answer.field("ETag"), expected, "{answer:?}");
            assert_eq!(answer.field("Cache-Control"), Some("no-store"), "{answer:?}");
        }
    }
    let leased = bench.client.shared().handler.metrics.leased.get();
    assert_eq!(leased, 14, "all of them were answered from the lease");
}

/// A test of its own allocations alone: others that run beside it are not counted.
#[test]
fn a_leased_request_allocates_nothing() {
    let mut bench = Bench::new();
    bench.view_products("t1", HOUR, HOUR);
    let request = get("products", "t1");
    let cookie = request.replace("Authorization: Bearer ", "Cookie: a=b; __Host-session=");
    assert_ne!(request, cookie);
    let batches = [&request, &cookie].map(|request| request.repeat(16));
    let mut ask = || {
        bench.client.discard_output();
        for batch in &batches {
            assert_eq!(bench.client.feed(batch.as_bytes()), batch.len());
        }
    };
    // Buffers grow to what such a batch takes.
    ask();
    let counted = allocation_counter::measure(&mut ask);
    assert_eq!(counted.count_total, 0, "{counted:?}");
    let leased = bench.client.shared().handler.metrics.leased.get();
    assert_eq!(leased, 4 * 16, "all of them were answered from the lease");
}

#[test]
fn another_token_is_asked_for_but_the_list_is_kept() {
    let mut bench = Bench::new();
    bench.view_products("t1", HOUR, HOUR);
    bench.send(&get("products", "t2"));
    let job = bench.light_job();
    check_work(&job, false);
    let session = bench.session("t2", HOUR);
    bench.finish(job, Outcome::Products { session, list: None }).check_ok(LIST);
    bench.ask(&get("products", "t2")).check_ok(LIST);
}

#[test]
fn a_lease_ends() {
    let mut bench = Bench::new();
    bench.view_products("t1", LEASE, HOUR);
    bench.client.advance(LEASE - Duration::from_nanos(1));
    bench.ask(&get("products", "t1")).check_ok(LIST);
    assert_eq!(bench.ask(&get("session", "t1")).status, 200);
    bench.client.advance(Duration::from_nanos(1));
    bench.send(&get("products", "t1"));
    let job = bench.light_job();
    check_work(&job, false);
    bench.finish(job, not_live()).check(401, "session_not_live");
    bench.send(&get("session", "t1"));
    let job = bench.light_job();
    bench.finish(job, not_live()).check(401, "session_not_live");
}

#[test]
fn a_machine_that_has_slept_asks_for_every_session_anew() {
    let clock = clock::Movable::stopped();
    let mut bench = Bench::new();
    bench.view_products("t1", HOUR, HOUR);
    bench.view_session("t2");
    bench.ask(&get("products", "t1")).check_ok(LIST);
    // A check is on its way while it sleeps.
    bench.send(&get("session", "t3"));
    let (sent, session) = (bench.light_job(), bench.session("t3", HOUR));
    clock.sleep(HOUR);
    bench.client.advance(SLEEP_CHECK_INTERVAL);
    assert_eq!(bench.finish(sent, Outcome::Session(session)).status, 200);
    for (route, token) in [("products", "t1"), ("session", "t2"), ("session", "t3")] {
        bench.send(&get(route, token));
        let job = bench.light_job();
        bench.finish(job, not_live()).check(401, "session_not_live");
    }
    clock.advance(SLEEP_CHECK_INTERVAL);
    bench.client.advance(SLEEP_CHECK_INTERVAL);
    bench.view_session("t4");
    assert_eq!(bench.ask(&get("session", "t4")).status, 200, "it is awake");
}

#[test]
fn a_session_is_asked_for_anew_if_the_machine_sleeps_before_the_body_comes() {
    let clock = clock::Movable::stopped();
    for route in ["session", "products"] {
        let mut bench = Bench::new();
        bench.view_products("t1", HOUR, HOUR);
        let head = get(route, "t1").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
        bench.send(&head);
        clock.sleep(HOUR);
        bench.client.advance(SLEEP_CHECK_INTERVAL);
        bench.send("0\r\n\r\n");
        let job = bench.light_job();
        bench.finish(job, not_live()).check(401, "session_not_live");
    }
}

#[test]
fn a_lease_is_judged_anew_once_the_body_of_a_request_has_come() {
    let mut bench = Bench::new();
    bench.view_products("t1", LEASE_LEFT, HOUR);
    let request =
        get("products", "t1").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    bench.send(&request);
    bench.client.advance(LEASE_LEFT);
    bench.send("0\r\n\r\n");
    let job = bench.light_job();
    check_work(&job, false);
    bench.finish(job, not_live()).check(401, "session_not_live");
}

#[test]
fn a_session_without_a_lease_is_asked_for_every_time() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.view_products("t1", Duration::ZERO, Duration::ZERO);
    }
}

#[test]
fn a_stale_list_is_fetched_again_and_the_new_one_serves_everybody() {
    let mut bench = Bench::new();
    bench.view_products("t1", HOUR, LEASE);
    bench.client.advance(LEASE);
    bench.send(&get("products", "t1"));
    let job = bench.light_job();
    check_work(&job, true);
    let (session, list) = (bench.session("t1", HOUR), bench.list("[2]", HOUR));
    bench.finish(job, Outcome::Products { session, list: Some(list) }).check_ok("[2]");
    bench.ask(&get("products", "t1")).check_ok("[2]");
}

#[test]
fn a_list_that_goes_stale_meanwhile_still_serves_the_request_that_found_it_fresh() {
    let mut bench = Bench::new();
    bench.view_products("t1", HOUR, Duration::from_secs(1));
    bench.send(&get("products", "t2"));
    let job = bench.light_job();
    check_work(&job, false);
    bench.client.advance(Duration::from_secs(1));
    let session = bench.session("t2", HOUR);
    bench.finish(job, Outcome::Products { session, list: None }).check_ok(LIST);
}

#[test]
fn a_logout_ends_the_lease_on_its_loop() {
    let mut bench = Bench::new();
    bench.view_products("t1", HOUR, HOUR);
    bench.view_session("t2");
    bench.send(&logout("t1"));
    let job = bench.light_job();
    bench.finish(job, logged_out("t1")).check_ok("{}");
    assert_eq!(bench.ask(&get("session", "t2")).status, 200, "another session lives on");
    bench.send(&get("session", "t1"));
    let job = bench.light_job();
    bench.finish(job, not_live()).check(401, "session_not_live");
}

#[test]
fn an_answer_to_a_logout_may_wait_for_the_longest_lease() {
    let mut bench = Bench::new();
    bench.send(&logout("t1"));
    let waits = REQUEST_TIMEOUT + SETTLE_TIME_MAX;
    bench.client.advance(waits);
    let job = bench.light_job();
    bench.finish(job, logged_out("t1")).check_ok("{}");
}
