//! Batches against auth servers that answer, hang, break and speak of the future.

mod faults;
mod health;
mod peers;
mod server;
mod sessions;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use framing::v2::RequestId;
use reactor::testing::{Post, Posted, connection_id, mailbox};
use zeroize::Zeroizing;

use super::Upstreams;
use crate::testing::{job, metrics, token};
use crate::work::{Client, Delivery, Job, Login, Logout, Outcome, Unanswered, Work};
use server::{AuthServer, Got, HELLO, nobody, session};

/// Far beyond what any step here takes: only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Upstreams, and where the answers to their jobs go.
struct Bench {
    upstreams: Upstreams,
    mailbox: reactor::Mailbox<Outcome>,
    post: Post<Outcome>,
}

impl Bench {
    fn new(addresses: &[SocketAddr]) -> Self {
        let (mailbox, post) = mailbox();
        let upstreams = Upstreams::new(addresses, 8, metrics()).expect("a pool of eight");
        Self { upstreams, mailbox, post }
    }

    /// Serves a batch with time enough, and returns what was posted.
    fn serve(&self, works: Vec<Work>) -> Vec<Posted<Outcome>> {
        self.serve_by(works, clock::now() + PATIENCE)
    }

    fn serve_by(&self, works: Vec<Work>, deadline: Instant) -> Vec<Posted<Outcome>> {
        let jobs = (0..).zip(works).map(|(slot, work)| self.job(slot, work, deadline));
        let mut jobs: Vec<Job> = jobs.collect();
        self.upstreams.serve(&mut jobs);
        assert!(jobs.is_empty(), "{jobs:?} were not answered");
        self.post.take()
    }

    fn job(&self, slot: u32, work: Work, deadline: Instant) -> Job {
        job(&self.mailbox, slot, work, deadline)
    }

    /// Serves one session check, and says how it ended.
    fn check_one(&self) -> Seen {
        seen(&self.serve(vec![check_session(1)])).remove(0).1
    }
}

/// An outcome as these tests look at it: the number in the token, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    User(u64),
    Done,
    Refused(u16),
    Unanswered(Unanswered),
}

/// Slots and outcomes, in order of the slots.
fn seen(posted: &[Posted<Outcome>]) -> Vec<(u32, Seen)> {
    let mut all: Vec<_> = posted
        .iter()
        .map(|posted| {
            let slot = (0..64).find(|&slot| connection_id(slot) == posted.to).expect("a slot");
            let seen = match &posted.completion {
                Outcome::Session(session) => Seen::User(session.facts.user_id),
                Outcome::Authenticated { expires_in_ms, .. } => Seen::User(*expires_in_ms),
                Outcome::Refused(refusal) => Seen::Refused(refusal.status),
                Outcome::Unanswered(why) => Seen::Unanswered(*why),
                Outcome::Sessions(_)
                | Outcome::Revoked
                | Outcome::LoggedOut { .. }
                | Outcome::PasswordChanged { .. } => Seen::Done,
                other => panic!("no test expects {other:?}"),
            };
            (slot, seen)
        })
        .collect();
    all.sort_by_key(|&(slot, _)| slot);
    all
}

/// What [`seen`] says when job `n` was answered for user `n + 1`, each once.
fn all_users(count: u32) -> Vec<(u32, Seen)> {
    (0..count).map(|slot| (slot, Seen::User(u64::from(slot) + 1))).collect()
}

fn check_session(user: u64) -> Work {
    Work::CheckSession(token(&format!("token-{user}")))
}

fn check_sessions(count: u64) -> Vec<Work> {
    (1..=count).map(check_session).collect()
}

fn client() -> Client {
    Client {
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        is_forwarded: true,
        user_agent: Some("curl/8".into()),
    }
}

fn logout(all: bool) -> Work {
    Work::Logout(Logout {
        token: token("token-1"),
        all,
        client_address: client().address,
        delivery: Delivery::Cookie,
    })
}

