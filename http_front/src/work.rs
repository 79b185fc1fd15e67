//! What an event loop hands to a worker, and what comes back.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use framing::v2::RequestId;
use reactor::Ticket;
use zeroize::Zeroizing;

use crate::catalog::Rendered;
use crate::lease::SessionFacts;
use crate::token::Token;

/// A request on its way through a lane. Dropping it answers it, so no client waits for a request
/// that was lost.
pub struct Job {
    /// What is asked of auth_back.
    pub work: Work,
    /// After this nobody waits for the answer; fixed when the request was read.
    pub deadline: Instant,
    /// Where the answer goes.
    pub ticket: Ticket<Outcome>,
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
    /// End the session.
    Logout(Token),
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
    /// The user's address.
    pub client_address: IpAddr,
}

/// Somebody who wants to log in.
pub struct Login {
    /// As the user typed it.
    pub username: String,
    /// As the user typed it.
    pub password: Zeroizing<String>,
    /// Makes it safe to send the request again.
    pub request_id: RequestId,
    /// The user's address.
    pub client_address: IpAddr,
    /// The user's program, as it calls itself.
    pub user_agent: Option<Box<str>>,
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
    /// The session is over.
    LoggedOut {
        /// What was its token.
        token: Token,
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
}

/// Why nobody said anything. What the request came to is then not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The deadline passed, in the queue or on the way.
    TimedOut,
    /// No auth server could be reached.
    Unreachable,
    /// An auth server answered with something that is no answer; the servers do not fit together.
    Incomprehensible,
    /// The job was dropped: a defect of this server, or its end.
    Dropped,
}

impl Job {
    /// Answers the job.
    pub fn answer(self, outcome: Outcome) {
        self.ticket.answer(outcome);
    }
}

impl Outcome {
    /// What a dropped job is answered with.
    #[must_use]
    pub fn dropped() -> Self {
        Self::Unanswered(Unanswered::Dropped)
    }
}

/// Names the work only: its content is nobody's business.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = match self.work {
            Work::Register(_) => "Register",
            Work::Authenticate(_) => "Authenticate",
            Work::CheckSession(_) => "CheckSession",
            Work::ViewProducts { .. } => "ViewProducts",
            Work::Logout(_) => "Logout",
        };
        f.debug_struct("Job").field("work", &work).finish_non_exhaustive()
    }
}
