//! Several processes on one store.

use unix_time::millis;

use super::*;
use crate::limits::SERVER_LEASE;
use crate::{DeploymentRow, ListedServer, NO_RUN, ServerRow};

contract! {
    a_node_is_taken_once
    a_node_is_renewed_and_given_back_by_its_run_alone
    one_of_many_takes_a_node
    time_is_that_of_the_store
    settings_are_changed_by_whoever_has_seen_the_last
    one_of_many_changes_of_settings_wins
    what_does_not_fit_is_refused
    all_nodes_are_freed_and_make_later_ids
}

fn server(node: u16, run: u8) -> ServerRow {
    ServerRow {
        node,
        run: [run; 16],
        instance: [run ^ 0xff; 16],
        serves: true,
        ids_until_ms: 1_800_000_000_000,
        lease_ms: 250,
        revision: 3,
        host: "häuschen".to_owned(),
        version: "0.1.0".to_owned(),
        redis: "f".repeat(40),
        about: "peppers 1; token keys 1, 2".to_owned(),
    }
}

fn listed(store: &dyn Store) -> Vec<ListedServer> {
    store.servers(patient()).unwrap().listed
}

fn rows(store: &dyn Store) -> Vec<ServerRow> {
    listed(store).into_iter().map(|listed| listed.row).collect()
}

fn a_node_is_taken_once(fixture: &impl Fixture) {
    let (store, other) = (&*fixture.store(), &*fixture.open());
    assert_eq!(listed(store), []);
    assert!(store.take_node(None, &server(1023, 1), patient()).unwrap());
    assert!(store.take_node(None, &server(0, 2), patient()).unwrap());
    assert_eq!(rows(other), [server(0, 2), server(1023, 1)]);
    assert!(!other.take_node(None, &server(0, 3), patient()).unwrap(), "somebody was quicker");

    let seen = listed(other).remove(0);
    let successor = ServerRow { serves: false, host: "hut".to_owned(), ..server(0, 4) };
    assert!(other.take_node(Some(&seen), &successor, patient()).unwrap());
    assert!(!store.take_node(Some(&seen), &server(0, 5), patient()).unwrap(), "it has changed");
    assert_eq!(rows(store), [successor, server(1023, 1)]);
    // Whoever was seen and has renewed since is not done away with.
    let renewed = ListedServer { renewed_ms: 7, ..listed(store).remove(0) };
    assert!(!store.take_node(Some(&renewed), &server(0, 5), patient()).unwrap());
}

fn a_node_is_renewed_and_given_back_by_its_run_alone(fixture: &impl Fixture) {
    let store = &*fixture.store();
    let renewed = ServerRow {
        ids_until_ms: 1_900_000_000_000,
        lease_ms: 5_000,
        revision: 4,
        about: String::new(),
        ..server(5, 1)
    };
    assert!(!store.renew_node(&renewed, patient()).unwrap(), "nobody has it");
    assert!(store.take_node(None, &server(5, 1), patient()).unwrap());
    assert!(store.renew_node(&renewed, patient()).unwrap());
    assert!(store.renew_node(&renewed, patient()).unwrap(), "the same once more");
    assert!(!store.renew_node(&server(5, 2), patient()).unwrap(), "another run");
    assert!(!store.renew_node(&server(5, 1), patient()).unwrap(), "it was later before");
    assert_eq!(rows(store), [renewed]);
    assert!(listed(store)[0].renewed_ms > 0);

    assert!(!store.release_node(5, &[2; 16], 9, patient()).unwrap(), "another run");
    assert!(store.release_node(5, &[1; 16], 9, patient()).unwrap());
    let free = listed(store).remove(0);
    assert_eq!((free.row.run, free.row.ids_until_ms, free.row.lease_ms), (NO_RUN, 9, 5_000));
    assert!(free.was_live(free.renewed_ms) && !free.is_live(free.renewed_ms));
    assert!(store.take_node(Some(&free), &server(5, 2), patient()).unwrap());
}

fn one_of_many_takes_a_node(fixture: &impl Fixture) {
    let stores = [fixture.store(), fixture.open()];
    for seen in [false, true] {
        let seen = seen.then(|| listed(&*stores[0]).remove(0));
        let taken = race(|racer| {
            let store = &stores[usize::from(racer) % stores.len()];
            store.take_node(seen.as_ref(), &server(1, racer + 100), patient()).unwrap()
        });
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1, "{taken:?}");
        // The next have to see another row.
        assert_eq!(rows(&*stores[0]).len(), 1);
    }
}

