//! Applying migrations to MySQL and MariaDB.
//!
//! DDL commits by itself there, so a crash can leave half a file applied. Each statement can be repeated
//! (a test of [`migrations`] holds them to it), and a file is recorded after its last one: the next server
//! to start runs the file again from the top.

use std::time::Instant;

use mysql::Conn;
use mysql::prelude::Queryable as _;
use service::rare;

use super::fault::{fault, is_column_there_already};
use crate::store::migrations::{self, Applied, Migration, now_ms};
use crate::store::{Cause, Migrated, MigrationError, StoreError};

/// The lock that servers which start together queue for. Locks are named per server, not per database,
/// and a name may have 64 characters: as many as the database's name alone.
const LOCK_NAME: &str = "CONCAT('gatehouse.migrate.', LEFT(SHA2(DATABASE(), 256), 32))";

const CREATE_RECORD: &str = "\
CREATE TABLE IF NOT EXISTS schema_migration (
    version       INT UNSIGNED NOT NULL,
    name          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    checksum      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'SHA-256 of the file',
    applied_at_ms BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (version)
) ENGINE = InnoDB";

/// Brings the database that `conn` is connected to up to date. Closing the connection gives the lock up, so
/// a server that dies here holds nobody back.
pub(super) fn migrate(mut conn: Conn, deadline: Instant) -> Result<Migrated, MigrationError> {
    lock(&mut conn, deadline)?;
    warn_if_not_durable(&mut conn)?;
    conn.query_drop(CREATE_RECORD).map_err(|error| failed(&error))?;
    let applied = applied(&mut conn)?;
    let from = applied.last().map_or(0, |applied| applied.version);
    let pending = migrations::pending(migrations::MYSQL, &applied)?;
    for migration in pending {
        apply(&mut conn, migration)?;
    }
    conn.query_drop(format!("DO RELEASE_LOCK({LOCK_NAME})")).map_err(|error| failed(&error))?;
    Ok(Migrated { from, to: pending.last().map_or(from, |migration| migration.version) })
}

/// Waits until no other server migrates this database.
pub(super) fn lock(conn: &mut Conn, deadline: Instant) -> Result<(), StoreError> {
    let seconds = deadline.saturating_duration_since(clock::now()).as_secs();
    let locked: Option<Option<u8>> = conn
        .query_first(format!("SELECT GET_LOCK({LOCK_NAME}, {seconds})"))
        .map_err(|error| failed(&error))?;
    match locked.flatten() {
        Some(1) => Ok(()),
        _ => Err(StoreError::Unavailable(Cause::Migrating)),
    }
}

fn applied(conn: &mut Conn) -> Result<Vec<Applied>, StoreError> {
    conn.query_map(
        "SELECT version, checksum FROM schema_migration ORDER BY version",
        |(version, checksum)| Applied { version, checksum },
    )
    .map_err(|error| failed(&error))
}

fn apply(conn: &mut Conn, migration: &Migration) -> Result<(), StoreError> {
    for statement in migration.statements() {
        match conn.query_drop(statement) {
            Ok(()) => {}
            // MySQL knows no ADD COLUMN IF NOT EXISTS: this statement ran before a crash.
            Err(error) if is_column_there_already(&error) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    conn.exec_drop(
        "INSERT INTO schema_migration (version, name, checksum, applied_at_ms) VALUES (?, ?, ?, ?)",
        (migration.version, migration.name, migration.checksum(), now_ms()),
    )
    .map_err(|error| failed(&error))
}

/// A registration is acknowledged after its commit; how durable that is, only the server's operator can
/// decide.
fn warn_if_not_durable(conn: &mut Conn) -> Result<(), StoreError> {
    let flush: Option<u8> = conn
        .query_first("SELECT @@innodb_flush_log_at_trx_commit")
        .map_err(|error| failed(&error))?;
    if flush != Some(1) {
        rare!(
            "once, at the start",
            WARN,
            innodb_flush_log_at_trx_commit = flush,
            "the database may lose acknowledged registrations in a crash; set it to 1"
        );
    }
    Ok(())
}

fn failed(error: &mysql::Error) -> StoreError {
    fault(error).into()
}
