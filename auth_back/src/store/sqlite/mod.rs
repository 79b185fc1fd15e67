//! The store in a SQLite file, for one server and its operator's tools.
//!
//! Readers and the writer have a pool each. Write-ahead logging lets them work side by side; the
//! writer's pool holds one connection, so writers of this process queue in order. Another process
//! that writes (a command of the operator's) is waited for with SQLite's busy timeout, which is set to what
//! is left of the deadline at each call.
//!
//! A statement of one row is a read of a few pages and cannot be interrupted. A commit waits for the disk
//! (`synchronous=FULL`), and that wait has no deadline either: to give it up would not undo it.

mod connection;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Instant;

use pool::{Config, Lent, Pool};
use rusqlite::{Connection, Error, OptionalExtension as _, Row, TransactionBehavior, params};

use self::connection::{Access, Opener, fault, prepare_file};
use super::limits::{PURGE_BATCH_MAX, SQLITE_WRITERS};
use super::migrations::{self, Applied, now_ms};
use super::rows::sql_integer;
use super::{
    Inserted, Migrated, MigrationError, NewSession, NewUser, Product, SessionRow, Store,
    StoreError, UserRow, check_deadline,
};

/// Users and sessions in one SQLite file. The file and its companions (`-wal`, `-shm`) are for the
/// owner alone, mode 0600.
///
/// An insert that was acknowledged survives the death of the process and of the machine.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Pool<Opener>,
    writer: Pool<Opener>,
}

impl SqliteStore {
    /// Opens the file, creating it if there is none. Its directory must exist. At most `readers`
    /// connections read at once; one writes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the file cannot be made, or if others than its owner may read or
    /// write it; [`StoreError::Internal`] if `readers` is out of range.
    pub fn open(path: &Path, readers: usize) -> Result<Self, StoreError> {
        let path = prepare_file(path)?;
        // A file does not die of idling, and an open connection costs little memory.
        let config = |size| Config::new(size).map(Config::without_liveness_check);
        let pool = |size, access| {
            config(size)
                .map(|config| Pool::new(Opener::new(path.clone(), access), config))
                .map_err(|error| StoreError::Internal(error.into()))
        };
        Ok(Self {
            readers: pool(readers, Access::Read)?,
            writer: pool(SQLITE_WRITERS, Access::Write)?,
        })
    }

    fn read<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        run(&self.readers, deadline, |connection| work(connection))
    }

    fn write<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        run(&self.writer, deadline, work)
    }
}

/// Borrows a connection, works, and gives it back unless the work spoilt it.
fn run<T>(
    pool: &Pool<Opener>,
    deadline: Instant,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    check_deadline(deadline)?;
    let mut connection = pool.acquire(deadline)?;
    check_deadline(deadline)?;
    let done = connection
        .busy_timeout(deadline.saturating_duration_since(Instant::now()))
        .and_then(|()| work(&mut connection));
    done.map_err(|error| {
        let fault = fault(&error);
        if fault.spoils_connection() {
            Lent::discard(connection);
        }
        fault.into()
    })
}

impl Store for SqliteStore {
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

    fn insert_user(&self, user: &NewUser<'_>, deadline: Instant) -> Result<Inserted, StoreError> {
        let id = sql_integer(user.user_id, "the user id")?;
        let created_at_ms = sql_integer(user.created_at_ms, "the time")?;
        self.write(deadline, |connection| {
            // Only a conflict on the name is passed over; a taken id is an error.
            let inserted = connection
                .prepare_cached(
                    "INSERT INTO user (id, username, password_record, name, age, \
                                       registration_request_id, created_at_ms) \
                     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (username) DO NOTHING",
                )?
                .execute(params![
                    id,
                    user.username,
                    user.password_record,
                    user.name,
                    user.age,
                    user.request_id,
                    created_at_ms,
                ])?;
            if inserted == 1 {
                return Ok(Inserted::Created);
            }
            connection
                .prepare_cached("SELECT id, registration_request_id FROM user WHERE username = ?")?
                .query_row([user.username], |row| {
                    let registered_by = row.get_ref(1)?.as_blob_or_null()?;
                    Ok(Inserted::for_owner(unsigned(row, 0)?, registered_by, user.request_id))
                })
        })
    }

