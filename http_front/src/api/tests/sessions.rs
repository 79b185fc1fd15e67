//! Listing and ending sessions, another password, and what a proxy asks.

use std::net::IpAddr;

use super::*;
use crate::limits::SETTLE_TIME_MAX;
use crate::work::{Unanswered, Work};
use framing::v2::{SessionList, SessionSummary};

const BEARER: &str = "Authorization: Bearer t1\r\n";
const AGENT: &str = "Authorization: Bearer t1\r\nUser-Agent: curl/8\r\n";
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn the_sessions_of_a_user() {
    let session = SessionSummary {
        id: u64::MAX,
        created_at_unix_ms: 1_760_000_000_999,
        last_seen_unix_ms: 1_760_000_060_000,
        expires_in_ms: 999,
        client_address: Some(IpAddr::from([192, 0, 2, 7])),
        user_agent: Some("a \"browser\""),
        current: true,
    };
    let other =
        SessionSummary { id: 5, client_address: None, user_agent: None, current: false, ..session };
    let list = crate::api::render_sessions(SessionList::new(&[session, other]));
    let mut bench = Bench::new();
    bench.send(&get("sessions", "t1"));
    let job = bench.light_job();
    assert!(matches!(&job.work, Work::ListSessions(sent) if *sent == token("t1")), "{job:?}");
    bench.finish(job, Outcome::Sessions(list)).check_ok(concat!(
        r#"{"sessions":[{"id":"18446744073709551615","created_at":1760000000,"#,
        r#""last_seen":1760000060,"expires_in":0,"address":"192.0.2.7","#,
        r#""user_agent":"a \"browser\"","current":true},"#,
        r#"{"id":"5","created_at":1760000000,"last_seen":1760000060,"expires_in":0,"#,
        r#""address":null,"user_agent":null,"current":false}]}"#
    ));
}

