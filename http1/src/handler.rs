//! What an application gives to the protocol: decisions on heads, answers to requests.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reactor::ConnectionId;

use crate::date::{DateCache, wall_clock};
use crate::fault::Fault;
use crate::head::Head;
use crate::limits::{
    BODY_BYTES_MAX, HEAD_BYTES_DEFAULT, HEAD_BYTES_MAX, HEAD_BYTES_MIN, IDLE_TIME_DEFAULT,
};
use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::response::{Answered, Progress, Reply};
use crate::status::Status;

/// An application on HTTP/1.1. One value per event loop; no method may block.
///
/// A request comes in two steps. [`on_head`](Self::on_head) sees the head before any of the body
/// is read; there routes, methods, media types and lengths are decided, and whatever is needed
/// later is taken out into a [`Call`](Self::Call). [`on_request`](Self::on_request) gets the call
/// back with the whole body, and answers or lets a worker do it.
///
/// ```
/// use http1::{
///     Accepted, Answered, Connection, Exchange, Handler, Head, Method, Problem, Progress, Reply,
///     Response, Shared, Status,
/// };
///
/// const NOT_FOUND: Problem =
///     Problem::new(Status::NotFound, "not_found", "Not found", "There is only /health.");
///
/// struct Health;
///
/// impl Handler for Health {
///     type Call = ();
///     type Completion = ();
///
///     fn on_head(&mut self, head: &Head<'_>, _: &Exchange) -> Result<Accepted<()>, Problem> {
///         match (head.method(), head.path()) {
///             (Method::Get | Method::Head, "/health") => Ok(Accepted::without_body(())),
///             _ => Err(NOT_FOUND),
///         }
///     }
///
///     fn on_request(&mut self, (): (), _: &[u8], _: &Exchange, reply: Reply<'_>) -> Progress {
///         reply.send(&Response::json(Status::Ok), b"{\"status\":\"ok\"}").into()
///     }
///
///     fn on_completion(&mut self, (): (), _: &Exchange, reply: Reply<'_>) -> Answered {
///         reply.send(&Response::new(Status::NoContent), b"")
///     }
/// }
///
/// let mut wire = reactor::testing::Harness::<Connection<Health>>::new(Shared::new(Health));
/// wire.feed(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
/// assert!(wire.take_output().starts_with(b"HTTP/1.1 200 OK\r\n"));
/// ```
pub trait Handler: Sized + 'static {
    /// What was taken from the head: a route, a token. Kept while the body arrives. If it holds a
    /// secret, its type has to wipe it when dropped.
    type Call: 'static;

    /// What a worker posts for [`on_completion`](Self::on_completion), to the connection named in
    /// [`Exchange::connection`], exactly once per request left for later.
    type Completion: Send + 'static;

    /// The methods that some resource of the server has, for `Allow` in the answer to `OPTIONS *`.
    const METHODS: &'static str = "GET, HEAD, OPTIONS";

    /// Whether the peer at `address` is a gateway, which ends TLS for its clients and so may send targets that
    /// say `https`. Those of others are refused with 421 (RFC 9110 section 7.4).
    fn is_gateway(&self, _address: IpAddr) -> bool {
        false
    }

    /// Whether connections from `address` count for the cap of connections per address; see
    /// [`reactor::Protocol::is_capped`].
    fn is_capped(&self, _address: IpAddr) -> bool {
        true
    }

    /// Decides on a head, which is well formed and whose framing is sound. The method is one that is known,
    /// and the path is no `*`: what is asked of a server as a whole is answered without a handler.
    ///
    /// # Errors
    ///
    /// A problem is the answer to the request. A short body is then read and dropped, so that the
    /// connection stays usable; otherwise it is closed.
    fn on_head(
        &mut self,
        head: &Head<'_>,
        exchange: &Exchange,
    ) -> Result<Accepted<Self::Call>, Problem>;

    /// What a request is found again by. The answer says it, as `X-Request-Id` and in problem documents, and
    /// [`Reply::request_id`] hands it out. Asked once for each request, after
    /// [`on_head`](Self::on_head), unless that wanted none ([`Accepted::without_id`]); without a head for what is no
    /// request and is refused.
    fn request_id(&mut self, _head: Option<&Head<'_>>, _exchange: &Exchange) -> Option<RequestId> {
        None
    }

    /// Answers a request, or leaves that for later. `body` is wiped after the call.
    fn on_request(
        &mut self,
        call: Self::Call,
        body: &[u8],
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Progress;

    /// Answers a request that was left for later.
    fn on_completion(
        &mut self,
        completion: Self::Completion,
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Answered;

    /// An answer was written; for counting. Interim answers (`100 Continue`) are none.
    fn on_answered(&mut self, _status: Status, _by: Answerer, _exchange: &Exchange) {}

    /// The protocol refuses a request, or gives a connection up; for counting and logging. If the request
    /// had no answer yet, it gets one.
    fn on_fault(&mut self, _fault: Fault, _exchange: &Exchange) {}

    /// When the handler has something to do by itself; see [`reactor::Protocol::wake_at`].
    fn wake_at(&self) -> Option<Instant> {
        None
    }

    /// The time that [`Handler::wake_at`] told has come.
    fn on_wake(&mut self, _now: Instant) {}

    /// The loop's turn ends; see [`reactor::Protocol::on_turn_end`].
    fn on_turn_end(&mut self) {}
}

/// Who decided what an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// The application, or the protocol for want of its answer ([`Fault::Expired`]).
    Application,
    /// The protocol, because of what the peer sent; [`Handler::on_fault`] was told why.
    Protocol,
}

