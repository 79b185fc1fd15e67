//! From a head to a call: route, method, media type, token, who asks. All of it is decided before
//! any of the body is read.

use http1::{Accepted, BodyLength, Exchange, Head, Problem};

use super::credentials::{self, Credentials};
use super::route::Route;
use super::{cookies, origin, problems};
use crate::limits::USER_AGENT_BYTES_MAX;
use crate::proxies::{Notices, TrustedProxies};
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
    Products(Token),
    /// Who am I?
    Session(Token),
    /// Which sessions do I have?
    Sessions(Token),
    /// End this session, or all.
    Logout(Credentials, Client),
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

/// Decides on a head. `may_view` says of the text of a token whether a request for the products is answered
/// on the loop.
pub(super) fn from_head(
    head: &Head<'_>,
    exchange: &Exchange,
    proxies: &TrustedProxies,
    notices: &Notices,
    may_view: impl FnOnce(&[u8]) -> bool,
) -> Result<Accepted<Call>, Problem> {
    let route = Route::at(head.path()).ok_or(problems::NOT_FOUND)?;
    if !route.allows(head.method()) {
        return Err(problems::METHOD_NOT_ALLOWED.with_allow(route.allow()));
    }
    let client = || client(head, exchange, proxies, notices);
    match route {
        Route::Products => {
            let (text, _) = credentials::text_of(head)?;
            // A body could take its time, and a lease with it.
            if head.body_length() == BodyLength::Exact(0) && may_view(text) {
                return Ok(Accepted::without_body(Call::LeasedProducts));
            }
            let token = Token::new(text).ok_or(problems::TOKEN_MALFORMED)?;
            Ok(Accepted::without_body(Call::Products(token)))
        }
        Route::Session => Ok(Accepted::without_body(Call::Session(token(head)?))),
        Route::Sessions => Ok(Accepted::without_body(Call::Sessions(token(head)?))),
        Route::Register => with_json(head, Call::Register(client())),
        Route::Authenticate => {
            let device = cookies::only(head, cookies::DEVICE).ok().flatten();
            let device = device.and_then(Device::new);
            let entry = Entry { client: client(), device, is_ours: origin::is_ours(head) };
            with_json(head, Call::Authenticate(entry))
        }
        Route::Logout => {
            let call = Call::Logout(credentials::for_change(head)?, client());
            // A logout may have nothing more to say, and comes without a body then.
            match head.body_length() {
                BodyLength::Exact(0) => Ok(Accepted::with_body(call, BODY_BYTES_MAX)),
                _ => with_json(head, call),
            }
        }
        Route::RevokeSession => {
            let credentials = credentials::for_change(head)?;
            with_json(head, Call::RevokeSession(credentials.token, client()))
        }
        Route::ChangePassword => {
            with_json(head, Call::ChangePassword(credentials::for_change(head)?, client()))
        }
    }
}

fn with_json(head: &Head<'_>, call: Call) -> Result<Accepted<Call>, Problem> {
    if !head.has_media_type("application/json") {
        return Err(problems::UNSUPPORTED_MEDIA_TYPE);
    }
    Ok(Accepted::with_body(call, BODY_BYTES_MAX))
}

fn token(head: &Head<'_>) -> Result<Token, Problem> {
    credentials::of(head).map(|credentials| credentials.token)
}

fn client(
    head: &Head<'_>,
    exchange: &Exchange,
    proxies: &TrustedProxies,
    notices: &Notices,
) -> Client {
    let whence = proxies.whence(exchange.peer, head);
    notices.note(exchange.peer, whence.said);
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
