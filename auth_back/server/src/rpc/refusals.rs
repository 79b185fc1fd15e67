//! Every refusal in the words of the protocol: status, code, detail. The codes are part of the
//! contract with http_front and, through it, with its clients.

use std::time::Duration;

use framing::Status;

use crate::accounts::{AccountError, Code};

/// The status that goes with a code.
pub(super) const fn status(code: Code) -> Status {
    match code {
        Code::UsernameInvalid
        | Code::PasswordCommon
        | Code::PasswordBreached
        | Code::PasswordInvalid
        | Code::NameInvalid
        | Code::AgeInvalid => Status::BAD_REQUEST,
        Code::UsernameTaken => Status::CONFLICT,
        Code::UserUnknown | Code::SessionUnknown => Status::NOT_FOUND,
        Code::PasswordWrong | Code::CredentialsWrong | Code::SessionNotLive => Status::UNAUTHORIZED,
        Code::TooManyAttempts => Status::TOO_MANY_REQUESTS,
        Code::AccountDisabled => Status::FORBIDDEN,
        Code::TimedOut | Code::Overloaded | Code::StoreUnavailable | Code::KeysUnavailable => {
            Status::UNAVAILABLE
        }
        Code::Internal => Status::INTERNAL,
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