    fn user_by_name(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserRow>, StoreError> {
        self.read(deadline, |connection| {
            connection
                .prepare_cached("SELECT id, password_record FROM user WHERE username = ?")?
                .query_row([username], |row| {
                    Ok(UserRow { user_id: unsigned(row, 0)?, password_record: row.get(1)? })
                })
                .optional()
        })
    }

    fn has_users(&self, deadline: Instant) -> Result<bool, StoreError> {
        self.read(deadline, |connection| {
            connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM user)")?
                .query_row([], |row| row.get(0))
        })
    }

    fn replace_password_record(
        &self,
        user_id: u64,
        old: &str,
        new: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE user SET password_record = ? WHERE id = ? AND password_record = ?",
                )?
                .execute(params![new, user_id, old])
                .map(|changed| changed == 1)
        })
    }

    fn insert_session(
        &self,
        session: &NewSession<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let id = sql_integer(session.session_id, "the session id")?;
        let user_id = sql_integer(session.user_id, "the user id")?;
        let created_at_ms = sql_integer(session.created_at_ms, "the time")?;
        let expires_at_ms = sql_integer(session.expires_at_ms, "the time")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO session (token_digest, id, user_id, created_at_ms, expires_at_ms, \
                                          client_address, user_agent) \
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    session.token_digest,
                    id,
                    user_id,
                    created_at_ms,
                    expires_at_ms,
                    session.client_address.map(|address| address.to_string()),
                    session.user_agent.map(super::UserAgent::as_str),
                ])
                .map(drop)
        })
    }

    fn session(
        &self,
        token_digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT session.id, user_id, username, session.created_at_ms, expires_at_ms \
                     FROM session JOIN user ON user.id = user_id \
                     WHERE token_digest = ? AND expires_at_ms > ?",
                )?
                .query_row(params![token_digest, now_ms], |row| {
                    Ok(SessionRow {
                        session_id: unsigned(row, 0)?,
                        user_id: unsigned(row, 1)?,
                        username: row.get(2)?,
                        created_at_ms: unsigned(row, 3)?,
                        expires_at_ms: unsigned(row, 4)?,
                    })
                })
                .optional()
        })
    }

    fn delete_session(
        &self,
        token_digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        self.write(deadline, |connection| {
            connection
                .prepare_cached("DELETE FROM session WHERE token_digest = ?")?
                .execute([token_digest])
                .map(|deleted| deleted == 1)
        })
    }

    fn delete_expired_sessions(
        &self,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        let limit = limit.min(PURGE_BATCH_MAX);
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "DELETE FROM session WHERE token_digest IN \
                     (SELECT token_digest FROM session WHERE expires_at_ms <= ? \
                      ORDER BY expires_at_ms LIMIT ?)",
                )?
                .execute(params![now_ms, limit])
                // At most `limit`, so it fits.
                .map(|deleted| u32::try_from(deleted).unwrap_or(limit))
        })
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
        // Reads the file's first page; `SELECT 1` would not touch the file at all.
        self.read(deadline, |connection| {
            connection.prepare_cached("PRAGMA schema_version")?.query_row([], |_| Ok(()))
        })
    }

    fn connections(&self) -> pool::Stats {
        self.readers.stats()
    }
}

/// A number that was stored by way of [`sql_integer`].
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(column, value))
}

/// Applies what is missing, in the transaction that `connection` is in.
fn migrate(connection: &Connection) -> rusqlite::Result<Result<Migrated, MigrationError>> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migration (
            version       INTEGER PRIMARY KEY NOT NULL,
            name          TEXT NOT NULL,
            checksum      TEXT NOT NULL, -- SHA-256 of the file, hex
            applied_at_ms INTEGER NOT NULL
        ) STRICT",
    )?;
    let applied = connection
        .prepare("SELECT version, checksum FROM schema_migration ORDER BY version")?
        .query_map([], |row: &Row<'_>| Ok(Applied { version: row.get(0)?, checksum: row.get(1)? }))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let from = applied.last().map_or(0, |applied| applied.version);
    let pending = match migrations::pending(migrations::SQLITE, &applied) {
        Ok(pending) => pending,
        Err(error) => return Ok(Err(error)),
    };
    for migration in pending {
        connection.execute_batch(migration.sql)?;
        connection.execute(
            "INSERT INTO schema_migration (version, name, checksum, applied_at_ms) \
             VALUES (?, ?, ?, ?)",
            params![migration.version, migration.name, migration.checksum(), now_ms()],
        )?;
    }
    Ok(Ok(Migrated { from, to: pending.last().map_or(from, |migration| migration.version) }))
}
