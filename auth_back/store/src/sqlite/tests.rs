//! What is particular to SQLite. What every store must do is in `contract.rs`.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use rusqlite::Connection;

use super::SqliteStore;
use crate::fixtures::{Fixture as _, SqliteFixture, patient};
use crate::limits::{SQLITE_CHECKPOINT_COMMITS, SQLITE_LOG_BYTES_KEPT};
use crate::{Absent, Inserted, NewSession, NewUser, Store as _, StoreError, Users as _};

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

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, 1, Absent::Create)
}

#[test]
fn the_files_are_the_owners_alone() {
    let fixture = SqliteFixture::new();
    let store = fixture.store();
    store.insert_user(&user(1, "ada"), patient()).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", fixture.path().display());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let fixture = SqliteFixture::new();
    drop(fixture.store());
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o640)).unwrap();
    let error = open(&fixture.path()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("mode 640"), "{error}");
}

#[test]
fn a_missing_directory_is_unavailable() {
    let error = open(Path::new("/nonexistent/directory/gatehouse.db")).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/directory/gatehouse.db"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let fixture = SqliteFixture::new();
    fs::write(fixture.path(), "not a database\n".repeat(100)).unwrap();
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o600)).unwrap();
    let error = open(&fixture.path()).unwrap().ping(patient()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

#[test]
fn the_writer_is_durable_and_checks_references() {
    let fixture = SqliteFixture::new();
    drop(fixture.store());
    let store = open(&fixture.path()).unwrap();
    let pragma = |name: &str| {
        store
            .write(patient(), |connection| {
                connection
                    .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            })
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
    assert_eq!(pragma("synchronous"), 2.into(), "2 is FULL");
    assert_eq!(pragma("foreign_keys"), 1.into());
}

/// A thread carries what is committed into the file, long before a commit would: a copy of the file alone has it.
#[test]
fn the_log_is_carried_into_the_file_beside_the_writer() {
    let fixture = SqliteFixture::new();
    let store = fixture.store();
    let copy = fixture.path().with_extension("copy");
    let in_file = |user_id: u64| {
        fs::copy(fixture.path(), &copy).unwrap();
        let opened = Connection::open(&copy).unwrap();
        // Whoever opens it would make the log anew.
        opened.pragma_update(None, "query_only", "ON").unwrap();
        let id = user_id.cast_signed();
        let found = opened.query_row("SELECT 1 FROM user WHERE id = ?", [id], |_| Ok(()));
        found.is_ok()
    };
    for user_id in 1..=u64::from(SQLITE_CHECKPOINT_COMMITS) {
        store.insert_user(&user(user_id, &format!("user-{user_id}")), patient()).unwrap();
        assert!(user_id > 1 || !in_file(1), "nothing has been carried there");
    }
    let give_up = clock::now() + Duration::from_secs(60);
    while !in_file(1) {
        assert!(clock::now() < give_up, "the log stays as it is");
        thread::sleep(Duration::from_millis(5));
    }
    // The thread has closed its connection before the last one is closed, which removes the log.
    drop(store);
    assert_eq!(super::log_bytes(&fixture.path()), 0);
    assert!(in_file(SQLITE_CHECKPOINT_COMMITS.into()));
}

/// A reader that stays keeps the log from being checkpointed; when it has gone, the file shrinks again.
#[test]
fn the_log_shrinks_when_a_long_reader_has_gone() {
    let fixture = SqliteFixture::new();
    drop(fixture.store());
    let store = open(&fixture.path()).unwrap();
    let log = || super::log_bytes(&fixture.path());
    let write = |bytes: u64| {
        store
            .write(patient(), |connection| {
                connection.execute_batch(&format!(
                    "CREATE TABLE IF NOT EXISTS filler (content); DELETE FROM filler;
                     INSERT INTO filler VALUES (zeroblob({bytes}))"
                ))
            })
            .unwrap();
    };
    let reader = Connection::open(fixture.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM user").unwrap();
    write(SQLITE_LOG_BYTES_KEPT);
    write(SQLITE_LOG_BYTES_KEPT);
    assert!(log() > 2 * SQLITE_LOG_BYTES_KEPT, "{}", log());
    reader.execute_batch("COMMIT").unwrap();
    // The first commit checkpoints all of it, the next begins the log anew.
    (0..3).for_each(|_| write(1));
    assert!((1..=SQLITE_LOG_BYTES_KEPT).contains(&log()), "{}", log());
}

#[test]
fn a_reader_cannot_write() {
    let fixture = SqliteFixture::new();
    drop(fixture.store());
    let store = open(&fixture.path()).unwrap();
    let error =
        store.read(patient(), |connection| connection.execute("DELETE FROM user", [])).unwrap_err();
    assert!(error.to_string().contains("readonly"), "{error}");
}

#[test]
fn lookups_use_their_index() {
    let fixture = SqliteFixture::new();
    drop(fixture.store());
    let connection = Connection::open(fixture.path()).unwrap();
    let check = |query: &str, expected: &str| {
        let plan: String = connection
            .query_row(&format!("EXPLAIN QUERY PLAN {query}"), [], |row| row.get("detail"))
            .unwrap();
        assert_eq!(plan, expected, "{query}");
    };
    check(
        "SELECT id, password_record FROM user WHERE username = 'ada'",
        "SEARCH user USING INDEX user_username (username=?)",
    );
    check(
        "SELECT id FROM user WHERE username >= 'a' AND username < 'b' ORDER BY username LIMIT 9",
        "SEARCH user USING COVERING INDEX user_username (username>? AND username<?)",
    );
    check(
        "SELECT user_id FROM session WHERE token_digest = x'00'",
        "SEARCH session USING PRIMARY KEY (token_digest=?)",
    );
    check(
        "SELECT token_digest FROM session WHERE expires_at_ms <= 5 ORDER BY expires_at_ms LIMIT 9",
        "SEARCH session USING COVERING INDEX session_expiry (expires_at_ms<?)",
    );
}

/// How late a loaded machine may wake a thread. Below five seconds, for which the driver would wait if it
/// were not told the deadline.
const LATE: Duration = Duration::from_secs(4);

#[test]
fn another_process_that_writes_is_waited_for_until_the_deadline() {
    let fixture = SqliteFixture::new();
    let store = fixture.store();
    let other = Connection::open(fixture.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let soon = clock::now() + Duration::from_millis(50);
    let error = store.insert_user(&user(1, "ada"), soon).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(clock::now() < soon + LATE, "waited beyond the deadline");
    // Readers are not held up.
    assert_eq!(store.user_by_name("ada", patient()).unwrap(), None);

    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.insert_user(&user(1, "ada"), patient()).unwrap(), Inserted::Created);
}

#[test]
fn a_commit_that_fails_is_told_to_all() {
    let fixture = SqliteFixture::new();
    let store = fixture.store();
    store.insert_user(&user(1, "ada"), patient()).unwrap();
    let other = Connection::open(fixture.path()).unwrap();
    // A reference to nobody, which is found at the commit.
    other
        .execute_batch(
            "CREATE TABLE late (user_id INTEGER REFERENCES user (id) DEFERRABLE INITIALLY DEFERRED); \
             CREATE TRIGGER late AFTER INSERT ON session WHEN NEW.id = 9 \
             BEGIN INSERT INTO late VALUES (99); END",
        )
        .unwrap();
    let session = |id: u8| NewSession {
        session_id: id.into(),
        token_digest: [id; 32],
        user_id: 1,
        epoch: 0,
        created_at_ms: 1_000,
        expires_at_ms: 5_000,
        ends_at_ms: 5_000,
        client_address: None,
        user_agent: None,
    };
    let keep = |ids: &[u8]| {
        let sessions: Vec<_> = ids.iter().copied().map(session).collect();
        store.keep_sessions(&sessions, 100, patient())
    };
    let kept = || -> i64 {
        other.query_row("SELECT count(*) FROM session", [], |row| row.get(0)).unwrap()
    };
    let failed = keep(&[1, 9]);
    assert!(failed.len() == 2 && failed.iter().all(Result::is_err), "{failed:?}");
    assert_eq!(kept(), 0);
    assert!(keep(&[1, 2]).iter().all(Result::is_ok));
    assert_eq!(kept(), 2);
}

/// The environment variable that makes the next test play the process that gets killed.
const VICTIM: &str = "GATEHOUSE_TEST_VICTIM_DATABASE";

#[test]
fn what_was_acknowledged_survives_kill_9() {
    if let Ok(path) = env::var(VICTIM) {
        return register_without_end(Path::new(&path));
    }
    let fixture = SqliteFixture::new();
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg("sqlite::tests::what_was_acknowledged_survives_kill_9")
        .env(VICTIM, fixture.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let acknowledged: Vec<String> = lines
        .filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned))
        .take(25)
        .collect();
    victim.kill().unwrap();
    victim.wait().unwrap();

    assert_eq!(acknowledged.len(), 25);
    let store = fixture.store();
    for name in acknowledged {
        assert!(store.user_by_name(&name, patient()).unwrap().is_some(), "{name} was lost");
    }
}

fn register_without_end(path: &Path) {
    let store = open(path).unwrap();
    store.migrate(patient()).unwrap();
    for id in 1.. {
        let name = format!("user{id}");
        assert_eq!(store.insert_user(&user(id, &name), patient()).unwrap(), Inserted::Created);
        // Until the reader is gone, which it is when this process has been killed.
        let acknowledged =
            io::Write::write_all(&mut io::stdout(), format!("\nacknowledged {name}\n").as_bytes());
        if acknowledged.is_err() {
            return;
        }
    }
}
