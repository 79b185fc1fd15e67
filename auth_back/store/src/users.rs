//! What a store knows of users.

use std::time::Instant;

use super::{Inserted, NewUser, PasswordChange, RecordChange, RecordRow, StoreError, UserRow};

/// The users of a [`Store`](super::Store), which says what holds for every call.
pub trait Users {
    /// Inserts a user unless the name has an owner. The unique index on the name decides, so of any
    /// number of callers one gets [`Inserted::Created`]. When this returns, the row is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if a value does not fit its column.
    fn insert_user(&self, user: &NewUser<'_>, deadline: Instant) -> Result<Inserted, StoreError>;

    /// [Inserts](Self::insert_user) each of these users, at most
    /// [`COMMIT_TOGETHER_MAX`](super::limits::COMMIT_TOGETHER_MAX), with one commit where that can be. When this returns,
    /// the rows are durable. What each came to, in their order; one that is refused leaves the others as they are.
    ///
    /// # Errors
    ///
    /// As for one. The user may be there.
    fn insert_users(
        &self,
        users: &[NewUser<'_>],
        deadline: Instant,
    ) -> Vec<Result<Inserted, StoreError>>;

    /// Looks a user up by the exact name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row cannot be read.
    fn user_by_name(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserRow>, StoreError>;

    /// Looks a user up by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row cannot be read.
    fn user_by_id(&self, user_id: u64, deadline: Instant) -> Result<Option<UserRow>, StoreError>;

    /// Whether anybody has ever registered. Costs the same however many have.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn has_users(&self, deadline: Instant) -> Result<bool, StoreError>;

    /// Replaces a password record if it is still `old` (compare and swap). False if it is not, or if
    /// there is no such user. When this returns true, the change is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if `new` does not fit its column.
    fn replace_password_record(
        &self,
        user_id: u64,
        old: &str,
        new: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// As [`replace_password_record`](Self::replace_password_record) for many users: each is replaced
    /// or not by itself, and all that are become so together. Returns how many. In the order of their
    /// ids, so that two who do this side by side do not block each other for good.
    ///
    /// Locks as many rows until it is done, so there are few: at most
    /// [`RECORD_CHANGES_MAX`](super::limits::RECORD_CHANGES_MAX).
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if a record does not fit its column, or if there are too many.
    fn replace_password_records(
        &self,
        changes: &[RecordChange],
        deadline: Instant,
    ) -> Result<u32, StoreError>;

    /// The password records of the users with the lowest ids above `after`, in the order of their
    /// ids, at most `limit` and at most [`RECORDS_PAGE_MAX`](super::limits::RECORDS_PAGE_MAX): a page
    /// of a walk over everybody. Ids grow with time, so who registers meanwhile comes at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn password_records(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<RecordRow>, StoreError>;

    /// Replaces a password record and raises the user's epoch by one, which ends every session, if
    /// both are still what they were. False if not, or if there is no such user. One statement: no
    /// session of the old password outlives it. When this returns true, the change is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if the new record does not fit its column.
    fn change_password_record(
        &self,
        change: &PasswordChange<'_>,
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// Raises the user's epoch, which ends every session that there is. Returns an epoch that is at
    /// least as high as what it was raised to, or `None` if there is no such user. When this returns,
    /// the change is durable.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn raise_session_epoch(
        &self,
        user_id: u64,
        deadline: Instant,
    ) -> Result<Option<u32>, StoreError>;
}
