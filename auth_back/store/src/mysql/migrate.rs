//! Applying migrations to MySQL and MariaDB.
//!
//! DDL commits by itself there, so a crash can leave half a file applied. Each statement can be repeated
//! (a test of [`migrations`] holds them to it), and a file is recorded after its last one: the next server
//! to start runs the file again from the top.

use std::time::{Duration, Instant};

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row};
use sparing::rare;

use super::fault::{conversion, in_full, is_column_there_already};
use crate::migrations::{self, Applied, Migration, RECORD, SAYS_OLDEST, now_ms};
use crate::{Cause, Migrated, MigrationError, Schema, StoreError};

/// The lock that servers which start together queue for. Locks are named per server, not per database,
/// and a name may have 64 characters: as many as the database's name alone.
const LOCK_NAME: &str = "CONCAT('gatehouse.migrate.', LEFT(SHA2(DATABASE(), 256), 32))";

pub(crate) const CREATE_RECORD: &str = "\
CREATE TABLE IF NOT EXISTS schema_migration (
    version       INT UNSIGNED NOT NULL,
    name          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    checksum      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'SHA-256 of the file',
    applied_at_ms BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (version)
) ENGINE = InnoDB";

/// What the database that `conn` is connected to has. While another server migrates it and it does not fit yet, that is
/// not known: half of a schema is none. Needs no right but to read.
pub(super) fn look(mut conn: Conn) -> Result<Schema, MigrationError> {
    warn_if_not_durable(&mut conn)?;
    let assess = |conn: &mut Conn| {
        let (tables, applied) = found(conn)?;
        migrations::assess(migrations::MYSQL, &tables, &applied)
    };
    let fits = |schema: &Schema| matches!(schema, Schema::Fits { .. });
    let seen = assess(&mut conn)?;
    if fits(&seen) {
        return Ok(seen);
    }
    lock(&mut conn, Duration::ZERO)?;
    let seen = assess(&mut conn);
    unlock(&mut conn)?;
    seen
}

/// Brings the database that `conn` is connected to up to date. Where it is already, no DDL is sent. Closing
/// the connection gives the lock up, so a server that dies here holds nobody back.
pub(super) fn migrate(mut conn: Conn, deadline: Instant) -> Result<Migrated, MigrationError> {
    lock(&mut conn, deadline.saturating_duration_since(clock::now()))?;
    let (tables, applied) = found(&mut conn)?;
    let from = applied.last().map_or(0, |applied| applied.version);
    let pending = migrations::pending(migrations::MYSQL, &tables, &applied)?;
    if !pending.is_empty() {
        conn.query_drop(CREATE_RECORD).map_err(|error| failed(&error))?;
    }
    for migration in pending {
        apply(&mut conn, migration)?;
    }
    unlock(&mut conn)?;
    Ok(Migrated { from, to: pending.last().map_or(from, |migration| migration.version) })
}

/// Closing the connection does that too, but the server may notice a moment later, and turn away who comes next.
fn unlock(conn: &mut Conn) -> Result<(), StoreError> {
    conn.query_drop(format!("DO RELEASE_LOCK({LOCK_NAME})")).map_err(|error| failed(&error))
}

/// Waits until no other server migrates this database, for at most `patience`, in whole seconds.
pub(super) fn lock(conn: &mut Conn, patience: Duration) -> Result<(), StoreError> {
    let seconds = patience.as_secs();
    let locked: Option<Option<u8>> = conn
        .query_first(format!("SELECT GET_LOCK({LOCK_NAME}, {seconds})"))
        .map_err(|error| failed(&error))?;
    match locked.flatten() {
        Some(1) => Ok(()),
        _ => Err(StoreError::Unavailable(Cause::Migrating)),
    }
}

/// The names of all tables, and what the record of migrations has. What a user may not read is not there
/// for him.
fn found(conn: &mut Conn) -> Result<(Vec<String>, Vec<Applied>), StoreError> {
    let tables: Vec<String> = conn
        .query("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
        .map_err(|error| failed(&error))?;
    if !tables.iter().any(|table| table == RECORD) {
        return Ok((tables, Vec::new()));
    }
    // All columns: which there are, depends on how far the database has come.
    let rows: Vec<Row> = conn
        .query(format!("SELECT * FROM {RECORD} ORDER BY version"))
        .map_err(|error| failed(&error))?;
    let applied = rows.iter().map(read).collect::<Option<_>>();
    Ok((tables, applied.ok_or_else(|| StoreError::from(conversion()))?))
}

fn read(row: &Row) -> Option<Applied> {
    Some(Applied {
        version: row.get_opt("version")?.ok()?,
        checksum: row.get_opt("checksum")?.ok()?,
        oldest: match row.get_opt::<Option<u32>, _>("oldest") {
            None => None,
            Some(oldest) => oldest.ok()?,
        },
    })
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
    let Migration { version, name, oldest, .. } = *migration;
    let entry = (version, name, migration.checksum(), now_ms());
    let columns = "version, name, checksum, applied_at_ms";
    let recorded = if version < SAYS_OLDEST {
        conn.exec_drop(format!("INSERT INTO {RECORD} ({columns}) VALUES (?, ?, ?, ?)"), entry)
    } else {
        let (version, name, checksum, at) = entry;
        let all = (version, name, checksum, at, oldest);
        conn.exec_drop(
            format!("INSERT INTO {RECORD} ({columns}, oldest) VALUES (?, ?, ?, ?, ?)"),
            all,
        )
    };
    recorded.map_err(|error| failed(&error))
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

/// With the server's own words: no statement here has a value that a user gave.
fn failed(error: &mysql::Error) -> StoreError {
    in_full(error).into()
}
