//! Jobs through a real lane, and what is posted for them.

mod checks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use framing::v2::MessageType;
use service::metrics::Registry;
use zeroize::Zeroizing;

use super::*;
use crate::accounts::InternalError;
use crate::accounts::testing::{Fault, Fixture, login, patient, registration};
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
        let job = Job { request: Request::Health, deadline, call, ticket };
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

fn clerk(fixture: &Fixture) -> Clerk {
    Clerk {
        accounts: Arc::clone(&fixture.accounts),
        pace: Pace::default(),
        metrics: Metrics::new(&mut Registry::new("auth_back")),
        audit: Audit::off(),
    }
}

const WRONG: &str = "correct house";

/// Logins that are finished together.
struct Logins {
    fixture: Fixture,
    clerk: Clerk,
    post: PostOffice,
    places: Arc<Places>,
}

impl Logins {
    fn new() -> Self {
        let fixture = Fixture::new();
        fixture.user("ada", PASSWORD);
        fixture.user("bob", PASSWORD);
        let clerk = clerk(&fixture);
        let places = Arc::new(Places::new(NonZeroUsize::new(8).unwrap()));
        Self { fixture, clerk, post: PostOffice::open(), places }
    }

    fn job(&self, correlation: u64, request: Request, deadline: Instant) -> Job {
        let call = Call { correlation, message_type: MessageType::Authenticate };
        Job { request, deadline, call, ticket: self.post.ticket(call) }
    }

    /// A login whose password was hashed in time.
    fn ending(
        &self,
        correlation: u64,
        username: &str,
        password: &str,
        deadline: Instant,
    ) -> Ending {
        let request = login(username, password);
        let candidate = self.fixture.accounts.candidate(&request, patient()).unwrap();
        let (proved, proves) = std::sync::mpsc::channel();
        let lane = Lane::start(
            LaneOptions::new("nobody", NonZeroUsize::MIN, NonZeroUsize::MIN).unwrap(),
            |inbox: &mut Inbox<()>| while inbox.recv().is_some() {},
        );
        let lane = Arc::new(lane.unwrap().0);
        self.fixture.accounts.prove(candidate, patient(), move |outcome| {
            proved.send(outcome).unwrap();
            Bell::on(lane)
        });
        let job = self.job(correlation, Request::Authenticate(request), deadline);
        let login = InFlight { job, began: clock::now(), place: self.places.take() };
        Ending { login, proved: proves.recv().unwrap() }
    }

    /// Finishes these, and compares what they are told, by the code of it, and what the store is asked.
    #[track_caller]
    fn check(&self, mut batch: Vec<Ending>, expected: &[&str], calls: &[&str]) {
        self.fixture.store.take_calls();
        // As a lane does it: what a panic leaves is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = std::mem::take(&mut batch);
            self.clerk.finish_logins(&mut batch);
        }));
        assert_eq!(self.fixture.store.take_calls(), calls);
        let mut told: Vec<_> = expected.iter().map(|_| self.next()).collect();
        told.sort_unstable();
        self.post.check_empty();
        let expected: Vec<_> = (1..).zip(expected.iter().copied()).collect();
        assert_eq!(told, expected);
        assert_eq!(*self.places.free.lock(), 8, "nobody is in flight any more");
    }

    /// What the next is told. Whoever is let in has a session.
    fn next(&self) -> (u64, &'static str) {
        let Reply { call, outcome } = self.post.next().completion;
        let code = match &outcome {
            Ok(Done::Authenticated(opened)) => {
                let token = opened.token.expose();
                self.fixture.accounts.check_session(token, patient()).expect("it is durable");
                assert!(opened.device.is_some());
                "ok"
            }
            Ok(_) => "another answer",
            Err(error) => crate::rpc::code_of(error).text(),
        };
        (call.correlation, code)
    }
}

