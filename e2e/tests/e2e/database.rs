//! A database that answers with errors: who asks is told 503 while that lasts, and nobody 500.

use e2e::{Client, MariaDb, Store, System, until};
use mysql::prelude::Queryable as _;

use crate::PASSWORD;
use crate::faults::{check_all_unavailable, until_readiness};

const FLAGS: [&str; 2] = ["--lease", "0ms"];

/// A system on a database of this server, for an account of its own, with a user who is logged in.
fn system_on(mariadb: &MariaDb) -> (System, Client, String) {
    let store = Store::MariaDb(mariadb.database_of_account());
    let system = System::builder().store(store).auth_flags(&FLAGS).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    (system, user, token)
}

/// A node of Galera that is none at the moment: in the minority of a split, or while it copies the data.
#[test]
fn a_node_that_is_not_a_member_is_away() {
    let mariadb = MariaDb::start_as_node();
    let (mut system, user, token) = system_on(&mariadb);
    let mut administrator = administrator(&mariadb);
    administrator.query_drop("SET GLOBAL wsrep_reject_queries = ALL").expect("it may");
    check_all_unavailable(&user, &token);
    until_readiness(system.auth(), 503);
    administrator.query_drop("SET GLOBAL wsrep_reject_queries = NONE").expect("it may");
    until_readiness(system.auth(), 200);
    until_served(&user, &token);
}

/// The plugin that MariaDB recommends; a driver that lacks it panics.
#[test]
fn an_account_with_ed25519_is_let_in() {
    let mariadb = MariaDb::start_with_plugins();
    mariadb.run("INSTALL SONAME 'auth_ed25519'");
    mariadb.run("CREATE USER 'gate'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret')");
    mariadb.run("GRANT ALL ON gatehouse.* TO 'gate'@'%'");
    let url = format!("mysql://gate:secret@{}/gatehouse", mariadb.address());
    let system = System::builder().store(Store::At(url)).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let _token = user.log_in("ada", PASSWORD);
}

