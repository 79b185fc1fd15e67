//! Servers that change their leases one after the other, stop for a while and start again, and somebody who ends a
//! session meanwhile: no front answers for it any more when that is said to have settled.

use guard::GuardNumbers;
use proptest::prelude::*;
use sessions::limits::LEASE_MAX;
use sessions::{LiveRules, SessionRules};
use store::ServerRow;
use unix_time::unix_ms;

use super::*;
use crate::accounts::testing::rules;

const SERVERS: usize = 3;

/// The store, as far as it matters.
#[derive(Default)]
struct Rows {
    revision: u64,
    lease: Duration,
    servers: Servers,
}

impl Rows {
    fn seen(&self) -> Servers {
        Servers { now_ms: unix_ms(clock::wall()), ..self.servers.clone() }
    }

    fn write(&mut self, row: ServerRow) {
        let listed = &mut self.servers.listed;
        listed.retain(|other| other.row.node != row.node);
        listed.push(ListedServer { row, renewed_ms: unix_ms(clock::wall()) });
    }

    /// As a command waits that asks the store.
    fn command_waits(&self) -> Duration {
        let outstanding = self.lease.max(longest_lease(&self.seen(), None));
        if outstanding.is_zero() { Duration::ZERO } else { outstanding + LEASE_MARGIN }
    }
}

/// Where a server is on its way to serve.
enum Stage {
    /// It has its row, with the lease of its last run, and has read nothing.
    Taken(Duration),
    /// It has read the settings.
    Agreed(Follower),
    /// Its row says so.
    Said(Follower),
    Serves(Follower, LiveRules),
}

struct Server {
    node: u16,
    run: Tag,
    stage: Stage,
}

fn shared(lease: Duration) -> SharedRules {
    let guesses = GuardNumbers {
        free: 1,
        delay_max: Duration::ZERO,
        account_failures: 1,
        network_per_minute: 1,
    };
    let sessions = SessionRules { lease, ..rules().sessions };
    SharedRules { sessions, guesses, in_redis: false }
}

impl Server {
    fn start(number: usize, run: u64, rows: &mut Rows) -> Self {
        let mut tag = Tag::default();
        tag[..8].copy_from_slice(&run.to_be_bytes());
        let node = u16::try_from(number).unwrap();
        let now_ms = unix_ms(clock::wall());
        let had = rows.servers.listed.iter().find(|listed| listed.row.node == node);
        let had = had.filter(|had| had.was_live(now_ms)).map_or(0, |had| had.row.lease_ms);
        let inherited = Duration::from_millis(had.into());
        let server = Self { node, run: tag, stage: Stage::Taken(inherited) };
        server.renew(rows, inherited, 0);
        server
    }

    fn renew(&self, rows: &mut Rows, lease: Duration, revision: u64) {
        rows.write(ServerRow {
            node: self.node,
            run: self.run,
            instance: self.run,
            serves: true,
            ids_until_ms: 0,
            lease_ms: lease.as_millis().try_into().unwrap(),
            revision,
            host: String::new(),
            version: String::new(),
            redis: String::new(),
            about: String::new(),
        });
    }

    /// What its thread does next: it says, and then it learns.
    fn goes_on(&mut self, rows: &mut Rows, learns: bool) {
        let now = clock::now();
        let stage = std::mem::replace(&mut self.stage, Stage::Taken(Duration::ZERO));
        self.stage = match stage {
            Stage::Taken(inherited) => {
                let follower = Follower::new(self.run, rows.revision, shared(rows.lease));
                Stage::Agreed(follower.inheriting(inherited, now))
            }
            Stage::Agreed(follower) => {
                self.renew(rows, follower.says_lease(now), follower.revision());
                Stage::Said(follower)
            }
            Stage::Said(mut follower) => {
                follower.follow(rows.revision, shared(rows.lease));
                let learned = follower.learn(&rows.seen(), now, now);
                Stage::Serves(follower, LiveRules::published(learned))
            }
            Stage::Serves(mut follower, live) => {
                if learns {
                    follower.follow(rows.revision, shared(rows.lease));
                    live.publish(follower.learn(&rows.seen(), now, now));
                } else if rows.servers.listed.iter().any(|listed| listed.row.run == self.run) {
                    self.renew(rows, follower.says_lease(now), follower.revision());
                }
                Stage::Serves(follower, live)
            }
        };
    }

