//! Session checks that wait together.

use super::*;

/// Session checks that are served together, and whom they are for.
struct Checks {
    fixture: Fixture,
    clerk: Clerk,
    post: PostOffice,
    ada: String,
    bob: String,
}

impl Checks {
    fn new() -> Self {
        let fixture = Fixture::new();
        let (ada, bob) = (fixture.token("ada", PASSWORD), fixture.token("bob", PASSWORD));
        let clerk = clerk(&fixture);
        Self { fixture, clerk, post: PostOffice::open(), ada, bob }
    }

    /// Serves a check of each token, and compares what the requesters are told, by the code of it, and
    /// what the store is asked.
    #[track_caller]
    fn check(&self, tokens: &[(&str, Instant)], expected: &[&str], calls: &[&str]) {
        let mut batch: Vec<Job> = (1..)
            .zip(tokens)
            .map(|(correlation, (token, deadline))| {
                let call = Call { correlation, message_type: MessageType::CheckSession };
                let request = Request::CheckSession(Zeroizing::new((*token).to_owned()));
                let ticket = self.post.ticket(call);
                Job {
                    request,
                    deadline: *deadline,
                    flow: Flow::ONE,
                    call,
                    http_request_id: None,
                    ticket,
                }
            })
            .collect();
        // As a lane does it: what a panic leaves is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = std::mem::take(&mut batch);
            self.clerk.serve_checks(&mut batch);
            assert!(batch.is_empty());
        }));
        let mut told: Vec<(u64, &str)> = tokens
            .iter()
            .map(|_| {
                let Reply { call, outcome } = self.post.next().completion;
                let code = match &outcome {
                    Ok(Done::Session(live)) => live.session.username.clone(),
                    Ok(_) => "another answer".to_owned(),
                    Err(error) => error.code().text().to_owned(),
                };
                (call.correlation, &*code.leak())
            })
            .collect();
        told.sort_unstable();
        self.post.check_empty();
        let expected: Vec<(u64, &str)> = (1..).zip(expected.iter().copied()).collect();
        assert_eq!(told, expected);
        assert_eq!(self.fixture.store.take_calls(), calls);
    }
}

#[test]
fn checks_are_looked_up_together() {
    let checks = Checks::new();
    let (ada, bob) = (&*checks.ada, &*checks.bob);
    let ask = |token| (token, patient());
    checks.check(
        &[ask(ada), ask("gate_forged"), ask(bob), ask(ada)],
        &["ada", "session_not_live", "bob", "ada"],
        &["sessions"],
    );
    checks.fixture.accounts.log_out(ada, patient()).unwrap();
    checks.fixture.store.take_calls();
    checks.check(&[ask(bob), ask(ada)], &["bob", "session_not_live"], &["sessions"]);
}

#[test]
fn a_check_that_has_expired_is_told_so_and_the_others_are_served() {
    let checks = Checks::new();
    let (ada, bob) = (&*checks.ada, &*checks.bob);
    let late = clock::now();
    checks.check(&[(ada, late), (bob, patient())], &["timed_out", "bob"], &["session"]);
    checks.check(&[(ada, late), (bob, late)], &["timed_out", "timed_out"], &[]);
}

#[test]
fn a_fault_is_told_to_each_of_a_batch() {
    let checks = Checks::new();
    let both = [(&*checks.ada, patient()), (&*checks.bob, patient())];
    for (fault, code, calls) in [
        (Fault::Unavailable, "store_unavailable", &["sessions"][..]),
        // One row may be to blame, so each is looked at alone.
        (Fault::Corrupt, "internal", &["sessions", "session", "session"]),
        (Fault::Panic, "internal", &["sessions"]),
    ] {
        checks.fixture.store.set_fault(Some(fault));
        checks.check(&both, &[code, code], calls);
    }
    checks.fixture.store.set_fault(None);
    checks.check(&both, &["ada", "bob"], &["sessions"]);
}

#[test]
fn nobody_waits_for_a_note_that_is_due() {
    let checks = Checks::new();
    let both = [(&*checks.ada, patient()), (&*checks.bob, patient())];
    checks.fixture.execute(
        "UPDATE session SET last_seen_at_ms = created_at_ms - 600000 \
         WHERE user_id = (SELECT id FROM user WHERE username = 'ada')",
    );
    checks.check(&both, &["ada", "bob"], &["sessions"]);
    checks.check(&both, &["ada", "bob"], &["sessions"]);
    let sessions = &checks.fixture.accounts.sessions;
    assert_eq!(sessions.notes().pending(), 1);
    sessions.write_notes();
    assert_eq!(checks.fixture.store.take_calls(), ["refresh_sessions"]);
    checks.check(&both, &["ada", "bob"], &["sessions"]);
    assert_eq!(sessions.notes().pending(), 0);
}
