//! What one line tells.

use std::net::IpAddr;

use crate::accounts::{Code, Origin};

/// What was asked of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the request of its name")]
pub enum Event {
    Register,
    Authenticate,
    Logout,
    LogoutEverywhere,
    RevokeSession,
    ChangePassword,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was not.
    Refused(Code),
}

/// One thing that was asked, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub(super) event: Event,
    pub(super) outcome: Outcome,
    pub(super) user_id: Option<u64>,
    pub(super) session_id: Option<u64>,
    pub(super) username: Option<&'a str>,
    pub(super) client: Option<IpAddr>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) request_id: Option<&'a str>,
}

/// What an entry cost whoever brought it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// It is a success: something was decided about an account. Each takes a hash, or ends a session that took one.
    Kept,
    /// A refusal, after a password was hashed.
    Hash,
    /// A refusal, after a name or a session was looked up.
    Lookup,
    /// A refusal of what was sent, and of nothing else: as many as a client can send.
    Nothing,
}

impl Event {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [
        Self::Register,
        Self::Authenticate,
        Self::Logout,
        Self::LogoutEverywhere,
        Self::RevokeSession,
        Self::ChangePassword,
    ];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Authenticate => "authenticate",
            Self::Logout => "logout",
            Self::LogoutEverywhere => "logout_everywhere",
            Self::RevokeSession => "revoke_session",
            Self::ChangePassword => "change_password",
        }
    }
}

impl Outcome {
    /// How many there are.
    pub(super) const COUNT: usize = 1 + Code::ALL.len();

    pub(super) fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Ok).chain(Code::ALL.iter().copied().map(Self::Refused))
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused(code) => code.text(),
        }
    }

    /// Its place among [`all`](Self::all).
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::Refused(code) => 1 + code as usize,
        }
    }
}

impl<'a> Entry<'a> {
    /// `event` came to `outcome`.
    #[must_use]
    pub const fn new(event: Event, outcome: Outcome) -> Self {
        Self {
            event,
            outcome,
            user_id: None,
            session_id: None,
            username: None,
            client: None,
            user_agent: None,
            request_id: None,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn user_id(self, id: impl Into<Option<u64>>) -> Self {
        Self { user_id: id.into(), ..self }
    }

    /// The session that was begun, ended or used.
    #[must_use]
    pub fn session_id(self, id: impl Into<Option<u64>>) -> Self {
        Self { session_id: id.into(), ..self }
    }

    /// The username as it was given.
    #[must_use]
    pub fn username(self, name: impl Into<Option<&'a str>>) -> Self {
        Self { username: name.into(), ..self }
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(self, origin: &'a Origin) -> Self {
        Self {
            client: Some(origin.client_address),
            user_agent: origin.user_agent.as_deref(),
            ..self
        }
    }

    /// What the user's own request is found again by.
    #[must_use]
    pub fn request_id(self, id: Option<&'a str>) -> Self {
        Self { request_id: id, ..self }
    }

    pub(super) const fn cost(&self) -> Cost {
        match self.outcome {
            Outcome::Ok if self.user_id.is_some() => Cost::Kept,
            // The end of a session that had ended before, which can be asked for as often as one likes.
            Outcome::Ok => Cost::Lookup,
            Outcome::Refused(
                Code::PasswordWrong
                | Code::CredentialsWrong
                | Code::AccountDisabled
                | Code::UsernameTaken,
            ) => Cost::Hash,
            Outcome::Refused(Code::UserUnknown | Code::SessionUnknown) => Cost::Lookup,
            // Somebody who has a live session.
            Outcome::Refused(_) if self.user_id.is_some() => Cost::Lookup,
            Outcome::Refused(
                Code::UsernameInvalid
                | Code::PasswordCommon
                | Code::PasswordBreached
                | Code::PasswordInvalid
                | Code::NameInvalid
                | Code::AgeInvalid
                | Code::TooManyAttempts
                | Code::SessionNotLive
                | Code::TimedOut
                | Code::Overloaded
                | Code::StoreUnavailable
                | Code::KeysUnavailable
                | Code::Internal,
            ) => Cost::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_a_client_nothing_counts_as_such() {
        #[track_caller]
        fn check(event: Event, outcome: Outcome, user_id: Option<u64>, expected: Cost) {
            assert_eq!(Entry::new(event, outcome).user_id(user_id).cost(), expected);
        }
        check(Event::Authenticate, Outcome::Ok, Some(7), Cost::Kept);
        check(Event::Logout, Outcome::Ok, Some(7), Cost::Kept);
        // The same token over and over, after its session has ended.
        check(Event::Logout, Outcome::Ok, None, Cost::Lookup);
        let refused = |event, code, user_id, cost| {
            check(event, Outcome::Refused(code), user_id, cost);
        };
        refused(Event::Authenticate, Code::PasswordWrong, None, Cost::Hash);
        refused(Event::Register, Code::UsernameTaken, None, Cost::Hash);
        refused(Event::Authenticate, Code::UserUnknown, None, Cost::Lookup);
        refused(Event::RevokeSession, Code::SessionUnknown, Some(7), Cost::Lookup);
        refused(Event::ChangePassword, Code::PasswordCommon, Some(7), Cost::Lookup);
        refused(Event::Register, Code::PasswordCommon, None, Cost::Nothing);
        refused(Event::Authenticate, Code::UsernameInvalid, None, Cost::Nothing);
        refused(Event::Authenticate, Code::TooManyAttempts, None, Cost::Nothing);
        refused(Event::Logout, Code::SessionNotLive, None, Cost::Nothing);
    }
}
