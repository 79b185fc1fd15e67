//! Jobs through a real lane, and what is posted for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use framing::v2::MessageType;
use service::lane::Flow;
use service::metrics::Registry;
use zeroize::Zeroizing;

use super::*;
use crate::accounts::InternalError;
use crate::accounts::testing::{Fault, Fixture, patient};
use crate::rpc::testing::PostOffice;
use crate::work::{Call, Done, Request};

const PASSWORD: &str = "correct horse";

/// A lane with one worker, and whom it works for.
struct Works {
    fixture: Fixture,
    post: PostOffice,
    lane: Lane<Job>,
    workers: Workers,
}

impl Works {
    fn start() -> Self {
        let fixture = Fixture::new();
        let size = LaneSize { threads: NonZeroUsize::MIN, queue: NonZeroUsize::MIN };
        let metrics = Metrics::new(&mut Registry::new("auth_back"));
        let accounts = Arc::clone(&fixture.accounts);
        let (lane, workers) = start_lane("light", size, accounts, metrics, Audit::off()).unwrap();
        Self { fixture, post: PostOffice::open(), lane, workers }
    }

    /// Has one request served and returns what was posted.
    fn serve(&self, deadline: Instant) -> Result<Done, AccountError> {
        let call = Call { correlation: 7, message_type: MessageType::Health };
        let ticket = self.post.ticket(call);
        let job = Job { request: Request::Health, deadline, flow: Flow::ONE, call, ticket };
        self.lane.try_submit(job).expect("the lane is empty");
        let reply = self.post.next().completion;
        assert_eq!(reply.call, call);
        reply.outcome
    }

    /// Ends the lane, and checks that nothing was answered twice.
    fn stop(self) {
        drop(self.lane);
        let patience = clock::now() + Duration::from_secs(60);
        self.workers.join_by(patience).expect("nothing is left to do");
        self.post.check_empty();
    }
}

#[test]
fn a_job_is_run_and_answered_once() {
    let works = Works::start();
    let outcome = works.serve(patient());
    assert!(matches!(outcome, Ok(Done::Health(Ok(())))), "{outcome:?}");
    works.stop();
}

#[test]
fn an_expired_job_is_not_run() {
    let works = Works::start();
    let outcome = works.serve(clock::now());
    assert!(matches!(outcome, Err(AccountError::TimedOut)), "{outcome:?}");
    assert_eq!(works.fixture.store.take_calls(), [""; 0]);
    works.stop();
}

#[test]
fn a_panic_costs_its_job_only() {
    let works = Works::start();
    works.fixture.store.set_fault(Some(Fault::Panic));
    for _ in 0..3 {
        let outcome = works.serve(patient());
        let dropped = AccountError::Internal(InternalError::Dropped);
        assert_eq!(format!("{outcome:?}"), format!("{:?}", Err::<Done, _>(dropped)));
    }
    works.fixture.store.set_fault(None);
    let outcome = works.serve(patient());
    assert!(matches!(outcome, Ok(Done::Health(Ok(())))), "{outcome:?}");
    assert_eq!(works.lane.stats().snapshot().panics, 3);
    works.stop();
}

pub(super) fn clerk(fixture: &Fixture) -> Clerk {
    Clerk {
        accounts: Arc::clone(&fixture.accounts),
        pace: Pace::default(),
        metrics: Metrics::new(&mut Registry::new("auth_back")),
        audit: Audit::off(),
    }
}

/// Session checks that are served together, and whom they are for.
struct Checks {
    fixture: Fixture,
    clerk: Clerk,
    post: PostOffice,
    ada: String,
    bob: String,
}

impl Checks {
    fn new() -> Self {
        let fixture = Fixture::new();
        let (ada, bob) = (fixture.token("ada", PASSWORD), fixture.token("bob", PASSWORD));
        let clerk = clerk(&fixture);
        Self { fixture, clerk, post: PostOffice::open(), ada, bob }
    }