fn time_is_that_of_the_store(fixture: &impl Fixture) {
    let store = &*fixture.store();
    let before = unix_ms(clock::wall());
    store.take_node(None, &server(1, 1), patient()).unwrap();
    let servers = store.servers(patient()).unwrap();
    let after = unix_ms(clock::wall());
    // One machine: one clock, which databases cut to milliseconds in their own way.
    assert!((before - 1..=after + 1).contains(&servers.now_ms), "{before} {servers:?} {after}");
    let taken = &servers.listed[0];
    assert!((before - 1..=servers.now_ms).contains(&taken.renewed_ms), "{before} {servers:?}");
    assert_eq!(servers.live().collect::<Vec<_>>(), [taken]);
    let lease_ms = millis(SERVER_LEASE);
    assert!(taken.is_live(taken.renewed_ms + lease_ms - 1));
    assert!(!taken.is_live(taken.renewed_ms + lease_ms));
    assert!(!taken.is_live(taken.renewed_ms - lease_ms), "its clock was put back long ago");
}

fn settings_are_changed_by_whoever_has_seen_the_last(fixture: &impl Fixture) {
    let (store, other) = (&*fixture.store(), &*fixture.open());
    let deployment = |store: &dyn Store| store.deployment(patient()).unwrap();
    assert_eq!(deployment(store), DeploymentRow::default());
    let change = |revision, settings| store.change_deployment(revision, settings, patient());
    assert!(change(0, "lease=250ms\n").unwrap());
    assert!(!change(0, "lease=1s\n").unwrap(), "it has changed");
    assert!(!change(7, "lease=1s\n").unwrap());
    let expected = DeploymentRow { revision: 1, settings: "lease=250ms\n".to_owned() };
    assert_eq!(deployment(other), expected);
    let longest = "ä".repeat(4_096);
    assert!(change(1, &longest).unwrap());
    assert_eq!(deployment(other), DeploymentRow { revision: 2, settings: longest });
}

fn one_of_many_changes_of_settings_wins(fixture: &impl Fixture) {
    let stores = [fixture.store(), fixture.open()];
    let won = race(|racer| {
        let store = &stores[usize::from(racer) % stores.len()];
        store.change_deployment(0, &format!("lease={racer}ms\n"), patient()).unwrap()
    });
    let winner = won.iter().position(|won| *won).expect("somebody wins");
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let settings = format!("lease={winner}ms\n");
    let expected = DeploymentRow { revision: 1, settings };
    assert_eq!(stores[0].deployment(patient()).unwrap(), expected);
}

fn what_does_not_fit_is_refused(fixture: &impl Fixture) {
    let store = &*fixture.store();
    let take = |row: ServerRow| store.take_node(None, &row, patient());
    check_refused(take(ServerRow { ids_until_ms: u64::MAX, ..server(1, 1) }), "1844");
    check_refused(take(ServerRow { host: "h".repeat(256), ..server(1, 1) }), "hhh");
    check_refused(take(ServerRow { about: "a".repeat(256), ..server(1, 1) }), "aaa");
    check_refused(store.change_deployment(0, &"s".repeat(4_097), patient()), "sss");
    assert_eq!(listed(store), []);
}

fn all_nodes_are_freed_and_make_later_ids(fixture: &impl Fixture) {
    let store = &*fixture.store();
    let (earlier, later) = (1_800_000_000_000, 1_900_000_000_000);
    let row = |node, run, ids_until_ms| ServerRow { ids_until_ms, ..server(node, run) };
    store.take_node(None, &row(5, 1, earlier), patient()).unwrap();
    store.take_node(None, &row(7, 2, later), patient()).unwrap();
    let seen = listed(store);
    let between = 1_850_000_000_000;
    for run in [8, 9] {
        store.free_all_nodes(&[run; 16], between, patient()).unwrap();
        let servers = store.servers(patient()).unwrap();
        assert_eq!(servers.live().count(), 0);
        let nodes: Vec<u16> = servers.listed.iter().map(|listed| listed.row.node).collect();
        assert_eq!(nodes, (0..1_024).collect::<Vec<_>>());
        for listed in servers.listed {
            let expected = if listed.row.node == 7 { later } else { between };
            assert_eq!(listed.row.ids_until_ms, expected, "{listed:?}");
        }
    }
    // A restarted server still finds the node that was its own.
    let instance = |node: usize| listed(store)[node].row.instance;
    assert_eq!(instance(5), row(5, 1, 0).instance);
    // Whoever looked or held before has to look again.
    assert!(!store.take_node(None, &row(6, 3, later), patient()).unwrap());
    for seen in &seen {
        assert!(!store.take_node(Some(seen), &row(5, 3, later), patient()).unwrap());
    }
    assert!(!store.renew_node(&row(5, 1, later), patient()).unwrap());
    let free = listed(store).remove(5);
    assert!(store.take_node(Some(&free), &row(5, 3, later), patient()).unwrap());
    check_refused(store.free_all_nodes(&[8; 16], u64::MAX, patient()), "1844");
}
