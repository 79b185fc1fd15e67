//! What the event loop hands to a worker, and what comes back.

use std::num::NonZeroU32;
use std::time::Instant;

use credentials::ids::UserId;
use framing::v2::MessageType;
use lane::{Ask, Flow, Refused};
use reactor::Ticket;
use store::Product;
use zeroize::Zeroizing;

use crate::accounts::{
    AccountError, Accounts, Changed, Ended, InternalError, Listed, Live, LogOut, NewPassword,
    Opened, Origin, Registration, Revocation,
};
use crate::login::Login;

/// A request on its way through a lane. Dropping it answers it.
pub struct Job {
    /// What is asked.
    pub request: Request,
    /// After this nobody waits for the answer.
    pub deadline: Instant,
    /// Whose turn it waits for.
    pub flow: Flow,
    /// Which request of its connection it is.
    pub call: Call,
    /// What the user's own request is found again by; v1 has nothing of the kind.
    pub http_request_id: Option<Box<str>>,
    /// Where the answer goes.
    pub ticket: Ticket<Reply, Unanswered>,
}

impl Job {
    /// What a lane is asked for it.
    #[must_use]
    pub fn ask(&self) -> Ask {
        Ask::new(self.flow).by(self.deadline).units(self.request.units())
    }
}

impl lane::Job for Job {
    fn refuse(self, why: Refused) {
        let outcome = Err(AccountError::Overloaded { retry_after: why.retry_after });
        self.ticket.answer(Reply { call: self.call, outcome });
    }
}

/// Which request of a connection is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Comes back with the answer; 0 in v1, where answers keep the order of requests.
    pub correlation: u64,
    /// The message type, in the numbers of v2.
    pub message_type: MessageType,
}

/// A request, owned.
pub enum Request {
    /// Make an account.
    Register(Registration),
    /// Trade a username and a password for a token.
    Authenticate(Login),
    /// Whose session is it?
    CheckSession(Zeroizing<String>),
    /// End the session, or all of its user.
    LogOut(LogOut),
    /// List the products, for a live session.
    Products(Zeroizing<String>),
    /// Can users be served?
    Health,
    /// List the user's sessions.
    Sessions(Zeroizing<String>),
    /// End a session by its id.
    RevokeSession(Revocation),
    /// Replace the password.
    ChangePassword(NewPassword),
}

/// The answer to one request.
#[derive(Debug)]
pub struct Reply {
    /// Which one.
    pub call: Call,
    /// What it came to.
    pub outcome: Result<Done, AccountError>,
}

/// That nobody has answered a request: its job was dropped.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered(pub Call);

impl From<Unanswered> for Reply {
    fn from(Unanswered(call): Unanswered) -> Self {
        Self { call, outcome: Err(AccountError::Internal(InternalError::Dropped)) }
    }
}

/// What was done.
#[derive(Debug)]
pub enum Done {
    /// The account is made.
    Registered(UserId),
    /// The session is made.
    Authenticated(Opened),
    /// The session is alive.
    Session(Live),
    /// The session is over, or all of the user.
    LoggedOut(Ended),
    /// The session is alive, and these are the products.
    Products(Live, Vec<Product>),
    /// Users can be served, or why not.
    Health(Result<(), AccountError>),
    /// The session is alive, and these are its user's.
    Sessions(Listed),
    /// The named session is over.
    Revoked(Ended),
    /// The password is another, and so is the session.
    PasswordChanged(Changed),
}

impl Request {
    /// Does what is asked, of a request that is not [heavy](Self::is_heavy). Blocks. `whose` is set to the id of the user
    /// who asks, where a session says so, whatever the request then comes to.
    ///
    /// # Errors
    /// Why it was not done.
    ///
    /// # Panics
    /// For one that is.
    pub fn run(
        &self,
        accounts: &Accounts,
        deadline: Instant,
        whose: &mut Option<u64>,
    ) -> Result<Done, AccountError> {
        Ok(match self {
            Self::Register(_) | Self::Authenticate(_) | Self::ChangePassword(_) => {
                unreachable!("what hashes goes its way in stages, see worker/heavy.rs")
            }
            Self::CheckSession(token) => Done::Session(accounts.check_session(token, deadline)?),
            Self::LogOut(LogOut { token, all: true, .. }) => {
                Done::LoggedOut(accounts.log_out_everywhere(token, deadline)?)
            }
            Self::LogOut(LogOut { token, .. }) => {
                Done::LoggedOut(accounts.log_out(token, deadline)?)
            }
            Self::Products(token) => {
                let (live, products) = accounts.products(token, deadline)?;
                Done::Products(live, products)
            }
            Self::Health => Done::Health(accounts.health(deadline)),
            Self::Sessions(token) => Done::Sessions(accounts.list_sessions(token, deadline)?),
            Self::RevokeSession(Revocation { token, session_id, .. }) => {
                Done::Revoked(accounts.revoke_session(token, *session_id, deadline, whose)?)
            }
        })
    }

    /// The token, if it does nothing but ask whose session it is: many of these are looked up together.
    #[must_use]
    pub fn as_check(&self) -> Option<&str> {
        match self {
            Self::CheckSession(token) => Some(token),
            _ => None,
        }
    }

    /// Where it came from, if it says so.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Register(Registration { origin, .. })
            | Self::Authenticate(Login { origin, .. })
            | Self::LogOut(LogOut { origin, .. })
            | Self::RevokeSession(Revocation { origin, .. })
            | Self::ChangePassword(NewPassword { origin, .. }) => Some(origin),
            Self::CheckSession(_) | Self::Products(_) | Self::Health | Self::Sessions(_) => None,
        }
    }

    /// How many turns it takes: one for each hash.
    #[must_use]
    pub fn units(&self) -> NonZeroU32 {
        match self {
            Self::ChangePassword(_) => const { NonZeroU32::new(2).expect("not zero") },
            _ => NonZeroU32::MIN,
        }
    }

    /// Whether it hashes a password.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        matches!(self, Self::Register(_) | Self::Authenticate(_) | Self::ChangePassword(_))
    }
}
