//! What operators need.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use super::{SqliteStore, unsigned};
use crate::limits::{IMPORT_BATCH_MAX, PROFILES_PAGE_MAX, USER_RANGE_MAX};
use crate::operators::end_of_prefix;
use crate::rows::sql_integer;
use crate::{Cause, Imported, ImportedUser, Operators, StoreError, Trial, UserProfile, UserRange};

/// The columns of a [`UserProfile`], in the order that [`profile`] reads.
macro_rules! select_profile {
    () => {
        "SELECT id, username, password_record, name, age, created_at_ms, disabled_at_ms, \
                session_epoch FROM user"
    };
}
impl Operators for SqliteStore {
    fn import_users(
        &self,
        users: &[ImportedUser<'_>],
        trial: Trial,
        deadline: Instant,
    ) -> Result<Vec<Imported>, StoreError> {
        if users.len() > IMPORT_BATCH_MAX {
            return Err(StoreError::Internal(Cause::OutOfRange("the number of users")));
        }
        for ImportedUser { user, disabled_at_ms } in users {
            sql_integer(user.user_id, "the user id")?;
            sql_integer(user.created_at_ms.max(disabled_at_ms.unwrap_or(0)), "the time")?;
        }
        self.write(deadline, |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcomes: rusqlite::Result<Vec<_>> =
                users.iter().map(|user| import(&transaction, user)).collect();
            // What is not committed is undone.
            if trial == Trial::Real && outcomes.is_ok() {
                transaction.commit()?;
            }
            outcomes
        })
    }

    fn user_profiles(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<UserProfile>, StoreError> {
        let after = sql_integer(after, "the user id")?;
        self.read(deadline, |connection| {
            connection
                .prepare_cached(concat!(select_profile!(), " WHERE id > ? ORDER BY id LIMIT ?"))?
                .query_map(params![after, limit.min(PROFILES_PAGE_MAX)], profile)?
                .collect()
        })
    }

    fn user_profiles_by_name(
        &self,
        prefix: &str,
        after: &str,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<UserProfile>, StoreError> {
        // One bound, which is where the index is entered: with two, SQLite might walk there from the prefix. The next
        // text after a name is the name and a zero.
        let (first, end) = (format!("{after}\0"), end_of_prefix(prefix));
        let first = if first.as_str() < prefix { prefix } else { &first };
        self.read(deadline, |connection| {
            connection
                .prepare_cached(concat!(
                    select_profile!(),
                    " WHERE username >= ? AND username < ? ORDER BY username LIMIT ?"
                ))?
                .query_map(params![first, end, limit.min(PROFILES_PAGE_MAX)], profile)?
                .collect()
        })
    }

    fn user_profile(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserProfile>, StoreError> {
        self.read(deadline, |connection| {
            connection
                .prepare_cached(concat!(select_profile!(), " WHERE username = ?"))?
                .query_row([username], profile)
                .optional()
        })
    }

    fn disable_user(
        &self,
        user_id: u64,
        at_ms: u64,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        let at_ms = sql_integer(at_ms, "the time")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE user SET disabled_at_ms = coalesce(disabled_at_ms, ?), \
                                     session_epoch = session_epoch + 1 \
                     WHERE id = ?",
                )?
                .execute(params![at_ms, user_id])
                .map(|changed| changed == 1)
        })
    }

    fn enable_user(&self, user_id: u64, deadline: Instant) -> Result<bool, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached("UPDATE user SET disabled_at_ms = NULL WHERE id = ?")?
                .execute([user_id])
                .map(|changed| changed == 1)
        })
    }

    fn set_password_record(
        &self,
        user_id: u64,
        record: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE user SET password_record = ?, session_epoch = session_epoch + 1 \
                     WHERE id = ?",
                )?
                .execute(params![record, user_id])
                .map(|changed| changed == 1)
        })
    }

    fn user_range(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<UserRange, StoreError> {
        let after = sql_integer(after, "the user id")?;
        self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT count(*), max(id) FROM \
                     (SELECT id FROM user WHERE id > ? ORDER BY id LIMIT ?)",
                )?
                .query_row(params![after, limit.min(USER_RANGE_MAX)], |row| {
                    let last: Option<i64> = row.get(1)?;
                    let last = last.map(|_| unsigned(row, 1)).transpose()?;
                    Ok(UserRange { count: row.get(0)?, last })
                })
        })
    }

    fn raise_session_epochs(
        &self,
        after: u64,
        last: u64,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let after = sql_integer(after, "the user id")?;
        let last = sql_integer(last, "the user id")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE user SET session_epoch = session_epoch + 1 WHERE id > ? AND id <= ?",
                )?
                .execute([after, last])
                .map(drop)
        })
    }
}

fn profile(row: &Row<'_>) -> rusqlite::Result<UserProfile> {
    let disabled: Option<i64> = row.get(6)?;
    Ok(UserProfile {
        user_id: unsigned(row, 0)?,
        username: row.get(1)?,
        password_record: row.get(2)?,
        name: row.get(3)?,
        age: row.get(4)?,
        created_at_ms: unsigned(row, 5)?,
        disabled_at_ms: disabled.map(|_| unsigned(row, 6)).transpose()?,
        session_epoch: row.get(7)?,
    })
}

/// Inserts one user in the transaction that `connection` is in.
fn import(
    connection: &Connection,
    ImportedUser { user, disabled_at_ms }: &ImportedUser<'_>,
) -> rusqlite::Result<Imported> {
    // Whichever index refuses; a CHECK that fails is still an error.
    let inserted = connection
        .prepare_cached(
            "INSERT INTO user (id, username, password_record, name, age, \
                               registration_request_id, created_at_ms, disabled_at_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            user.user_id.cast_signed(),
            user.username,
            user.password_record,
            user.name,
            user.age,
            user.request_id,
            user.created_at_ms.cast_signed(),
            disabled_at_ms.map(u64::cast_signed),
        ])?;
    if inserted == 1 {
        return Ok(Imported::Created);
    }
    let owner = connection
        .prepare_cached("SELECT id, registration_request_id FROM user WHERE username = ?")?
        .query_row([user.username], |row| {
            let registered_by = row.get_ref(1)?.as_blob_or_null()?;
            Ok(Imported::for_owner(unsigned(row, 0)?, registered_by, user))
        })
        .optional()?;
    Ok(owner.unwrap_or(Imported::IdTaken))
}
