//! The users.

use std::time::Instant;

use mysql::Value;

use super::query::Query;
use super::{MySqlStore, Together};
use crate::fault::Kind;
use crate::limits::RECORDS_PAGE_MAX;
use crate::rows::{record_changes, sql_integer};
use crate::{
    Cause, Inserted, NewUser, PasswordChange, RecordChange, RecordRow, StoreError, Trial, UserRow,
    Users,
};

impl Users for MySqlStore {
    fn insert_user(&self, user: &NewUser<'_>, deadline: Instant) -> Result<Inserted, StoreError> {
        let row = row(user)?;
        self.run(deadline, |connection| match connection.execute(Query::InsertUser, row.to_vec()) {
            Ok(_) => Ok(Inserted::Created),
            Err(fault) if fault.kind() == Kind::Duplicate => {
                let owner: Option<(u64, Option<Vec<u8>>)> =
                    connection.first(Query::OwnerOfName, (user.username,))?;
                Ok(owner.map_or(Inserted::IdTaken, |(owner, registered_by)| {
                    Inserted::for_owner(owner, registered_by.as_deref(), user.request_id)
                }))
            }
            Err(fault) => Err(fault),
        })
    }

    fn insert_users(
        &self,
        users: &[NewUser<'_>],
        deadline: Instant,
    ) -> Vec<Result<Inserted, StoreError>> {
        let one_by_one = || users.iter().map(|user| self.insert_user(user, deadline)).collect();
        // By their names: two servers that insert the same ones do not wait for each other in a circle.
        let mut sorted: Vec<_> = users.iter().collect();
        sorted.sort_unstable_by_key(|user| user.username);
        let rows: Vec<_> = sorted.into_iter().map_while(|user| row(user).ok()).collect();
        if users.len() < 2 || rows.len() < users.len() {
            return one_by_one();
        }
        match self.insert_together(Query::insert_users, &rows, deadline) {
            Ok(Together::Inserted) => users.iter().map(|_| Ok(Inserted::Created)).collect(),
            // The name of one of them has an owner.
            Ok(Together::Refused) => one_by_one(),
            Err(error) => users.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn user_by_name(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserRow>, StoreError> {
        // Nobody's, and MySQL would refuse to compare it with an ASCII column.
        if !username.is_ascii() {
            return Ok(None);
        }
        let row =
            self.run(deadline, |connection| connection.first(Query::UserByName, (username,)))?;
        Ok(row.map(user))
    }

    fn user_by_id(&self, user_id: u64, deadline: Instant) -> Result<Option<UserRow>, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        let row = self.run(deadline, |connection| connection.first(Query::UserById, (user_id,)))?;
        Ok(row.map(user))
    }

    fn has_users(&self, deadline: Instant) -> Result<bool, StoreError> {
        let found: Option<(bool,)> =
            self.run(deadline, |connection| connection.first(Query::AnyUser, ()))?;
        Ok(found == Some((true,)))
    }

    fn replace_password_record(
        &self,
        user_id: u64,
        old: &str,
        new: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        let found = self.run(deadline, |connection| {
            connection.execute(Query::ReplacePasswordRecord, (new, user_id, old))
        })?;
        Ok(found == 1)
    }

    fn replace_password_records(
        &self,
        changes: &[RecordChange],
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        let ids = record_changes(changes)?;
        self.run(deadline, |connection| {
            connection.transaction(Trial::Real, |connection| {
                let mut replaced = 0;
                for (id, change) in ids.iter().zip(changes) {
                    let values = (&change.new, id, &change.old);
                    let found = connection.execute(Query::ReplacePasswordRecord, values)?;
                    replaced += u32::from(found == 1);
                }
                Ok(replaced)
            })
        })
    }

    fn password_records(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let page = (sql_integer(after, "the user id")?, limit.min(RECORDS_PAGE_MAX));
        let rows = self.run(deadline, |connection| connection.all(Query::PasswordRecords, page))?;
        let record = |(user_id, password_record)| RecordRow { user_id, password_record };
        Ok(rows.into_iter().map(record).collect())
    }

    fn change_password_record(
        &self,
        change: &PasswordChange<'_>,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let PasswordChange { user_id, old, new, epoch } = *change;
        let user_id = sql_integer(user_id, "the user id")?;
        let found = self.run(deadline, |connection| {
            let next = u64::from(epoch) + 1;
            connection.execute(Query::ChangePasswordRecord, (new, next, user_id, old, epoch))
        })?;
        Ok(found == 1)
    }

    fn raise_session_epoch(
        &self,
        user_id: u64,
        deadline: Instant,
    ) -> Result<Option<u32>, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        let raised = self.run(deadline, |connection| {
            connection.execute_with_number(Query::RaiseSessionEpoch, (user_id,))
        })?;
        let epoch = |number| {
            u32::try_from(number).map_err(|_| StoreError::Corrupt(Cause::OutOfRange("an epoch")))
        };
        raised.map(epoch).transpose()
    }
}

fn user(
    (user_id, password_record, session_epoch, is_disabled): (u64, String, u32, bool),
) -> UserRow {
    UserRow { user_id, password_record, session_epoch, is_disabled }
}

/// A new user, as the statement that inserts one takes it.
fn row(user: &NewUser<'_>) -> Result<[Value; 7], StoreError> {
    Ok([
        sql_integer(user.user_id, "the user id")?.into(),
        user.username.into(),
        user.password_record.into(),
        user.name.into(),
        user.age.into(),
        user.request_id.as_ref().map(|id| &id[..]).into(),
        sql_integer(user.created_at_ms, "the time")?.into(),
    ])
}
