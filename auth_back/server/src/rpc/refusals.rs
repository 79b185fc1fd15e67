//! Every refusal in the words of the protocol: status, code, detail. The codes are part of the
//! contract with http_front and, through it, with its clients.

use std::time::Duration;

use credentials::PasswordError;
use framing::Status;

use crate::accounts::AccountError;

macro_rules! codes {
    ($($name:ident = $status:ident $text:literal;)*) => {
        /// Why a request was refused, by the code of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is its text")]
        pub enum Code { $($name),* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it is written.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            pub(super) const fn status(self) -> Status {
                match self { $(Self::$name => Status::$status),* }
            }
        }
    };
}

codes! {
    UsernameInvalid = BAD_REQUEST "username_invalid";
    PasswordCommon = BAD_REQUEST "password_common";
    PasswordBreached = BAD_REQUEST "password_breached";
    PasswordInvalid = BAD_REQUEST "password_invalid";
    NameInvalid = BAD_REQUEST "name_invalid";
    AgeInvalid = BAD_REQUEST "age_invalid";
    UsernameTaken = CONFLICT "username_taken";
    UserUnknown = NOT_FOUND "user_unknown";
    PasswordWrong = UNAUTHORIZED "password_wrong";
    CredentialsWrong = UNAUTHORIZED "credentials_wrong";
    TooManyAttempts = TOO_MANY_REQUESTS "too_many_attempts";
    AccountDisabled = FORBIDDEN "account_disabled";
    SessionNotLive = UNAUTHORIZED "session_not_live";
    SessionUnknown = NOT_FOUND "session_unknown";
    TimedOut = UNAVAILABLE "timed_out";
    Overloaded = UNAVAILABLE "overloaded";
    StoreUnavailable = UNAVAILABLE "store_unavailable";
    KeysUnavailable = UNAVAILABLE "keys_unavailable";
    Internal = INTERNAL "internal";
}

/// The code of an error.
pub(crate) fn code_of(error: &AccountError) -> Code {
    match error {
        AccountError::Username(_) => Code::UsernameInvalid,
        AccountError::Password(PasswordError::Common | PasswordError::Contextual) => {
            Code::PasswordCommon
        }
        AccountError::Password(PasswordError::Breached) => Code::PasswordBreached,
        AccountError::Password(_) => Code::PasswordInvalid,
        AccountError::Name(_) => Code::NameInvalid,
        AccountError::Age(_) => Code::AgeInvalid,
        AccountError::UsernameTaken => Code::UsernameTaken,
        AccountError::UserUnknown => Code::UserUnknown,
        AccountError::PasswordWrong => Code::PasswordWrong,
        AccountError::CredentialsWrong => Code::CredentialsWrong,
        AccountError::TooManyAttempts(_) => Code::TooManyAttempts,
        AccountError::AccountDisabled => Code::AccountDisabled,
        AccountError::SessionNotLive => Code::SessionNotLive,
        AccountError::SessionUnknown => Code::SessionUnknown,
        AccountError::TimedOut => Code::TimedOut,
        AccountError::Overloaded { .. } => Code::Overloaded,
        AccountError::StoreUnavailable(_) | AccountError::IdsUnavailable => Code::StoreUnavailable,
        AccountError::KeysUnavailable | AccountError::KeysUnreadable(_) => Code::KeysUnavailable,
        AccountError::Internal(_) => Code::Internal,
    }
}

/// How long to wait before asking again, where that is known.
pub(super) fn retry_after(error: &AccountError) -> Option<Duration> {
    match error {
        AccountError::TooManyAttempts(refused) => Some(refused.retry_after),
        AccountError::Overloaded { retry_after } => Some(*retry_after),
        _ => None,
    }
}

/// What the peer is told beyond the code. Details of our own faults stay in the log.
pub(super) fn detail(error: &AccountError) -> String {
    match error {
        AccountError::StoreUnavailable(_) => "the store is not available".to_owned(),
        AccountError::KeysUnreadable(_) => {
            "the keys cannot be read again; its log says more".to_owned()
        }
        AccountError::Internal(_) => "the server failed; its log says more".to_owned(),
        error => error.to_string(),
    }
}
