//! What networks do between the parts: bytes come late and singly, connections break in the middle of an
//! answer, and one side of the system is silent for a while. Whoever asks gets what is theirs, or a 503, and
//! nothing has to be restarted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use e2e::fault_proxy::{Ending, Fault, FaultProxy, Link, Links, Random, Schedule, Who};
use e2e::{Client, Database, Redis, Store, System, until};

use crate::PASSWORD;
use crate::faults::{check_all_unavailable, until_readiness};

const USERS: usize = 4;

/// Nothing comes from a lease, and no busy machine decides a test.
const NO_LEASE: [&str; 2] = ["--lease", "0ms"];
const PATIENT: [&str; 2] = ["--request-timeout", "30s"];

/// An auth_back, a proxy before it, and a front that reaches it through that.
struct Apart {
    front: System,
    proxy: FaultProxy,
    _back: System,
}

fn apart(start: impl FnOnce(SocketAddr) -> FaultProxy) -> Apart {
    let mut back = System::builder().fronts(0).auth_flags(&NO_LEASE).start();
    let proxy = start(back.auth().address());
    let front = System::builder().foreign_auth(proxy.address()).front_flags(&PATIENT).start();
    Apart { front, proxy, _back: back }
}

/// A user who is logged in.
struct User {
    client: Client,
    name: String,
    token: String,
}

fn users(system: &System) -> Vec<User> {
    let user = |number| {
        let (client, name) = (system.client(), format!("user-{number}"));
        client.register(&name, PASSWORD).assert_status(200);
        let token = client.log_in(&name, PASSWORD);
        User { client, name, token }
    };
    (0..USERS).map(user).collect()
}

impl User {
    /// Asks who this is, which has to be answered, and rightly.
    fn check(&self) {
        let answer = self.client.session(&self.token).assert_status(200);
        assert_eq!(answer.text_at("username"), self.name);
    }
}

#[test]
fn single_bytes_and_jitter_between_front_and_auth_back_are_a_matter_of_time_alone() {
    let apart = apart(FaultProxy::before);
    let slow = Link::default().single_bytes().jitter(Duration::from_millis(3));
    apart.proxy.set(Who::All, Links::both(slow));
    let users = users(&apart.front);
    thread::scope(|scope| {
        for user in &users {
            scope.spawn(|| {
                for _ in 0..10 {
                    user.check();
                    user.client.products(Some(&user.token)).assert_status(200);
                }
                user.client.authenticate(&user.name, PASSWORD).assert_status(200);
                user.client.authenticate(&user.name, "incorrect horse").assert_status(401);
                user.client.session("no-token").assert_status(401);
                user.client.logout(&user.token).assert_status(200);
                user.client.session(&user.token).assert_status(401);
            });
        }
    });
    // It did pass singly. Connections from before, of the look at readiness, have had larger writes.
    let connections = apart.proxy.connections();
    let new = connections.iter().filter(|it| it.to_client.bytes > 1_000);
    let singly = new.filter(|it| it.to_client.writes * 2 > it.to_client.bytes);
    assert!(singly.count() > 0, "{}", apart.proxy.report());
}

#[test]
fn a_reset_in_the_middle_of_an_answer_costs_no_repeatable_request() {
    const ROUNDS: u64 = 25;
    let apart = apart(FaultProxy::before);
    let users = users(&apart.front);
    let mut random = Random::new(5);
    for round in 0..ROUNDS {
        let opened = apart.proxy.opened();
        let after = random.within(1..=40);
        apart.proxy.set(Who::Open, Links::to_client(Link::default().end(Ending::Reset, after)));
        thread::scope(|scope| {
            for user in &users {
                scope.spawn(|| {
                    user.check();
                    user.client.products(Some(&user.token)).assert_status(200);
                    user.client.authenticate(&user.name, PASSWORD).assert_status(200);
                    user.client.session("no-token").assert_status(401);
                });
            }
        });
        assert!(
            apart.proxy.opened() > opened,
            "nothing broke in round {round} after {after} bytes"
        );
    }
    // What must not be done twice is not; whether it was done is not known.
    let user = &users[0];
    user.check();
    apart.proxy.set(Who::Open, Links::to_client(Link::default().end(Ending::Reset, 1)));
    let answer = user.client.logout_everywhere(&user.token).assert_status(503);
    assert_eq!(answer.problem_code(), "outcome_unknown");
    user.client.authenticate(&user.name, PASSWORD).assert_status(200);
}

