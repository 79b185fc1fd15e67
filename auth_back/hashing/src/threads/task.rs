//! A hash on its way to a thread.

use std::sync::Arc;
use std::time::Instant;

use lane::{Refused, Wakeup};
use wipe::Expose;

use super::outcome::{Answer, HashOutcome, NotHashed};
use crate::{Arena, Need, Params, Salt};

/// A hash that waits for a thread.
pub(super) struct Task {
    /// It is not begun after this.
    pub(super) deadline: Instant,
    pub(super) job: Job,
}

/// [`Work`](super::Work), and whom its outcome goes to, also if there is none. If it is dropped, they are told.
pub(super) enum Job {
    Usual(Usual),
    /// Gets an arena, or why there is none.
    Unknown(Box<UnknownJob>),
    /// The same, and what memory it needs.
    Dear(Need, Box<UnknownJob>),
}

pub(super) type UnknownJob = dyn FnOnce(Answer<&mut Arena>) -> Wakeup + Send;

pub(super) struct Usual {
    pub(super) password: Arc<dyn Expose>,
    pub(super) salt: Salt,
    pub(super) params: Params,
    pub(super) post: Box<dyn FnOnce(Answer<HashOutcome>) -> Wakeup + Send>,
}

impl Task {
    /// Tells whoever waits that it is not done.
    pub(super) fn refuse(self, why: NotHashed) -> Wakeup {
        match self.job {
            Job::Usual(usual) => (usual.post)(Err(why)),
            Job::Unknown(job) | Job::Dear(_, job) => job(Err(why)),
        }
    }
}

impl lane::Job for Task {
    fn refuse(self, why: Refused) {
        Self::refuse(self, overloaded(why)).fire();
    }
}

pub(super) fn overloaded(why: Refused) -> NotHashed {
    NotHashed::Overloaded { retry_after: why.retry_after }
}
