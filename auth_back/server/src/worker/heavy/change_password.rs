//! Changes of passwords.

use reactor::Bundle;

use super::super::Clerk;
use super::in_flight::{Changing, InFlight, Stage};
use crate::accounts::{Change, ProvedChange, Replaced, SealedChange, apart};
use crate::job::{Done, Reply, Request};

impl Clerk {
    /// Finds whose password is to be changed, and has the current one hashed.
    pub(super) fn begin_change(&self, mut asked: InFlight) {
        let deadline = asked.job.deadline;
        let change = match &asked.job.request {
            Request::ChangePassword(request) => {
                self.accounts.change(request, deadline, &mut asked.whose)
            }
            _ => unreachable!("it is a change of a password"),
        };
        match change {
            Ok(change) => self.prove(asked, change),
            Err(error) => self.tell(asked, Err(error), &mut Bundle::default()),
        }
    }

    /// It keeps its permit also where the current password is dear to verify: another hash follows.
    fn prove(&self, asked: InFlight, change: Change) {
        let (flow, deadline) = (asked.job.flow, asked.job.deadline);
        self.accounts.prove_change(change, flow, deadline, |proved| {
            asked.queue(Stage::ChangePassword(Changing::Proved(Box::new(proved))))
        });
    }

    /// Has the new password hashed of whoever has proved to know the current one.
    pub(super) fn seal_new(
        &self,
        asked: InFlight,
        proved: ProvedChange,
        bundle: &mut Bundle<Reply>,
    ) {
        let deadline = asked.job.deadline;
        match apart(|| self.accounts.judge_change(proved)) {
            Ok(change) => self.accounts.seal_change(change, deadline, |sealed| {
                asked.queue(Stage::ChangePassword(Changing::Sealed(Box::new(sealed))))
            }),
            Err(error) => self.tell(asked, Err(error), bundle),
        }
    }

    /// Replaces the record of a change whose new password was hashed, and begins a new session. Each commits by itself:
    /// they are rare, and nobody is to wait for what another's takes in Redis.
    pub(super) fn finish_change(
        &self,
        asked: InFlight,
        sealed: SealedChange,
        bundle: &mut Bundle<Reply>,
    ) {
        let deadline = asked.job.deadline;
        let changed = match self.accounts.replace(sealed, deadline) {
            Ok(Replaced::Done(replaced)) => self.accounts.begin_anew(&replaced, deadline),
            Ok(Replaced::Again(change)) => return self.prove(asked, *change),
            Err(error) => Err(error),
        };
        self.tell(asked, changed.map(Done::PasswordChanged), bundle);
        bundle.post();
    }
}
