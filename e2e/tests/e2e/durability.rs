//! What was acknowledged survives a `kill -9` in the next instant.

use e2e::{Database, Store, System};

use crate::PASSWORD;

/// Each kill comes at another moment of the server's housekeeping.
const ROUNDS: usize = 5;

#[test]
fn acknowledged_registrations_survive_a_kill_on_sqlite() {
    registrations_survive(System::start());
}

#[test]
fn acknowledged_registrations_survive_a_kill_on_mariadb() {
    registrations_survive(System::builder().store(Store::MariaDb(Database::new())).start());
}

fn registrations_survive(mut system: System) {
    let user = system.client();
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("user-{round}");
        ids.push(user.register(&name, PASSWORD).assert_status(200).text_at("user_id"));
        system.auth().kill();
        system.auth().start_again();
        system.until_ready();
        user.authenticate(&name, PASSWORD).assert_status(200);
        user.register(&name, PASSWORD).assert_status(409);
    }
    // None is lost later, and no id was given twice over all the restarts.
    for (round, id) in ids.iter().enumerate() {
        let token = user.log_in(&format!("user-{round}"), PASSWORD);
        assert_eq!(&user.session(&token).assert_status(200).text_at("user_id"), id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), ROUNDS);
}

#[test]
fn an_acknowledged_login_and_logout_survive_a_kill() {
    let mut system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let ended = user.log_in("ada", PASSWORD);
    user.logout(&ended).assert_status(200);
    let live = user.log_in("ada", PASSWORD);
    system.auth().kill_and_start_again();
    system.until_ready();
    user.session(&live).assert_status(200);
    user.session(&ended).assert_status(401);
}
