//! From work to requests, and from replies to outcomes.

use std::time::{Duration, Instant};

use framing::v2::{
    Answer, Authenticate, AuthenticateReply, ChangePassword, ChangePasswordReply, CheckSession,
    CheckSessionReply, Encoder, Frame, Logout, LogoutReply, Products, ProductsReply, Register,
    RegisterReply, ReplyMessage, RevokeSession, RevokeSessionReply, Sessions, SessionsReply,
};
use framing::{EncodeError, Secret};
use reactor::Bundle;
use service::sparing;
use wipe::SecretText;

use crate::api::{render_products, render_sessions};
use crate::catalog::Rendered;
use crate::in_flight::Answered;
use crate::lease::SessionFacts;
use crate::token::{Device, Token};
use crate::work::{Basis, CheckedSession, Delivery, Job, Outcome, Refusal, Unanswered, Work};

/// Appends the request for `job`.
pub(super) fn encode(
    encoder: Encoder,
    out: &mut Vec<u8>,
    correlation: u64,
    budget_ms: u32,
    job: &Job,
) -> Result<(), EncodeError> {
    let mut digits = [0; 32];
    let id = job.http_request_id.as_ref().map(|id| id.as_text(&mut digits));
    match &job.work {
        Work::Register(registration) => {
            let message = Register {
                username: &registration.username,
                password: Secret::new(&registration.password),
                name: registration.name.as_deref(),
                age: registration.age,
                request_id: registration.request_id,
                client_address: Some(registration.client.address),
                user_agent: registration.client.user_agent.as_deref(),
                forwarded: registration.client.is_forwarded,
            };
            encoder.request_of(out, correlation, budget_ms, id, &message)
        }
        Work::Authenticate(login) => {
            let message = Authenticate {
                username: &login.username,
                password: Secret::new(&login.password),
                request_id: login.request_id,
                client_address: Some(login.client.address),
                user_agent: login.client.user_agent.as_deref(),
                device: login.device.as_ref().map(secret),
                forwarded: login.client.is_forwarded,
            };
            encoder.request_of(out, correlation, budget_ms, id, &message)
        }
        Work::CheckSession(token) | Work::ViewProducts { token, fetch_list: false } => {
            let message = CheckSession { token: secret(token) };
            encoder.request_of(out, correlation, budget_ms, id, &message)
        }
        Work::ViewProducts { token, fetch_list: true } => {
            let message = Products { token: secret(token) };
            encoder.request_of(out, correlation, budget_ms, id, &message)
        }
        Work::ListSessions(token) => {
            let message = Sessions { token: secret(token) };
            encoder.request_of(out, correlation, budget_ms, id, &message)
        }
        Work::Logout(logout) => {
            let message = Logout {
                token: secret(&logout.token),
                all: logout.all,
                client_address: Some(logout.client_address),
            };
            encoder.request_of(out, correlation, budget_ms, id, &message)
        }
        Work::RevokeSession(revocation) => {
            let message = RevokeSession {
                token: secret(&revocation.token),
                session_id: revocation.session_id,
                client_address: Some(revocation.client_address),
            };
            encoder.request_of(out, correlation, budget_ms, id, &message)
        }
        Work::ChangePassword(change) => {
            let message = ChangePassword {
                token: secret(&change.token),
                current_password: Secret::new(&change.current_password),
                new_password: Secret::new(&change.new_password),
                client_address: Some(change.client.address),
                user_agent: change.client.user_agent.as_deref(),
                forwarded: change.client.is_forwarded,
            };
            encoder.request_of(out, correlation, budget_ms, id, &message)
        }
    }
}

fn secret<const BYTES_MAX: usize>(text: &SecretText<BYTES_MAX>) -> Secret<'_> {
    Secret::new(text.expose())
}

