//! Logins.

use reactor::Bundle;

use super::super::Clerk;
use super::{InFlight, Stage, apart, latest};
use crate::accounts::{AccountError, Admitted, Proved};
use crate::work::{Done, Reply, Request};

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
        bundle: &mut Bundle<Reply>,
    ) {
        let (mut logins, mut admitted, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for (login, proved) in proved {
            let deadline = login.job.deadline;
            match apart(|| self.accounts.judge(proved)) {
                Ok(user) if clock::now() < deadline => {
                    logins.push(login);
                    admitted.push(user);
                }
                Ok(user) => {
                    self.tell(login, Err(AccountError::TimedOut), bundle);
                    late.push(user);
                }
                Err(error) => self.tell(login, Err(error), bundle),
            }
        }
        // Those who are refused wait for no commit.
        bundle.post();
        self.commit_logins(logins, admitted, bundle);
        late.iter().for_each(|user| self.accounts.upgrade_late(user));
    }

    /// Logins of users who have proved who they are.
    fn commit_logins(
        &self,
        logins: Vec<InFlight>,
        admitted: Vec<Admitted>,
        bundle: &mut Bundle<Reply>,
    ) {
        let Some(deadline) = latest(&logins) else { return };
        let mut unsettled = Vec::new();
        for (login, (user, opening)) in
            logins.into_iter().zip(self.accounts.admit(admitted, deadline))
        {
            match opening {
                Ok(opening) if !self.accounts.is_settled(&user, &opening) => {
                    unsettled.push((login, user, opening));
                }
                opening => {
                    let opened =
                        opening.and_then(|opening| self.accounts.settle(user, opening, deadline));
                    self.tell(login, opened.map(Done::Authenticated), bundle);
                }
            }
        }
        bundle.post();
        for (login, user, opening) in unsettled {
            let deadline = login.job.deadline;
            let opened = apart(|| self.accounts.settle(user, opening, deadline));
            self.tell(login, opened.map(Done::Authenticated), bundle);
            bundle.post();
        }
    }
}
