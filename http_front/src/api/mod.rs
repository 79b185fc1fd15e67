//! The HTTP API, version 1: what is answered on the loop and what is handed to a worker.
//!
//! | route | lane |
//! |---|---|
//! | `POST /open_api/v1/register` | heavy |
//! | `POST /open_api/v1/authenticate` | heavy |
//! | `GET /open_api/v1/products` | none with a lease, else light |
//! | `GET /open_api/v1/session` | none with a lease, else light |
//! | `GET /open_api/v1/sessions` | light |
//! | `POST /open_api/v1/logout` | light |
//! | `POST /open_api/v1/revoke_session` | light |
//! | `POST /open_api/v1/change_password` | heavy |

mod answers;
mod bodies;
mod call;
mod cookies;
mod credentials;
mod origin;
mod problems;
mod route;

#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http1::{Accepted, Answered, Exchange, Fault, Handler, Head, Problem, Progress, Reply, Status};
use reactor::{Mailbox, Ticket};
use service::lane::Lane;

use crate::catalog::{Catalog, Listing};
use crate::lease::Leases;
use crate::limits::{ANSWER_MARGIN, SETTLE_TIME_MAX};
use crate::metrics::{Metrics, Tally};
use crate::proxies::TrustedProxies;
use crate::token::Token;
use crate::work::{CheckedSession, Job, Logout, Outcome, PasswordChange, Revocation, Work};

pub(crate) use answers::{products as render_products, sessions as render_sessions};
use call::Call;
use credentials::Credentials;

/// The API of one event loop, with everything that its connections share.
pub struct Api {
    mailbox: Mailbox<Outcome>,
    lanes: Lanes,
    request_timeout: Duration,
    proxies: TrustedProxies,
    leases: Leases,
    catalog: Catalog,
    metrics: Metrics,
    tally: Tally,
}

/// The two lanes of workers. A flood in one leaves the other free.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// For requests that hash a password.
    pub heavy: Lane<Job>,
    /// For all others.
    pub light: Lane<Job>,
}

impl Api {
    /// The API of the loop that `mailbox` belongs to.
    #[must_use]
    pub fn new(
        mailbox: Mailbox<Outcome>,
        lanes: Lanes,
        request_timeout: Duration,
        proxies: TrustedProxies,
        metrics: Metrics,
    ) -> Self {
        Self {
            mailbox,
            lanes,
            request_timeout,
            proxies,
            leases: Leases::new(),
            catalog: Catalog::default(),
            metrics,
            tally: Tally::default(),
        }
    }

    fn view_products(&mut self, token: Token, exchange: &Exchange, reply: Reply<'_>) -> Progress {
        let fetch_list = self.catalog.look(exchange.now) == Listing::Fetch;
        self.submit(Work::ViewProducts { token, fetch_list }, exchange, reply)
    }

    /// Answers who was found to have a lease when the head was looked at, in this very call of the
    /// connection: nothing can have come between.
    fn show_products(&mut self, reply: Reply<'_>) -> Answered {
        self.tally.count_leased();
        self.send_newest_list(reply)
    }

    fn send_newest_list(&self, reply: Reply<'_>) -> Answered {
        match self.catalog.newest() {
            Some(list) => reply.send_prepared(list),
            // Nobody is sent here before the loop has a list, and it never loses it.
            None => reply.problem(&problems::INTERNAL),
        }
    }

    fn show_session(&mut self, token: Token, exchange: &Exchange, reply: Reply<'_>) -> Progress {
        match self.leases.live(token.expose().as_bytes(), exchange.now) {
            Some(facts) => {
                self.tally.count_leased();
                answers::session(facts, exchange.now, reply).into()
            }
            None => self.submit(Work::CheckSession(token), exchange, reply),
        }
    }

    /// Queues work on its lane, for when the turn ends, or says at once that the lane is full.
    fn submit(&self, work: Work, exchange: &Exchange, reply: Reply<'_>) -> Progress {
        let lane = if work.is_heavy() { &self.lanes.heavy } else { &self.lanes.light };
        let settle = if work.ends_sessions() { SETTLE_TIME_MAX } else { Duration::ZERO };
        let deadline = exchange.now + self.request_timeout;
        let ticket = Ticket::new(self.mailbox.clone(), exchange.connection, Outcome::dropped());
        match lane.try_queue(Job { work, deadline, ticket }) {
            Ok(()) => reply.later(deadline + settle + ANSWER_MARGIN),
            Err(rejected) => {
                rejected.into_job().ticket.withdraw();
                reply.problem(&problems::OVERLOADED).into()
            }
        }
    }

