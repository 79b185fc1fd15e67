//! A primary is demoted while servers run: another database takes its place behind the same address, and the old one
//! goes on, takes no writes, and keeps the connections that it has.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use e2e::fault_proxy::FaultProxy;
use e2e::{Answer, Client, MariaDb, Server, StopOnDrop, Store, System, until};

use crate::PASSWORD;

/// Nothing comes from a lease, and no busy machine decides a test.
const NO_LEASE: [&str; 2] = ["--lease", "0ms"];
const PATIENT: [&str; 2] = ["--request-timeout", "30s"];

/// Threads that check sessions, so that a server has several connections to the demoted one.
const CHECKERS: usize = 6;

/// How often each kind of request is answered with success before it is taken for served.
const SERVED: usize = 20;

/// For how many times that the demoted one is watched: the more, the more of a server's connections are used.
const LEFT_ALONE: usize = 20;

/// Noticed before the address moves, as when an operator takes their time. Meanwhile there are only session checks: a
/// refused write closes its own connection in any case, so writes alone would use up those to the demoted one.
#[test]
fn a_demoted_primary_is_left_for_the_new_one() {
    fails_over(Writers::Pause, &|system, user| {
        for auth in system.auths() {
            until_ready(auth, "reads only: the store takes no writes");
        }
        let refused = user.register("cyd", PASSWORD).assert_status(503);
        assert!(refused.field("retry-after").is_some(), "{refused:?}");
    });
}

/// All at once and under full load, as a proxy of databases does it.
#[test]
fn a_primary_that_is_replaced_at_once_is_left_for_the_new_one() {
    fails_over(Writers::GoOn, &|_, _| {});
}

/// What those do during the failover who log in and register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writers {
    GoOn,
    Pause,
}

/// What has been acknowledged and answered under load.
#[derive(Default)]
struct Counts {
    checks: AtomicUsize,
    logins: AtomicUsize,
    registrations: AtomicUsize,
    registered: Mutex<Vec<String>>,
    /// Nothing is to be refused any more.
    is_over: AtomicBool,
    stop: AtomicBool,
    are_writers_paused: AtomicBool,
}

impl Counts {
    /// Whether a request was served. Everything else is a 503 that says when to come back, while the failover lasts.
    #[track_caller]
    fn serves(&self, over: bool, answer: &Answer, served: &AtomicUsize) -> bool {
        if answer.status == 200 {
            served.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.field("retry-after").is_some(), "{answer:?}");
        assert!(!over, "{answer:?}");
        false
    }

    fn until_all_are_served(&self) {
        let all = [&self.checks, &self.logins, &self.registrations];
        let kinds =
            if self.are_writers_paused.load(Ordering::SeqCst) { &all[..1] } else { &all[..] };
        let now = || kinds.iter().map(|kind| kind.load(Ordering::Relaxed));
        let before: Vec<_> = now().collect();
        until("requests of each kind to be served", || {
            now().zip(&before).all(|(now, before)| now >= before + SERVED).then_some(())
        });
    }