#[test]
fn a_session_is_revoked_by_its_number() {
    let mut bench = Bench::new();
    bench.send(&post_json("revoke_session", BEARER, r#"{"session_id":"18446744073709551615"}"#));
    let job = bench.light_job();
    let Work::RevokeSession(sent) = &job.work else { panic!("{job:?}") };
    assert_eq!((&sent.token, sent.session_id), (&token("t1"), u64::MAX));
    assert_eq!(sent.client_address, LOCALHOST);
    bench.finish(job, Outcome::Revoked).check_ok("{}");
}

#[test]
fn a_password_is_changed_on_the_heavy_lane_for_a_fresh_token() {
    let mut bench = Bench::new();
    bench.send(&change_password(AGENT));
    let job = bench.heavy_job();
    assert_eq!(job.deadline, bench.client.now() + REQUEST_TIMEOUT);
    let Work::ChangePassword(sent) = &job.work else { panic!("{job:?}") };
    assert_eq!((&sent.token, sent.delivery), (&token("t1"), Delivery::Content));
    assert_eq!(
        (sent.current_password.as_str(), sent.new_password.as_str()),
        ("correct horse", "battery staple")
    );
    assert_eq!(
        (sent.client.address, sent.client.user_agent.as_deref()),
        (LOCALHOST, Some("curl/8"))
    );
    let answer = bench.finish(job, changed(7, Delivery::Content));
    answer.check_ok(r#"{"token":"t2","expires_in":43200}"#);
}

fn changed(user_id: u64, delivery: Delivery) -> Outcome {
    let (token, expires_in_ms) = (token("t2"), 43_200_000);
    Outcome::PasswordChanged { user_id, token, expires_in_ms, delivery }
}

impl Bench {
    /// Has these sessions leased, those of the user 7 and then those of the user 8.
    fn lease(&mut self, of_7: &[&str], of_8: &[&str]) {
        for (user_id, tokens) in [(7, of_7), (8, of_8)] {
            for token in tokens {
                self.send(&get("session", token));
                let (job, mut session) = (self.light_job(), self.session(token, HOUR));
                session.facts.user_id = user_id;
                assert_eq!(self.finish(job, Outcome::Session(session)).status, 200);
            }
        }
    }

    /// Whether the loop would answer for the session by itself.
    fn is_leased(&mut self, token: &str) -> bool {
        self.send(&get("session", token));
        let leased = !self.answers().is_empty();
        if !leased {
            let job = self.light_job();
            self.finish(job, Unanswered::Dropped.into());
        }
        leased
    }

    #[track_caller]
    fn check_leased(&mut self, expected: &[(&str, bool)]) {
        for (token, leased) in expected {
            assert_eq!(self.is_leased(token), *leased, "{token}");
        }
    }
}

#[test]
fn a_logout_of_all_sessions_ends_their_leases_on_its_loop() {
    let mut bench = Bench::new();
    bench.lease(&["t1", "t2"], &["t3"]);
    bench.send(&post_json("logout", BEARER, r#"{"all":true}"#));
    let job = bench.light_job();
    assert!(matches!(&job.work, Work::Logout(sent) if sent.all), "{job:?}");
    let delivery = Delivery::Content;
    bench
        .finish(job, Outcome::LoggedOut { token: token("t1"), all: true, delivery })
        .check_ok("{}");
    bench.check_leased(&[("t1", false), ("t2", false), ("t3", true)]);
}

#[test]
fn a_logout_of_one_session_leaves_the_leases_of_others() {
    let mut bench = Bench::new();
    bench.lease(&["t1", "t2"], &["t3"]);
    bench.send(&post_json("logout", BEARER, r#"{"all":false}"#));
    let job = bench.light_job();
    bench.finish(job, logged_out("t1")).check_ok("{}");
    bench.check_leased(&[("t1", false), ("t2", true), ("t3", true)]);
}

#[test]
fn another_password_ends_the_leases_of_its_user() {
    let mut bench = Bench::new();
    bench.lease(&["t1", "t3"], &["t4"]);
    bench.send(&change_password(BEARER));
    let job = bench.heavy_job();
    assert_eq!(bench.finish(job, changed(7, Delivery::Content)).status, 200);
    bench.check_leased(&[("t1", false), ("t3", false), ("t4", true)]);
}

#[test]
fn whatever_ends_sessions_may_wait_for_the_longest_lease() {
    let revoke = post_json("revoke_session", BEARER, r#"{"session_id":"5"}"#);
    for (request, outcome) in
        [(revoke, Outcome::Revoked), (change_password(BEARER), changed(7, Delivery::Content))]
    {
        let mut bench = Bench::new();
        bench.send(&request);
        bench.client.advance(REQUEST_TIMEOUT + SETTLE_TIME_MAX);
        let job = crossbeam_channel::select! {
            recv(bench.light) -> job => job.expect("a job"),
            recv(bench.heavy) -> job => job.expect("a job"),
            default(PATIENCE) => panic!("no job for {request}"),
        };
        assert_eq!(bench.finish(job, outcome).status, 200);
    }
}

/// nginx's `auth_request` sends a GET with all fields of the request that it asks for, but for those
/// that frame a body.
#[test]
fn a_proxy_learns_in_fields_who_asks() {
    let fields = "Authorization: Bearer t1\r\nContent-Type: application/json\r\n\
                  Sec-Fetch-Site: cross-site\r\nOrigin: https://other.example\r\n\
                  X-Original-URI: /orders?x=1\r\nConnection: close\r\n";
    for method in ["GET", "HEAD"] {
        let request = request(method, "/open_api/v1/session", fields);
        let mut bench = Bench::new();
        bench.send(&request);
        let (job, session) = (bench.light_job(), bench.session("t1", HOUR));
        let from_worker = bench.finish(job, Outcome::Session(session));
        let mut leased = Bench::new();
        leased.lease(&["t1"], &[]);
        let from_lease = leased.ask(&request);
        for answer in [from_worker, from_lease] {
            assert_eq!(answer.status, 200, "{method}: {answer:?}");
            assert_eq!(answer.field("X-User-Id"), Some("7"), "{method}: {answer:?}");
            assert_eq!(answer.field("X-User-Name"), Some("ada"), "{method}: {answer:?}");
        }
    }
    let nobody = request("GET", "/open_api/v1/session", "Content-Type: application/json\r\n");
    let answer = Bench::new().ask(&nobody);
    answer.check(401, "token_missing");
    assert_eq!(answer.field("X-User-Id"), None);
}
