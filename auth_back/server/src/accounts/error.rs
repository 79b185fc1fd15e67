//! Why a request was not done, and whose fault it is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use credentials::ids::{IdError, SnowflakeError};
use credentials::{
    CreateError, PasswordError, RandomError, RecordError, UsernameError, VerifyError,
};
use guard::TooManyAttempts;
use hashing::{ArenaError, HashError, NotHashed};
use store::{Cause, StoreError};

use super::profile::{AgeError, NameError};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The user's fault: no such username can be.
    #[error(transparent)]
    Username(#[from] UsernameError),
    /// The user's fault: no such password can be.
    #[error(transparent)]
    Password(PasswordError),
    /// The user's fault: no such display name can be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The user's fault: nobody has that age.
    #[error(transparent)]
    Age(#[from] AgeError),
    /// The user's bad luck: somebody else has that name.
    #[error("the username is taken")]
    UsernameTaken,
    /// The user's fault, or a guess: nobody has that name.
    #[error("there is no such user")]
    UserUnknown,
    /// The user's fault, or a guess.
    #[error("the password is wrong")]
    PasswordWrong,
    /// What [`UserUnknown`](Self::UserUnknown) and [`PasswordWrong`](Self::PasswordWrong) are called
    /// where they must not be told apart.
    #[error("the username or the password is wrong")]
    CredentialsWrong,
    /// Too many guesses, perhaps of others. Nothing was looked up or hashed.
    #[error(transparent)]
    TooManyAttempts(#[from] TooManyAttempts),
    /// An operator keeps the user out. Said only to somebody who knows the password.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The user's fault, or a guess: the token is of no live session.
    #[error("the session is not live")]
    SessionNotLive,
    /// The user's fault, or a guess: the user has no session of that id.
    #[error("there is no such session")]
    SessionUnknown,
    /// Too much load: the deadline passed while the request waited. Nothing was done.
    #[error("the deadline passed before the request was served")]
    TimedOut,
    /// Too much load: the request would wait too long, or others need its place more. Nothing was done.
    #[error("more requests are waiting than can be served in time")]
    Overloaded {
        /// How long it would have to wait.
        retry_after: Duration,
    },
    /// The store's fault, for now. What was to be written may or may not have been.
    #[error(transparent)]
    StoreUnavailable(StoreError),
    /// The operator's fault, for now: the keys that say whether this is right cannot be read.
    #[error("the keys cannot be read")]
    KeysUnavailable,
    /// The operator's fault: requests go on with the keys that were read before, and a restart would fail.
    #[error("the keys cannot be read again: {0}")]
    KeysUnreadable(String),
    /// The store's fault, for now: it has not said of late that ids may be made here.
    #[error("no ids can be made until this server has renewed its node in the store")]
    IdsUnavailable,
    /// Our own fault, or that of the machine.
    #[error(transparent)]
    Internal(#[from] InternalError),
}

/// What an account service answers.
pub(crate) type Answer<T> = Result<T, AccountError>;

/// What was made of a hash, or why there was none.
pub(crate) fn hashed<T>(outcome: Result<Answer<T>, NotHashed>) -> Answer<T> {
    outcome?
}

/// Faults that only an operator or a programmer can mend.
#[derive(Debug, thiserror::Error)]
pub enum InternalError {
    /// The store holds what it should not, or a statement is wrong.
    #[error(transparent)]
    Store(StoreError),
    /// A password record in the store cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A password record could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// A password could not be found right or wrong.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The store holds an id that is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Every id that was tried is taken.
    #[error("every id that was tried for a new user is taken")]
    IdsTaken,
    /// The clock gives no ids.
    #[error(transparent)]
    Snowflake(#[from] SnowflakeError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// There is no memory to hash in.
    #[error("no arena could be made")]
    Arena(#[source] ArenaError),
    /// A hash that does not fit an arena does not fit the annex either, or there is no memory.
    #[error(transparent)]
    Annex(#[from] HashError),
    /// The file of breached passwords cannot be read.
    #[error(transparent)]
    NotCompared(PasswordError),
    /// The arenas are gone while requests are still being served.
    #[error("the arenas are closed")]
    ArenasClosed,
    /// A worker dropped the request: it panicked, or the server is at its end.
    #[error("the request was dropped")]
    Dropped,
}

impl From<PasswordError> for AccountError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::NotCompared => Self::Internal(InternalError::NotCompared(error)),
            _ => Self::Password(error),
        }
    }
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(Cause::Deadline) => Self::TimedOut,
            StoreError::Unavailable(_) => Self::StoreUnavailable(error),
            StoreError::Corrupt(_) | StoreError::Internal(_) => {
                Self::Internal(InternalError::Store(error))
            }
        }
    }
}

impl From<NotHashed> for AccountError {
    fn from(error: NotHashed) -> Self {
        match error {
            NotHashed::TimedOut => Self::TimedOut,
            NotHashed::Overloaded { retry_after } => Self::Overloaded { retry_after },
            NotHashed::ArenasClosed => Self::Internal(InternalError::ArenasClosed),
            NotHashed::Arena(error) => Self::Internal(InternalError::Arena(error)),
            NotHashed::Annex(error) => Self::Internal(InternalError::Annex(error)),
            NotHashed::Dropped => Self::Internal(InternalError::Dropped),
        }
    }
}

impl From<SnowflakeError> for AccountError {
    fn from(error: SnowflakeError) -> Self {
        match error {
            SnowflakeError::NotReserved => Self::IdsUnavailable,
            _ => Self::Internal(error.into()),
        }
    }
}

/// Errors that are internal whatever the request was.
macro_rules! internal {
    ($($error:ty),*) => {
        $(impl From<$error> for AccountError {
            fn from(error: $error) -> Self {
                Self::Internal(error.into())
            }
        })*
    };
}

internal!(RecordError, CreateError, VerifyError, HashError, IdError, RandomError);

/// Runs what concerns one of several, so that its panic, which the hook has logged, is not that of the others.
pub(crate) fn apart<T>(work: impl FnOnce() -> Answer<T>) -> Answer<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(InternalError::Dropped.into()))
}
