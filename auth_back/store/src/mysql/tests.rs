//! What is particular to MySQL and MariaDB. What every store must do is in `contract.rs`.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use harness::MariaDb;
use mysql::prelude::Queryable as _;
use mysql::{Conn, Row, Value, from_row};

use super::connection::Connector;
use super::query::Query;
use super::{MySqlStore, migrate};
use crate::fixtures::{Fixture as _, MariaDbFixture, patient};
use crate::limits::{IO_TIMEOUT, STATEMENT_TIMEOUT};
use crate::{
    Inserted, NewSession, NewUser, Sessions as _, Store as _, StoreError, Users as _, migrations,
};

fn user(user_id: u64, username: &str) -> NewUser<'_> {
    NewUser {
        user_id,
        username,
        password_record: "record",
        name: None,
        age: None,
        request_id: None,
        created_at_ms: 0,
    }
}

fn session(digest: u8, expires_at_ms: u64) -> NewSession<'static> {
    NewSession {
        session_id: u64::from(digest),
        token_digest: [digest; 32],
        user_id: 1,
        epoch: 0,
        created_at_ms: 0,
        expires_at_ms,
        ends_at_ms: expires_at_ms,
        client_address: None,
        user_agent: None,
    }
}

/// A store with one connection.
fn single(fixture: &MariaDbFixture) -> MySqlStore {
    let store = MySqlStore::new(fixture.url(), 1).unwrap();
    store.migrate(patient()).unwrap();
    store
}

/// The server's name for the store's only connection.
fn connection_id(store: &MySqlStore) -> u32 {
    store.run(patient(), |connection| Ok(connection.raw().connection_id())).unwrap()
}

/// Also in the hour that summer time repeats, of which `UNIX_TIMESTAMP(NOW(3))` takes the wrong one.
#[test]
fn the_time_is_that_of_no_time_zone() {
    let fixture = MariaDbFixture::new();
    let store = single(&fixture);
    for zone in ["SYSTEM", "+00:00", "+05:30", "-11:00"] {
        for seconds in ["1792890000.123", "1792893600.123"] {
            let set = format!("SET time_zone = '{zone}', timestamp = {seconds}");
            store
                .run(patient(), |connection| {
                    connection.raw().query_drop(&set).unwrap();
                    Ok(())
                })
                .unwrap();
            let expected: u64 = seconds.replace('.', "").parse().unwrap();
            assert_eq!(store.time(patient()).unwrap(), expected, "{zone}");
        }
    }
}

#[test]
fn one_lookup_is_one_command() {
    // The log is the server's, so the server must be our own.
    let server = MariaDb::start();
    let fixture = MariaDbFixture::on_private(&server);
    let store = single(&fixture);
    store.insert_user(&user(1, "ada"), patient()).unwrap();
    store.user_by_name("ada", patient()).unwrap();
    store.session(&[1; 32], 0, patient()).unwrap();
    let id = connection_id(&store);

    fixture.execute("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON");
    for _ in 0..3 {
        store.user_by_name("ada", patient()).unwrap().unwrap();
        assert_eq!(store.session(&[1; 32], 0, patient()).unwrap(), None);
    }
    fixture.execute("SET GLOBAL general_log = OFF");

    let all: Vec<(u32, String)> = fixture
        .connect()
        .query("SELECT thread_id, command_type FROM mysql.general_log ORDER BY event_time")
        .unwrap();
    let of_store = all.iter().filter(|(of, _)| *of == id).map(|(_, command)| command);
    assert!(of_store.eq(["Execute"; 6]), "{id} in {all:?}, and now {}", connection_id(&store));
}

