//! Guesses at passwords: how many are let through, and who is not kept out by them.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use e2e::{Answer, Builder, Client, Redis, Server, System};
use serde_json::json;

use crate::PASSWORD;

const GUESSES: usize = 200;

/// What the documentation of `--throttle-free` and `--throttle-account` says.
const FREE: usize = 20;
const ACCOUNT: usize = 100;

const OWNER: &str = "192.0.2.1";
const GUESSER: &str = "198.51.100.1";
const ELSEWHERE: &str = "203.0.113.1";

/// Hashes that take long enough, and enough of them at a time, for many guesses to be in work at
/// once: a limit that counted them when they are done would let all of those through.
const AT_ONCE: [&str; 5] =
    ["--argon2", "m=4096,t=2,p=1", "--allow-weak-argon2", "--hash-threads", "32"];

/// A system that believes its proxies, with room for all guesses at once.
fn system(auth_flags: &[&str]) -> System {
    builder(auth_flags).start()
}

fn builder(auth_flags: &[&str]) -> Builder {
    System::builder()
        .default_hashing()
        .auth_flags(&AT_ONCE)
        .auth_flags(auth_flags)
        .front_flags(&["--trusted-proxies", "127.0.0.1", "--heavy-threads", "16"])
        .front_flags(&["--heavy-queue", "512", "--request-timeout", "60s"])
}

/// How often every auth_back together has hashed so far.
fn hashes(system: &mut System) -> usize {
    let hashes = |auth: &mut Server| -> usize {
        let metrics = auth.ops().get("/metrics", None).assert_status(200);
        let name = "auth_back_hashes_total ";
        let value = metrics.text().lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_else(|| panic!("no {name}")).parse().expect("a whole number")
    };
    system.auths().iter_mut().map(hashes).sum()
}

/// Wrong guesses at the same time, one from each address, and how long all of them took.
fn guess_at_once(user: &Client, name: &str, from: &[String]) -> (Vec<Answer>, Duration) {
    let start = Barrier::new(from.len());
    let began = Instant::now();
    let answers = thread::scope(|scope| {
        let guess = |address: &String| {
            let (user, start) = (user.behind_proxy(address), &start);
            scope.spawn(move || {
                start.wait();
                user.authenticate(name, "not the password")
            })
        };
        let guesses: Vec<_> = from.iter().map(guess).collect();
        guesses.into_iter().map(|guess| guess.join().expect("an answer")).collect()
    });
    (answers, began.elapsed())
}

/// Checks that all were either wrong or refused, and returns how many were wrong.
#[track_caller]
fn check_refused(answers: Vec<Answer>) -> usize {
    let (wrong, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 401);
    for answer in refused {
        let answer = answer.assert_status(429);
        assert_eq!(answer.problem_code(), "too_many_attempts");
        let wait: u64 = answer.field("retry-after").expect("a time").parse().expect("seconds");
        assert!((1..=3600).contains(&wait), "{answer:?}");
    }
    wrong.len()
}

/// Logs in, and returns the marker of the device.
fn device(user: &Client) -> String {
    user.authenticate("ada", PASSWORD).assert_status(200).text_at("device")
}

fn log_in_with(user: &Client, device: &str) -> Answer {
    let body = json!({ "username": "ada", "password": PASSWORD, "device": device });
    user.post("/open_api/v1/authenticate", &body)
}

#[test]
fn parallel_guesses_hash_no_more_than_is_allowed_and_keep_nobody_else_out() {
    check_parallel_guesses(system(&[]));
}

#[test]
fn nor_do_two_servers_that_share_redis() {
    let redis = Redis::start();
    // As many connections to Redis as guesses in work: who finds none free counts alone.
    let flags = ["--sessions", &redis.url(), "--store-connections", "64"];
    check_parallel_guesses(builder(&flags).auths(2).start());
}

fn check_parallel_guesses(mut system: System) {
    let user = system.client();
    let owner = user.behind_proxy(OWNER);
    owner.register("ada", PASSWORD).assert_status(200);
    let marker = device(&owner);

    let before = hashes(&mut system);
    let (answers, took) = guess_at_once(&user, "ada", &vec![GUESSER.to_owned(); GUESSES]);
    let wrong = check_refused(answers);
    assert_eq!(hashes(&mut system) - before, wrong, "what is refused is not hashed");
    // After the free ones: one after a second, one more after two, and so on.
    let waited_for = (took.as_secs() + 1).ilog2() as usize;
    assert!((FREE..=FREE + waited_for).contains(&wrong), "{wrong} guesses in {took:?}");

    user.behind_proxy(GUESSER).authenticate("ada", PASSWORD).assert_status(429);
    owner.authenticate("ada", PASSWORD).assert_status(200);
    user.behind_proxy(ELSEWHERE).authenticate("ada", PASSWORD).assert_status(200);
    // Even from where the guesses come from, with the device that is known.
    log_in_with(&user.behind_proxy(GUESSER), &marker).assert_status(200);
    log_in_with(&user.behind_proxy(GUESSER), "gdev_nonsense").assert_status(429);
}

#[test]
fn guesses_from_everywhere_end_after_a_hundred_and_the_owner_still_gets_in() {
    let mut system = system(&[]);
    let user = system.client();
    let owner = user.behind_proxy(OWNER);
    owner.register("ada", PASSWORD).assert_status(200);
    let marker = device(&owner);

    let before = hashes(&mut system);
    let everywhere: Vec<_> = (0..GUESSES).map(|number| format!("10.0.{number}.1")).collect();
    let wrong = check_refused(guess_at_once(&user, "ada", &everywhere).0);
    assert_eq!(wrong, ACCOUNT, "NIST SP 800-63B-4, section 3.2.2");
    assert_eq!(hashes(&mut system) - before, wrong);

    // A stranger with the right password has to wait; who is known has not.
    user.behind_proxy(ELSEWHERE).authenticate("ada", PASSWORD).assert_status(429);
    log_in_with(&user.behind_proxy(ELSEWHERE), &marker).assert_status(200);
    // That was a success: they were a hundred in a row no more.
    user.behind_proxy("203.0.113.2").authenticate("ada", PASSWORD).assert_status(200);
    check_refused(guess_at_once(&user, "ada", &everywhere).0);
    owner.authenticate("ada", PASSWORD).assert_status(200);
}

#[test]
fn a_network_that_looks_for_names_is_stopped_and_loopback_is_not() {
    let system = system(&["--throttle-network", "1"]);
    let user = system.client();
    let looks = |from: Client, prefix: &str| {
        let status = |number| from.authenticate(&format!("{prefix}{number}"), PASSWORD).status;
        (0..30).map(status).take_while(|status| *status == 404).count()
    };
    let found = looks(user.behind_proxy("2001:db8::1"), "one");
    assert!((10..=15).contains(&found), "{found}");
    let same_network = user.behind_proxy("2001:db8::2:0:0:1");
    same_network.register("carol", PASSWORD).assert_status(429);
    user.behind_proxy("2001:db8:1::1").register("carol", PASSWORD).assert_status(200);
    assert_eq!(looks(user, "two"), 30, "127.0.0.1 is exempt by default");
}
