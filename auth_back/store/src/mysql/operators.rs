//! What operators need.

use std::time::Instant;

use super::MySqlStore;
use super::connection::Connection;
use super::query::Query;
use crate::fault::{Fault, Kind};
use crate::limits::{IMPORT_BATCH_MAX, PROFILES_PAGE_MAX, USER_RANGE_MAX};
use crate::operators::end_of_prefix;
use crate::rows::sql_integer;
use crate::{Cause, Imported, ImportedUser, Operators, StoreError, Trial, UserProfile, UserRange};

/// The columns of a [`UserProfile`], in the order of the statements.
type Profile = (u64, String, String, Option<String>, Option<u8>, u64, Option<u64>, u32);

impl Operators for MySqlStore {
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
        self.run(deadline, |connection| {
            connection.transaction(trial, |connection| {
                users.iter().map(|user| import(connection, user)).collect()
            })
        })
    }

    fn user_profiles(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<UserProfile>, StoreError> {
        let page = (sql_integer(after, "the user id")?, limit.min(PROFILES_PAGE_MAX));
        let rows = self.run(deadline, |connection| connection.all(Query::UserProfiles, page))?;
        Ok(rows.into_iter().map(profile).collect())
    }

    fn user_profiles_by_name(
        &self,
        prefix: &str,
        after: &str,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<UserProfile>, StoreError> {
        // Nobody's, and MySQL would refuse to compare it with an ASCII column.
        if !prefix.is_ascii() || !after.is_ascii() {
            return Ok(Vec::new());
        }
        let page = (prefix, after, end_of_prefix(prefix), limit.min(PROFILES_PAGE_MAX));
        let rows =
            self.run(deadline, |connection| connection.all(Query::UserProfilesByName, &page))?;
        Ok(rows.into_iter().map(profile).collect())
    }

    fn user_profile(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserProfile>, StoreError> {
        // Nobody's, and MySQL would refuse to compare it with an ASCII column.
        if !username.is_ascii() {
            return Ok(None);
        }
        let row =
            self.run(deadline, |connection| connection.first(Query::UserProfile, (username,)))?;
        Ok(row.map(profile))
    }

    fn disable_user(
        &self,
        user_id: u64,
        at_ms: u64,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let row = (sql_integer(at_ms, "the time")?, sql_integer(user_id, "the user id")?);
        let found = self.run(deadline, |connection| connection.execute(Query::DisableUser, row))?;
        Ok(found == 1)
    }

    fn enable_user(&self, user_id: u64, deadline: Instant) -> Result<bool, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        let found =
            self.run(deadline, |connection| connection.execute(Query::EnableUser, (user_id,)))?;
        Ok(found == 1)
    }

    fn set_password_record(
        &self,
        user_id: u64,
        record: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let row = (record, sql_integer(user_id, "the user id")?);
        let found =
            self.run(deadline, |connection| connection.execute(Query::SetPasswordRecord, row))?;
        Ok(found == 1)
    }

    fn user_range(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<UserRange, StoreError> {
        let page = (sql_integer(after, "the user id")?, limit.min(USER_RANGE_MAX));
        let row = self.run(deadline, |connection| connection.first(Query::UserRange, page))?;
        let (count, last) = row.unwrap_or((0, None));
        Ok(UserRange { count, last })
    }

    fn raise_session_epochs(
        &self,
        after: u64,
        last: u64,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let range = (sql_integer(after, "the user id")?, sql_integer(last, "the user id")?);
        self.run(deadline, |connection| connection.execute(Query::RaiseSessionEpochs, range))
            .map(drop)
    }
}

fn profile(row: Profile) -> UserProfile {
    let (
        user_id,
        username,
        password_record,
        name,
        age,
        created_at_ms,
        disabled_at_ms,
        session_epoch,
    ) = row;
    UserProfile {
        user_id,
        username,
        password_record,
        name,
        age,
        created_at_ms,
        disabled_at_ms,
        session_epoch,
    }
}

/// Inserts one user in the transaction that the connection is in. A duplicate undoes its own statement
/// and nothing before it.
fn import(
    connection: &mut Connection,
    ImportedUser { user, disabled_at_ms }: &ImportedUser<'_>,
) -> Result<Imported, Fault> {
    let inserted = connection.execute(
        Query::ImportUser,
        (
            user.user_id,
            user.username,
            user.password_record,
            user.name,
            user.age,
            user.request_id.as_ref().map(|id| &id[..]),
            user.created_at_ms,
            *disabled_at_ms,
        ),
    );
    match inserted {
        Ok(_) => Ok(Imported::Created),
        Err(fault) if fault.kind() == Kind::Duplicate => {
            let owner: Option<(u64, Option<Vec<u8>>)> =
                connection.first(Query::OwnerOfName, (user.username,))?;
            Ok(owner.map_or(Imported::IdTaken, |(owner, registered_by)| {
                Imported::for_owner(owner, registered_by.as_deref(), user)
            }))
        }
        Err(fault) => Err(fault),
    }
}
