//! What a store does for operators: whole users, in and out, and the switch that keeps one out.

use std::time::Instant;

use super::{Imported, ImportedUser, StoreError, UserProfile};

/// Whether what a transaction did is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It is.
    Real,
    /// It is undone as soon as the answers are known.
    Rehearsal,
}

/// Users whose ids follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRange {
    /// How many they are.
    pub count: u32,
    /// The highest id of them; none where there are none.
    pub last: Option<u64>,
}

/// What stands behind every name that begins with `prefix`: no name has this character.
pub(super) fn end_of_prefix(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

/// What commands of an operator need of a [`Store`](super::Store), which says what holds for every call.
pub trait Operators {
    /// Inserts users in one transaction: all that can be are there when this returns, durable, and
    /// none is if it fails, or if it is a [`Trial::Rehearsal`], which answers as if they were. The unique index decides for each of them, as in
    /// [`insert_user`](super::Users::insert_user), also between two of one call. Answers stand in the order
    /// of `users`, which are at most [`IMPORT_BATCH_MAX`](super::limits::IMPORT_BATCH_MAX).
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if a value does not fit its column, or there are more.
    fn import_users(
        &self,
        users: &[ImportedUser<'_>],
        trial: Trial,
        deadline: Instant,
    ) -> Result<Vec<Imported>, StoreError>;

    /// The users with the lowest ids above `after`, in the order of their ids, at most `limit` and at most
    /// [`PROFILES_PAGE_MAX`](super::limits::PROFILES_PAGE_MAX).
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn user_profiles(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<UserProfile>, StoreError>;

    /// The users whose names begin with `prefix` and stand behind `after`, in the order of their names' bytes, at most
    /// `limit` and at most [`PROFILES_PAGE_MAX`](super::limits::PROFILES_PAGE_MAX). By the index on names: a page costs
    /// the same wherever it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn user_profiles_by_name(
        &self,
        prefix: &str,
        after: &str,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<UserProfile>, StoreError>;

    /// All that is kept of the user of that exact name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row cannot be read.
    fn user_profile(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserProfile>, StoreError>;

    /// Keeps a user out from now on, and ends every session: both in one statement, and again if it
    /// was so before; the time of the first stays. False if there is no such user.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn disable_user(&self, user_id: u64, at_ms: u64, deadline: Instant)
    -> Result<bool, StoreError>;

    /// Lets a user in again. Sessions from before stay ended. False if there is no such user.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn enable_user(&self, user_id: u64, deadline: Instant) -> Result<bool, StoreError>;

    /// Replaces a password record, whatever it is, and ends every session: an operator decides, and no
    /// login or change of password that runs meanwhile. False if there is no such user.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if the record does not fit its column.
    fn set_password_record(
        &self,
        user_id: u64,
        record: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// The users with the lowest ids above `after`, at most `limit` and at most
    /// [`USER_RANGE_MAX`](super::limits::USER_RANGE_MAX): a page of a walk that reads nothing but ids.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn user_range(
        &self,
        after: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<UserRange, StoreError>;

    /// Raises the epochs of all users with ids above `after` and up to `last`, which ends their sessions. When this
    /// returns, the change is durable. Locks as many rows until it is done, so there should be few.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn raise_session_epochs(
        &self,
        after: u64,
        last: u64,
        deadline: Instant,
    ) -> Result<(), StoreError>;
}
