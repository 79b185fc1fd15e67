//! All stages of a login on one thread, one after the other.

use std::time::Instant;

use lane::Flow;

use super::{Answers, Login, Longer, find, finish};
use crate::accounts::{Accounts, Answer, Opened};

/// Takes answers down.
struct Answered {
    deadline: Instant,
    answer: Option<Answer<Opened>>,
}

impl Answers<()> for Answered {
    fn deadline(&self, _login: &()) -> Instant {
        self.deadline
    }

    fn answer(&mut self, _login: (), outcome: Answer<Opened>) {
        assert!(self.answer.replace(outcome).is_none(), "it was answered twice");
    }

    fn flush(&mut self) {}
}

/// Logs somebody in, as a server does, and blocks until it is done.
pub(crate) fn authenticate(
    accounts: &Accounts,
    login: &Login,
    deadline: Instant,
) -> Answer<Opened> {
    let (task, pending) = find(accounts, login, deadline)?.into_hash();
    let hashed = pending.with(accounts.hashers.run(Flow::ONE, deadline, task), deadline);
    let mut answered = Answered { deadline, answer: None };
    let mut longer = Longer::default();
    finish(accounts, vec![(hashed, ())], &mut longer, &mut answered);
    longer.finish(accounts, &mut answered);
    answered.answer.expect("every login is answered")
}
