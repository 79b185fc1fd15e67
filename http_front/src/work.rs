//! What an event loop hands to a worker, and what comes back.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use addresses::Source;
use framing::v2::{Features, RequestId};
use http1::PreparedResponse;
use lane::Refused;
use reactor::Ticket;
use zeroize::Zeroizing;

use crate::catalog::Rendered;
use crate::in_flight::{Answered, InFlight};
use crate::lease::SessionFacts;
use crate::markers::Markers;
use crate::token::{Device, Token};

/// A request on its way through a lane. Dropping it answers it, so no client waits for a request
/// that was lost.
pub struct Job {
    /// What is asked of auth_back.
    pub work: Work,
    /// After this nobody waits for the answer; fixed when the request was read.
    pub deadline: Instant,
    /// Where the answer goes.
    pub ticket: Ticket<Outcome, Unanswered>,
    /// What the user's request is found again by.
    pub http_request_id: Option<http1::RequestId>,
    /// What hangs on its outcome for the next who shows a marker.
    pub claim: Option<Claim>,
    /// Its place among those that are with auth servers, once it has left the queue, if those are counted.
    pub in_flight: Option<InFlight<Job>>,
}

/// What is asked of auth_back.
pub enum Work {
    /// Make an account.
    Register(Registration),
    /// Trade a username and a password for a token.
    Authenticate(Login),
    /// Whose session is it? The answer is for `GET /session`.
    CheckSession(Token),
    /// Is the session alive? The answer is for `GET /products`, with the list that the loop has or,
    /// with `fetch_list`, a fresh one.
    ViewProducts {
        /// The session's token.
        token: Token,
        /// Whether the list is wanted as well.
        fetch_list: bool,
    },
    /// Which sessions does the user of this one have?
    ListSessions(Token),
    /// End the session, or all of its user.
    Logout(Logout),
    /// End another session of the same user.
    RevokeSession(Revocation),
    /// Replace the password, end all sessions, begin a new one.
    ChangePassword(PasswordChange),
}

/// Who asks, as far as this server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The user's address: that of the connection, or what a trusted proxy says.
    pub address: IpAddr,
    /// Whether a proxy brought the request, trusted or not.
    pub is_forwarded: bool,
    /// The user's program, as it calls itself.
    pub user_agent: Option<Box<str>>,
}

/// Where a client keeps its token, and so where it wants to find the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the content of an answer; it comes back in `Authorization`.
    Content,
    /// In a cookie.
    Cookie,
    /// In both: the client has sent the same token twice.
    Both,
}

/// An account to be made.
pub struct Registration {
    /// As the user typed it.
    pub username: String,
    /// As the user typed it.
    pub password: Zeroizing<String>,
    /// A display name.
    pub name: Option<String>,
    /// In years.
    pub age: Option<u8>,
    /// Makes it safe to send the request again.
    pub request_id: RequestId,
    /// Who asks.
    pub client: Client,
}

/// Somebody who wants to log in.
pub struct Login {
    /// As the user typed it.
    pub username: String,
    /// As the user typed it.
    pub password: Zeroizing<String>,
    /// Makes it safe to send the request again.
    pub request_id: RequestId,
    /// Who asks.
    pub client: Client,
    /// The known-device marker of an earlier login.
    pub device: Option<Device>,
    /// Where the token is wanted.
    pub delivery: Delivery,
}

/// A session that is to end.
pub struct Logout {
    /// Its token.
    pub token: Token,
    /// Whether all sessions of its user end.
    pub all: bool,
    /// Where the request came from.
    pub client_address: IpAddr,
    /// Where the token was.
    pub delivery: Delivery,
}

/// Another session that is to end.
pub struct Revocation {
    /// The token of the session that asks.
    pub token: Token,
    /// The session to end.
    pub session_id: u64,
    /// Where the request came from.
    pub client_address: IpAddr,
}

/// A password to be replaced.
pub struct PasswordChange {
    /// The token of a session of the account.
    pub token: Token,
    /// As the user typed it.
    pub current_password: Zeroizing<String>,
    /// As the user typed it.
    pub new_password: Zeroizing<String>,
    /// Who asks.
    pub client: Client,
    /// Where the token was, and the fresh one is wanted.
    pub delivery: Delivery,
}

impl Work {
    /// Its name, for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Register(_) => "Register",
            Self::Authenticate(_) => "Authenticate",
            Self::CheckSession(_) => "CheckSession",
            Self::ViewProducts { .. } => "ViewProducts",
            Self::ListSessions(_) => "ListSessions",
            Self::Logout(_) => "Logout",
            Self::RevokeSession(_) => "RevokeSession",
            Self::ChangePassword(_) => "ChangePassword",
        }
    }

    /// Whether auth_back hashes a password for it.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        matches!(self, Self::Register(_) | Self::Authenticate(_) | Self::ChangePassword(_))
    }

    /// How many turns it takes: one for each hash.
    #[must_use]
    pub fn units(&self) -> NonZeroU32 {
        match self {
            Self::ChangePassword(_) => const { NonZeroU32::new(2).expect("not zero") },
            _ => NonZeroU32::MIN,
        }
    }

    /// Whether its answer may have to wait for leases to run, after all its work is done.
    #[must_use]
    pub fn ends_sessions(&self) -> bool {
        matches!(self, Self::Logout(_) | Self::RevokeSession(_) | Self::ChangePassword(_))
    }

    /// What it rests on.
    #[must_use]
    pub fn basis(&self) -> Basis {
        match self {
            Self::Register(_) | Self::Authenticate(_) => Basis::Password,
            Self::Logout(logout) if logout.delivery.in_cookie() => Basis::LogoutCookie,
            _ => Basis::Token,
        }
    }

    /// What an auth server has to announce before it is asked.
    #[must_use]
    pub fn needs(&self) -> Features {
        match self {
            Self::ListSessions(_)
            | Self::RevokeSession(_)
            | Self::ChangePassword(_)
            | Self::Logout(Logout { all: true, .. }) => Features::SESSION_MANAGEMENT,
            _ => Features::NONE,
        }
    }

    /// Whether it may be sent again when its outcome is not known (PROTOCOL.md, "Unknown outcomes
    /// and request ids").
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Logout(logout) => !logout.all,
            Self::RevokeSession(_) | Self::ChangePassword(_) => false,
            _ => true,
        }
    }
}