    /// Serves a check of each token, and compares what the requesters are told, by the code of it, and
    /// what the store is asked.
    #[track_caller]
    fn check(&self, tokens: &[(&str, Instant)], expected: &[&str], calls: &[&str]) {
        let mut batch: Vec<Job> = (1..)
            .zip(tokens)
            .map(|(correlation, (token, deadline))| {
                let call = Call { correlation, message_type: MessageType::CheckSession };
                let request = Request::CheckSession(Zeroizing::new((*token).to_owned()));
                let ticket = self.post.ticket(call);
                Job { request, deadline: *deadline, flow: Flow::ONE, call, ticket }
            })
            .collect();
        // As a lane does it: what a panic leaves is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = std::mem::take(&mut batch);
            self.clerk.serve_checks(&mut batch);
            assert!(batch.is_empty());
        }));
        let mut told: Vec<(u64, &str)> = tokens
            .iter()
            .map(|_| {
                let Reply { call, outcome } = self.post.next().completion;
                let code = match &outcome {
                    Ok(Done::Session(live)) => live.session.username.clone(),
                    Ok(_) => "another answer".to_owned(),
                    Err(error) => crate::rpc::code_of(error).to_owned(),
                };
                (call.correlation, &*code.leak())
            })
            .collect();
        told.sort_unstable();
        self.post.check_empty();
        let expected: Vec<(u64, &str)> = (1..).zip(expected.iter().copied()).collect();
        assert_eq!(told, expected);
        assert_eq!(self.fixture.store.take_calls(), calls);
    }
}

#[test]
fn checks_are_looked_up_together() {
    let checks = Checks::new();
    let (ada, bob) = (&*checks.ada, &*checks.bob);
    let ask = |token| (token, patient());
    checks.check(
        &[ask(ada), ask("gate_forged"), ask(bob), ask(ada)],
        &["ada", "session_not_live", "bob", "ada"],
        &["sessions"],
    );
    checks.fixture.accounts.log_out(ada, patient()).unwrap();
    checks.fixture.store.take_calls();
    checks.check(&[ask(bob), ask(ada)], &["bob", "session_not_live"], &["sessions"]);
}

#[test]
fn a_check_that_has_expired_is_told_so_and_the_others_are_served() {
    let checks = Checks::new();
    let (ada, bob) = (&*checks.ada, &*checks.bob);
    let late = clock::now();
    checks.check(&[(ada, late), (bob, patient())], &["timed_out", "bob"], &["sessions"]);
    checks.check(&[(ada, late), (bob, late)], &["timed_out", "timed_out"], &[]);
}

#[test]
fn a_fault_is_told_to_each_of_a_batch() {
    let checks = Checks::new();
    let both = [(&*checks.ada, patient()), (&*checks.bob, patient())];
    for (fault, code, calls) in [
        (Fault::Unavailable, "store_unavailable", &["sessions"][..]),
        // One row may be to blame, so each is looked at alone.
        (Fault::Corrupt, "internal", &["sessions", "session", "session"]),
        (Fault::Panic, "internal", &["sessions"]),
    ] {
        checks.fixture.store.set_fault(Some(fault));
        checks.check(&both, &[code, code], calls);
    }
    checks.fixture.store.set_fault(None);
    checks.check(&both, &["ada", "bob"], &["sessions"]);
}

#[test]
fn a_note_that_is_due_is_made_after_the_others_are_answered() {
    let checks = Checks::new();
    let both = [(&*checks.ada, patient()), (&*checks.bob, patient())];
    checks.fixture.execute(
        "UPDATE session SET last_seen_at_ms = created_at_ms - 600000 \
         WHERE user_id = (SELECT id FROM user WHERE username = 'ada')",
    );
    checks.check(&both, &["ada", "bob"], &["sessions", "session", "refresh_session"]);
    checks.check(&both, &["ada", "bob"], &["sessions"]);
}
