//! The API over HTTP, with byte arrays for the client, and the test for the workers.

mod cookies;
mod http;
mod lanes;
mod leases;
mod outcomes;
mod request_ids;
mod routes;
mod sessions;

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use http1::{Connection, Shared};
use lane::{FlowKeys, Inbox, Lane, LaneOptions};
use reactor::testing::{Harness, Post, mailbox};

use super::{Api, Lanes};
use crate::lease::SessionFacts;
use crate::proxies::TrustedProxies;
use crate::testing::{metrics, token};
use crate::work::{CheckedSession, Delivery, Job, Outcome};

/// Far beyond what any step here takes: only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
const HOUR: Duration = Duration::from_secs(3600);

/// A client's connection on a loop whose workers are the test.
struct Bench {
    client: Harness<Connection<Api>>,
    lanes: Lanes,
    heavy: Receiver<Job>,
    light: Receiver<Job>,
    post: Post<Outcome>,
    mailbox: reactor::Mailbox<Outcome>,
    /// While these are there, the workers of a stalled lane take no job.
    _gates: Vec<Sender<()>>,
}

impl Bench {
    /// Lanes whose jobs come to the test at once.
    fn new() -> Self {
        Self::with_lanes(lane("heavy", 64), lane("light", 64))
    }

    /// A bench whose clients come through a proxy.
    fn behind_a_proxy() -> Self {
        let proxies = TrustedProxies::new(vec!["127.0.0.1".parse().expect("a network")]);
        Self::with(lane("heavy", 64), lane("light", 64), proxies)
    }

    fn with_lanes(heavy: TestLane, light: TestLane) -> Self {
        Self::with(heavy, light, TrustedProxies::default())
    }

    fn with(heavy: TestLane, light: TestLane, proxies: TrustedProxies) -> Self {
        let (mailbox, post) = mailbox();
        let flows = FlowKeys::default();
        let markers = Arc::default();
        let lanes = Lanes { heavy: heavy.lane, light: light.lane, flows, markers };
        let api = Api::new(mailbox.clone(), lanes.clone(), REQUEST_TIMEOUT, proxies, metrics());
        Self {
            client: Harness::new(Shared::new(api)),
            lanes,
            heavy: heavy.jobs,
            light: light.jobs,
            post,
            mailbox,
            _gates: [heavy.gate, light.gate].into_iter().flatten().collect(),
        }
    }

    fn send(&mut self, request: &str) {
        assert_eq!(self.client.feed(request.as_bytes()), request.len(), "{request}");
    }

    /// Sends a request that is answered on the loop, and returns the answer.
    #[track_caller]
    fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer()
    }

    /// The one answer that was sent.
    #[track_caller]
    fn answer(&mut self) -> Answer {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    fn answers(&mut self) -> Vec<Answer> {
        Answer::all(&self.client.take_output())
    }

    #[track_caller]
    fn light_job(&self) -> Job {
        self.light.recv_timeout(PATIENCE).expect("a job for the light lane")
    }

    #[track_caller]
    fn heavy_job(&self) -> Job {
        self.heavy.recv_timeout(PATIENCE).expect("a job for the heavy lane")
    }

    /// Delivers what was posted, as the loop does; how many it was.
    fn deliver(&mut self) -> usize {
        let posted = self.post.take();
        let count = posted.len();
        for posted in posted {
            assert_eq!(posted.to, self.client.id(), "it belongs to another connection");
            self.client.complete(posted.completion);
        }
        count
    }

    /// Answers a job as a worker would, and returns what the client gets.
    #[track_caller]
    fn finish(&mut self, job: Job, outcome: Outcome) -> Answer {
        job.answer(outcome);
        assert_eq!(self.deliver(), 1);
        self.answer()
    }

    /// A session of the user "ada", leased for `lease` from now.
    fn session(&self, token_text: &str, lease: Duration) -> CheckedSession {
        let now = self.client.now();
        let facts =
            SessionFacts { user_id: 7, username: "ada".into(), expires_at: now + HOUR * 24 };
        CheckedSession { token: token(token_text), facts, leased_until: now + lease, asked_at: now }
    }
}

/// A lane whose worker hands jobs to the test.
struct TestLane {
    lane: Lane<Job>,
    jobs: Receiver<Job>,
    gate: Option<Sender<()>>,
}

