//! Which store a server or a command takes, and who may make one.

use std::fs;
use std::path::Path;

use e2e::{Database, Program, Store, System, run_to_end};
use mysql::prelude::Queryable as _;

use crate::PASSWORD;

fn errors(flags: &[&str]) -> (Option<i32>, String) {
    let output = run_to_end(Program::AuthBack, flags, &[]);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Each of these read or changed a store at a place that was mistyped, which they had made there before.
#[test]
fn commands_make_no_store() {
    let scratch = tempfile::tempdir().unwrap();
    let there = scratch.path().join("typo");
    let data = format!("--data={}", there.display());
    let users = scratch.path().join("users.csv");
    fs::write(&users, "username,password_hash\n").unwrap();
    let users = users.to_str().unwrap();
    let commands: [&[&str]; 10] = [
        &["user", "show", "ada"],
        &["user", "disable", "ada"],
        &["import", users],
        &["export", "out.csv"],
        &["backup", "out"],
        &["restored", "--yes"],
        &["pepper", "status"],
        &["pepper", "rotate"],
        &["token-key", "status"],
        &["token-key", "rotate"],
    ];
    for command in commands {
        let (code, errors) = errors(&[command, &[&data]].concat());
        assert_eq!(code, Some(2), "{command:?}: {errors}");
        assert!(errors.contains("there is no store in sqlite:"), "{command:?}: {errors}");
        assert!(errors.contains("auth_back migrate"), "{command:?}: {errors}");
        assert!(!there.exists(), "{command:?} made something");
    }
    // A directory that is there, and no store in it.
    fs::create_dir(&there).unwrap();
    for command in commands {
        let (code, errors) = errors(&[command, &[&data]].concat());
        assert_eq!(code, Some(2), "{command:?}: {errors}");
        assert_eq!(fs::read_dir(&there).unwrap().count(), 0, "{command:?} made something");
    }
}

#[test]
fn commands_make_no_schema() {
    let database = Database::new();
    let scratch = tempfile::tempdir().unwrap();
    let data = format!("--data={}", scratch.path().display());
    let store = format!("--store={}", database.url());
    let (code, errors) = errors(&["user", "show", "ada", &data, &store]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("there is no store in mysql://root@"), "{errors}");
    let tables: Vec<String> = database.connect().query("SHOW TABLES").unwrap();
    assert_eq!(tables, Vec::<String>::new());
}

#[test]
fn migrate_makes_a_store_and_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let data = format!("--data={}", scratch.path().join("data").display());
    let migrate = || {
        let output = run_to_end(Program::AuthBack, &["migrate", &data], &[]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = migrate();
    assert!(told.starts_with("a NEW, EMPTY store was made in sqlite:"), "{told}");
    let told = migrate();
    assert!(told.contains("has this program's schema"), "{told}");
}

/// As a program of schema 4 left it. What is there of schema 5 is passed over, as after a crash.
fn rewind(path: &Path) {
    let connection = rusqlite::Connection::open(path).expect("it can be opened");
    let rewind = "DELETE FROM schema_migration WHERE version > 4; \
                  DROP TABLE token_key; DROP TABLE server; DROP TABLE deployment; \
                  ALTER TABLE schema_migration DROP COLUMN oldest";
    connection.execute_batch(rewind).expect("it is of schema 5");
}

#[test]
fn an_old_schema_is_migrated_where_that_was_said_and_by_default_on_sqlite_alone() {
    let mut system = System::start();
    assert!(system.auth().log().contains("a NEW, EMPTY store was made"));
    system.client().register("first", PASSWORD).assert_status(200);
    let data = format!("--data={}", system.scratch().join("data").display());
    let store = format!("--store={}", system.store_url());
    assert!(system.auth().stop().success());
    rewind(&system.scratch().join("gatehouse.db"));
    let (code, errors) = errors(&[
        "--listen=127.0.0.1:0",
        "--ops-listen=127.0.0.1:0",
        "--migrate=false",
        &store,
        &data,
    ]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("has schema version 4, this program needs 7"), "{errors}");
    system.auth().start_again();
    system.until_ready();
    let log = system.auth().log();
    assert!(log.contains("the store's schema was brought up to date"), "{log}");
    system.client().register("ada", PASSWORD).assert_status(200);

    let database = Database::new();
    let url = database.url().to_owned();
    let mut connection = database.connect();
    let mut system = System::builder().store(Store::MariaDb(database)).start();
    system.client().register("first", PASSWORD).assert_status(200);
    assert!(system.auth().stop().success());
    connection.query_drop("DELETE FROM schema_migration WHERE version > 4").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let data = format!("--data={}", scratch.path().display());
    let store = format!("--store={url}");
    let (code, errors) =
        self::errors(&["--listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0", &data, &store]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("auth_back migrate") && errors.contains("--migrate"), "{errors}");
    let _told = system.operator(&["migrate"]).succeed();
    system.auth().start_again();
    system.until_ready();
    system.client().register("ada", PASSWORD).assert_status(200);
}

/// Keys without their store are what is left where a backup lacked the database.
#[test]
fn a_new_store_beside_older_keys_is_warned_of() {
    let mut system = System::start();
    let warning = "although its keys were here before";
    assert!(!system.auth().log().contains(warning));
    assert!(system.auth().stop().success());
    fs::remove_file(system.scratch().join("gatehouse.db")).expect("a stop leaves one file");
    system.auth().start_again();
    system.until_ready();
    let log = system.auth().log();
    assert!(log.contains(warning), "{log}");
}

/// The first start of a server on MariaDB, which commits each change of the schema by itself, was cut off anywhere.
#[test]
fn a_first_start_that_was_cut_off_goes_on_at_the_next() {
    for left in [0, 1, 4] {
        let database = Database::new();
        let mut connection = database.connect();
        let mut system = System::builder().store(Store::MariaDb(database)).start();
        assert!(system.auth().stop().success());
        let forget = format!("DELETE FROM schema_migration WHERE version > {left}");
        connection.query_drop(forget).expect("it is ours");
        system.auth().start_again();
        system.until_ready();
        system.client().register("ada", PASSWORD).assert_status(200);
    }
}
