//! The store in a SQLite file, for one server and its operator's tools.
//!
//! Readers and the writer have a pool each. Write-ahead logging lets them work side by side; the
//! writer's pool holds one connection, so writers of this process queue in order. Another process
//! that writes (a command of the operator's) is waited for with SQLite's busy timeout, which is set to what
//! is left of the deadline at each call.
//!
//! A statement of one row is a read of a few pages and cannot be interrupted. A commit waits for the disk
//! (`synchronous=FULL`), and that wait has no deadline either: to give it up would not undo it.

pub mod backup;
mod checkpoints;
mod connection;
mod installation;
mod keys;
mod operators;
mod place;
mod sessions;
#[cfg(test)]
mod tests;
mod users;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pool::{Config, Lent, Pool};
use rusqlite::types::FromSql;
use rusqlite::{Connection, Error, Params, Row, Statement, TransactionBehavior, params};
use unix_time::unix_ms;

use self::checkpoints::Checkpoints;
use self::connection::{Access, Opener, fault, prepare_file};
use self::place::Place;
use super::error::{StoreError, check_deadline};
use super::limits::SQLITE_WRITERS;
use super::migrations::{
    self, Applied, Migrated, Migration, MigrationError, RECORD, SAYS_OLDEST, Schema, now_ms,
};
use super::rows::Product;
use super::store::{Absent, Condition, Store};
use super::writes::Writes;

pub(super) const CREATE_RECORD: &str = "\
CREATE TABLE IF NOT EXISTS schema_migration (
    version       INTEGER PRIMARY KEY NOT NULL,
    name          TEXT NOT NULL,
    checksum      TEXT NOT NULL, -- SHA-256 of the file, hex
    applied_at_ms INTEGER NOT NULL
) STRICT";

/// Users and sessions in one SQLite file. The file and its companions (`-wal`, `-shm`) are for the
/// owner alone, mode 0600.
///
/// An insert that was acknowledged survives the death of the process and of the machine.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Pool<Opener>,
    /// Ends before the writer, which is closed last and removes the log.
    checkpoints: Checkpoints,
    writer: Pool<Opener>,
    writes: Writes,
    place: Arc<Place>,
}

/// How long the log beside a file is, in bytes; 0 where there is none.
#[must_use]
pub fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |found| found.len())
}

impl SqliteStore {
    /// Opens the file. Its directory must exist. At most `readers` connections read at once; one writes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the file is not there or cannot be made, or if others than its owner may read
    /// or write it; [`StoreError::Internal`] if `readers` is out of range.
    pub fn open(path: &Path, readers: usize, absent: Absent) -> Result<Self, StoreError> {
        let place = Arc::new(prepare_file(path, absent)?);
        // A file does not die of idling, and an open connection costs little memory.
        let config = |size| Config::new(size).map(Config::without_liveness_check);
        let pool = |size, access| {
            config(size)
                .map(|config| Pool::new(Opener::new(Arc::clone(&place), access), config))
                .map_err(|error| StoreError::Internal(error.into()))
        };
        Ok(Self {
            readers: pool(readers, Access::Read)?,
            checkpoints: Checkpoints::new(Arc::clone(&place)),
            writer: pool(SQLITE_WRITERS, Access::Write)?,
            writes: Writes::default(),
            place,
        })
    }

    fn read<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.place.check()?;
        run(&self.readers, &self.writes, deadline, |connection| work(connection))
    }

    fn write<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.place.look()?;
        let done = run(&self.writer, &self.writes, deadline, work)?;
        self.checkpoints.note_commit();
        // What is acknowledged is in the file that the next start opens.
        self.place.look()?;
        Ok(done)
    }

    /// Writes each of these rows, all with one commit. What each came to, in their order; one that is refused leaves the
    /// others as they are.
    fn write_together<R, T>(
        &self,
        deadline: Instant,
        rows: &[Result<R, StoreError>],
        write: impl Fn(&R, &Connection) -> rusqlite::Result<T>,
    ) -> Vec<Result<T, StoreError>> {
        let written = self.write(deadline, |connection| {
            // The lock at once: a transaction that began with reading could not write if another process had meanwhile.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let write_one = |row: &Result<R, StoreError>| match row {
                Err(error) => Ok(Err(error.clone())),
                Ok(row) => match write(row, &transaction) {
                    // Then nothing can be committed.
                    Err(error)
                        if transaction.is_autocommit() || fault(&error).spoils_connection() =>
                    {
                        Err(error)
                    }
                    // A statement that fails undoes itself and nothing else.
                    Err(error) => Ok(Err(fault(&error).into())),
                    Ok(written) => Ok(Ok(written)),
                },
            };
            let written = rows.iter().map(write_one).collect::<rusqlite::Result<Vec<_>>>()?;
            transaction.commit()?;
            Ok(written)
        });
        written.unwrap_or_else(|error| rows.iter().map(|_| Err(error.clone())).collect())
    }
}

/// Borrows a connection, works, and gives it back unless the work spoilt it.
fn run<T>(
    pool: &Pool<Opener>,
    writes: &Writes,
    deadline: Instant,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    check_deadline(deadline)?;
    let mut connection = pool.acquire(deadline)?;
    check_deadline(deadline)?;
    let done = connection
        .busy_timeout(deadline.saturating_duration_since(clock::now()))
        .and_then(|()| work(&mut connection));
    done.map_err(|error| {
        let fault = fault(&error);
        writes.note(&fault);
        if fault.spoils_connection() {
            Lent::discard(connection);
        }
        fault.into()
    })
}

