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