/// The password is changed under a running server, whose connections are then closed.
#[test]
fn an_account_whose_password_was_changed_is_away_until_it_is_put_right() {
    let mariadb = MariaDb::start();
    mariadb.run("CREATE USER 'gate'@'%' IDENTIFIED BY 'secret'");
    mariadb.run("GRANT ALL ON gatehouse.* TO 'gate'@'%'");
    let url = format!("mysql://gate:secret@{}/gatehouse", mariadb.address());
    let mut system = System::builder().store(Store::At(url)).auth_flags(&FLAGS).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    mariadb.run("ALTER USER 'gate'@'%' IDENTIFIED BY 'another'");
    mariadb.run("KILL USER 'gate'");
    until_readiness(system.auth(), 503);
    check_all_unavailable(&user, &token);
    mariadb.run("ALTER USER 'gate'@'%' IDENTIFIED BY 'secret'");
    until_readiness(system.auth(), 200);
    until_served(&user, &token);
    let log = system.auth().log();
    assert!(log.contains("error 1045 ER_ACCESS_DENIED_ERROR"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

/// Every connection that the database has is somebody else's.
#[test]
fn a_database_out_of_connections_is_away_until_there_are_some() {
    let mariadb = MariaDb::start();
    let (mut system, user, token) = system_on(&mariadb);
    let mut administrator = administrator(&mariadb);
    // As few as it takes; the last one is kept for administrators.
    administrator.query_drop("SET GLOBAL max_connections = 10").expect("it may");
    kill_connections(&mut administrator);
    let account = system.store_url().to_owned();
    let mut taken = Vec::new();
    until("all connections to be taken", || match mysql::Conn::new(account.as_str()) {
        Ok(connection) => {
            taken.push(connection);
            None
        }
        Err(_) => Some(()),
    });
    check_all_unavailable(&user, &token);
    drop(taken);
    until_readiness(system.auth(), 200);
    until_served(&user, &token);
}

fn administrator(mariadb: &MariaDb) -> mysql::Conn {
    let url = format!("{}/gatehouse", mariadb.url());
    mysql::Conn::new(url.as_str()).expect("the administrator is let in")
}

/// Closes the connections of all others.
fn kill_connections(administrator: &mut mysql::Conn) {
    let ids: Vec<u32> = administrator
        .query("SELECT id FROM information_schema.processlist WHERE user = 'app'")
        .expect("it may");
    for id in ids {
        // It may have ended by itself.
        let _ = administrator.query_drop(format!("KILL {id}"));
    }
}

#[track_caller]
fn until_served(user: &Client, token: &str) {
    until("a session check", || (user.session(token).status == 200).then_some(()));
    user.authenticate("ada", PASSWORD).assert_status(200);
}

/// A server that cannot renew its node makes ids for some seconds more, and then none. It is not ready for logins then.
#[test]
fn a_server_without_ids_is_ready_for_reads() {
    let mariadb = MariaDb::start();
    let (mut system, user, token) = system_on(&mariadb);
    let mut administrator = administrator(&mariadb);
    let database = system.store_url().rsplit('/').next().expect("it has a name").to_owned();
    let lock = format!("FLUSH TABLES {database}.server WITH READ LOCK");
    administrator.query_drop(lock).expect("it may");
    let ops = system.auth().ops();
    let reads_only = || ops.get("/readyz", None).text().contains("no ids can be made");
    until("ids to run out", || reads_only().then_some(()));
    user.session(&token).assert_status(200);
    user.authenticate("ada", PASSWORD).assert_status(503);
    administrator.query_drop("UNLOCK TABLES").expect("it may");
    until_readiness(system.auth(), 200);
    until_served(&user, &token);
}

/// A database that hangs costs some requests their whole time, and the others nothing.
#[test]
fn a_database_that_hangs_is_left_alone_until_it_answers() {
    let mariadb = MariaDb::start();
    let (mut system, user, token) = system_on(&mariadb);
    mariadb.pause();
    until("requests to be spared", || {
        let answer = user.session(&token).assert_status(503);
        assert!(answer.field("retry-after").is_some(), "{answer:?}");
        (system.auth().metric(SPARED) >= 20.0).then_some(())
    });
    until_readiness(system.auth(), 503);
    let reason = system.auth().ops().get("/readyz", None).text().to_owned();
    assert!(reason.contains("has not answered in time"), "{reason}");
    // Keys that cannot be compared with the store are not called unreadable.
    system.auth().signal("HUP");
    let said = "the keys could not be compared with the store";
    until("the keys to be read", || system.auth().log().contains(said).then_some(()));
    assert!(!system.auth().log().contains("could not be read again"));
    mariadb.resume();
    until_readiness(system.auth(), 200);
    until_served(&user, &token);
    let spared = system.auth().metric(SPARED);
    user.session(&token).assert_status(200);
    assert!((system.auth().metric(SPARED) - spared).abs() < 0.5, "it is asked again");
}

const SPARED: &str = "auth_back_store_calls_spared_total";

/// Reads go on, and whoever asks is told that there are only reads.
#[test]
fn a_database_that_takes_no_writes_is_ready_for_reads() {
    let mariadb = MariaDb::start();
    let (mut system, user, token) = system_on(&mariadb);
    mariadb.read_only(true);
    takes_no_writes(&mut system, &user, &token);
    mariadb.read_only(false);
    takes_writes(&mut system, &user, &token);
}

#[test]
fn a_full_disk_is_ready_for_reads() {
    let mut system = System::builder().auth_flags(&FLAGS).auth_outlives_file_limit().start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    system.auth().limit_files(Some(1));
    takes_no_writes(&mut system, &user, &token);
    system.auth().limit_files(None);
    takes_writes(&mut system, &user, &token);
}

fn takes_no_writes(system: &mut System, user: &Client, token: &str) {
    user.register("bob", PASSWORD).assert_status(503);
    let ops = system.auth().ops();
    let readiness = || ops.get("/readyz", None);
    until("readiness for reads alone", || readiness().text().contains("reads only").then_some(()));
    readiness().assert_status(200);
    assert!(system.auth().metric("auth_back_store_takes_writes") < 0.5);
    user.session(token).assert_status(200);
    // No end is acknowledged that is not kept.
    let sessions = user.sessions(token).assert_status(200).json();
    let session_id = sessions["sessions"][0]["id"].as_str().expect("ids are texts").to_owned();
    user.revoke_session(token, &session_id).assert_status(503);
    user.logout_everywhere(token).assert_status(503);
    user.change_password(token, PASSWORD, "another correct horse").assert_status(503);
    user.logout(token).assert_status(503);
}

fn takes_writes(system: &mut System, user: &Client, token: &str) {
    until_readiness(system.auth(), 200);
    user.session(token).assert_status(200);
    user.register("bob", PASSWORD).assert_status(200);
}