impl Delivery {
    /// Whether the content of an answer carries the token.
    #[must_use]
    pub fn in_content(self) -> bool {
        self != Self::Cookie
    }

    /// Whether a cookie carries the token.
    #[must_use]
    pub fn in_cookie(self) -> bool {
        self != Self::Content
    }
}

/// What a request came to.
#[derive(Debug)]
pub enum Outcome {
    /// The account is made, and durable.
    Registered {
        /// Its id.
        user_id: u64,
    },
    /// The session is made.
    Authenticated {
        /// Proves it from now on.
        token: Token,
        /// How long it lives.
        expires_in_ms: u64,
        /// A known-device marker to keep.
        device: Option<Device>,
        /// Where they are wanted.
        delivery: Delivery,
    },
    /// The session is alive.
    Session(CheckedSession),
    /// The session is alive and may see the products.
    Products {
        /// The session.
        session: CheckedSession,
        /// The list, if it was fetched.
        list: Option<Rendered>,
    },
    /// The user's sessions, as an answer.
    Sessions(PreparedResponse),
    /// The session is over, or all of its user.
    LoggedOut {
        /// What was its token.
        token: Token,
        /// Whether all sessions are over.
        all: bool,
        /// Where the token was.
        delivery: Delivery,
    },
    /// Another session is over.
    Revoked,
    /// The password is another, and all sessions but a new one are over.
    PasswordChanged {
        /// Whose.
        user_id: u64,
        /// The token of the new session.
        token: Token,
        /// How long it lives.
        expires_in_ms: u64,
        /// Where it is wanted.
        delivery: Delivery,
    },
    /// auth_back said no.
    Refused(Refusal),
    /// Nobody said anything.
    Unanswered(Unanswered),
}

/// A session that auth_back vouches for.
#[derive(Debug)]
pub struct CheckedSession {
    /// Its token.
    pub token: Token,
    /// Whose it is.
    pub facts: SessionFacts,
    /// Until when this server may answer for it by itself.
    pub leased_until: Instant,
    /// When auth_back was asked.
    pub asked_at: Instant,
}

/// An answer of auth_back other than yes, not yet in the words of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As in HTTP.
    pub status: u16,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub detail: String,
    /// How long to wait before asking again; 0 when nothing is known of that.
    pub retry_after_ms: u32,
    /// What the request rested on.
    pub basis: Basis,
}

/// What a request rested on, which decides how a no to it is worded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A password, or nothing: it came without a token.
    Password,
    /// The token of a session.
    Token,
    /// A token that a browser keeps in a cookie, in a request to end its session.
    LogoutCookie,
}

/// Why nobody said anything. What the request came to is then not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The deadline passed, in the queue or on the way.
    TimedOut,
    /// It would have had to wait too long, or others needed its place more. Nothing was done.
    Overloaded {
        /// How long it would have had to wait, in milliseconds.
        retry_after_ms: u32,
    },
    /// No auth server could be reached.
    Unreachable,
    /// The connection to an auth server broke after the request was sent, and it is not one that may
    /// be sent twice.
    Lost,
    /// No auth server that can be reached is of a release that does what was asked.
    Unsupported,
    /// An auth server answered with something that is no answer; the servers do not fit together.
    Incomprehensible,
    /// The job was dropped: a defect of this server, or its end.
    Dropped,
}

/// A login, and where its outcome is noted.
#[derive(Debug)]
pub struct Claim {
    markers: Arc<Markers>,
    from: Source,
}

impl Claim {
    /// A login from this network.
    #[must_use]
    pub fn new(markers: &Arc<Markers>, from: Source) -> Self {
        Self { markers: Arc::clone(markers), from }
    }

    /// It showed `shown`, and came to this.
    pub fn settle(self, shown: Option<&Device>, outcome: &Outcome) {
        match (outcome, shown) {
            (Outcome::Authenticated { device: Some(device), .. }, _) => {
                self.markers.remember(device);
            }
            // Not for what is no fault of theirs.
            (Outcome::Refused(refusal), Some(shown)) if refusal.status < 500 => {
                self.markers.doubt(shown, self.from, clock::now());
            }
            _ => {}
        }
    }
}

impl Job {
    /// An auth server has answered a request that was sent at `sent_at`.
    pub fn answered(&self, sent_at: Instant, answer: Answered) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.answered(sent_at, answer);
        }
    }

    /// Answers the job.
    pub fn answer(self, outcome: Outcome) {
        self.ticket.answer(outcome);
    }
}

impl lane::Job for Job {
    fn refuse(self, why: Refused) {
        self.answer(Outcome::Unanswered(why.into()));
    }
}

impl From<Refused> for Unanswered {
    fn from(why: Refused) -> Self {
        let retry_after_ms = u32::try_from(why.retry_after.as_millis()).unwrap_or(u32::MAX);
        Self::Overloaded { retry_after_ms }
    }
}

impl From<Unanswered> for Outcome {
    fn from(why: Unanswered) -> Self {
        Self::Unanswered(why)
    }
}

/// Names the work only: its content is nobody's business.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("work", &self.work.name()).finish_non_exhaustive()
    }
}
