//! From a head to a call: route, method, media type, token, who asks. All of it is decided before
//! any of the body is read.

use std::net::IpAddr;

use http1::{Accepted, BodyLength, Exchange, Head, Problem, Status};

use super::credentials::{self, Credentials};
use super::route::Route;
use super::{cookies, origin, problems};
use crate::limits::USER_AGENT_BYTES_MAX;
use crate::proxies::{Notices, TrustedProxies, Whence};
use crate::token::{Device, Token};
use crate::work::Client;

/// A request whose head is understood; what is still to come is its body.
pub enum Call {
    /// Make an account.
    Register(Client),
    /// Log in.
    Authenticate(Entry),
    /// See the products, with a lease that ran when the head was looked at. The token is not needed any
    /// more, so it was never copied.
    LeasedProducts,
    /// See the products.
    Products(Token, IpAddr),
    /// Who am I?
    Session(Token, IpAddr),
    /// Which sessions do I have?
    Sessions(Token, IpAddr),
    /// End this session, or all.
    Logout {
        /// The session.
        credentials: Credentials,
        /// Who asks.
        client: Client,
        /// Whether content is JSON, if any comes.
        is_json: bool,
    },
    /// End another session.
    RevokeSession(Token, Client),
    /// Replace the password.
    ChangePassword(Credentials, Client),
}

/// What the head of a login says.
pub struct Entry {
    /// Who asks.
    pub(super) client: Client,
    /// The marker that the browser keeps.
    pub(super) device: Option<Device>,
    /// Whether a page of this site asks, or the user directly.
    pub(super) is_ours: bool,
}

/// The longest body that a route reads. The longest sensible one is that of a change of password:
/// twice 128 code points, each as an escaped surrogate pair.
const BODY_BYTES_MAX: usize = http1::limits::BODY_BYTES_MAX;

/// Decides on a head. `is_leased` says of the text of a token whether a request with it is answered on the loop, if the
/// route is one of those that can be.
pub(super) fn from_head(
    head: &Head<'_>,
    exchange: &Exchange,
    proxies: &TrustedProxies,
    notices: &Notices,
    is_leased: impl FnOnce(&[u8], Route) -> bool,
) -> Result<Accepted<Call>, Problem> {
    let route = Route::at(head.path()).ok_or(problems::NOT_FOUND)?;
    if !route.allows(head.method()) {
        return Err(problems::METHOD_NOT_ALLOWED.with_field(route.allow()));
    }
    // Asked once, where it is needed: what is wrong with a proxy is counted once for each request.
    let client = || client(head, exchange, proxies, notices);
    let address = || whence(head, exchange, proxies, notices).address;
    let for_change = || credentials::for_change(head, exchange.peer, proxies);
    match route {
        Route::Products => {
            let (text, _) = credentials::text_of(head)?;
            // A body could take its time, and a lease with it.
            if head.body_length() == BodyLength::Exact(0) && is_leased(text, route) {
                return Ok(Accepted::without_body(Call::LeasedProducts).without_id());
            }
            let token = Token::new(text).ok_or(problems::TOKEN_MALFORMED)?;
            Ok(Accepted::without_body(Call::Products(token, address())))
        }
        Route::Session => {
            let token = token(head)?;
            let is_leased = is_leased(token.expose().as_bytes(), route);
            let accepted = Accepted::without_body(Call::Session(token, address()));
            Ok(if is_leased { accepted.without_id() } else { accepted })
        }
        Route::Sessions => Ok(Accepted::without_body(Call::Sessions(token(head)?, address()))),
        Route::Register => with_json(head, Call::Register(client())),
        Route::Authenticate => {
            let device = cookies::only(head, cookies::DEVICE).ok().flatten();
            let device = device.and_then(Device::new);
            let is_ours = origin::is_ours(head, exchange.peer, proxies);
            let entry = Entry { client: client(), device, is_ours };
            with_json(head, Call::Authenticate(entry))
        }
        Route::Logout => {
            let credentials = for_change().map_err(|problem| ends_cookie(head, problem))?;
            let is_json = head.has_media_type(JSON);
            let call = Call::Logout { credentials, client: client(), is_json };
            match head.body_length() {
                BodyLength::Exact(1..) => with_json(head, call),
                // A logout may have nothing more to say, and an empty body has no type.
                BodyLength::Exact(0) | BodyLength::Chunked => with_plain_content(head, call),
            }
        }
        Route::RevokeSession => {
            let token = for_change()?.token;
            if head.requires_match() {
                return with_json(head, Call::Session(token, address()))
                    .map(Accepted::without_effect);
            }
            with_json(head, Call::RevokeSession(token, client()))
        }
        Route::ChangePassword => {
            let credentials = for_change()?;
            if head.requires_match() {
                let call = Call::Session(credentials.token, address());
                return with_json(head, call).map(Accepted::without_effect);
            }
            with_json(head, Call::ChangePassword(credentials, client()))
        }
    }
}

const JSON: &str = "application/json";

fn with_json(head: &Head<'_>, call: Call) -> Result<Accepted<Call>, Problem> {
    let accepted = with_plain_content(head, call)?;
    if head.has_media_type(JSON) { Ok(accepted) } else { Err(problems::UNSUPPORTED_MEDIA_TYPE) }
}

/// Whatever a coding would have to be undone by, nothing here does.
fn with_plain_content(head: &Head<'_>, call: Call) -> Result<Accepted<Call>, Problem> {
    if head.has_content_coding() {
        return Err(problems::UNSUPPORTED_CONTENT_CODING);
    }
    Ok(Accepted::with_body(call, BODY_BYTES_MAX))
}

/// The refusal of a logout for want of a token: what its cookie holds is none, so the cookie ends. Not when
/// `Authorization` says something as well, since of the two the cookie may be the live one.
fn ends_cookie(head: &Head<'_>, problem: Problem) -> Problem {
    let is_in_cookie = || !matches!(cookies::only(head, cookies::SESSION), Ok(None));
    let is_only_there = || !credentials::is_in_header(head);
    let is_ended = problem.status() == Status::Unauthorized && is_in_cookie() && is_only_there();
    if is_ended { problems::ending_cookie(problem) } else { problem }
}

fn token(head: &Head<'_>) -> Result<Token, Problem> {
    credentials::of(head).map(|credentials| credentials.token)
}

fn whence(
    head: &Head<'_>,
    exchange: &Exchange,
    proxies: &TrustedProxies,
    notices: &Notices,
) -> Whence {
    let whence = proxies.whence(exchange.peer, head);
    notices.note(exchange.peer, whence.said);
    whence
}

fn client(
    head: &Head<'_>,
    exchange: &Exchange,
    proxies: &TrustedProxies,
    notices: &Notices,
) -> Client {
    let whence = whence(head, exchange, proxies, notices);
    Client {
        address: whence.address,
        is_forwarded: whence.is_forwarded(),
        user_agent: user_agent(head),
    }
}

/// The first `User-Agent`, cut to its bound. One that is not UTF-8 is left out: nothing depends on
/// it, so it is no reason to refuse somebody.
fn user_agent(head: &Head<'_>) -> Option<Box<str>> {
    let value = std::str::from_utf8(head.fields("User-Agent").next()?).ok()?;
    Some(value[..value.floor_char_boundary(USER_AGENT_BYTES_MAX)].into())
}