#[test]
fn lookups_use_their_index() {
    let fixture = MariaDbFixture::new();
    fixture.store();
    let mut conn = fixture.connect();
    for id in 0..50 {
        conn.query_drop(format!(
            "INSERT INTO user (id, username, password_record, created_at_ms) VALUES ({id}, 'user{id}', '', 0)"
        ))
        .unwrap();
    }
    // Prepared as the store does it, so that the text arrives in the connection's character set.
    let check = |conn: &mut Conn, query: Query, params: Vec<Value>, expected: (&str, &str)| {
        let row: Row =
            conn.exec_first(format!("EXPLAIN {}", query.sql()), params).unwrap().unwrap();
        let column = |name: &str| row.get::<Option<String>, _>(name).unwrap().unwrap_or_default();
        assert_eq!((&*column("type"), &*column("key")), expected, "{query:?}");
    };
    check(&mut conn, Query::UserByName, vec!["user7".into()], ("const", "user_username"));
    check(&mut conn, Query::OwnerOfName, vec!["user7".into()], ("const", "user_username"));
    let page = vec!["user4".into(), "user47".into(), "user4\u{7f}".into(), 500.into()];
    check(&mut conn, Query::UserProfilesByName, page, ("range", "user_username"));
    for digest in 0..3 {
        fixture.open().insert_session(&session(digest, 9), patient()).unwrap();
    }
    check(&mut conn, Query::Session, vec![vec![1; 32].into(), 5.into()], ("const", "PRIMARY"));
    fixture.execute(
        "INSERT INTO session (token_digest, id, user_id, created_at_ms, expires_at_ms) \
         SELECT UNHEX(SHA2(seq, 256)), 1000 + seq, 1, 0, 9 FROM seq_1_to_2000",
    );
    let digests = |count: u8| (0..count).map(|digest| Value::from(vec![digest; 32]));
    for count in [4, 16, 64] {
        let (query, marks) = Query::refresh_sessions(count.into());
        assert_eq!(marks, usize::from(count));
        let cases = || digests(count).flat_map(|digest| [digest, 5.into()]);
        let params = cases().chain(cases()).chain(digests(count)).chain(cases());
        check(&mut conn, query, params.collect(), ("range", "PRIMARY"));
    }
}

#[test]
fn a_session_has_the_settings_that_the_store_relies_on() {
    let fixture = MariaDbFixture::new();
    let connector = Connector::new(fixture.url());
    let mut connection = pool::Manager::connect(&connector, patient()).unwrap();
    let row: Row = connection
        .raw()
        .query_first(
            "SELECT @@sql_mode, @@autocommit, @@tx_isolation, @@innodb_lock_wait_timeout, \
                    @@lock_wait_timeout, @@max_statement_time, @@character_set_connection",
        )
        .unwrap()
        .unwrap();
    let settings: (String, u8, String, u64, u64, f64, String) = from_row(row);
    let seconds = STATEMENT_TIMEOUT.as_secs();
    assert_eq!(
        settings,
        (
            "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION".to_owned(),
            1,
            "READ-COMMITTED".to_owned(),
            seconds,
            seconds,
            STATEMENT_TIMEOUT.as_secs_f64(),
            "utf8mb4".to_owned(),
        )
    );
}

