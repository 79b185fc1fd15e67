//! A server that joins others, follows them, and loses its node.

use std::time::Duration;

use store::{DeploymentRow, Installation as _, ServerRow};

use super::*;
use crate::accounts::testing::{Fixture, patient};
use crate::node::{Instance, Renewed};

/// A server without Redis, or with this run of it.
struct Here {
    redis: Option<&'static str>,
    guesses: Mutex<Option<GuardNumbers>>,
}

impl View for Here {
    fn about(&self) -> String {
        "about".repeat(100)
    }

    fn redis_run(&self) -> Option<String> {
        self.redis.map(ToOwned::to_owned)
    }

    fn follow(&self, guesses: GuardNumbers) {
        *self.guesses.lock() = Some(guesses);
    }
}

struct Bench {
    fixture: Fixture,
    holder: Holder,
    member: ServerMember,
    here: Arc<Here>,
    clock: clock::Movable,
}

impl Bench {
    fn new(flags: &[&str], redis: Option<&'static str>) -> Self {
        let fixture = Fixture::new();
        let clock = clock::Movable::stopped();
        let store = Arc::clone(&fixture.store) as Arc<dyn Store>;
        let time = ServerTime::ask_first(&*store, patient()).unwrap();
        let instance = Instance::of_nobody().unwrap();
        let identity = Arc::new(Identity { instance, serves: true, wish: None });
        let shared = crate::settings::tests::read(flags).unwrap().shared;
        let joined = join(&store, &time, &identity, &shared, 100).unwrap();
        let here = Arc::new(Here { redis, guesses: Mutex::default() });
        let member = ServerMember::new(&joined, Arc::clone(&here) as Arc<dyn View>);
        Self { fixture, holder: joined.holder, member, here, clock }
    }

    /// What the thread does once a second.
    fn round(&mut self) -> Renewed {
        self.clock.advance(Duration::from_secs(1));
        let renewed = self.holder.renew(self.member.says(), clock::wall(), patient()).unwrap();
        self.member.learn(self.holder.run(), patient()).unwrap();
        renewed
    }

    fn lease_ms(&self) -> u128 {
        self.member.rules.now().lease.as_millis()
    }

    fn set(&self, settings: &str) {
        let DeploymentRow { revision, settings: now } =
            self.fixture.store.deployment(patient()).unwrap();
        let all = SharedValues::parse(settings).over(&SharedValues::parse(&now)).to_text();
        assert!(self.fixture.store.change_deployment(revision, &all, patient()).unwrap());
    }

    fn check_not_ready(&self, expected: &str) {
        let why = self.member.standing().check().unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_server_alone_gives_leases_at_once_and_follows() {
    let mut bench = Bench::new(&[], None);
    assert_eq!(bench.lease_ms(), 250);
    bench.set("lease=1s\nthrottle-free=7\n");
    for _ in 0..3 {
        assert_eq!(bench.round(), Renewed::Kept);
    }
    assert_eq!(bench.lease_ms(), 1_000);
    assert_eq!(bench.here.guesses.lock().map(|guesses| guesses.free), Some(7));
    bench.member.standing().check().unwrap();
    let row = bench.fixture.store.servers(patient()).unwrap().listed.remove(0).row;
    assert_eq!((row.lease_ms, row.revision, row.about.len()), (1_000, 2, 255));
}

#[test]
fn a_server_that_lost_its_node_gives_leases_under_its_next() {
    let mut bench = Bench::new(&[], None);
    let seen = bench.fixture.store.servers(patient()).unwrap().listed.remove(0);
    let thief = ServerRow { run: [9; 16], serves: false, ..seen.row.clone() };
    assert!(bench.fixture.store.take_node(Some(&seen), &thief, patient()).unwrap());
    assert!(matches!(bench.round(), Renewed::Moved { .. }));
    for _ in 0..2 {
        assert_eq!(bench.round(), Renewed::Kept);
    }
    assert_eq!(bench.lease_ms(), 250);
}

#[test]
fn settings_that_this_release_does_not_take_are_not_followed() {
    let mut bench = Bench::new(&[], None);
    bench.set("lease=1h\n");
    bench.round();
    bench.check_not_ready("it takes no such setting of the database: --lease");
    assert_eq!(bench.lease_ms(), 250);
    bench.set("lease=250ms\n");
    bench.round();
    bench.member.standing().check().unwrap();
}

#[test]
fn a_server_without_redis_is_not_ready_where_others_have_it() {
    let mut bench = Bench::new(&[], None);
    bench.set("sessions=redis\n");
    bench.round();
    bench.check_not_ready("this server has none: give it --sessions");
    assert!(bench.member.rules.in_redis());
}

#[test]
fn of_two_that_have_another_redis_one_is_not_ready() {
    let mut bench = Bench::new(&["--sessions=redis://127.0.0.1:1/0"], Some("ours"));
    let other = |node: u16| ServerRow {
        node,
        run: [8; 16],
        instance: [8; 16],
        serves: true,
        ids_until_ms: 0,
        lease_ms: 0,
        revision: 1,
        host: "elsewhere".to_owned(),
        version: String::new(),
        redis: "theirs".to_owned(),
        about: String::new(),
    };
    let store = Arc::clone(&bench.fixture.store);
    let takes = |node: u16| {
        let row = ServerRow { run: [u8::try_from(node).unwrap(); 16], ..other(node) };
        assert!(store.take_node(None, &row, patient()).unwrap());
        row
    };
    let rounds = |bench: &mut Bench, rows: &[ServerRow], count| {
        for _ in 0..count {
            bench.round();
            for row in rows {
                assert!(store.renew_node(row, patient()).unwrap());
            }
        }
    };
    // It has the last node. Of as many, those that have the first one count; servers do not change at one moment.
    let mut rows = vec![takes(2)];
    rounds(&mut bench, &rows, 5);
    bench.member.standing().check().unwrap();
    rounds(&mut bench, &rows, 3);
    bench.check_not_ready("than that of the server on elsewhere");
    // With two more that have the same, they are more.
    for node in [3, 4] {
        let seen = ServerRow { redis: "ours".to_owned(), ..other(node) };
        let row = ServerRow { run: [u8::try_from(node).unwrap(); 16], ..seen };
        assert!(store.take_node(None, &row, patient()).unwrap());
        rows.push(row);
    }
    rounds(&mut bench, &rows, 2);
    bench.member.standing().check().unwrap();
    rows.extend([takes(5), takes(6), takes(7)]);
    rounds(&mut bench, &rows, 8);
    bench.check_not_ready(
        "its Redis is another one (run ours) than that of the server on elsewhere",
    );
}
