//! What an attempt counts for, by the stage that it ends in.

use std::time::Duration;

use hashing::NotHashed;

use super::*;
use crate::accounts::testing::{Fixture, login, patient};

/// More than are let through when each counts.
const ATTEMPTS: usize = 5;

/// Whether somebody has to wait whose attempts all end so, after they were found.
fn has_to_wait(ends: impl Fn(&Accounts, Found)) -> bool {
    let fixture = Fixture::new().with_limits(|rules| rules.free = 1);
    fixture.user("ada", "correct horse");
    let (accounts, request) = (&fixture.accounts, login("ada", "correct horse"));
    (0..ATTEMPTS).any(|_| match find(accounts, &request, patient()) {
        Ok(found) => {
            ends(accounts, found);
            false
        }
        Err(AccountError::TooManyAttempts(_)) => true,
        Err(error) => panic!("{error}"),
    })
}

/// The same where the hash was begun, and came to nothing for this reason.
fn has_to_wait_after(why: NotHashed) -> bool {
    has_to_wait(|accounts, found| {
        let (_, pending) = found.into_hash();
        assert!(judge(accounts, pending.with(Err(why), patient())).is_err());
    })
}

#[test]
fn an_attempt_counts_from_its_hash_on_unless_nothing_was_learned() {
    assert!(!has_to_wait(|_, found| drop(found)), "no hash has begun");
    // Nobody knows how far it had come.
    assert!(has_to_wait_after(NotHashed::Dropped));
    assert!(!has_to_wait_after(NotHashed::Overloaded { retry_after: Duration::from_secs(1) }));
    assert!(!has_to_wait_after(NotHashed::TimedOut), "it was refused before its time ran out");
}

/// Notes what is answered, and what the store has been asked when answers are sent.
struct Noted<'a> {
    fixture: &'a Fixture,
    answered: Vec<&'static str>,
    /// Who had been answered, and the calls of the store since the last time.
    sent: Vec<(Vec<&'static str>, Vec<&'static str>)>,
}

impl Answers<&'static str> for Noted<'_> {
    fn deadline(&self, _login: &&'static str) -> Instant {
        patient()
    }

    fn answer(&mut self, login: &'static str, outcome: Answer<Opened>) {
        assert_eq!(outcome.is_ok(), login == "ada", "{login}: {outcome:?}");
        self.answered.push(login);
    }

    fn flush(&mut self) {
        let answered = std::mem::take(&mut self.answered);
        self.sent.push((answered, self.fixture.store.take_calls()));
    }
}

#[test]
fn who_is_refused_is_told_before_the_others_are_committed() {
    let fixture = Fixture::new();
    let hashed = ["ada", "bob"].map(|name| {
        fixture.user(name, "correct horse");
        let password = if name == "ada" { "correct horse" } else { "correct house" };
        let found = find(&fixture.accounts, &login(name, password), patient()).unwrap();
        let (task, pending) = found.into_hash();
        let outcome = fixture.accounts.hashers.run(lane::Flow::ONE, patient(), task);
        (pending.with(outcome, patient()), name)
    });
    fixture.store.take_calls();
    let mut noted = Noted { fixture: &fixture, answered: Vec::new(), sent: Vec::new() };
    let mut longer = Longer::default();
    finish(&fixture.accounts, hashed.into(), &mut longer, &mut noted);
    assert_eq!(noted.sent, [(vec!["bob"], vec![]), (vec!["ada"], vec!["keep_sessions"])]);
    assert!(longer.committed.is_empty() && longer.late.is_empty());
}