#[test]
fn a_server_that_was_away_is_used_again() {
    let server = MariaDb::start();
    let fixture = MariaDbFixture::on_private(&server);
    let store = fixture.store();
    store.insert_user(&user(1, "ada"), patient()).unwrap();

    server.kill();
    for _ in 0..3 {
        let error = store.user_by_name("ada", patient()).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    let error = store.insert_user(&user(2, "bob"), patient()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");

    server.start_again();
    assert!(store.user_by_name("ada", patient()).unwrap().is_some(), "acknowledged, then lost");
    assert_eq!(store.insert_user(&user(2, "bob"), patient()).unwrap(), Inserted::Created);
}

#[test]
fn a_killed_connection_costs_at_most_one_call() {
    let fixture = MariaDbFixture::new();
    let store = single(&fixture);
    let id = connection_id(&store);
    fixture.execute(&format!("KILL {id}"));
    if let Err(error) = store.products(patient()) {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    assert_eq!(store.products(patient()).unwrap().len(), 4);
    assert_ne!(connection_id(&store), id);
}

#[test]
fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("mysql://gate:hunter2@127.0.0.1:{port}/gatehouse").parse().unwrap();
    let store = MySqlStore::new(url, 1).unwrap();
    let started = clock::now();
    let error = store.ping(patient()).unwrap_err();
    assert!(clock::since(started) >= IO_TIMEOUT, "gave up early");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("no answer within"), "{error}");
}

#[test]
fn a_refused_login_is_unavailable_and_shows_no_password() {
    let fixture = MariaDbFixture::new();
    let store = MySqlStore::new(fixture.url_as("nobody:hunter2"), 1).unwrap();
    let error = store.ping(patient()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let shown = format!("{error} {error:?} {store:?}");
    assert!(shown.contains("nobody") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_lock_held_too_long_is_unavailable() {
    let fixture = MariaDbFixture::new();
    let store = single(&fixture);
    store.insert_user(&user(1, "ada"), patient()).unwrap();
    let mut other = fixture.connect();
    other.query_drop("BEGIN").unwrap();
    other.query_drop("SELECT * FROM user WHERE id = 1 FOR UPDATE").unwrap();

    let error = store.replace_password_record(1, "record", "new", patient()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");

    other.query_drop("COMMIT").unwrap();
    assert!(store.replace_password_record(1, "record", "new", patient()).unwrap());
    assert_eq!(store.connections().connected, 1, "the connection was sound");
}

#[test]
fn sessions_that_made_room_are_told_of_when_not_all_could() {
    let fixture = MariaDbFixture::new();
    let store = single(&fixture);
    store.insert_user(&user(1, "ada"), patient()).unwrap();
    for digest in 1..=4 {
        store.insert_session(&session(digest, 9), patient()).unwrap();
    }
    let mut other = fixture.connect();
    other.query_drop("BEGIN").unwrap();
    other
        .exec_drop("SELECT * FROM session WHERE token_digest = ? FOR UPDATE", (&[1; 32][..],))
        .unwrap();

    let gone = store.trim_sessions(&session(4, 9), 2, patient()).unwrap();
    assert_eq!(gone, [[2; 32], [1; 32]], "the second may be gone for all that is known");
    assert!(store.session(&[2; 32], 0, patient()).unwrap().is_none());

    other.query_drop("COMMIT").unwrap();
    assert_eq!(store.trim_sessions(&session(4, 9), 2, patient()).unwrap(), [[1; 32]]);
}

#[test]
fn a_statement_that_lost_a_deadlock_is_sent_again() {
    // The counters that tell what happens are the server's, so the server must be our own.
    let server = MariaDb::start();
    let fixture = MariaDbFixture::on_private(&server);
    let store = single(&fixture);
    store.insert_user(&user(1, "ada"), patient()).unwrap();
    let purged = loop {
        match purge_into_a_deadlock(&fixture, &store) {
            // The machine stalled for a second, and the purge gave up waiting before there was a deadlock.
            Err(error) if error.to_string().contains("error 1205") => {}
            purged => break purged.unwrap(),
        }
    };
    assert_eq!(purged, 30);
    assert!(status(&mut fixture.connect(), "Innodb_deadlocks") > 0, "nothing was provoked");
}

/// Makes a purge of thirty sessions and another transaction wait for each other.
fn purge_into_a_deadlock(fixture: &MariaDbFixture, store: &MySqlStore) -> Result<u32, StoreError> {
    for digest in 1..=30 {
        store.delete_session(&[digest; 32], patient()).unwrap();
        store.insert_session(&session(digest, u64::from(digest)), patient()).unwrap();
    }
    let touch = |which: &str| {
        format!(
            "UPDATE session FORCE INDEX (session_expiry) SET user_agent = 'x' \
             WHERE expires_at_ms {which}"
        )
    };
    // The other transaction locks the newest, the purge the oldest, and then each wants the rest. The
    // other has changed more, so the purge is the one that gets rolled back.
    let mut other = fixture.connect();
    other.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").unwrap();
    other.query_drop("BEGIN").unwrap();
    other.query_drop(touch(">= 10")).unwrap();
    thread::scope(|scope| {
        let purge = scope.spawn(|| store.delete_expired_sessions(30, 100, patient()));
        let mut admin = fixture.connect();
        while status(&mut admin, "Innodb_row_lock_current_waits") == 0 && !purge.is_finished() {
            thread::yield_now();
        }
        other.query_drop(touch("= 1")).unwrap();
        other.query_drop("COMMIT").unwrap();
        purge.join().unwrap()
    })
}

fn status(conn: &mut Conn, name: &str) -> u64 {
    let status: Option<(String, u64)> =
        conn.exec_first("SHOW GLOBAL STATUS WHERE variable_name = ?", (name,)).unwrap();
    status.expect("MariaDB counts this").1
}

#[test]
fn a_migration_that_crashed_anywhere_is_resumed() {
    let statements: Vec<String> =
        migrations::MYSQL.iter().flat_map(migrations::Migration::statements).collect();
    for crash_after in 0..=statements.len() {
        let fixture = MariaDbFixture::new();
        fixture.execute(migrate::CREATE_RECORD);
        for statement in &statements[..crash_after] {
            fixture.execute(statement);
        }
        let store = single(&fixture);
        assert_eq!(store.insert_user(&user(1, "ada"), patient()).unwrap(), Inserted::Created);
        assert_eq!(store.products(patient()).unwrap().len(), 4, "crash after {crash_after}");
    }
}

#[test]
fn a_server_that_migrates_too_long_is_not_waited_for_beyond_the_deadline() {
    let fixture = MariaDbFixture::new();
    let mut other = fixture.connect();
    migrate::lock(&mut other, Duration::ZERO).unwrap();
    let store = fixture.open();
    let soon = clock::now() + Duration::from_millis(200);
    for error in [store.migrate(soon).map(|_| ()), store.schema(patient()).map(|_| ())] {
        assert_eq!(
            error.unwrap_err().to_string(),
            "the store is unavailable: another server is migrating the database"
        );
    }
    // The lock goes with its connection.
    drop(other);
    store.migrate(patient()).unwrap();
}

/// What is deleted is gone for good, so the clock of one server does not decide.
#[test]
fn a_clock_that_is_ahead_deletes_no_live_session() {
    let fixture = MariaDbFixture::new();
    let store = single(&fixture);
    store.insert_user(&user(1, "ada"), patient()).unwrap();
    let now: u64 =
        fixture.connect().query_first("SELECT UNIX_TIMESTAMP() * 1000").unwrap().unwrap();
    let (hour, day) = (3_600_000, 24 * 3_600_000);
    store.insert_session(&session(1, now - hour), patient()).unwrap();
    store.insert_session(&session(2, now + hour), patient()).unwrap();
    assert_eq!(store.delete_expired_sessions(now + day, 10, patient()).unwrap(), 1);
    assert!(store.session(&[2; 32], now, patient()).unwrap().is_some());
    // One that is behind deletes less.
    store.insert_session(&session(3, now - hour), patient()).unwrap();
    assert_eq!(store.delete_expired_sessions(now - 2 * hour, 10, patient()).unwrap(), 0);
}

/// Somebody reads the table in a transaction: the change must not keep everybody else waiting behind it.
#[test]
fn a_migration_that_waits_for_a_reader_gives_up_and_lets_others_on() {
    let fixture = MariaDbFixture::new();
    let store = single(&fixture);
    fixture.execute("DELETE FROM schema_migration WHERE version > 4");
    // So that the change is one again.
    fixture.execute("ALTER TABLE user MODIFY COLUMN username VARCHAR(32) NOT NULL");
    let mut reader = fixture.connect();
    reader.query_drop("START TRANSACTION").unwrap();
    reader.query_drop("SELECT * FROM user").unwrap();
    let error = store.migrate(patient()).unwrap_err().to_string();
    assert!(error.contains("error 1205 ER_LOCK_WAIT_TIMEOUT"), "{error}");
    store.insert_user(&user(1, "ada"), patient()).unwrap();
    reader.query_drop("COMMIT").unwrap();
    store.migrate(patient()).unwrap();
}
