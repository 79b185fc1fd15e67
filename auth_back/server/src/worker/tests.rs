//! Jobs through a real lane, and what is posted for them.

mod checks;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use framing::v2::MessageType;
use lane::Flow;
use service::metrics::Registry;
use zeroize::Zeroizing;

use super::*;
use crate::accounts::InternalError;
use crate::accounts::testing::{Fault, Fixture, patient};
use crate::job::{Call, Done, Request};
use crate::rpc::testing::PostOffice;

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
        let (request, flow) = (Request::Health, Flow::ONE);
        let job = Job { request, deadline, flow, call, http_request_id: None, ticket };
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
