//! Logins.

use reactor::Bundle;

use super::super::Clerk;
use super::in_flight::{InFlight, Stage, apart, latest};
use crate::accounts::{AccountError, Admitted, Opening, Proved};
use crate::job::{Done, Reply, Request};

/// Logins that are durable, or too late, for whom something has to be done that may take long.
#[derive(Default)]
pub(super) struct LongerLogins {
    /// To be told of their sessions after it.
    unsettled: Vec<(InFlight, Admitted, Opening)>,
    /// They were told that it is too late.
    late: Vec<Admitted>,
}

impl Clerk {
    /// Finds who wants to log in, and has the password hashed.
    pub(super) fn begin_login(&self, mut asked: InFlight) {
        let (flow, deadline) = (asked.job.flow, asked.job.deadline);
        let candidate = match &asked.job.request {
            Request::Authenticate(request) => self.accounts.candidate(request, deadline),
            _ => unreachable!("it is a login"),
        };
        match candidate {
            Ok(candidate) => {
                // It takes long, in few places of its own: usual ones do not wait for it.
                if self.accounts.waits_apart(&candidate) {
                    asked.permit = None;
                }
                self.accounts
                    .prove(candidate, flow, deadline, |proved| asked.queue(Stage::Login(proved)));
            }
            Err(error) => self.tell(asked, Err(error), &mut Bundle::default()),
        }
    }

    /// Logins whose passwords were hashed, judged, committed and answered together.
    pub(super) fn finish_logins(
        &self,
        proved: Vec<(InFlight, Proved)>,
        rest: &mut LongerLogins,
        bundle: &mut Bundle<Reply>,
    ) {
        let (mut logins, mut admitted) = (Vec::new(), Vec::new());
        for (login, proved) in proved {
            let deadline = login.job.deadline;
            match apart(|| self.accounts.judge(proved)) {
                Ok(user) if clock::now() < deadline => {
                    logins.push(login);
                    admitted.push(user);
                }
                Ok(user) => {
                    self.tell(login, Err(AccountError::TimedOut), bundle);
                    rest.late.push(user);
                }
                Err(error) => self.tell(login, Err(error), bundle),
            }
        }
        // Those who are refused wait for no commit.
        bundle.post();
        self.commit_logins(logins, admitted, rest, bundle);
    }

    /// Logins of users who have proved who they are.
    fn commit_logins(
        &self,
        logins: Vec<InFlight>,
        admitted: Vec<Admitted>,
        rest: &mut LongerLogins,
        bundle: &mut Bundle<Reply>,
    ) {
        let Some(deadline) = latest(&logins) else { return };
        for (login, (user, opening)) in
            logins.into_iter().zip(self.accounts.admit(admitted, deadline))
        {
            match opening {
                Ok(opening) if !self.accounts.is_settled(&user, &opening) => {
                    rest.unsettled.push((login, user, opening));
                }
                opening => {
                    let opened =
                        opening.and_then(|opening| self.accounts.settle(user, opening, deadline));
                    self.tell(login, opened.map(Done::Authenticated), bundle);
                }
            }
        }
        bundle.post();
    }

    /// What is left of logins, after everybody else was told.
    pub(super) fn finish_longer(&self, rest: LongerLogins, bundle: &mut Bundle<Reply>) {
        for (login, user, opening) in rest.unsettled {
            let deadline = login.job.deadline;
            let opened = apart(|| self.accounts.settle(user, opening, deadline));
            self.tell(login, opened.map(Done::Authenticated), bundle);
            bundle.post();
        }
        rest.late.iter().for_each(|user| self.accounts.upgrade_late(user));
    }
}