#[test]
fn logins_are_committed_together() {
    let logins = Logins::new();
    let ending = |number, name, password| logins.ending(number, name, password, patient());
    logins.check(
        vec![ending(1, "ada", PASSWORD), ending(2, "bob", PASSWORD), ending(3, "ada", PASSWORD)],
        &["ok", "ok", "ok"],
        &["keep_sessions"],
    );
    logins.check(
        vec![ending(1, "ada", WRONG), ending(2, "bob", PASSWORD), ending(3, "bob", WRONG)],
        &["password_wrong", "ok", "password_wrong"],
        &["keep_sessions"],
    );
    // Nobody is let in, and nothing is asked of the store.
    logins.check(vec![ending(1, "ada", WRONG)], &["password_wrong"], &[]);
    let late = logins.ending(1, "ada", PASSWORD, clock::now());
    logins.check(vec![late, ending(2, "bob", PASSWORD)], &["timed_out", "ok"], &["keep_sessions"]);
}

#[test]
fn what_stops_the_commit_is_told_to_all_who_were_in_it() {
    let logins = Logins::new();
    let ending = |number, name, password| logins.ending(number, name, password, patient());
    for (fault, code) in [(Fault::Unavailable, "store_unavailable"), (Fault::Panic, "internal")] {
        let batch =
            vec![ending(1, "ada", PASSWORD), ending(2, "ada", WRONG), ending(3, "bob", PASSWORD)];
        logins.fixture.store.set_fault(Some(fault));
        logins.check(batch, &[code, "password_wrong", code], &["keep_sessions"]);
        logins.fixture.store.set_fault(None);
    }
    logins.check(vec![ending(1, "ada", PASSWORD)], &["ok"], &["keep_sessions"]);
}

#[test]
fn a_panic_that_concerns_one_is_not_that_of_the_others() {
    let panics = || -> Result<(), AccountError> { panic!("of the test") };
    let outcome = apart(panics);
    assert!(matches!(outcome, Err(AccountError::Internal(InternalError::Dropped))), "{outcome:?}");
    assert!(apart(|| Ok(())).is_ok());
}

/// The lanes as a server has them, with one thread each: one login is in flight at a time.
#[test]
fn logins_go_through_both_lanes_and_give_their_place_back() {
    let logins = Logins::new();
    let size = LaneSize { threads: NonZeroUsize::MIN, queue: NonZeroUsize::new(8).unwrap() };
    let metrics = Metrics::new(&mut Registry::new("auth_back"));
    let accounts = Arc::clone(&logins.fixture.accounts);
    let heavy = start_heavy(size, NonZeroUsize::MIN, accounts, metrics, Audit::off()).unwrap();
    let submit = |number, request, deadline| {
        heavy.lane.try_submit(logins.job(number, request, deadline)).expect("there is room");
    };
    let log_in = |number, password, deadline| {
        submit(number, Request::Authenticate(login("ada", password)), deadline);
    };
    for _ in 0..2 {
        log_in(1, PASSWORD, patient());
        log_in(2, WRONG, patient());
        log_in(3, PASSWORD, clock::now());
        submit(4, Request::Authenticate(login("nobody", PASSWORD)), patient());
        submit(5, Request::Register(registration("ada", PASSWORD)), patient());
        log_in(6, PASSWORD, patient());
        let mut told: Vec<_> = (1..=6).map(|_| logins.next()).collect();
        told.sort_unstable();
        let codes = ["ok", "password_wrong", "timed_out", "user_unknown", "username_taken", "ok"];
        assert_eq!(told, (1..).zip(codes).collect::<Vec<_>>());
        logins.fixture.store.set_fault(Some(Fault::Panic));
        log_in(7, PASSWORD, patient());
        assert_eq!(logins.next(), (7, "internal"));
        logins.fixture.store.set_fault(None);
    }
    // What is in flight is finished before the threads end.
    log_in(8, PASSWORD, patient());
    drop(heavy.lane);
    for workers in heavy.workers {
        workers.join_by(patient()).expect("nothing is left to do");
    }
    assert_eq!(logins.next(), (8, "ok"));
    logins.post.check_empty();
}
