//! Several servers make ids on one database, and nobody tells them which.

use std::collections::{BTreeSet, HashSet};
use std::thread;

use e2e::{Database, Program, Store, System, run_to_end, until};
use mysql::prelude::Queryable as _;

use crate::PASSWORD;

const CLIENTS: usize = 8;
const EACH: usize = 12;

/// The nodes that are taken first.
const FIRST: u64 = 1023;
const SECOND: u64 = 1022;

/// Registers so many users over every front at the same time, and returns the ids that they got.
fn register(system: &System, fronts: usize, prefix: &str) -> Vec<u64> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = system.client_of(number % fronts);
                scope.spawn(move || {
                    let one = |turn| {
                        let answer = client.register(&format!("{prefix}{number}x{turn}"), PASSWORD);
                        assert_eq!(answer.status, 200, "{answer:?}");
                        answer.text_at("user_id").parse().expect("an id is a number")
                    };
                    (0..EACH).map(one).collect::<Vec<u64>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client is content")).collect()
    })
}

fn node_of(id: u64) -> u64 {
    id >> 12 & 1023
}

/// The nodes that are held, by the database's own clock.
fn held(database: &Database) -> BTreeSet<u64> {
    let sql = "SELECT node FROM server WHERE run <> REPEAT(CHAR(0), 16) \
               AND renewed_ms > UNIX_TIMESTAMP(NOW(3)) * 1000 - 10000";
    database.connect().query::<u64, _>(sql).expect("the table is there").into_iter().collect()
}

/// Each server asks the next; so every one is asked.
fn two_servers(database: &Database) -> System {
    let store = Store::At(database.url().to_owned());
    System::builder().store(store).auths(2).fronts(2).start()
}

#[test]
fn servers_take_nodes_of_their_own() {
    let database = Database::new();
    let mut system = two_servers(&database);
    let ids = register(&system, 2, "ada");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), CLIENTS * EACH);
    let nodes: BTreeSet<_> = ids.iter().map(|id| node_of(*id)).collect();
    assert_eq!(nodes, BTreeSet::from([FIRST, SECOND]));
    assert_eq!(held(&database), nodes);

    // Killed, it is itself again at once; stopped, its node is free for others.
    system.auths()[1].kill_and_start_again();
    system.until_ready();
    assert_eq!(held(&database), BTreeSet::from([FIRST, SECOND]));
    assert!(system.auths()[0].stop().success());
    assert_eq!(held(&database), BTreeSet::from([SECOND]));
}

#[test]
fn a_server_that_was_stopped_for_a_while_takes_another_node() {
    let database = Database::new();
    let mut system = two_servers(&database);
    assert_eq!(held(&database), BTreeSet::from([FIRST, SECOND]));
    system.auths()[0].pause();
    until("the paused server's node is free", || {
        (held(&database) == BTreeSet::from([SECOND])).then_some(())
    });

    let users = system.scratch().join("users.csv");
    std::fs::write(&users, "username,password_hash\nbob,$2b$04$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri\n").unwrap();
    let data = format!("--data={}", system.scratch().join("data").display());
    let store = format!("--store={}", database.url());
    let imported =
        run_to_end(Program::AuthBack, &["import", users.to_str().unwrap(), &data, &store], &[]);
    assert!(imported.status.success(), "{imported:?}");
    let bob: u64 = database.connect().query_first("SELECT id FROM user").unwrap().unwrap();
    assert_eq!(node_of(bob), FIRST, "the command has had the node");
    assert_eq!(held(&database), BTreeSet::from([SECOND]), "it has given it back");

    system.auths()[0].resume();
    until("the server has noticed", || {
        let log = system.auths()[0].log();
        log.contains("another process has taken this server's node of ids").then_some(())
    });
    let ids = register(&system, 2, "ada");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), CLIENTS * EACH);
    assert!(ids.iter().all(|id| *id != bob));
    for server in system.auths() {
        assert!(!server.log().contains("an id is taken"), "{}", server.log());
    }
}

#[test]
fn a_node_is_a_wish() {
    let database = Database::new();
    let store = Store::At(database.url().to_owned());
    let flags = ["--node", "3.4"];
    let mut system = System::builder().store(store).auths(2).auth_flags(&flags).start();
    assert_eq!(held(&database), BTreeSet::from([3 * 32 + 4, FIRST]));
    let log = system.auths()[1].log();
    assert!(log.contains("the node of --node is another's"), "{log}");
    assert!(!system.auths()[0].log().contains("is another's"));
}