/// The circumstances of a call.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Where a worker's completion goes.
    pub connection: ConnectionId,
    /// The address of the client, or of the proxy before it.
    pub peer: IpAddr,
    /// The time at the start of this turn of the loop. In [`Handler::on_request`] it is the moment
    /// at which the request was complete, from which its deadline counts.
    pub now: Instant,
}

/// A request that a handler wants: the call, and how much body may come.
#[derive(Debug)]
pub struct Accepted<C> {
    pub(crate) call: C,
    pub(crate) body_bytes_max: usize,
    pub(crate) is_without_effect: bool,
    pub(crate) has_id: bool,
}

impl<C> Accepted<C> {
    /// The request has to come without content, or is refused with 400; an empty body is none.
    #[must_use]
    pub const fn without_body(call: C) -> Self {
        Self { call, body_bytes_max: 0, is_without_effect: false, has_id: true }
    }

    /// The request may come with content of up to `bytes_max` bytes; longer content is refused with 413.
    /// It may also come with none: then the body is empty.
    ///
    /// # Panics
    ///
    /// When `bytes_max` is over [`BODY_BYTES_MAX`].
    #[must_use]
    pub fn with_body(call: C, bytes_max: usize) -> Self {
        assert!(bytes_max <= BODY_BYTES_MAX, "a body of {bytes_max} bytes is never kept");
        Self { call, body_bytes_max: bytes_max, is_without_effect: false, has_id: true }
    }

    /// The call only finds out what the request would be refused with and changes nothing, so it may be made
    /// although `If-Match` is there ([`Head::requires_match`]). All others than GET and HEAD are refused then, with
    /// 412 and before their bodies; their resources have no representation.
    #[must_use]
    pub fn without_effect(mut self) -> Self {
        self.is_without_effect = true;
        self
    }

    /// The request is answered at once and leaves no trace, so there is nothing that its answer could be
    /// connected with: [`Handler::request_id`] is not asked.
    #[must_use]
    pub fn without_id(mut self) -> Self {
        self.has_id = false;
        self
    }
}

/// What all HTTP connections of one event loop share.
#[derive(Debug)]
pub struct Shared<H> {
    /// The application.
    pub handler: H,
    pub(crate) dates: DateCache,
    pub(crate) head_bytes_max: usize,
    pub(crate) idle_time: Duration,
    /// The server stops before long: each answer is the last of its connection.
    pub(crate) draining: bool,
}

impl<H: Handler> Shared<H> {
    /// Shared state with the system's wall clock for `Date`.
    #[must_use]
    pub fn new(handler: H) -> Self {
        Self::with_dates(handler, DateCache::new(wall_clock))
    }

    /// Shared state with another clock, for tests that compare whole answers.
    #[must_use]
    pub fn with_dates(handler: H, dates: DateCache) -> Self {
        Self {
            handler,
            dates,
            head_bytes_max: HEAD_BYTES_DEFAULT,
            idle_time: IDLE_TIME_DEFAULT,
            draining: false,
        }
    }

    /// Sets how many bytes a head may have; longer ones are refused with 431.
    ///
    /// # Panics
    ///
    /// When it is outside of [`HEAD_BYTES_MIN`] to [`HEAD_BYTES_MAX`]; settings are checked before.
    #[must_use]
    pub fn with_head_bytes_max(mut self, bytes_max: usize) -> Self {
        assert!(
            (HEAD_BYTES_MIN..=HEAD_BYTES_MAX).contains(&bytes_max),
            "heads of {bytes_max} bytes"
        );
        self.head_bytes_max = bytes_max;
        self
    }

    /// Lets connections wait this long for their first or their next request.
    #[must_use]
    pub fn with_idle_time(self, idle_time: Duration) -> Self {
        Self { idle_time, ..self }
    }
}