fn lane(name: &'static str, queue: usize) -> TestLane {
    TestLane { gate: None, ..stalled_lane(name, queue) }
}

/// A lane whose worker takes nothing for as long as the gate is there.
fn stalled_lane(name: &'static str, queue: usize) -> TestLane {
    let (gate, closed) = bounded(0);
    let (sender, jobs) = unbounded();
    let queue = NonZeroUsize::new(queue).expect("a queue of the test's own");
    let options = LaneOptions::new(name, NonZeroUsize::MIN, queue).expect("a name of a lane");
    let (lane, _) = Lane::start(&options, move |inbox: &mut Inbox<Job>| {
        // An error means that the gate is open.
        let _: Result<(), _> = closed.recv();
        while let Some(job) = inbox.recv() {
            // An error means that the test is over; the job answers as it is dropped.
            let _ = sender.send(job);
        }
    })
    .expect("a thread");
    TestLane { lane, jobs, gate: Some(gate) }
}

/// An answer as a client sees it.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// Takes apart what was sent. The answer to a HEAD can only be the last.
    fn all(mut sent: &[u8]) -> Vec<Self> {
        let mut answers = Vec::new();
        while !sent.is_empty() {
            let end = sent.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a whole head");
            let head = String::from_utf8(sent[..end + 2].to_vec()).expect("a head of ASCII");
            let status = head["HTTP/1.1 ".len()..][..3].parse().expect("a status");
            let mut answer = Self { status, head, body: String::new() };
            let length = match status {
                204 | 304 => 0,
                _ => answer.field("Content-Length").expect("a length").parse().expect("digits"),
            };
            for (name, value) in [
                ("X-Content-Type-Options", "nosniff"),
                ("Cross-Origin-Resource-Policy", "same-origin"),
            ] {
                assert_eq!(answer.field(name), Some(value), "{answer:?}");
            }
            let rest = &sent[end + 4..];
            let body = if rest.is_empty() { rest } else { &rest[..length] };
            answer.body = String::from_utf8(body.to_vec()).expect("a body of UTF-8");
            sent = &rest[body.len()..];
            answers.push(answer);
        }
        answers
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).next()
    }

    fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head.lines().filter_map(move |line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The code of a problem; empty for another answer.
    fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let code = body["type"].as_str().and_then(|kind| kind.strip_prefix("/problems/"));
        code.unwrap_or_default().to_owned()
    }

    /// Checks a problem; returns the answer for further checks.
    #[track_caller]
    fn check(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, &*self.code()), (status, code), "{self:?}");
        assert_eq!(self.field("Cache-Control"), Some("no-store"), "{self:?}");
        self
    }

    /// Checks an answer that is no problem.
    #[track_caller]
    fn check_ok(&self, body: &str) {
        assert_eq!((self.status, &*self.body), (200, body), "{self:?}");
        assert_eq!(self.field("Content-Type"), Some("application/json"), "{self:?}");
        assert_eq!(self.field("Cache-Control"), Some("no-store"), "{self:?}");
    }
}

/// A request without a body, and with `fields` such as `"Authorization: Bearer t1\r\n"`.
fn request(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: gatehouse\r\n{fields}\r\n")
}

fn get(resource: &str, token: &str) -> String {
    let fields = format!("Authorization: Bearer {token}\r\n");
    request("GET", &format!("/open_api/v1/{resource}"), &fields)
}

fn post_json(resource: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    let fields = format!("{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n");
    request("POST", &format!("/open_api/v1/{resource}"), &fields) + body
}

fn login() -> String {
    post_json("authenticate", "", r#"{"username":"ada","password":"correct horse"}"#)
}

fn registration() -> String {
    post_json("register", "", r#"{"username":"ada","password":"correct horse"}"#)
}

fn logout(token: &str) -> String {
    request("POST", "/open_api/v1/logout", &format!("Authorization: Bearer {token}\r\n"))
}

fn change_password(fields: &str) -> String {
    let body = r#"{"current_password":"correct horse","new_password":"battery staple"}"#;
    post_json("change_password", fields, body)
}

/// The outcome of a logout of one session whose token came in `Authorization`.
fn logged_out(token_text: &str) -> Outcome {
    Outcome::LoggedOut { token: token(token_text), all: false, delivery: Delivery::Content }
}
