//! A request that hashes, while it is on its way.

use std::sync::Arc;
use std::time::Instant;

use lane::{Ask, Flow, Lane, Permit, Wake, Wakeup};
use service::sparing;

use crate::accounts::{ProvedChange, Sealed, SealedChange};
use crate::job::Job;
use crate::login::Hashed;

/// A request whose password was hashed.
pub(super) struct Ending {
    pub(super) asked: InFlight,
    pub(super) stage: Stage,
}

/// What was hashed, and for what.
pub(super) enum Stage {
    Login(Hashed),
    Registration(Sealed),
    ChangePassword(Changing),
}

/// A request that has begun.
pub(super) struct InFlight {
    pub(super) job: Job,
    pub(super) began: Instant,
    /// The user whose session asks.
    pub(super) whose: Option<u64>,
    /// For as long as it may keep others out, who would wait for the same threads.
    pub(super) permit: Option<Permit<Job>>,
    /// Where it is finished.
    pub(super) finish: Arc<Lane<Ending>>,
}

impl lane::Job for Ending {}

impl InFlight {
    /// Queues what is to be done next; the wake-up is for whoever does it.
    pub(super) fn queue(self, stage: Stage) -> Wakeup {
        let finish = Arc::clone(&self.finish);
        // There are no more requests than permits and places of dear ones. Refused, its ticket answers.
        if finish.try_queue(Ending { asked: self, stage }, &Ask::new(Flow::ONE)).is_err() {
            sparing!(ERROR, "a request whose password was hashed cannot be finished");
        }
        Wakeup::of(finish as Arc<dyn Wake>)
    }
}

/// A change of a password, one of whose two hashes is done.
pub(super) enum Changing {
    /// The current password was hashed.
    Proved(Box<ProvedChange>),
    /// The new one was.
    Sealed(Box<SealedChange>),
}

/// The time after which nobody waits for any of these any more, if there are any. Of those whose time is shorter nobody waits
/// either if it should take longer.
pub(super) fn latest<'a>(asked: impl IntoIterator<Item = &'a InFlight>) -> Option<Instant> {
    asked.into_iter().map(|asked| asked.job.deadline).max()
}