    fn live(&self) -> Option<&LiveRules> {
        match &self.stage {
            Stage::Serves(_, live) => Some(live),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Says(usize),
    Learns(usize),
    Restarts(usize),
    Grants(usize),
    Ends(usize),
    EndsByCommand,
    Sets(u64),
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let of = 0..SERVERS;
    prop_oneof![
        4 => of.clone().prop_map(Event::Says),
        4 => of.clone().prop_map(Event::Learns),
        1 => of.clone().prop_map(Event::Restarts),
        4 => of.clone().prop_map(Event::Grants),
        3 => of.prop_map(Event::Ends),
        1 => Just(Event::EndsByCommand),
        2 => prop_oneof![Just(0_u64), Just(250), Just(1_000), Just(5_000)].prop_map(Event::Sets),
        3 => prop_oneof![1..300_u64, 300..3_000_u64, 3_000..12_000_u64].prop_map(Event::Passes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn nobody_waits_for_less_than_what_a_front_may_have(
        events in prop::collection::vec(event(), 1..80)
    ) {
        let clock = clock::Movable::stopped();
        let mut rows = Rows { revision: 1, lease: Duration::from_millis(250), ..Rows::default() };
        let mut runs = 0;
        let mut start = |number, rows: &mut Rows| {
            runs += 1;
            Server::start(number, runs, rows)
        };
        let mut servers: Vec<_> = (0..SERVERS).map(|number| start(number, &mut rows)).collect();
        // When the last lease runs out that any front has.
        let mut runs_out = clock::now();
        for event in events {
            match event {
                Event::Says(of) => servers[of].goes_on(&mut rows, false),
                Event::Learns(of) => servers[of].goes_on(&mut rows, true),
                Event::Restarts(of) => servers[of] = start(of, &mut rows),
                Event::Grants(of) => {
                    if let Some(live) = servers[of].live() {
                        runs_out = runs_out.max(clock::now() + live.now().lease);
                    }
                }
                Event::Ends(of) => {
                    if let Some(live) = servers[of].live() {
                        let settled = clock::now() + live.lease_settles_in();
                        prop_assert!(settled >= runs_out, "{:?} too early", runs_out - settled);
                    }
                }
                Event::EndsByCommand => {
                    let settled = clock::now() + rows.command_waits();
                    prop_assert!(settled >= runs_out, "{:?} too early", runs_out - settled);
                }
                Event::Sets(lease_ms) => {
                    rows.revision += 1;
                    rows.lease = Duration::from_millis(lease_ms);
                }
                Event::Passes(ms) => clock.advance(Duration::from_millis(ms)),
            }
        }
    }
}

#[test]
fn every_server_comes_to_give_what_was_agreed_on() {
    let clock = clock::Movable::stopped();
    let mut rows = Rows { revision: 1, lease: Duration::from_millis(250), ..Rows::default() };
    let mut servers: Vec<_> =
        (0..SERVERS).map(|number| Server::start(number, number as u64 + 1, &mut rows)).collect();
    let rounds = |rows: &mut Rows, servers: &mut Vec<Server>, count| {
        for _ in 0..count {
            clock.advance(Duration::from_secs(1));
            for server in servers.iter_mut() {
                server.goes_on(rows, false);
                server.goes_on(rows, true);
            }
        }
    };
    let leases = |servers: &[Server]| -> Vec<u64> {
        let lease = |server: &Server| server.live().unwrap().now().lease.as_millis();
        servers.iter().map(|server| lease(server).try_into().unwrap()).collect()
    };
    rounds(&mut rows, &mut servers, 4);
    assert_eq!(leases(&servers), [250; SERVERS]);
    for lease_ms in [5_000, 0, 1_000] {
        rows.revision += 1;
        rows.lease = Duration::from_millis(lease_ms);
        // What was longer has run out, too.
        rounds(&mut rows, &mut servers, 8);
        assert_eq!(leases(&servers), [lease_ms; SERVERS]);
        for server in &servers {
            let expected = if lease_ms == 0 { 0 } else { lease_ms + 10 };
            assert_eq!(server.live().unwrap().lease_settles_in(), Duration::from_millis(expected));
        }
    }
    // One that has not seen the store for a while gives none, and waits for the longest.
    clock.advance(RULES_FRESH_FOR);
    assert_eq!(leases(&servers), [0; SERVERS]);
    let live = servers[0].live().unwrap();
    assert_eq!(live.lease_settles_in(), LEASE_MAX + LEASE_MARGIN);
}
