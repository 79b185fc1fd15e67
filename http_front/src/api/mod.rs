//! The HTTP API, version 1: what is answered on the loop and what is handed to a worker.
//!
//! | route | lane |
//! |---|---|
//! | `POST /open_api/v1/register` | heavy |
//! | `POST /open_api/v1/authenticate` | heavy |
//! | `GET /open_api/v1/products` | none with a lease, else light |
//! | `GET /open_api/v1/session` | none with a lease, else light |
//! | `POST /open_api/v1/logout` | light |

mod answers;
mod bearer;
mod bodies;
mod call;
mod problems;
mod route;

#[cfg(test)]
pub(crate) mod tests;

use std::time::{Duration, Instant};

use http1::{Accepted, Answered, Exchange, Fault, Handler, Head, Problem, Progress, Reply, Status};
use reactor::{Mailbox, Ticket};
use service::lane::Lane;

use crate::catalog::{Catalog, Listing};
use crate::lease::Leases;
use crate::limits::{ANSWER_MARGIN, SETTLE_TIME_MAX};
use crate::metrics::Metrics;
use crate::token::Token;
use crate::work::{CheckedSession, Job, Outcome, Work};

pub(crate) use answers::products as render_products;
use call::Call;

/// The API of one event loop, with everything that its connections share.
pub struct Api {
    mailbox: Mailbox<Outcome>,
    lanes: Lanes,
    request_timeout: Duration,
    leases: Leases,
    catalog: Catalog,
    metrics: Metrics,
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
        metrics: Metrics,
    ) -> Self {
        Self {
            mailbox,
            lanes,
            request_timeout,
            leases: Leases::new(),
            catalog: Catalog::default(),
            metrics,
        }
    }

    fn view_products(&mut self, token: Token, exchange: &Exchange, reply: Reply<'_>) -> Progress {
        let listing = self.catalog.look(exchange.now);
        if let Listing::Current(list) = listing
            && self.leases.live(&token, time_of_use(exchange)).is_some()
        {
            self.metrics.leased.inc();
            return reply.send_prepared(list).into();
        }
        let fetch_list = listing == Listing::Fetch;
        self.submit(Work::ViewProducts { token, fetch_list }, exchange, reply)
    }

    fn show_session(&self, token: Token, exchange: &Exchange, reply: Reply<'_>) -> Progress {
        match self.leases.live(&token, time_of_use(exchange)) {
            Some(facts) => {
                self.metrics.leased.inc();
                answers::session(facts, exchange.now, reply).into()
            }
            None => self.submit(Work::CheckSession(token), exchange, reply),
        }
    }

    /// Queues work on its lane, or says at once that the lane is full.
    fn submit(&self, work: Work, exchange: &Exchange, reply: Reply<'_>) -> Progress {
        let lane = match work {
            Work::Register(_) | Work::Authenticate(_) => &self.lanes.heavy,
            Work::CheckSession(_) | Work::ViewProducts { .. } | Work::Logout(_) => {
                &self.lanes.light
            }
        };
        // The answer to a logout may have to wait for leases to run, after all its work is done.
        let settle = match work {
            Work::Logout(_) => SETTLE_TIME_MAX,
            _ => Duration::ZERO,
        };
        let deadline = exchange.now + self.request_timeout;
        let ticket = Ticket::new(self.mailbox.clone(), exchange.connection, Outcome::dropped());
        match lane.try_submit(Job { work, deadline, ticket }) {
            Ok(()) => reply.later(deadline + settle + ANSWER_MARGIN),
            Err(rejected) => {
                rejected.into_job().ticket.withdraw();
                reply.problem(&problems::OVERLOADED).into()
            }
        }
    }

    fn remember(&mut self, session: CheckedSession, exchange: &Exchange) {
        let CheckedSession { token, facts, leased_until } = session;
        self.leases.insert(token, facts, leased_until, exchange.now);
    }
}

/// The time by which a lease is judged. That of the loop's turn may be as old as the turn is long,
/// and a busy turn is longer than the margin with which a logout waits for leases to run.
fn time_of_use(exchange: &Exchange) -> Instant {
    exchange.now.max(Instant::now())
}

impl Handler for Api {
    type Call = Call;
    type Completion = Outcome;

    fn on_head(&mut self, head: &Head<'_>, _: &Exchange) -> Result<Accepted<Call>, Problem> {
        call::from_head(head)
    }

    fn on_request(
        &mut self,
        call: Call,
        body: &[u8],
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Progress {
        let work = match call {
            Call::Products(token) => return self.view_products(token, exchange, reply),
            Call::Session(token) => return self.show_session(token, exchange, reply),
            Call::Register => bodies::registration(body, exchange).map(Work::Register),
            Call::Authenticate(user_agent) => {
                bodies::login(body, exchange, user_agent).map(Work::Authenticate)
            }
            Call::Logout(token) => bodies::logout(body).map(|()| Work::Logout(token)),
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
            Outcome::Authenticated { token, expires_in_ms } => {
                answers::authenticated(token.expose(), expires_in_ms, reply)
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
                match self.catalog.newest() {
                    Some(list) => reply.send_prepared(list),
                    // The list is left out only when the loop had one, and it never loses it.
                    None => reply.problem(&problems::INTERNAL),
                }
            }
            Outcome::LoggedOut { token } => {
                self.leases.remove(&token);
                answers::logged_out(reply)
            }
            Outcome::Refused(refusal) => reply.problem(&problems::of_refusal(&refusal)),
            Outcome::Unanswered(why) => reply.problem(problems::of_silence(why)),
        }
    }

    fn on_answered(&mut self, status: Status, _: &Exchange) {
        self.metrics.answers.count(status);
    }

    fn on_fault(&mut self, fault: Fault, _: &Exchange) {
        self.metrics.faults.count(fault);
    }
}
