//! The schema of a database: what it has, who may run on it, and how it is brought up to date.

use super::*;

contract! {
    an_empty_database_has_no_schema
    an_older_database_is_older_until_it_is_migrated
    a_migration_keeps_users_and_sessions_and_gives_names_room
    a_newer_database_that_takes_this_program_fits
    tables_of_others_are_not_touched
    migrating_twice_changes_nothing
    many_servers_may_migrate_at_once
    a_changed_migration_is_refused
    a_newer_database_is_refused
    a_hole_in_the_record_is_refused
}

fn newest() -> u32 {
    migrations::SQLITE.last().map_or(0, |migration| migration.version)
}

fn an_empty_database_has_no_schema(fixture: &dyn Fixture) {
    let store = fixture.open();
    assert_eq!(store.schema(patient()).unwrap(), Schema::None);
    // To look is not to make.
    assert_eq!(fixture.open().schema(patient()).unwrap(), Schema::None);
    store.migrate(patient()).unwrap();
    assert_eq!(store.schema(patient()).unwrap(), Schema::Fits { version: newest() });
}

/// As a program of an older schema left it.
fn leave_at(fixture: &dyn Fixture, version: u32) {
    // Makes the file, for its owner alone.
    fixture.open();
    let (create_record, migrations) = fixture.history();
    fixture.execute(create_record);
    for migration in migrations.iter().filter(|migration| migration.version <= version) {
        migration.statements().for_each(|statement| fixture.execute(&statement));
        fixture.execute(&format!(
            "INSERT INTO schema_migration (version, name, checksum, applied_at_ms) \
             VALUES ({}, '{}', '{}', 0)",
            migration.version,
            migration.name,
            migration.checksum()
        ));
    }
}

fn an_older_database_is_older_until_it_is_migrated(fixture: &dyn Fixture) {
    leave_at(fixture, 4);
    let store = fixture.open();
    let older = Schema::Older { found: 4, needed: newest() };
    assert_eq!(store.schema(patient()).unwrap(), older);
    assert_eq!(store.migrate(patient()).unwrap(), Migrated { from: 4, to: newest() });
    assert_eq!(store.schema(patient()).unwrap(), Schema::Fits { version: newest() });
}

/// Servers of the release before go on running while it is migrated and afterwards, on connections that they
/// had before.
fn a_migration_keeps_users_and_sessions_and_gives_names_room(fixture: &dyn Fixture) {
    leave_at(fixture, 4);
    let before = fixture.open();
    check_insert(&*before, &user(1, "ada"), Inserted::Created);
    before.insert_session(&session(1, 1, 1, u64::MAX / 4), patient()).unwrap();
    assert!(insert_long_name(fixture, 2, 33).is_err(), "schema 4 took 33 bytes");
    fixture.open().migrate(patient()).unwrap();

    check_lookup(&*before, "ada", Some(1));
    check_live(&*before, 1, 0, true);
    check_insert(&*before, &user(7, "bob"), Inserted::Created);
    for (id, bytes) in [(2, 33), (3, 254)] {
        insert_long_name(fixture, id, bytes).unwrap();
        check_lookup(&*before, &"n".repeat(bytes), Some(id));
    }
    assert!(insert_long_name(fixture, 4, 255).is_err(), "255 bytes");
    // Bytes decide: another case is another name.
    check_lookup(&*before, &"N".repeat(33), None);
    check_insert(&*before, &user(8, "ada"), Inserted::NameTaken);
}

fn insert_long_name(fixture: &dyn Fixture, id: u64, bytes: usize) -> Result<(), String> {
    fixture.try_execute(&format!(
        "INSERT INTO user (id, username, password_record, created_at_ms) VALUES ({id}, '{}', '{RECORD}', 0)",
        "n".repeat(bytes)
    ))
}

