//! Requests through the lanes of what hashes.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use credentials::PasswordRecord;
use credentials::ids::UserId;
use framing::v2::MessageType;
use hashing::Params;
use lane::Flow;
use service::metrics::Registry;
use store::Users as _;

use super::*;
use crate::accounts::apart;
use crate::accounts::testing::{Fault, Fixture, change, login, patient, registration, rules};
use crate::accounts::{InternalError, Origin, Rules};
use crate::job::Call;
use crate::login::Login;
use crate::login::find;
use crate::login::testing::authenticate;
use crate::rpc::testing::PostOffice;
use crate::worker::tests::clerk;

const PASSWORD: &str = "correct horse";
const WRONG: &str = "correct house";

/// Requests that are finished together.
struct Logins {
    fixture: Fixture,
    clerk: Clerk,
    post: PostOffice,
    permits: Permits,
    /// What was hashed anew while others were finished.
    next: mpsc::Receiver<Ending>,
    finish: Arc<Lane<Ending>>,
}

/// A lane that gives each of its jobs back, with a permit.
struct Permits {
    lane: Lane<Job>,
    given: mpsc::Receiver<(Job, Permit<Job>)>,
}

impl Permits {
    fn new() -> Self {
        let (gives, given) = mpsc::channel();
        let eight = NonZeroUsize::new(8).unwrap();
        let options = LaneOptions::new("permits", NonZeroUsize::MIN, eight).unwrap();
        let (lane, _) = Lane::start(&options, move |inbox: &mut Inbox<Job>| {
            while let Some(job) = inbox.recv_with_permit() {
                let _ = gives.send(job);
            }
        })
        .unwrap();
        Self { lane, given }
    }

    fn of(&self, job: Job) -> (Job, Permit<Job>) {
        self.lane.try_submit(job).expect("the lane is empty");
        self.given.recv().expect("its worker hands it on")
    }
}

impl Logins {
    fn new() -> Self {
        let fixture = Fixture::new();
        fixture.user("ada", PASSWORD);
        fixture.user("bob", PASSWORD);
        Self::on(fixture)
    }

    fn on(fixture: Fixture) -> Self {
        let clerk = clerk(&fixture);
        let (gives, next) = mpsc::channel();
        let eight = NonZeroUsize::new(8).unwrap();
        let options = LaneOptions::new("finish", NonZeroUsize::MIN, eight).unwrap();
        let (finish, _) = Lane::start(&options, move |inbox: &mut Inbox<Ending>| {
            while let Some(ending) = inbox.recv() {
                let _ = gives.send(ending);
            }
        })
        .unwrap();
        let (post, permits) = (PostOffice::open(), Permits::new());
        Self { fixture, clerk, post, permits, next, finish: Arc::new(finish) }
    }

    fn job(&self, correlation: u64, request: Request, deadline: Instant) -> Job {
        let call = Call { correlation, message_type: MessageType::Authenticate };
        Job {
            request,
            deadline,
            flow: Flow::ONE,
            call,
            http_request_id: None,
            ticket: self.post.ticket(call),
        }
    }

    /// A login whose password was hashed in time.
    fn ending(
        &self,
        correlation: u64,
        username: &str,
        password: &str,
        deadline: Instant,
    ) -> Ending {
        let (accounts, request) = (&self.fixture.accounts, login(username, password));
        let (task, pending) = find(accounts, &request, patient()).unwrap().into_hash();
        let outcome = accounts.hashers.run(Flow::ONE, patient(), task);
        let stage = Stage::Login(pending.with(outcome, patient()));
        let job = self.job(correlation, Request::Authenticate(request), deadline);
        Ending { asked: self.in_flight(job), stage }
    }

    fn in_flight(&self, job: Job) -> InFlight {
        let (job, permit) = self.permits.of(job);
        let (permit, finish) = (Some(permit), Arc::clone(&self.finish));
        InFlight { job, began: clock::now(), whose: None, permit, finish }
    }

    /// A request that was begun, after its first hash.
    fn begun(&self, correlation: u64, request: Request, deadline: Instant) -> Ending {
        let (job, permit) = self.permits.of(self.job(correlation, request, deadline));
        self.clerk.begin(job, permit, &self.finish);
        self.next.recv().expect("it is hashed")
    }

