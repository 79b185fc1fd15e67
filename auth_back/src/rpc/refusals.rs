//! Every refusal in the words of the protocol: status, code, detail. The codes are part of the
//! contract with http_front and, through it, with its clients.

use std::time::Duration;

use framing::Status;

use crate::accounts::AccountError;
use crate::credentials::PasswordError;

/// Status and code of an error.
pub(super) fn status_and_code(error: &AccountError) -> (Status, &'static str) {
    match error {
        AccountError::Username(_) => (Status::BAD_REQUEST, "username_invalid"),
        AccountError::Password(PasswordError::Common | PasswordError::Contextual) => {
            (Status::BAD_REQUEST, "password_common")
        }
        AccountError::Password(PasswordError::Breached) => {
            (Status::BAD_REQUEST, "password_breached")
        }
        AccountError::Password(_) => (Status::BAD_REQUEST, "password_invalid"),
        AccountError::Name(_) => (Status::BAD_REQUEST, "name_invalid"),
        AccountError::Age(_) => (Status::BAD_REQUEST, "age_invalid"),
        AccountError::UsernameTaken => (Status::CONFLICT, "username_taken"),
        AccountError::UserUnknown => (Status::NOT_FOUND, "user_unknown"),
        AccountError::PasswordWrong => (Status::UNAUTHORIZED, "password_wrong"),
        AccountError::CredentialsWrong => (Status::UNAUTHORIZED, "credentials_wrong"),
        AccountError::TooManyAttempts(_) => (Status::TOO_MANY_REQUESTS, "too_many_attempts"),
        AccountError::AccountDisabled => (Status::FORBIDDEN, "account_disabled"),
        AccountError::SessionNotLive => (Status::UNAUTHORIZED, "session_not_live"),
        AccountError::SessionUnknown => (Status::NOT_FOUND, "session_unknown"),
        AccountError::TimedOut => (Status::UNAVAILABLE, "timed_out"),
        AccountError::Overloaded { .. } => (Status::UNAVAILABLE, "overloaded"),
        AccountError::StoreUnavailable(_) => (Status::UNAVAILABLE, "store_unavailable"),
        AccountError::KeysUnavailable => (Status::UNAVAILABLE, "keys_unavailable"),
        AccountError::Internal(_) => (Status::INTERNAL, "internal"),
    }
}

/// The code of an error alone.
pub(crate) fn code_of(error: &AccountError) -> &'static str {
    status_and_code(error).1
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
        AccountError::Internal(_) => "the server failed; its log says more".to_owned(),
        error => error.to_string(),
    }
}
