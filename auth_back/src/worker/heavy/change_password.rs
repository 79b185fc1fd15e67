//! Changes of passwords.

use reactor::Bundle;

use super::super::Clerk;
use super::{InFlight, Stage, apart, latest};
use crate::accounts::{AccountError, Change, ProvedChange, Replaced, Replacement, SealedChange};
use crate::work::{Done, Reply, Request};

/// A change of a password, one of whose two hashes is done.
pub(super) enum Changing {
    /// The current password was hashed.
    Proved(Box<ProvedChange>),
    /// The new one was.
    Sealed(Box<SealedChange>),
}

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

    /// Changes that have come one hash further.
    pub(super) fn go_on_with_changes(
        &self,
        changes: Vec<(InFlight, Changing)>,
        bundle: &mut Bundle<Reply>,
    ) {
        let (mut begun, mut replaced) = (Vec::new(), Vec::new());
        for (asked, changing) in changes {
            match changing {
                Changing::Proved(proved) => self.seal_new(asked, *proved, bundle),
                Changing::Sealed(sealed) => {
                    if let Some((asked, replacement)) = self.replace(asked, *sealed, bundle) {
                        begun.push(asked);
                        replaced.push(replacement);
                    }
                }
            }
        }
        // Those who are refused wait for no commit.
        bundle.post();
        if let Some(deadline) = latest(&begun) {
            let changed = self.accounts.begin_anew(&replaced, deadline);
            for (asked, changed) in begun.into_iter().zip(changed) {
                self.tell(asked, changed.map(Done::PasswordChanged), bundle);
            }
            bundle.post();
        }
    }

    /// Has the new password hashed of whoever has proved to know the current one.
    fn seal_new(&self, asked: InFlight, proved: ProvedChange, bundle: &mut Bundle<Reply>) {
        let deadline = asked.job.deadline;
        match apart(|| self.accounts.judge_change(proved)) {
            Ok(change) => self.accounts.seal_change(change, deadline, |sealed| {
                asked.queue(Stage::ChangePassword(Changing::Sealed(Box::new(sealed))))
            }),
            Err(error) => self.tell(asked, Err(error), bundle),
        }
    }

    /// Replaces the record. The replacement, if there is one; else the request is answered, or is tried again.
    fn replace(
        &self,
        asked: InFlight,
        sealed: SealedChange,
        bundle: &mut Bundle<Reply>,
    ) -> Option<(InFlight, Replacement)> {
        let deadline = asked.job.deadline;
        let replaced: Result<_, AccountError> = apart(|| self.accounts.replace(sealed, deadline));
        match replaced {
            Ok(Replaced::Done(replacement)) => return Some((asked, replacement)),
            Ok(Replaced::Again(change)) => self.prove(asked, *change),
            Err(error) => self.tell(asked, Err(error), bundle),
        }
        None
    }
}
