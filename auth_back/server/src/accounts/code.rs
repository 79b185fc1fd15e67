//! Why a request was refused, in one word.

use credentials::PasswordError;

use super::error::AccountError;

macro_rules! codes {
    ($($name:ident $text:literal;)*) => {
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
        }
    };
}

codes! {
    UsernameInvalid "username_invalid";
    PasswordCommon "password_common";
    PasswordBreached "password_breached";
    PasswordInvalid "password_invalid";
    NameInvalid "name_invalid";
    AgeInvalid "age_invalid";
    UsernameTaken "username_taken";
    UserUnknown "user_unknown";
    PasswordWrong "password_wrong";
    CredentialsWrong "credentials_wrong";
    TooManyAttempts "too_many_attempts";
    AccountDisabled "account_disabled";
    SessionNotLive "session_not_live";
    SessionUnknown "session_unknown";
    TimedOut "timed_out";
    Overloaded "overloaded";
    StoreUnavailable "store_unavailable";
    KeysUnavailable "keys_unavailable";
    Internal "internal";
}

impl AccountError {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Username(_) => Code::UsernameInvalid,
            Self::Password(PasswordError::Common | PasswordError::Contextual) => {
                Code::PasswordCommon
            }
            Self::Password(PasswordError::Breached) => Code::PasswordBreached,
            Self::Password(_) => Code::PasswordInvalid,
            Self::Name(_) => Code::NameInvalid,
            Self::Age(_) => Code::AgeInvalid,
            Self::UsernameTaken => Code::UsernameTaken,
            Self::UserUnknown => Code::UserUnknown,
            Self::PasswordWrong => Code::PasswordWrong,
            Self::CredentialsWrong => Code::CredentialsWrong,
            Self::TooManyAttempts(_) => Code::TooManyAttempts,
            Self::AccountDisabled => Code::AccountDisabled,
            Self::SessionNotLive => Code::SessionNotLive,
            Self::SessionUnknown => Code::SessionUnknown,
            Self::TimedOut => Code::TimedOut,
            Self::Overloaded { .. } => Code::Overloaded,
            Self::StoreUnavailable(_) | Self::IdsUnavailable => Code::StoreUnavailable,
            Self::KeysUnavailable | Self::KeysUnreadable(_) => Code::KeysUnavailable,
            Self::Internal(_) => Code::Internal,
        }
    }
}
