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
use std::sync::Arc;
use std::time::{Duration, Instant};

use addresses::Source;
use http1::{
    Accepted, Answered, Answerer, Exchange, Fault, Handler, Head, Problem, Progress, Reply,
    RequestId, Status,
};
use lane::{Ask, Flow, FlowKeys, Lane, Rejected};
use reactor::{Mailbox, Ticket};

use crate::catalog::{Catalog, Listing};
use crate::lease::Leases;
use crate::limits::{ANSWER_MARGIN, IDLE_CONNECTION_BYTES_MAX, SETTLE_TIME_MAX};
use crate::markers::Markers;
use crate::metrics::{Metrics, Tally};
use crate::proxies::TrustedProxies;
use crate::request_ids::{self, RequestIds};
use crate::token::Token;
use crate::work::{
    CheckedSession, Claim, Job, Login, Logout, Outcome, PasswordChange, Revocation, Unanswered,
    Work,
};

pub(crate) use answers::{products as render_products, sessions as render_sessions};
use call::Call;
use credentials::Credentials;
use problems::Spread;
use route::Route;

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
    spread: Spread,
    request_ids: RequestIds,
}

/// The two lanes of workers. A flood in one leaves the other free.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// For requests that hash a password.
    pub heavy: Lane<Job>,
    /// For all others.
    pub light: Lane<Job>,
    /// Whose turn a request waits for, in both.
    pub flows: FlowKeys,
    /// Who is taken for known.
    pub markers: Arc<Markers>,
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
            spread: Spread::default(),
            request_ids: RequestIds::default(),
        }
    }

    fn view_products(
        &mut self,
        token: Token,
        from: IpAddr,
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Progress {
        let fetch_list = self.catalog.look(exchange.now) == Listing::Fetch;
        self.submit(Work::ViewProducts { token, fetch_list }, from, exchange, reply)
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

    fn show_session(
        &mut self,
        token: Token,
        from: IpAddr,
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Progress {
        // Its body may have come long after its head.
        self.leases.drop_if_slept(exchange.now);
        match self.leases.live(token.expose().as_bytes(), exchange.now) {
            Some(facts) => {
                self.tally.count_leased();
                answers::session(facts, exchange.now, reply).into()
            }
            None => self.submit(Work::CheckSession(token), from, exchange, reply),
        }
    }

    /// Queues work of the user at `from` on its lane, for when the turn ends, or says at once that it cannot be
    /// served.
    fn submit(
        &mut self,
        work: Work,
        from: IpAddr,
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Progress {
        let lane = if work.is_heavy() { &self.lanes.heavy } else { &self.lanes.light };
        let settle = if work.ends_sessions() { SETTLE_TIME_MAX } else { Duration::ZERO };
        let deadline = exchange.now + self.request_timeout;
        let ticket = Ticket::new(self.mailbox.clone(), exchange.connection, Unanswered::Dropped);
        let ask = Ask::new(self.flow(&work, from, exchange.now)).by(deadline).units(work.units());
        let claim = matches!(work, Work::Authenticate(_))
            .then(|| Claim::new(&self.lanes.markers, Source::of(from)));
        let http_request_id = reply.request_id().cloned();
        let job = Job { work, deadline, ticket, http_request_id, claim, in_flight: None };
        match lane.try_queue(job, &ask) {
            Ok(()) => reply.later(deadline + settle + ANSWER_MARGIN),
            Err(Rejected { job, why }) => {
                job.ticket.withdraw();
                let id = reply.request_id();
                let problem = problems::of_silence(why.into(), id, &mut self.spread);
                reply.problem(&problem).into()
            }
        }
    }

    /// Whose turn work waits for. Who shows a marker that is believed, or wants another password in a session, is
    /// taken for known: whether it is so, only auth_back can tell.
    fn flow(&self, work: &Work, from: IpAddr, now: Instant) -> Flow {
        let (Lanes { flows, markers, .. }, source) = (&self.lanes, Source::of(from));
        match work {
            Work::Authenticate(Login { username, device: Some(device), .. })
                if markers.are_believed(device, source, now) =>
            {
                flows.known(source, username.to_ascii_lowercase().as_bytes())
            }
            // No username begins with a space.
            Work::ChangePassword(_) => flows.known(source, b" session"),
            _ => flows.stranger(source),
        }
    }

    fn remember(&mut self, session: CheckedSession, exchange: &Exchange) {
        let CheckedSession { token, facts, leased_until, asked_at } = session;
        self.leases.drop_if_slept(exchange.now);
        if self.leases.may_be_given(asked_at) {
            self.leases.insert(&token, facts, leased_until, exchange.now);
        }
    }
}

impl Handler for Api {
    type Call = Call;
    type Completion = Outcome;
    const METHODS: &'static str = "GET, HEAD, POST, OPTIONS";

    fn is_gateway(&self, address: IpAddr) -> bool {
        self.proxies.contains(address)
    }

    fn is_capped(&self, address: IpAddr) -> bool {
        !self.proxies.contains(address)
    }

    fn on_head(&mut self, head: &Head<'_>, exchange: &Exchange) -> Result<Accepted<Call>, Problem> {
        self.leases.drop_if_slept(exchange.now);
        // By the time at which the request was here (`reactor::Io::now`): a lease that runs then was given
        // for a session that no logout had ended before the request was sent. A moment later it may have
        // ended, as it may while an answer is on its way.
        call::from_head(
            head,
            exchange,
            &self.proxies,
            &self.metrics.proxy_notices,
            |token, route| {
                let has_list = route != Route::Products || self.catalog.is_current(exchange.now);
                has_list && self.leases.live(token, exchange.now).is_some()
            },
        )
    }

    fn request_id(&mut self, head: Option<&Head<'_>>, exchange: &Exchange) -> Option<RequestId> {
        let by_proxy = head.filter(|_| self.proxies.contains(exchange.peer));
        by_proxy.and_then(request_ids::given).or_else(|| self.request_ids.draw())
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
            Call::Products(token, from) => {
                return self.view_products(token, from, exchange, reply);
            }
            Call::Session(token, from) => return self.show_session(token, from, exchange, reply),
            Call::Sessions(token, from) => Ok((Work::ListSessions(token), from)),
            Call::Register(client) => {
                let from = client.address;
                bodies::registration(body, client).map(|asked| (Work::Register(asked), from))
            }
            Call::Authenticate(entry) => {
                let from = entry.client.address;
                bodies::login(body, entry).map(|asked| (Work::Authenticate(asked), from))
            }
            Call::Logout { is_json: false, .. } if !body.is_empty() => {
                Err(problems::UNSUPPORTED_MEDIA_TYPE)
            }
            Call::Logout { credentials: Credentials { token, delivery }, client, .. } => {
                bodies::logout(body).map(|all| {
                    let client_address = client.address;
                    (Work::Logout(Logout { token, all, client_address, delivery }), client_address)
                })
            }
            Call::RevokeSession(token, client) => bodies::revocation(body).map(|session_id| {
                let client_address = client.address;
                let revocation = Revocation { token, session_id, client_address };
                (Work::RevokeSession(revocation), client_address)
            }),
            Call::ChangePassword(Credentials { token, delivery }, client) => {
                let from = client.address;
                bodies::passwords(body).map(|(current_password, new_password)| {
                    let change =
                        PasswordChange { token, current_password, new_password, client, delivery };
                    (Work::ChangePassword(change), from)
                })
            }
        };
        match work {
            Ok((work, from)) => self.submit(work, from, exchange, reply),
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
            Outcome::Refused(refusal) => {
                let id = reply.request_id();
                let problem = problems::of_refusal(&refusal, id, &mut self.spread);
                reply.problem(&problem)
            }
            Outcome::Unanswered(why) => {
                let problem = problems::of_silence(why, reply.request_id(), &mut self.spread);
                reply.problem(&problem)
            }
        }
    }

    fn on_answered(&mut self, status: Status, by: Answerer, _: &Exchange) {
        if by == Answerer::Application {
            self.tally.count_answer(status);
        }
    }

    fn on_fault(&mut self, fault: Fault, exchange: &Exchange) {
        self.metrics.faults.note(fault, exchange.peer);
    }

    fn wake_at(&self) -> Option<Instant> {
        self.leases.sweep_at()
    }

    fn on_wake(&mut self, now: Instant) {
        self.leases.drop_ended(now);
    }

    fn on_turn_end(&mut self) {
        self.lanes.heavy.notify();
        self.lanes.light.notify();
        self.tally.tell(&self.metrics);
    }
}

const _: () = assert!(
    reactor::idle_connection_bytes::<http1::Connection<Api>>() <= IDLE_CONNECTION_BYTES_MAX
);