    /// Whether a writer is to go on. Blocks while writers pause.
    fn goes_on(&self) -> bool {
        until("writers to go on", || {
            let stops = self.stop.load(Ordering::SeqCst);
            (stops || !self.are_writers_paused.load(Ordering::SeqCst)).then_some(!stops)
        })
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

fn fails_over(writers: Writers, between: &dyn Fn(&mut System, &Client)) {
    let [old, new] = [1, 2].map(MariaDb::start_replicating);
    let database = old.database_of_account();
    new.follow(&old);
    let address = FaultProxy::before(old.address());
    let mut system = System::builder()
        .store(Store::At(database.url_through(address.address())))
        .auths(2)
        .fronts(2)
        .auth_flags(&NO_LEASE)
        .front_flags(&PATIENT)
        .start();
    let fronts = [system.client_of(0), system.client_of(1)];
    fronts[0].register("ada", PASSWORD).assert_status(200);
    fronts[0].register("bob", PASSWORD).assert_status(200);
    let token = fronts[0].log_in("ada", PASSWORD);

    let counts = Counts::default();
    thread::scope(|scope| {
        let _stop = StopOnDrop(&counts.stop);
        for number in 0..CHECKERS {
            let (front, token, counts) = (&fronts[number % 2], &token, &counts);
            scope.spawn(move || check(front, token, counts));
        }
        scope.spawn(|| log_in(&fronts, &counts));
        scope.spawn(|| register(&fronts, &counts));
        counts.until_all_are_served();

        counts.are_writers_paused.store(writers == Writers::Pause, Ordering::SeqCst);
        old.read_only(true);
        between(&mut system, &fronts[0]);
        // It is read as before.
        let before = counts.checks.load(Ordering::Relaxed);
        until("reads to go on", || {
            (counts.checks.load(Ordering::Relaxed) >= before + SERVED).then_some(())
        });
        new.take_over_from(&old);
        address.lead_to(new.address());

        // The old connections are still open, and nobody asks over them.
        let asked = || old.ask::<(String, u64)>("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").1;
        if writers == Writers::GoOn {
            // Where nobody has seen "reads only", "ready" says nothing yet.
            until("the demoted one to be left alone", || {
                let before = asked();
                counts.until_all_are_served();
                (asked() == before).then_some(())
            });
        }
        for auth in system.auths() {
            until_ready(auth, r#"{"status":"ready"}"#);
        }
        // What was being asked then has been answered.
        counts.until_all_are_served();
        let before = asked();
        for _ in 0..LEFT_ALONE {
            counts.until_all_are_served();
        }
        assert_eq!(asked(), before, "the demoted one was asked");
        counts.is_over.store(true, Ordering::SeqCst);
        counts.are_writers_paused.store(false, Ordering::SeqCst);
        let before = asked();
        counts.until_all_are_served();
        assert_eq!(asked(), before, "the demoted one was asked");
    });
    let users = database.url().rsplit_once('/').expect("a URL of a database").1.to_owned();
    for name in counts.registered.into_inner().expect("no thread panicked") {
        let question = format!("SELECT COUNT(*) FROM `{users}`.user WHERE username = '{name}'");
        assert_eq!(new.ask::<u64>(&question), 1, "{name} was acknowledged");
    }
}

fn until_ready(auth: &Server, words: &str) {
    let ops = auth.ops();
    let is_ready = || ops.get("/readyz", None).text().contains(words).then_some(());
    until(&format!("/readyz to say {words}"), is_ready);
}

/// One who is logged in all the while.
fn check(front: &Client, token: &str, counts: &Counts) {
    while !counts.stop.load(Ordering::Relaxed) {
        let over = counts.is_over();
        counts.serves(over, &front.session(token), &counts.checks);
    }
}

/// One who logs in at one front, is known at the other, logs out there, and is known at none. While the failover lasts, a
/// server that has not noticed it yet knows nothing of what another has written to the new primary.
fn log_in(fronts: &[Client; 2], counts: &Counts) {
    let mut number = 0;
    while counts.goes_on() {
        number += 1;
        let (here, there) = (&fronts[number % 2], &fronts[(number + 1) % 2]);
        let over = counts.is_over();
        let login = here.authenticate("bob", PASSWORD);
        if !counts.serves(over, &login, &counts.logins) {
            continue;
        }
        let token = login.text_at("token");
        let known = there.session(&token);
        let left = there.logout(&token);
        let ended = fronts.each_ref().map(|front| front.session(&token));
        for answer in [&known, &left].into_iter().chain(&ended) {
            assert!([200, 401, 503].contains(&answer.status), "{answer:?}");
        }
        if over {
            known.assert_status(200);
            left.assert_status(200);
            for answer in ended {
                answer.assert_status(401);
            }
        }
    }
}

fn register(fronts: &[Client; 2], counts: &Counts) {
    let mut number = 0;
    while counts.goes_on() {
        number += 1;
        let name = format!("user-{number}");
        let over = counts.is_over();
        let answer = fronts[number % 2].register(&name, PASSWORD);
        if counts.serves(over, &answer, &counts.registrations) {
            counts.registered.lock().expect("no thread panicked").push(name);
        }
    }
}
