//! The users.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use super::{SqliteStore, returned, unsigned};
use crate::limits::RECORDS_PAGE_MAX;
use crate::rows::{record_changes, sql_integer};
use crate::{
    Inserted, NewUser, PasswordChange, RecordChange, RecordRow, StoreError, UserRow, Users,
};

impl Users for SqliteStore {
    fn insert_user(&self, user: &NewUser<'_>, deadline: Instant) -> Result<Inserted, StoreError> {
        let user = Registered::of(user)?;
        self.write(deadline, |connection| user.insert(connection))
    }

    fn insert_users(
        &self,
        users: &[NewUser<'_>],
        deadline: Instant,
    ) -> Vec<Result<Inserted, StoreError>> {
        let rows: Vec<_> = users.iter().map(Registered::of).collect();
        self.write_together(deadline, &rows, Registered::insert)
    }

    fn user_by_name(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserRow>, StoreError> {
        self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT id, password_record, session_epoch, disabled_at_ms IS NOT NULL \
                     FROM user WHERE username = ?",
                )?
                .query_row([username], user)
                .optional()
        })
    }

    fn user_by_id(&self, user_id: u64, deadline: Instant) -> Result<Option<UserRow>, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT id, password_record, session_epoch, disabled_at_ms IS NOT NULL \
                     FROM user WHERE id = ?",
                )?
                .query_row([user_id], user)
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

    fn replace_password_records(
        &self,
        changes: &[RecordChange],
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        let ids = record_changes(changes)?;
        self.write(deadline, |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut replaced = 0;
            for (id, change) in ids.iter().zip(changes) {
                let changed = transaction
                    .prepare_cached(
                        "UPDATE user SET password_record = ? WHERE id = ? AND password_record = ?",
                    )?
                    .execute(params![change.new, id, change.old])?;
                replaced += u32::from(changed == 1);
            }
            transaction.commit()?;
            Ok(replaced)
        })
    }

    fn password_records(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let after = sql_integer(after, "the user id")?;
        self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT id, password_record FROM user WHERE id > ? ORDER BY id LIMIT ?",
                )?
                .query_map(params![after, limit.min(RECORDS_PAGE_MAX)], |row| {
                    Ok(RecordRow { user_id: unsigned(row, 0)?, password_record: row.get(1)? })
                })?
                .collect()
        })
    }

    fn change_password_record(
        &self,
        change: &PasswordChange<'_>,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let PasswordChange { user_id, old, new, epoch } = *change;
        let user_id = sql_integer(user_id, "the user id")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE user SET password_record = ?, session_epoch = session_epoch + 1 \
                     WHERE id = ? AND password_record = ? AND session_epoch = ?",
                )?
                .execute(params![new, user_id, old, epoch])
                .map(|changed| changed == 1)
        })
    }

    fn raise_session_epoch(
        &self,
        user_id: u64,
        deadline: Instant,
    ) -> Result<Option<u32>, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        self.write(deadline, |connection| {
            let mut statement = connection.prepare_cached(
                "UPDATE user SET session_epoch = session_epoch + 1 WHERE id = ? \
                 RETURNING session_epoch",
            )?;
            returned(&mut statement, [user_id])
        })
    }
}

/// A new user, in numbers that SQLite has.
struct Registered<'a> {
    user: &'a NewUser<'a>,
    id: i64,
    created_at_ms: i64,
}

impl<'a> Registered<'a> {
    fn of(user: &'a NewUser<'a>) -> Result<Self, StoreError> {
        Ok(Self {
            user,
            id: sql_integer(user.user_id, "the user id")?,
            created_at_ms: sql_integer(user.created_at_ms, "the time")?,
        })
    }

    fn insert(&self, connection: &Connection) -> rusqlite::Result<Inserted> {
        let user = self.user;
        let inserted = connection
            .prepare_cached(
                "INSERT INTO user (id, username, password_record, name, age, \
                                   registration_request_id, created_at_ms) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                self.id,
                user.username,
                user.password_record,
                user.name,
                user.age,
                user.request_id,
                self.created_at_ms,
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
            .optional()
            .map(|owner| owner.unwrap_or(Inserted::IdTaken))
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    Ok(UserRow {
        user_id: unsigned(row, 0)?,
        password_record: row.get(1)?,
        session_epoch: row.get(2)?,
        is_disabled: row.get(3)?,
    })
}