    fn remember(&mut self, session: CheckedSession, exchange: &Exchange) {
        let CheckedSession { token, facts, leased_until } = session;
        self.leases.insert(&token, facts, leased_until, exchange.now);
    }
}

impl Handler for Api {
    type Call = Call;
    type Completion = Outcome;

    fn is_capped(&self, address: IpAddr) -> bool {
        !self.proxies.contains(address)
    }

    fn on_head(&mut self, head: &Head<'_>, exchange: &Exchange) -> Result<Accepted<Call>, Problem> {
        // By the time at which the request was here (`reactor::Io::now`): a lease that runs then was given
        // for a session that no logout had ended before the request was sent. A moment later it may have
        // ended, as it may while an answer is on its way.
        call::from_head(head, exchange, &self.proxies, &self.metrics.proxy_notices, |token| {
            self.leases.live(token, exchange.now).is_some() && self.catalog.is_current(exchange.now)
        })
    }

    fn on_request(
        &mut self,
        call: Call,
        body: &[u8],
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Progress {
        let work = match call {
            Call::LeasedProducts => return self.show_products(reply).into(),
            Call::Products(token) => return self.view_products(token, exchange, reply),
            Call::Session(token) => return self.show_session(token, exchange, reply),
            Call::Sessions(token) => Ok(Work::ListSessions(token)),
            Call::Register(client) => bodies::registration(body, client).map(Work::Register),
            Call::Authenticate(entry) => bodies::login(body, entry).map(Work::Authenticate),
            Call::Logout(Credentials { token, delivery }, client) => {
                bodies::logout(body).map(|all| {
                    let client_address = client.address;
                    Work::Logout(Logout { token, all, client_address, delivery })
                })
            }
            Call::RevokeSession(token, client) => bodies::revocation(body).map(|session_id| {
                let client_address = client.address;
                Work::RevokeSession(Revocation { token, session_id, client_address })
            }),
            Call::ChangePassword(Credentials { token, delivery }, client) => {
                bodies::passwords(body).map(|(current_password, new_password)| {
                    Work::ChangePassword(PasswordChange {
                        token,
                        current_password,
                        new_password,
                        client,
                        delivery,
                    })
                })
            }
        };
        match work {
            Ok(work) => self.submit(work, exchange, reply),
            Err(problem) => reply.problem(&problem).into(),
        }
    }

    fn on_completion(
        &mut self,
        outcome: Outcome,
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Answered {
        self.metrics.outcomes.count(&outcome);
        match outcome {
            Outcome::Registered { user_id } => answers::registered(user_id, reply),
            Outcome::Authenticated { token, expires_in_ms, device, delivery } => {
                answers::authenticated(&token, expires_in_ms, device.as_ref(), delivery, reply)
            }
            Outcome::Session(session) => {
                let answered = answers::session(&session.facts, exchange.now, reply);
                self.remember(session, exchange);
                answered
            }
            Outcome::Products { session, list } => {
                self.remember(session, exchange);
                if let Some(list) = list {
                    self.catalog.update(list);
                }
                self.send_newest_list(reply)
            }
            Outcome::Sessions(list) => reply.send_prepared(&list),
            Outcome::LoggedOut { token, all, delivery } => {
                // By now every lease on what has ended has run. Should an auth server have been
                // wrong about that, this loop at least does not go on by it.
                match all {
                    true => self.leases.remove_all_of(&token),
                    false => self.leases.remove(&token),
                }
                answers::logged_out(delivery, reply)
            }
            Outcome::Revoked => answers::done(reply),
            Outcome::PasswordChanged { user_id, token, expires_in_ms, delivery } => {
                self.leases.remove_user(user_id);
                answers::authenticated(&token, expires_in_ms, None, delivery, reply)
            }
            Outcome::Refused(refusal) => reply.problem(&problems::of_refusal(&refusal)),
            Outcome::Unanswered(why) => reply.problem(problems::of_silence(why)),
        }
    }

    fn on_answered(&mut self, status: Status, _: &Exchange) {
        self.tally.count_answer(status);
    }

    fn on_fault(&mut self, fault: Fault, _: &Exchange) {
        self.metrics.faults.count(fault);
    }

    fn wake_at(&self) -> Option<Instant> {
        self.leases.sweep_at()
    }

    fn on_wake(&mut self, now: Instant) {
        self.leases.drop_ended(now);
    }

    fn on_turn_end(&mut self) {
        self.lanes.heavy.call();
        self.lanes.light.call();
        self.tally.tell(&self.metrics);
    }
}
