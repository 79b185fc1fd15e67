//! Processes that come, go, stop for a while, and have clocks that disagree.

use std::collections::HashSet;
use std::time::Duration;

use credentials::ids::snowflake::EPOCH_UNIX_MS;
use proptest::prelude::*;
use store::NO_RUN;
use store::limits::SERVER_LEASE;
use unix_time::system_time;

use super::*;
use crate::accounts::testing::Fixture;

fn patient() -> Instant {
    clock::now() + Duration::from_secs(60)
}

fn node(number: u16) -> NodeId {
    NodeId::of_number(number).unwrap()
}

/// A row as it would be listed: of the instance, renewed so many milliseconds before the store's time.
fn listed(number: u16, instance: u8, renewed_before_ms: u64, ids_until_ms: u64) -> ListedServer {
    let row = ServerRow {
        node: number,
        run: [instance; 16],
        instance: [instance; 16],
        serves: true,
        ids_until_ms,
        lease_ms: 0,
        revision: 0,
        host: String::new(),
        version: String::new(),
        redis: String::new(),
        about: String::new(),
    };
    ListedServer { row, renewed_ms: NOW_MS - renewed_before_ms }
}

const LAST: u16 = NodeId::COUNT - 1;
const NOW_MS: u64 = EPOCH_UNIX_MS + 1_000_000_000;
const LEASE_MS: u64 = SERVER_LEASE.as_secs() * 1_000;

#[track_caller]
fn check_choice(all: &[ListedServer], wish: Option<u16>, expected: Option<u16>) {
    let servers = Servers { now_ms: NOW_MS, listed: all.to_vec() };
    let found = choose(&servers, Some([7; 16]), wish.map(node), NOW_MS);
    assert_eq!(found.map(|choice| choice.node.number()), expected, "{all:?}");
}

#[test]
fn a_free_node_is_chosen() {
    check_choice(&[], None, Some(LAST));
    check_choice(&[], Some(0), Some(0));
    check_choice(&[listed(LAST, 1, 0, 0)], None, Some(LAST - 1));
    let two = [listed(LAST - 1, 2, 0, 0), listed(LAST, 1, LEASE_MS - 1, 0)];
    check_choice(&two, None, Some(LAST - 2));
    check_choice(&[listed(LAST, 1, LEASE_MS, 0)], None, Some(LAST));
    // Given back.
    let mut free = listed(LAST, 1, 0, 0);
    free.row.run = NO_RUN;
    check_choice(&[free], None, Some(LAST));
    // The wish of another is not taken from it, and a free one is.
    check_choice(&[listed(9, 1, 0, 0)], Some(9), Some(LAST));
    check_choice(&[listed(9, 1, LEASE_MS, 0)], Some(9), Some(9));
    // One's own is free whatever it says, since its file was not locked.
    check_choice(&[listed(9, 7, 0, 0)], None, Some(9));
    check_choice(&[listed(9, 7, 0, 0)], Some(9), Some(9));
    check_choice(&[listed(9, 7, 0, 0)], Some(8), Some(8));
}

#[test]
fn a_node_that_is_far_ahead_is_left_alone() {
    let ahead_ms = NOW_MS + millis(NODE_AHEAD_MAX);
    check_choice(&[listed(1, 7, LEASE_MS, ahead_ms)], None, Some(1));
    check_choice(&[listed(1, 7, LEASE_MS, ahead_ms + 1)], None, Some(LAST));
    check_choice(&[listed(5, 1, LEASE_MS, ahead_ms + 1)], Some(5), Some(LAST));
}

#[test]
fn the_last_node_and_none() {
    let mut all: Vec<_> = (1..NodeId::COUNT).map(|number| listed(number, 1, 0, 0)).collect();
    check_choice(&all, None, Some(0));
    all.push(listed(0, 1, 0, 0));
    check_choice(&all, None, None);
    check_choice(&all, Some(0), None);
}

/// A process on the store of a fixture.
fn holder(fixture: &Fixture, instance: u8, now_ms: u64) -> Holder {
    let mut of = Instance::of_nobody().unwrap();
    of.tag = [instance; 16];
    let identity = Identity { instance: of, serves: true, wish: None };
    let store = Arc::clone(&fixture.store) as Arc<dyn Store>;
    Holder::take(store, Arc::new(identity), Says::default(), at(now_ms), patient()).unwrap()
}

fn at(ms: u64) -> SystemTime {
    system_time(ms)
}

