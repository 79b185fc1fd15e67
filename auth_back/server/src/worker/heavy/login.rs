//! Takes [logins](crate::login) from one thread to the next.

use std::time::Instant;

use reactor::Bundle;

use super::super::Clerk;
use super::in_flight::{InFlight, Stage};
use crate::accounts::{Answer, Opened};
use crate::job::{Done, Reply, Request};
use crate::login::{Answers, Hashed, Longer, find, finish};

/// Answers requests, several with one wake-up of their loop.
struct Telling<'a> {
    clerk: &'a Clerk,
    bundle: &'a mut Bundle<Reply>,
}

impl Answers<InFlight> for Telling<'_> {
    fn deadline(&self, login: &InFlight) -> Instant {
        login.job.deadline
    }

    fn answer(&mut self, login: InFlight, outcome: Answer<Opened>) {
        self.clerk.tell(login, outcome.map(Done::Authenticated), self.bundle);
    }

    fn flush(&mut self) {
        self.bundle.post();
    }
}

impl Clerk {
    /// Finds who wants to log in, and has the password hashed.
    pub(super) fn begin_login(&self, mut asked: InFlight) {
        let (flow, deadline) = (asked.job.flow, asked.job.deadline);
        let found = match &asked.job.request {
            Request::Authenticate(login) => find(&self.accounts, login, deadline),
            _ => unreachable!("it is a login"),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.tell(asked, Err(error), &mut Bundle::default()),
        };
        // It takes long, in few places of its own: usual ones do not wait for it.
        if found.is_dear() {
            asked.permit = None;
        }
        let (task, pending) = found.into_hash();
        self.accounts.hashers.submit(flow, deadline, task, move |outcome| {
            asked.queue(Stage::Login(pending.with(outcome, deadline)))
        });
    }

    /// Logins whose passwords were hashed, judged, committed and answered together.
    pub(super) fn finish_logins(
        &self,
        logins: Vec<(Hashed, InFlight)>,
        longer: &mut Longer<InFlight>,
        bundle: &mut Bundle<Reply>,
    ) {
        finish(&self.accounts, logins, longer, &mut Telling { clerk: self, bundle });
    }

    /// What is left of logins, after everybody else was told.
    pub(super) fn finish_longer(&self, rest: Longer<InFlight>, bundle: &mut Bundle<Reply>) {
        rest.finish(&self.accounts, &mut Telling { clerk: self, bundle });
    }
}
