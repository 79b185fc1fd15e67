//! What a start does that was given other settings than the store has.

use std::sync::Arc;
use std::time::Duration;

use store::{Installation as _, ServerRow};

use super::*;
use crate::accounts::testing::Fixture;

fn shared(given: &str, own: &str) -> Shared {
    let given = SharedValues::parse(given);
    Shared { own: given.over(&SharedValues::parse(own)), given }
}

#[track_caller]
fn check(given: &str, there: &str, expected: &Step) {
    let found =
        compare(&shared(given, "lease=250ms\nsessions=store\n"), &SharedValues::parse(there));
    assert_eq!(found, *expected, "{given:?} {there:?}");
}

fn differing(name: &str, here: &str, there: &str) -> Differing {
    Differing { name: name.to_owned(), here: here.to_owned(), there: there.to_owned() }
}

#[test]
fn what_is_given_counts_and_the_rest_is_taken() {
    let write = |text: &str, differing| Step::Write(SharedValues::parse(text), differing);
    // The first server writes its own.
    check("", "", &write("lease=250ms\nsessions=store\n", vec![]));
    check("lease=1s", "", &write("lease=1s\nsessions=store\n", vec![]));
    check("", "lease=2s\nsessions=store\n", &Step::Follow);
    check("lease=2s", "lease=2s\nsessions=store\n", &Step::Follow);
    check(
        "lease=1s",
        "lease=2s\nsessions=store\n",
        &write("lease=1s\nsessions=store\n", vec![differing("lease", "1s", "2s")]),
    );
    // What a later release has written stays.
    check("", "lease=2s\nsessions=store\nusernames=any\n", &Step::Follow);
}

#[test]
fn where_sessions_are_is_never_guessed() {
    check("", "lease=250ms\nsessions=redis\n", &Step::LacksRedis);
    check("sessions=redis", "lease=250ms\nsessions=redis\n", &Step::Follow);
    let all = SharedValues::parse("lease=250ms\nsessions=store\n");
    let expected = Step::Write(all, vec![differing("sessions", "store", "redis")]);
    check("sessions=store", "lease=250ms\nsessions=redis\n", &expected);
}

const RUN: Tag = [1; 16];

fn text(fixture: &Fixture) -> String {
    fixture.store.deployment(soon()).unwrap().settings
}

fn agree_on(fixture: &Fixture, given: &str) -> Result<Follower, DeploymentFault> {
    let own = crate::settings::tests::read(&[]).unwrap().shared.own;
    let given = SharedValues::parse(given);
    let shared = Shared { own: given.over(&own), given };
    agree(&*fixture.store, RUN, &shared, 100)
}

fn other(run: u8, revision: u64) -> ServerRow {
    ServerRow {
        node: run.into(),
        run: [run; 16],
        instance: [run; 16],
        serves: true,
        ids_until_ms: 0,
        lease_ms: 0,
        revision,
        host: "elsewhere".to_owned(),
        version: String::new(),
        redis: String::new(),
        about: String::new(),
    }
}

#[test]
fn a_server_alone_writes_what_it_was_given() {
    let fixture = Fixture::new();
    let follower = agree_on(&fixture, "").unwrap();
    assert_eq!((follower.revision(), follower.rules().sessions.lease.as_millis()), (1, 250));
    let follower = agree_on(&fixture, "lease=1s").unwrap();
    assert_eq!((follower.revision(), follower.rules().sessions.lease.as_millis()), (2, 1_000));
    assert!(text(&fixture).starts_with("lease=1s\n"), "{}", text(&fixture));
    // Given nothing, it goes by what is there.
    let follower = agree_on(&fixture, "").unwrap();
    assert_eq!((follower.revision(), follower.rules().sessions.lease.as_millis()), (2, 1_000));
    let refused = agree_on(&fixture, "session-idle=2s").unwrap_err();
    assert!(matches!(refused, DeploymentFault::NotAllowed(_)), "{refused}");
    assert!(refused.to_string().contains("session-idle"), "{refused}");
    assert_eq!(fixture.store.deployment(soon()).unwrap().revision, 2);
}

#[test]
fn a_server_beside_another_does_not_start() {
    let fixture = Fixture::new();
    agree_on(&fixture, "").unwrap();
    let rival = other(2, 1);
    assert!(fixture.store.take_node(None, &rival, soon()).unwrap());
    // It lives: it renews its node.
    let (store, ended) = (Arc::clone(&fixture.store), Arc::new(()));
    let lives = Arc::downgrade(&ended);
    let renewing = thread::spawn(move || {
        while lives.upgrade().is_some() {
            assert!(store.renew_node(&rival, soon()).unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    });
    let refused = agree_on(&fixture, "lease=1s\nthrottle-free=9").unwrap_err().to_string();
    for words in [
        "--lease is 1s here and 250ms in the database, --throttle-free is 9 here and 20 in",
        "the server on elsewhere",
        "auth_back deployment set",
    ] {
        assert!(refused.contains(words), "{refused}");
    }
    agree_on(&fixture, "lease=250ms").unwrap();
    agree_on(&fixture, "").unwrap();
    drop(ended);
    renewing.join().unwrap();
    assert_eq!(fixture.store.deployment(soon()).unwrap().revision, 1);
}

#[test]
fn one_that_starts_too_or_is_a_command_is_no_rival() {
    let fixture = Fixture::new();
    agree_on(&fixture, "").unwrap();
    assert!(fixture.store.take_node(None, &other(2, 0), soon()).unwrap());
    let command = ServerRow { serves: false, ..other(3, 1) };
    assert!(fixture.store.take_node(None, &command, soon()).unwrap());
    agree_on(&fixture, "lease=1s").unwrap();
}

#[test]
fn leaving_redis_begins_another_generation() {
    let fixture = Fixture::new();
    let generation = || store::Sessions::cache_era(&*fixture.store, soon()).unwrap().generation;
    agree_on(&fixture, "sessions=redis").unwrap();
    let before = generation();
    assert!(matches!(agree_on(&fixture, "").unwrap_err(), DeploymentFault::LacksRedis));
    assert_eq!(generation(), before);
    agree_on(&fixture, "sessions=store").unwrap();
    assert_eq!(generation(), before + 1);
}