#[test]
fn who_was_stopped_makes_no_ids_that_another_has() {
    let fixture = Fixture::new();
    let clock = clock::Movable::stopped();
    let now_ms = || unix_ms(clock::wall());
    let mut stopped = holder(&fixture, 1, now_ms());
    let ids = stopped.ids();
    let first = ids.next(clock::wall()).unwrap();
    clock.advance(SERVER_LEASE);
    let successor = holder(&fixture, 2, now_ms());
    assert_eq!(successor.node(), stopped.node());
    assert_eq!(ids.next(clock::wall()), Err(SnowflakeError::NotReserved));
    // Also if its own clock is far behind.
    let behind = ids.next(at(now_ms() - 60_000)).unwrap();
    let next = successor.ids().next(at(now_ms() - 60_000)).unwrap();
    assert!(first < behind && behind < next);
    let renewed = stopped.renew(Says::default(), clock::wall(), patient()).unwrap();
    assert_eq!(renewed, Renewed::Moved { from: successor.node(), to: stopped.node() });
    assert_ne!(stopped.node(), successor.node());
    ids.next(clock::wall()).unwrap();
}

#[test]
fn a_copied_instance_and_its_original_come_to_rest() {
    let fixture = Fixture::new();
    let now = clock::wall();
    let mut original = holder(&fixture, 1, unix_ms(now));
    let mut copy = holder(&fixture, 1, unix_ms(now));
    assert_eq!(original.node(), copy.node(), "nobody can tell them apart");
    let from = original.node();
    let renewed = original.renew(Says::default(), now, patient()).unwrap();
    assert_eq!(renewed, Renewed::Moved { from, to: original.node() });
    for _ in 0..3 {
        for holder in [&mut copy, &mut original] {
            let renewed = holder.renew(Says::default(), now, patient()).unwrap();
            assert_eq!(renewed, Renewed::Kept);
        }
    }
    assert_ne!(original.node(), copy.node());
}

#[test]
fn a_server_that_is_ended_again_and_again_stays_near_the_time() {
    let fixture = Fixture::new();
    let clock = clock::Movable::stopped();
    let (mut nodes, mut last) = (HashSet::new(), 0);
    for _ in 0..100 {
        clock.advance(Duration::from_millis(100));
        let holder = holder(&fixture, 1, unix_ms(clock::wall()));
        nodes.insert(holder.node());
        let id = holder.ids().next(clock::wall()).unwrap();
        assert!(last < id.get());
        assert!(id.unix_ms() <= unix_ms(clock::wall()) + millis(NODE_TIME) + 1);
        last = id.get();
        // Killed: nothing is given back.
    }
    assert_eq!(nodes.len(), 1);
}

#[test]
fn a_node_that_was_given_back_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let now = clock::wall();
    let first = holder(&fixture, 1, unix_ms(now));
    let (node, ids) = (first.node(), first.ids());
    let id = ids.next(now).unwrap();
    first.release(patient()).unwrap();
    assert_eq!(ids.next(now), Err(SnowflakeError::NotReserved));
    let second = holder(&fixture, 2, unix_ms(now));
    assert_eq!(second.node(), node);
    let next = second.ids().next(now).unwrap();
    assert!(next > id && next.unix_ms() <= id.unix_ms() + 1, "{id} {next}");
}

/// What happens to one of several processes.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It makes ids, by a clock that is off by so many milliseconds.
    Makes {
        of: usize,
        off_ms: i64,
        count: usize,
    },
    Renews {
        of: usize,
        off_ms: i64,
    },
    /// It is killed, and started again at once.
    Restarts {
        of: usize,
        off_ms: i64,
    },
    Passes {
        ms: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let (of, off_ms) = (0..3_usize, -40_000..40_000_i64);
    prop_oneof![
        4 => (of.clone(), off_ms.clone(), 1..20_usize)
            .prop_map(|(of, off_ms, count)| Event::Makes { of, off_ms, count }),
        3 => (of.clone(), off_ms.clone()).prop_map(|(of, off_ms)| Event::Renews { of, off_ms }),
        1 => (of, off_ms).prop_map(|(of, off_ms)| Event::Restarts { of, off_ms }),
        2 => (1..15_000_u64).prop_map(|ms| Event::Passes { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Three processes whose clocks are off by up to 40 s either way, that stop and start and miss renewals.
    #[test]
    fn no_id_comes_twice(events in prop::collection::vec(event(), 1..40)) {
        let fixture = Fixture::new();
        let clock = clock::Movable::stopped();
        let own = |off_ms: i64| unix_ms(clock::wall()).saturating_add_signed(off_ms);
        let mut holders: Vec<_> =
            (0..3).map(|of| holder(&fixture, of, unix_ms(clock::wall()))).collect();
        let mut seen = HashSet::new();
        for event in events {
            match event {
                Event::Makes { of, off_ms, count } => {
                    for _ in 0..count {
                        if let Ok(id) = holders[of].ids().next(at(own(off_ms))) {
                            prop_assert!(seen.insert(id.get()), "{id} came twice");
                        }
                    }
                }
                Event::Renews { of, off_ms } => {
                    holders[of].renew(Says::default(), at(own(off_ms)), patient()).unwrap();
                }
                Event::Restarts { of, off_ms } => {
                    let instance = u8::try_from(of).unwrap();
                    holders[of] = holder(&fixture, instance, own(off_ms));
                }
                Event::Passes { ms } => clock.advance(Duration::from_millis(ms)),
            }
        }
    }
}
