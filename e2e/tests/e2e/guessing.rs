//! Guesses at passwords: how many are let through, and who is not kept out by them.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use e2e::{Answer, Builder, Client, Redis, Server, System, until};
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
fn an_operator_lets_somebody_try_again() {
    check_unlock(system(&[]));
}

#[test]
fn an_operator_lets_somebody_try_again_on_servers_that_share_redis() {
    let redis = Redis::start();
    let flags = ["--sessions", &redis.url(), "--store-connections", "64"];
    check_unlock(builder(&flags).auths(2).start());
    // What Redis holds cannot be reached; the servers forget.
    let system = builder(&flags).start();
    system.client().register("ada", PASSWORD).assert_status(200);
    drop(redis);
    let unlocked = system.operator(&["user", "unlock", "ada"]).run();
    assert_eq!(unlocked.code, Some(75), "{unlocked:?}");
    assert!(unlocked.errors.contains("Redis is away"), "{unlocked:?}");
}

fn check_unlock(mut system: System) {
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let owner = user.behind_proxy(OWNER);
    let guesses = || (0..).take_while(|_| owner.authenticate("ada", "wrong").status == 401).count();
    assert!(guesses() >= FREE);
    assert!(guesses() < FREE);
    let everywhere: Vec<_> = (0..ACCOUNT).map(|n| format!("10.0.{n}.1")).collect();
    check_refused(guess_at_once(&user, "ada", &everywhere).0);
    user.behind_proxy(ELSEWHERE).authenticate("ada", PASSWORD).assert_status(429);

    let unlock = ["user", "unlock", "ada", "--from", OWNER, "--json"];
    let told = system.operator(&unlock).succeed();
    assert!(told.contains("may try again"), "{told}");
    for auth in system.auths() {
        until("the server to forget", || auth.log().contains("unlocked it").then_some(()));
    }
    assert!(guesses() >= FREE, "as if nobody had failed from there");
    user.behind_proxy(ELSEWHERE).authenticate("ada", PASSWORD).assert_status(200);

    let unknown = system.operator(&["user", "unlock", "bob"]).run();
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.errors.contains("there is no user bob"), "{unknown:?}");
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

/// How many of `count` guesses at names that nobody has are let through, until one is refused.
fn names_told(from: &Client, prefix: &str, count: usize) -> usize {
    let status = |number| from.authenticate(&format!("{prefix}{number}"), PASSWORD).status;
    (0..count).map(status).take_while(|status| *status == 404).count()
}