fn login(user: u64) -> Work {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&user.to_be_bytes());
    Work::Authenticate(Login {
        username: format!("user{user}"),
        password: Zeroizing::new("correct horse".to_owned()),
        request_id: RequestId::new(id),
        client: client(),
        device: None,
        delivery: Delivery::Content,
    })
}

#[test]
fn a_batch_is_one_write_and_its_answers_may_come_in_any_order() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        let first = peer.next().expect("a batch");
        let mut batch = vec![first];
        while peer.has_more() {
            batch.push(peer.next().expect("the rest of the batch"));
        }
        assert_eq!(batch.len(), 4, "the batch came in one piece");
        batch.iter().rev().for_each(|got| peer.answer(got));
        peer.hang();
    });
    let bench = Bench::new(&[server.address]);
    assert_eq!(seen(&bench.serve(check_sessions(4))), all_users(4));
}

#[test]
fn each_request_says_how_much_time_it_has_left() {
    let (budgets, budget) = crossbeam_channel::unbounded();
    let server = AuthServer::start(move |peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            budgets.send(got.budget_ms).expect("the test waits");
            peer.answer(&got);
        }
    });
    let bench = Bench::new(&[server.address]);
    bench.serve_by(vec![check_session(1)], clock::now() + PATIENCE);
    let budget = budget.recv_timeout(PATIENCE).expect("a request");
    assert!(budget > 0 && u128::from(budget) <= PATIENCE.as_millis(), "{budget}");
}

#[test]
fn a_lease_counts_from_before_the_request_left() {
    let server = AuthServer::willing();
    let bench = Bench::new(&[server.address]);
    let before = clock::now();
    let posted = bench.serve(vec![check_session(1)]);
    let after = clock::now();
    let [Posted { completion: Outcome::Session(checked), .. }] = &*posted else {
        panic!("{posted:?}")
    };
    let lease = Duration::from_secs(1);
    assert!((before + lease..=after + lease).contains(&checked.leased_until));
    assert_eq!(checked.facts.expires_at - checked.leased_until, Duration::from_secs(59));
}

#[test]
fn a_logout_is_answered_once_all_leases_have_run() {
    let server = AuthServer::willing();
    let bench = Bench::new(&[server.address]);
    let before = clock::now();
    let posted = bench.serve(vec![logout(false)]);
    let after = clock::now();
    let settles = Duration::from_secs(5);
    let [Posted { completion: Outcome::LoggedOut { .. }, not_before: Some(at), .. }] = &*posted
    else {
        panic!("{posted:?}")
    };
    assert!((before + settles..=after + settles).contains(at), "the time of {posted:?}");
}

#[test]
fn a_logout_that_is_refused_is_answered_at_once() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            peer.refuse(&got, framing::Status::UNAVAILABLE, "store_unavailable");
        }
    });
    let bench = Bench::new(&[server.address]);
    let posted = bench.serve(vec![logout(false)]);
    assert_eq!(seen(&posted), [(0, Seen::Refused(503))]);
    assert!(posted[0].not_before.is_none_or(|at| at <= clock::now()));
}

#[test]
fn batches_go_to_each_server_in_turn_over_the_same_connections() {
    let servers = [AuthServer::willing(), AuthServer::willing()];
    let bench = Bench::new(&servers.each_ref().map(|server| server.address));
    for _ in 0..6 {
        assert_eq!(seen(&bench.serve(check_sessions(2))), all_users(2));
    }
    assert_eq!(servers.each_ref().map(AuthServer::accepted), [1, 1]);
}

#[test]
fn a_job_whose_deadline_has_passed_is_not_sent() {
    let server = AuthServer::willing();
    let bench = Bench::new(&[server.address]);
    let posted = bench.serve_by(check_sessions(2), clock::now());
    let late = Seen::Unanswered(Unanswered::TimedOut);
    assert_eq!(seen(&posted), [(0, late), (1, late)]);
    assert_eq!(server.accepted(), 0);
}