#[test]
fn connections_that_break_at_any_byte_mix_nobody_up() {
    for seed in [1, 2, 3] {
        // Late enough that each connection has carried answers before: a fresh one that breaks is a
        // server that is away.
        let menu = vec![
            Fault::SingleBytes.one_in(4),
            Fault::Jitter(1..=3).one_in(3),
            Fault::End(Ending::Cut, 3_000..=9_000).one_in(2),
            Fault::End(Ending::Reset, 3_000..=9_000).one_in(2),
        ];
        let apart = apart(|it| FaultProxy::with_schedule(it, Schedule::new(seed, menu)));
        let users = users(&apart.front);
        let [served, refused] = [0; 2].map(AtomicUsize::new);
        thread::scope(|scope| {
            for user in &users {
                scope.spawn(|| {
                    for _ in 0..150 {
                        let answer = user.client.session(&user.token);
                        if answer.status == 503 {
                            refused.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        let answer = answer.assert_status(200);
                        assert_eq!(answer.text_at("username"), user.name);
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let (served, refused) = (served.into_inner(), refused.into_inner());
        assert!(refused * 50 <= served, "{refused} of {served}\n{}", apart.proxy.report());
        assert!(apart.proxy.opened() > 8, "{}", apart.proxy.report());
    }
}

/// A system whose auth_back reaches its database through a proxy, and a user who is logged in.
fn database_apart(database: &Database) -> (System, FaultProxy, Client, String) {
    let proxy = FaultProxy::before(database.address());
    let store = Store::At(database.url_through(proxy.address()));
    let system = System::builder().store(store).auth_flags(&NO_LEASE).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    (system, proxy, user, token)
}

#[test]
fn a_database_that_falls_silent_is_a_503_until_it_speaks_again() {
    let database = Database::new();
    let (mut system, proxy, user, token) = database_apart(&database);
    let pids = [system.front().pid(), system.auth().pid()];

    proxy.set(Who::All, Links::both(Link::default().black_hole()));
    check_all_unavailable(&user, &token);
    until_readiness(system.auth(), 503);
    until_readiness(system.front(), 503);
    // What needs no store is still judged.
    user.register("7up", PASSWORD).assert_status(400);
    user.session("no-token").assert_status(401);

    proxy.heal();
    until_readiness(system.auth(), 200);
    until_readiness(system.front(), 200);
    for number in 0..20 {
        user.session(&token).assert_status(200);
        user.authenticate("ada", PASSWORD).assert_status(200);
        user.register(&format!("user-{number}"), PASSWORD).assert_status(200);
    }
    assert_eq!([system.front().pid(), system.auth().pid()], pids);
}

#[test]
fn a_connection_to_the_database_that_stays_silent_costs_one_request() {
    let database = Database::new();
    let (_system, proxy, user, token) = database_apart(&database);
    // What a firewall does that forgets connections: those that are open are never heard of again.
    let silent = proxy.connections().len();
    proxy.set(Who::Open, Links::both(Link::default().black_hole()));
    let mut refused = 0;
    let mut served = 0;
    while served < 20 {
        match user.session(&token).status {
            200 => served += 1,
            503 => refused += 1,
            other => panic!("{other}"),
        }
        assert!(refused <= silent, "{refused} of {silent}\n{}", proxy.report());
    }
    assert!(refused > 0, "it was asked over a silent connection");
    user.authenticate("ada", PASSWORD).assert_status(200);
    user.register("bob", PASSWORD).assert_status(200);
}

#[test]
fn connections_to_redis_that_break_are_no_users_affair() {
    const ROUNDS: u64 = 20;
    let redis = Redis::start();
    let proxy = FaultProxy::before(redis.address());
    let sessions = format!("redis://{}/0", proxy.address());
    let system = System::builder()
        .auth_flags(&["--sessions", &sessions])
        .auth_flags(&NO_LEASE)
        .front_flags(&PATIENT)
        .start();
    let users = users(&system);
    let mut random = Random::new(9);
    for round in 0..ROUNDS {
        // In turn at once, and in the middle of an answer.
        let after = if round % 2 == 0 { 0 } else { random.within(1..=60) };
        proxy.set(Who::Open, Links::to_client(Link::default().end(Ending::Reset, after)));
        thread::scope(|scope| {
            for user in &users {
                scope.spawn(|| {
                    for _ in 0..5 {
                        user.check();
                    }
                    let token = user.client.log_in(&user.name, PASSWORD);
                    user.client.session(&token).assert_status(200);
                    user.client.logout(&token).assert_status(200);
                    user.client.session(&token).assert_status(401);
                });
            }
        });
    }
    assert!(proxy.opened() > 2, "{}", proxy.report());
    // It is asked again when it can be.
    let hits = redis.info("keyspace_hits");
    until("Redis to be asked again", || {
        users[0].check();
        (redis.info("keyspace_hits") > hits).then_some(())
    });
}

#[test]
fn a_client_whose_bytes_come_singly_is_served() {
    let system = System::start();
    let proxy = FaultProxy::before(system.front_address(0));
    proxy.set(Who::All, Links::both(Link::default().single_bytes()));
    let user = Client::new(proxy.address());
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    for _ in 0..10 {
        user.products(Some(&token)).assert_status(200);
    }
    let [connection] = proxy.connections().try_into().expect("one connection is kept alive");
    assert_eq!(connection.to_server.bytes, connection.to_server.writes);
    assert_eq!(connection.to_client.bytes, connection.to_client.writes);
}