    /// Finishes these, and compares what they are told, by the code of it, and what the store is asked.
    #[track_caller]
    fn check(&self, mut batch: Vec<Ending>, expected: &[&str], calls: &[&str]) {
        self.fixture.store.take_calls();
        // As a lane does it: what a panic leaves is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = std::mem::take(&mut batch);
            self.clerk.finish(&mut batch);
        }));
        assert_eq!(self.fixture.store.take_calls(), calls);
        let mut told: Vec<_> = expected.iter().map(|_| self.next()).collect();
        told.sort_unstable();
        self.post.check_empty();
        let expected: Vec<_> = (1..).zip(expected.iter().copied()).collect();
        assert_eq!(told, expected);
        let in_flight = self.permits.lane.stats().snapshot().in_work;
        assert_eq!(in_flight, 0, "nobody is in flight any more");
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
            Ok(Done::Registered(_)) => "registered",
            Ok(Done::PasswordChanged(changed)) => {
                let token = changed.opened.token.expose();
                self.fixture.accounts.check_session(token, patient()).expect("it is durable");
                "changed"
            }
            Ok(_) => "another answer",
            Err(error) => error.code().text(),
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
fn registrations_are_committed_together() {
    let logins = Logins::new();
    let begun = |number, name, deadline| {
        logins.begun(number, Request::Register(registration(name, PASSWORD)), deadline)
    };
    logins.check(
        vec![
            begun(1, "carl", patient()),
            begun(2, "ada", patient()),
            begun(3, "dora", patient()),
            logins.ending(4, "ada", PASSWORD, patient()),
        ],
        &["registered", "username_taken", "registered", "ok"],
        &["keep_sessions", "insert_users"],
    );
    logins.check(vec![logins.ending(1, "dora", PASSWORD, patient())], &["ok"], &["keep_sessions"]);
    // Which were hashed when it was too late ask nothing of the store.
    let mut late = begun(1, "eve", patient());
    late.asked.job.deadline = clock::now();
    logins.check(vec![late], &["timed_out"], &[]);
    let batch = vec![begun(1, "eve", patient()), begun(2, "fred", patient())];
    logins.fixture.store.set_fault(Some(Fault::Unavailable));
    logins.check(batch, &["store_unavailable", "store_unavailable"], &["insert_users"]);
    logins.fixture.store.set_fault(None);
    logins.check(vec![begun(1, "eve", patient())], &["registered"], &["insert_users"]);
}

#[test]
fn a_panic_in_one_kind_leaves_the_others_to_be_tried() {
    let logins = Logins::new();
    let carl = logins.begun(1, Request::Register(registration("carl", PASSWORD)), patient());
    let batch = vec![carl, logins.ending(2, "ada", PASSWORD, patient())];
    logins.fixture.store.set_fault(Some(Fault::Panic));
    logins.check(batch, &["internal", "internal"], &["keep_sessions", "insert_users"]);
    logins.fixture.store.set_fault(None);
    logins.check(vec![logins.ending(1, "ada", PASSWORD, patient())], &["ok"], &["keep_sessions"]);
}

/// What ids from two servers under one node come to.
#[test]
fn a_taken_id_is_hashed_anew_under_another() {
    let logins = Logins::new();
    let carl = logins.begun(1, Request::Register(registration("carl", PASSWORD)), patient());
    let Stage::Registration(sealed) = &carl.stage else { panic!("it is a registration") };
    logins.fixture.execute(&format!(
        "INSERT INTO user (id, username, password_record, created_at_ms) \
         VALUES ({}, 'another', 'x', 1)",
        sealed.user_id().get()
    ));
    logins.fixture.store.take_calls();
    logins.clerk.finish(&mut vec![carl]);
    let again = logins.next.recv().expect("it is hashed anew");
    logins.post.check_empty();
    logins.check(vec![again], &["registered"], &["insert_users"]);
    logins.check(vec![logins.ending(1, "carl", PASSWORD, patient())], &["ok"], &["keep_sessions"]);
}

#[test]
fn passwords_are_changed_in_two_turns() {
    const NEW: &str = "horse correct";
    let logins = Logins::new();
    let token = |name| {
        let opened = authenticate(&logins.fixture.accounts, &login(name, PASSWORD), patient());
        opened.unwrap().token.expose().to_owned()
    };
    let (ada, bob) = (token("ada"), token("bob"));
    let begun = |number, token: &str, current| {
        let change = Request::ChangePassword(change(token, current, NEW));
        logins.begun(number, change, patient())
    };
    // The first hash of each, then the second of who knew the password.
    let whose = logins.fixture.store.user_by_name("ada", patient()).unwrap().unwrap().user_id;
    let first = begun(1, &ada, PASSWORD);
    assert_eq!(first.asked.whose, Some(whose), "it is told in the audit log");
    let mut batch = vec![first, begun(2, &bob, WRONG), begun(3, &bob, PASSWORD)];
    logins.clerk.finish(&mut batch);
    assert_eq!(logins.next(), (2, "password_wrong"));
    let mut sealed = vec![logins.next.recv().unwrap(), logins.next.recv().unwrap()];
    logins.post.check_empty();
    // Somebody seals bob's record anew meanwhile: his change begins again.
    let Fixture { accounts, store, .. } = &logins.fixture;
    let bobs = store.user_by_name("bob", patient()).unwrap().unwrap();
    let (id, old) = (UserId::new(bobs.user_id).unwrap(), &bobs.password_record);
    let record: PasswordRecord = old.parse().unwrap();
    let new = record.reseal(id, &accounts.peppers.current()).unwrap().to_text();
    assert!(store.replace_password_record(bobs.user_id, old, &new, patient()).unwrap());
    logins.clerk.finish(&mut sealed);
    assert_eq!(logins.next(), (1, "changed"));
    for _ in 0..2 {
        logins.post.check_empty();
        logins.clerk.finish(&mut vec![logins.next.recv().expect("it is hashed anew")]);
    }
    assert_eq!(logins.next(), (3, "changed"));
    logins.post.check_empty();
    assert_eq!(logins.permits.lane.stats().snapshot().in_work, 0);
    for name in ["ada", "bob"] {
        let again = authenticate(&logins.fixture.accounts, &login(name, NEW), patient());
        again.expect("it is the password now");
    }
    // The session that asked has ended.
    let (job, permit) = logins.permits.of(logins.job(
        9,
        Request::ChangePassword(change(&ada, NEW, PASSWORD)),
        patient(),
    ));
    logins.clerk.begin(job, permit, &logins.finish);
    assert_eq!(logins.next(), (9, "session_not_live"));
}