/// One address may be a whole office, campus or mobile network.
#[test]
fn whoever_has_logged_in_from_an_address_is_not_kept_out_by_others_there() {
    let system = System::builder()
        .auth_flags(&["--throttle-network", "1"])
        .front_flags(&["--trusted-proxies", "127.0.0.1"])
        .start();
    let user = system.client();
    let (shared, elsewhere) = (user.behind_proxy(OWNER), user.behind_proxy(ELSEWHERE));
    shared.register("alice", PASSWORD).assert_status(200);
    elsewhere.register("bob", PASSWORD).assert_status(200);
    shared.authenticate("alice", PASSWORD).assert_status(200);

    let told = names_told(&shared, "user", 110);
    assert!((10..=16).contains(&told), "{told}");
    // Without her marker, from there; also after a typo.
    shared.authenticate("alice", "not the password").assert_status(401);
    shared.authenticate("alice", PASSWORD).assert_status(200);
    // Somebody who has not been there before waits, and for no more than a minute.
    let refused = shared.authenticate("bob", PASSWORD).assert_status(429);
    let wait: u64 = refused.field("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    elsewhere.authenticate("bob", PASSWORD).assert_status(200);
    // Nor does the guesser keep anybody there from making an account: those are counted by themselves.
    shared.register("carol", PASSWORD).assert_status(200);
    let registered = (0..30)
        .take_while(|number| shared.register(&format!("dave{number}"), PASSWORD).status == 200);
    assert!((8..=12).contains(&registered.count()));
    // Known is known for one account, and for so many guesses.
    let guesses =
        (0..60).take_while(|_| shared.authenticate("alice", "not the password").status == 401);
    assert!((FREE..=FREE + 6).contains(&guesses.count()));
}

/// Lets an hour pass for what Redis remembers, and for the server by starting it anew: its own tables forget.
fn pass_an_hour(system: &mut System, redis: &Redis) {
    const AN_HOUR_AGO: &str = "for _, set in ipairs(redis.call('KEYS', 'gh2:guard:?:*')) do \
        local all = redis.call('HGETALL', set) \
        for i = 1, #all, 2 do \
            local level, last, mark = string.match(all[i + 1], '(%d+) (%d+) (%d+)') \
            local function ago(moment) return math.max(tonumber(moment) - 36000, 0) end \
            local text = string.format('%s %.0f %.0f', level, ago(last), ago(mark)) \
            redis.call('HSET', set, all[i], text) \
        end \
    end \
    return 1";
    system.auth().kill();
    assert_eq!(redis.ask(&format!("EVAL \"{AN_HOUR_AGO}\" 0")), ":1");
    system.auth().start_again();
    system.until_ready();
}

/// Five addresses, or one host with a /48 of IPv6, bring an account into its slow lane in a second, and ask all the
/// time from then on. The owner comes once an hour later, with a new device in a new network.
#[test]
fn an_owner_who_comes_once_is_before_those_who_come_every_hour() {
    let five: Vec<_> = (1..=5).map(|number| format!("198.51.100.{number}")).collect();
    let five_often: Vec<_> = five.iter().cycle().take(5 * FREE).cloned().collect();
    let of_a_site = |range: std::ops::Range<u32>| -> Vec<String> {
        // Each in a /56 of its own.
        range.map(|number| format!("2001:db8:5:{:x}::1", number << 8)).collect()
    };
    check_slow_lane(&five_often, &five);
    check_slow_lane(&of_a_site(0..100), &of_a_site(100..140));
}

/// `first` have a guess each, which is as many as an account lets through; `later` go on.
fn check_slow_lane(first: &[String], later: &[String]) {
    let redis = Redis::start();
    let mut system = System::builder()
        .auth_flags(&["--sessions", &redis.url()])
        .front_flags(&["--trusted-proxies", "127.0.0.1"])
        .start();
    let user = system.client();
    user.behind_proxy(OWNER).register("victim", PASSWORD).assert_status(200);
    let guess = |from: &[String]| {
        let guess = |from: &String| user.behind_proxy(from).authenticate("victim", "a guess");
        check_refused(from.iter().map(guess).collect())
    };
    assert_eq!(guess(first), ACCOUNT);
    let owner = user.behind_proxy(ELSEWHERE);
    let refused = owner.authenticate("victim", PASSWORD).assert_status(429);
    let wait: u64 = refused.field("retry-after").expect("a time").parse().expect("seconds");
    assert!((3_000..=3_600).contains(&wait), "{wait}");

    for _ in 0..2 {
        pass_an_hour(&mut system, &redis);
        assert_eq!(guess(later), 1, "one attempt an hour for all of them");
    }
    owner.authenticate("victim", PASSWORD).assert_status(200);
}

#[test]
fn a_network_that_looks_for_names_is_stopped_and_loopback_is_not() {
    let behind = system(&["--throttle-network", "1"]);
    let user = behind.client();
    let found = names_told(&user.behind_proxy("2001:db8::1"), "one", 30);
    assert!((10..=15).contains(&found), "{found}");
    let same_network = user.behind_proxy("2001:db8::2:0:0:1");
    same_network.authenticate("carol", PASSWORD).assert_status(429);
    user.behind_proxy("2001:db8:1::1").authenticate("carol", PASSWORD).assert_status(404);
    // 127.0.0.1 is exempt by default, unless it is a proxy.
    assert!(names_told(&user, "two", 30) < 16);
    let direct = System::builder().auth_flags(&["--throttle-network", "1"]).start();
    assert_eq!(names_told(&direct.client(), "two", 30), 30);
}

/// By bcrypt, of [`PASSWORD`], at the lowest cost: beside the hashes of these tests it costs hundreds of them.
const DEAR: &str = "$2b$04$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri";

/// Guesses at what other systems hashed may cost a hundred times as much as others.
#[test]
fn guesses_at_imported_users_are_charged_by_what_they_cost() {
    let system = System::builder().front_flags(&["--trusted-proxies", "127.0.0.1"]).start();
    let file = system.scratch().join("users.csv");
    let lines: String = (0..5).map(|number| format!("user{number},{DEAR},,\n")).collect();
    let text = format!("username,password_hash,name,age\n{lines}");
    std::fs::write(&file, text).expect("a file can be written");
    system.operator(&["import", file.to_str().expect("UTF-8")]).succeed();

    let user = system.client();
    let (guesser, owner) = (user.behind_proxy(GUESSER), user.behind_proxy(OWNER));
    owner.register("ada", PASSWORD).assert_status(200);
    // Each is half of what a network has at once.
    let guess = |number| guesser.authenticate(&format!("user{number}"), "a guess").status;
    assert_eq!([0, 1, 2].map(guess), [401, 401, 429]);
    guesser.authenticate("ada", PASSWORD).assert_status(429);
    // Nobody else has to do with it, and right passwords cost nothing.
    for number in 0..5 {
        owner.authenticate(&format!("user{number}"), PASSWORD).assert_status(200);
    }
    owner.authenticate("ada", "not the password").assert_status(401);
    owner.authenticate("ada", PASSWORD).assert_status(200);
}