fn a_newer_database_that_takes_this_program_fits(fixture: &dyn Fixture) {
    let store = fixture.store();
    let add = |version, oldest| {
        fixture.execute(&format!(
            "INSERT INTO schema_migration (version, name, checksum, applied_at_ms, oldest) \
             VALUES ({version}, 'later', 'x', 0, {oldest})"
        ));
    };
    add(900, newest());
    let fits = Schema::Fits { version: 900 };
    assert_eq!(store.schema(patient()).unwrap(), fits);
    let nothing = Migrated { from: 900, to: 900 };
    assert_eq!(store.migrate(patient()).unwrap(), nothing);
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    add(901, newest() + 1);
    let error = store.schema(patient()).unwrap_err();
    let expected = MigrationError::Newer { found: 901, oldest: newest() + 1, known: newest() };
    assert_eq!(error.to_string(), expected.to_string());
}

fn tables_of_others_are_not_touched(fixture: &dyn Fixture) {
    // Makes the file, for its owner alone.
    fixture.open();
    fixture.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
    let store = fixture.open();
    let none_of_ours = Schema::Older { found: 0, needed: newest() };
    assert_eq!(store.schema(patient()).unwrap(), none_of_ours);
    fixture.execute("CREATE TABLE session (id INTEGER PRIMARY KEY)");
    for refused in [store.schema(patient()).map(|_| ()), store.migrate(patient()).map(|_| ())] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("`session` that is not Gatehouse's"), "{error}");
    }
    // Neither of these was made beside it.
    fixture.execute("CREATE TABLE schema_migration (id INTEGER PRIMARY KEY)");
    fixture.execute("CREATE TABLE user (id INTEGER PRIMARY KEY)");
}

fn migrating_twice_changes_nothing(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (empty, done) =
        (Migrated { from: 0, to: newest() }, Migrated { from: newest(), to: newest() });
    assert_eq!(store.migrate(patient()).unwrap(), empty);
    check_insert(&*store, &user(1, "ada"), Inserted::Created);
    assert_eq!(store.migrate(patient()).unwrap(), done);
    assert_eq!(fixture.open().migrate(patient()).unwrap(), done);
    check_lookup(&*store, "ada", Some(1));
    assert_eq!(store.products(patient()).unwrap().len(), 4);
}

fn many_servers_may_migrate_at_once(fixture: &dyn Fixture) {
    let stores: Vec<Arc<dyn Store>> = (0..THREADS).map(|_| fixture.open()).collect();
    let outcomes = race(|racer| stores[usize::from(racer)].migrate(patient()).unwrap());
    let from: HashSet<_> = outcomes.iter().map(|migrated| migrated.from).collect();
    assert_eq!(from, HashSet::from([0, newest()]), "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|migrated| migrated.from == 0).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|migrated| migrated.to == newest()), "{outcomes:?}");
    check_insert(&*stores[0], &user(1, "ada"), Inserted::Created);
}

#[track_caller]
fn check_migration_refused(fixture: &dyn Fixture, tampering: &str, expected: &str) {
    let store = fixture.store();
    fixture.execute(tampering);
    assert_eq!(store.migrate(patient()).unwrap_err().to_string(), expected);
    // The refusal gave every lock back.
    let soon = clock::now() + Duration::from_secs(10);
    assert_eq!(fixture.open().migrate(soon).unwrap_err().to_string(), expected);
}

fn a_changed_migration_is_refused(fixture: &dyn Fixture) {
    check_migration_refused(
        fixture,
        "UPDATE schema_migration SET checksum = 'edited' WHERE version = 1",
        "migration 1 was applied from a different file: released migrations must not be edited",
    );
}

fn a_newer_database_is_refused(fixture: &dyn Fixture) {
    check_migration_refused(
        fixture,
        "INSERT INTO schema_migration (version, name, checksum, applied_at_ms) \
         VALUES (900, '0900_future', 'x', 0)",
        &format!(
            "the database has schema version 900, which takes servers of schema 900 or later; this program \
             has {}: start a newer release",
            newest()
        ),
    );
}

fn a_hole_in_the_record_is_refused(fixture: &dyn Fixture) {
    check_migration_refused(
        fixture,
        "DELETE FROM schema_migration WHERE version = 1",
        "the record of migration 1 is missing although later ones are there",
    );
}