/// Else a record that takes longer to verify than anybody waits would keep its owner out for good.
#[test]
fn a_password_that_was_right_too_late_brings_its_record_up_to_date() {
    let fixture = Fixture::new();
    fixture.user("ada", PASSWORD);
    fixture.user("bob", PASSWORD);
    let lighter = Params::in_record(16, 1, 1).unwrap();
    let logins = Logins::on(fixture.restarted(Rules { params: lighter, ..rules() }));
    let late = logins.ending(1, "ada", PASSWORD, clock::now());
    logins.check(vec![late], &["timed_out"], &["replace_password_record"]);
    let wrong = logins.ending(1, "bob", WRONG, clock::now());
    logins.check(vec![wrong], &["password_wrong"], &[]);
    let again = logins.ending(1, "ada", PASSWORD, clock::now());
    logins.check(vec![again], &["timed_out"], &[]);
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
fn logins_go_through_both_lanes_and_give_their_permits_back() {
    let logins = Logins::new();
    let size = LaneSize { threads: NonZeroUsize::MIN, queue: NonZeroUsize::new(8).unwrap() };
    let metrics = Metrics::new(&mut Registry::new("auth_back"));
    let accounts = Arc::clone(&logins.fixture.accounts);
    let heavy = {
        let one = NonZeroUsize::MIN;
        let admission = Admission::new(Duration::from_secs(60), one);
        start_heavy(size, admission, one, accounts, metrics, Audit::off()).unwrap()
    };
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

/// One permit, and a hash that takes long: it is in flight, and the permit is others'.
#[test]
fn a_dear_hash_keeps_no_permit() {
    /// 64 MiB, which fits no arena of these tests.
    const DEAR: &str =
        "$scrypt$ln=16,r=8,p=1$JqQ0RkhJaW3tnXOOUco5Bw$rKPWCLR2QtTInQIj63C4QC0sYRvs58zNYoT5aM9uZLc";
    let logins = Logins::new();
    let carl = logins.fixture.user("carl", PASSWORD);
    logins.fixture.import("carl", carl, DEAR);
    let size = LaneSize { threads: NonZeroUsize::MIN, queue: NonZeroUsize::new(64).unwrap() };
    let metrics = Metrics::new(&mut Registry::new("auth_back"));
    let accounts = Arc::clone(&logins.fixture.accounts);
    let one = NonZeroUsize::MIN;
    let admission = Admission::new(Duration::from_secs(60), one);
    let heavy = start_heavy(size, admission, one, accounts, metrics, Audit::off()).unwrap();
    let submit = |number: u32, name: &str, password| {
        // Guesses at dear records use up what a network may try.
        let origin = Origin::at(std::net::Ipv4Addr::from(number).into());
        let request = Request::Authenticate(Login { origin, ..login(name, password) });
        let job = logins.job(number.into(), request, patient());
        heavy.lane.try_submit(job).expect("there is room");
    };
    // More than there are places for: some are refused at once, and each has an answer.
    const LOGINS: u32 = 12;
    (1..=LOGINS).for_each(|number| submit(number, "carl", WRONG));
    submit(100, "ada", PASSWORD);
    let mut told = Vec::new();
    while told.last() != Some(&(100, "ok")) {
        told.push(logins.next());
    }
    let verified = told.iter().filter(|(_, code)| *code == "password_wrong").count();
    assert!(verified < DEAR_HASHES_QUEUED_MAX.get(), "it waited for them: {told:?}");
    while told.len() <= LOGINS as usize {
        told.push(logins.next());
    }
    let refused = told.iter().filter(|(_, code)| *code == "overloaded").count();
    assert!(refused > 0, "{told:?}");
    logins.post.check_empty();
}