/// The value that a statement which writes returns, `None` if it found no row. It is run to its end: before that it has
/// not committed, and a disk that is full has not been noticed.
fn returned<T: FromSql>(
    statement: &mut Statement<'_>,
    params: impl Params,
) -> rusqlite::Result<Option<T>> {
    let mut rows = statement.query(params)?;
    let value = rows.next()?.map(|row| row.get(0)).transpose()?;
    while rows.next()?.is_some() {}
    Ok(value)
}

impl Store for SqliteStore {
    fn schema(&self, deadline: Instant) -> Result<Schema, MigrationError> {
        let (tables, applied) = self.read(deadline, found)?;
        migrations::assess(migrations::SQLITE, &tables, &applied)
    }

    fn migrate(&self, deadline: Instant) -> Result<Migrated, MigrationError> {
        // SQLite's DDL is transactional: all of it happens, or none. Taking the write lock at the start
        // makes other servers wait before they look at what has been applied.
        self.write(deadline, |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = migrate(&transaction)?;
            if outcome.is_ok() {
                transaction.commit()?;
            }
            Ok(outcome)
        })?
    }

    fn products(&self, deadline: Instant) -> Result<Vec<Product>, StoreError> {
        self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT id, name, description, price_minor, currency FROM product ORDER BY id",
                )?
                .query_map([], |row| {
                    Ok(Product {
                        product_id: unsigned(row, 0)?,
                        name: row.get(1)?,
                        description: row.get(2)?,
                        price_minor: unsigned(row, 3)?,
                        currency: row.get(4)?,
                    })
                })?
                .collect()
        })
    }

    fn ping(&self, deadline: Instant) -> Result<(), StoreError> {
        self.place.look()?;
        // Reads the file's first page; `SELECT 1` would not touch the file at all.
        self.read(deadline, |connection| {
            connection.prepare_cached("PRAGMA schema_version")?.query_row([], |_| Ok(()))
        })?;
        self.writes.try_again(|| self.write(deadline, |connection| try_to_write(connection)));
        Ok(())
    }

    fn time(&self, deadline: Instant) -> Result<u64, StoreError> {
        check_deadline(deadline)?;
        Ok(unix_ms(clock::wall()))
    }

    fn connections(&self) -> pool::Stats {
        self.readers.stats()
    }

    fn condition(&self) -> Condition {
        Condition { takes_writes: self.writes.are_taken(), spared_calls: 0 }
    }
}

/// A number that was stored by way of [`sql_integer`].
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(column, value))
}

/// Writes to the disk and changes nothing that anybody reads: a number in the file's head that SQLite leaves to
/// applications. A row that is set to what it is already would not be written.
fn try_to_write(connection: &Connection) -> rusqlite::Result<()> {
    let number: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", number.wrapping_add(1))
}

/// The names of all tables, and what the record of migrations has.
fn found(connection: &Connection) -> rusqlite::Result<(Vec<String>, Vec<Applied>)> {
    // SQLite's own have names that begin so.
    let tables = connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    if !tables.iter().any(|table| table == RECORD) {
        return Ok((tables, Vec::new()));
    }
    // All columns: which there are, depends on how far the database has come.
    let mut statement = connection.prepare(&format!("SELECT * FROM {RECORD} ORDER BY version"))?;
    let oldest = statement.column_index("oldest").ok();
    let applied = statement
        .query_map([], |row: &Row<'_>| {
            Ok(Applied {
                version: row.get("version")?,
                checksum: row.get("checksum")?,
                oldest: oldest.map_or(Ok(None), |column| row.get(column))?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok((tables, applied))
}

/// Applies what is missing, in the transaction that `connection` is in.
fn migrate(connection: &Connection) -> rusqlite::Result<Result<Migrated, MigrationError>> {
    let (tables, applied) = found(connection)?;
    let from = applied.last().map_or(0, |applied| applied.version);
    let pending = match migrations::pending(migrations::SQLITE, &tables, &applied) {
        Ok(pending) => pending,
        Err(error) => return Ok(Err(error)),
    };
    if !pending.is_empty() {
        connection.execute_batch(CREATE_RECORD)?;
    }
    for migration in pending {
        connection.execute_batch(migration.sql)?;
        record(connection, migration)?;
    }
    Ok(Ok(Migrated { from, to: pending.last().map_or(from, |migration| migration.version) }))
}

fn record(connection: &Connection, migration: &Migration) -> rusqlite::Result<()> {
    let Migration { version, name, oldest, .. } = *migration;
    let columns = "version, name, checksum, applied_at_ms";
    let (checksum, at) = (migration.checksum(), now_ms());
    if version < SAYS_OLDEST {
        let sql = format!("INSERT INTO {RECORD} ({columns}) VALUES (?, ?, ?, ?)");
        connection.execute(&sql, params![version, name, checksum, at])?;
    } else {
        let sql = format!("INSERT INTO {RECORD} ({columns}, oldest) VALUES (?, ?, ?, ?, ?)");
        connection.execute(&sql, params![version, name, checksum, at, oldest])?;
    }
    Ok(())
}