/// Answers `job` with its reply, in `bundle`. `sent_at` is when its request left.
pub(super) fn answer(job: Job, reply: &Frame<'_>, sent_at: Instant, bundle: &mut Bundle<Outcome>) {
    let Job { work, ticket, claim, in_flight, .. } = job;
    // When no lease on a session that ended can run any more. The session is over in the store, but
    // other servers may still answer for it. The answer waits on a timer of its loop; this thread
    // goes on.
    let mut settled_at = None;
    let mut settles_in = |ms: u32| {
        settled_at = Some(clock::now() + Duration::from_millis(ms.into()));
    };
    let basis = work.basis();
    let outcome = match work {
        Work::Register(_) => outcome(reply, basis, |reply: RegisterReply| Outcome::Registered {
            user_id: reply.user_id,
        }),
        Work::Authenticate(login) => {
            let outcome = outcome(reply, basis, |reply: AuthenticateReply<'_>| {
                authenticated(&reply, login.delivery)
            });
            if let Some(claim) = claim {
                claim.settle(login.device.as_ref(), &outcome);
            }
            outcome
        }
        Work::CheckSession(token) => outcome(reply, basis, |reply: CheckSessionReply<'_>| {
            Outcome::Session(session(token, &reply, sent_at))
        }),
        Work::ViewProducts { token, fetch_list: false } => {
            outcome(reply, basis, |reply: CheckSessionReply<'_>| Outcome::Products {
                session: session(token, &reply, sent_at),
                list: None,
            })
        }
        Work::ViewProducts { token, fetch_list: true } => {
            outcome(reply, basis, |reply: ProductsReply<'_>| {
                let fresh_for = Duration::from_millis(reply.products_fresh_ms.into());
                Outcome::Products {
                    session: session(token, &reply.session, sent_at),
                    list: Some(Rendered::new(render_products(reply.products), sent_at, fresh_for)),
                }
            })
        }
        Work::ListSessions(_) => outcome(reply, basis, |reply: SessionsReply<'_>| {
            Outcome::Sessions(render_sessions(reply.sessions))
        }),
        Work::Logout(logout) => outcome(reply, basis, |reply: LogoutReply| {
            settles_in(reply.settled_in_ms);
            let crate::work::Logout { token, all, delivery, .. } = logout;
            Outcome::LoggedOut { token, all, delivery }
        }),
        Work::RevokeSession(_) => outcome(reply, basis, |reply: RevokeSessionReply| {
            settles_in(reply.settled_in_ms);
            Outcome::Revoked
        }),
        Work::ChangePassword(change) => outcome(reply, basis, |reply: ChangePasswordReply<'_>| {
            settles_in(reply.settled_in_ms);
            password_changed(&reply, change.delivery)
        }),
    };
    if let Some(in_flight) = in_flight {
        in_flight.answered(sent_at, load(&outcome));
    }
    match settled_at {
        Some(at) => ticket.answer_at(at, outcome),
        None => ticket.answer_with(outcome, bundle),
    }
}

/// Codes of requests that are refused for what their hash has shown.
const REFUSED_AFTER_HASHING: [&str; 2] = ["credentials_wrong", "password_wrong"];

/// What an outcome says of its server's load.
fn load(outcome: &Outcome) -> Answered {
    match outcome {
        Outcome::Refused(refusal) if !REFUSED_AFTER_HASHING.contains(&refusal.code.as_str()) => {
            Answered::Refused
        }
        Outcome::Unanswered(_) => Answered::Refused,
        _ => Answered::Hashed,
    }
}

fn outcome<'a, R: ReplyMessage<'a>>(
    reply: &Frame<'a>,
    basis: Basis,
    done: impl FnOnce(R) -> Outcome,
) -> Outcome {
    let answer: Result<Answer<'a, R>, _> = reply.answer();
    match answer {
        Ok(Ok(reply)) => done(reply),
        Ok(Err(refusal)) => Outcome::Refused(Refusal {
            status: refusal.status().get(),
            code: refusal.code().to_owned(),
            detail: refusal.detail().to_owned(),
            retry_after_ms: refusal.retry_after_ms(),
            basis,
        }),
        Err(error) => {
            sparing!(ERROR, %error, "an answer of an auth server could not be understood");
            Outcome::Unanswered(Unanswered::Incomprehensible)
        }
    }
}

fn authenticated(reply: &AuthenticateReply<'_>, delivery: Delivery) -> Outcome {
    let Some(token) = token(reply.token) else {
        return Outcome::Unanswered(Unanswered::Incomprehensible);
    };
    // Somebody who has logged in is not turned away for want of a marker.
    let device = reply.device.and_then(|device| Device::new(device.expose().as_bytes()));
    Outcome::Authenticated { token, expires_in_ms: reply.expires_in_ms, device, delivery }
}

fn password_changed(reply: &ChangePasswordReply<'_>, delivery: Delivery) -> Outcome {
    let Some(token) = token(reply.token) else {
        return Outcome::Unanswered(Unanswered::Incomprehensible);
    };
    let (user_id, expires_in_ms) = (reply.user_id, reply.expires_in_ms);
    Outcome::PasswordChanged { user_id, token, expires_in_ms, delivery }
}

/// A token that would be refused when it comes back is worse than none.
fn token(made: Secret<'_>) -> Option<Token> {
    let token = Token::new(made.expose().as_bytes());
    if token.is_none() {
        sparing!(ERROR, "an auth server made a token of a form that this server does not take");
    }
    token
}

fn session(token: Token, reply: &CheckSessionReply<'_>, sent_at: Instant) -> CheckedSession {
    let facts = SessionFacts {
        user_id: reply.user_id,
        username: reply.username.into(),
        expires_at: later(sent_at, reply.expires_in_ms),
    };
    let leased_until = later(sent_at, reply.lease_ms.into());
    CheckedSession { token, facts, leased_until, asked_at: sent_at }
}

/// `ms` after `at`, or an hour after it when the clock cannot count that far.
fn later(at: Instant, ms: u64) -> Instant {
    at.checked_add(Duration::from_millis(ms)).unwrap_or(at + Duration::from_secs(3600))
}
