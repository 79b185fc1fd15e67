//! From work to requests, and from replies to outcomes.

use std::time::{Duration, Instant};

use framing::v2::{
    Answer, Authenticate, AuthenticateReply, CheckSession, CheckSessionReply, Encoder, Frame,
    Logout, LogoutReply, Products, ProductsReply, Register, RegisterReply, ReplyMessage,
};
use framing::{EncodeError, Secret};

use crate::api::render_products;
use crate::catalog::Rendered;
use crate::lease::SessionFacts;
use crate::token::Token;
use crate::work::{CheckedSession, Job, Outcome, Refusal, Unanswered, Work};

/// Appends the request for `work`.
pub(super) fn encode(
    encoder: Encoder,
    out: &mut Vec<u8>,
    correlation: u64,
    budget_ms: u32,
    work: &Work,
) -> Result<(), EncodeError> {
    match work {
        Work::Register(registration) => {
            let message = Register {
                username: &registration.username,
                password: Secret::new(&registration.password),
                name: registration.name.as_deref(),
                age: registration.age,
                request_id: registration.request_id,
                client_address: Some(registration.client_address),
                user_agent: None,
            };
            encoder.request(out, correlation, budget_ms, &message)
        }
        Work::Authenticate(login) => {
            let message = Authenticate {
                username: &login.username,
                password: Secret::new(&login.password),
                request_id: login.request_id,
                client_address: Some(login.client_address),
                user_agent: login.user_agent.as_deref(),
                device: None,
            };
            encoder.request(out, correlation, budget_ms, &message)
        }
        Work::CheckSession(token) | Work::ViewProducts { token, fetch_list: false } => {
            let message = CheckSession { token: Secret::new(token.expose()) };
            encoder.request(out, correlation, budget_ms, &message)
        }
        Work::ViewProducts { token, fetch_list: true } => {
            let message = Products { token: Secret::new(token.expose()) };
            encoder.request(out, correlation, budget_ms, &message)
        }
        Work::Logout(token) => {
            let token = Secret::new(token.expose());
            let message = Logout { token, all: false, client_address: None };
            encoder.request(out, correlation, budget_ms, &message)
        }
    }
}

/// Answers `job` with its reply. `sent_at` is when its request left.
pub(super) fn answer(job: Job, reply: &Frame<'_>, sent_at: Instant) {
    let Job { work, ticket, .. } = job;
    let outcome = match work {
        Work::Register(_) => {
            outcome(reply, |reply: RegisterReply| Outcome::Registered { user_id: reply.user_id })
        }
        Work::Authenticate(_) => {
            outcome(reply, |reply: AuthenticateReply<'_>| authenticated(&reply))
        }
        Work::CheckSession(token) => outcome(reply, |reply: CheckSessionReply<'_>| {
            Outcome::Session(session(token, &reply, sent_at))
        }),
        Work::ViewProducts { token, fetch_list: false } => {
            outcome(reply, |reply: CheckSessionReply<'_>| Outcome::Products {
                session: session(token, &reply, sent_at),
                list: None,
            })
        }
        Work::ViewProducts { token, fetch_list: true } => {
            outcome(reply, |reply: ProductsReply<'_>| {
                let fresh_for = Duration::from_millis(reply.products_fresh_ms.into());
                Outcome::Products {
                    session: session(token, &reply.session, sent_at),
                    list: Some(Rendered::new(render_products(reply.products), sent_at, fresh_for)),
                }
            })
        }
        Work::Logout(token) => {
            let mut settled_at = Instant::now();
            let outcome = outcome(reply, |reply: LogoutReply| {
                settled_at += Duration::from_millis(reply.settled_in_ms.into());
                Outcome::LoggedOut { token }
            });
            // The session is over in the store, but leases on it may still run on other servers.
            // The answer waits for them on a timer of its loop; this thread goes on.
            return ticket.answer_at(settled_at, outcome);
        }
    };
    ticket.answer(outcome);
}

fn outcome<'a, R: ReplyMessage<'a>>(reply: &Frame<'a>, done: impl FnOnce(R) -> Outcome) -> Outcome {
    let answer: Result<Answer<'a, R>, _> = reply.answer();
    match answer {
        Ok(Ok(reply)) => done(reply),
        Ok(Err(refusal)) => Outcome::Refused(Refusal {
            status: refusal.status().get(),
            code: refusal.code().to_owned(),
            detail: refusal.detail().to_owned(),
        }),
        Err(error) => {
            tracing::error!(%error, "an answer of an auth server could not be understood");
            Outcome::Unanswered(Unanswered::Incomprehensible)
        }
    }
}

/// A token that would be refused when it comes back is worse than none.
fn authenticated(reply: &AuthenticateReply<'_>) -> Outcome {
    match Token::new(reply.token.expose().as_bytes()) {
        Some(token) => Outcome::Authenticated { token, expires_in_ms: reply.expires_in_ms },
        None => {
            tracing::error!("an auth server made a token of a form that this server does not take");
            Outcome::Unanswered(Unanswered::Incomprehensible)
        }
    }
}

fn session(token: Token, reply: &CheckSessionReply<'_>, sent_at: Instant) -> CheckedSession {
    let facts = SessionFacts {
        user_id: reply.user_id,
        username: reply.username.into(),
        expires_at: later(sent_at, reply.expires_in_ms),
    };
    CheckedSession { token, facts, leased_until: later(sent_at, reply.lease_ms.into()) }
}

/// `ms` after `at`, or an hour after it when the clock cannot count that far.
fn later(at: Instant, ms: u64) -> Instant {
    at.checked_add(Duration::from_millis(ms)).unwrap_or(at + Duration::from_secs(3600))
}
