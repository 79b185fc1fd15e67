//! From a head to a call: route, method, media type, token. All of it is decided before any of the
//! body is read.

use http1::{Accepted, BodyLength, Head, Problem};

use super::bearer;
use super::problems;
use super::route::Route;
use crate::limits::USER_AGENT_BYTES_MAX;
use crate::token::Token;

/// A request whose head is understood; what is still to come is its body.
pub enum Call {
    /// Make an account.
    Register,
    /// Log in, with a program that calls itself so.
    Authenticate(Option<Box<str>>),
    /// See the products.
    Products(Token),
    /// Who am I?
    Session(Token),
    /// End this session.
    Logout(Token),
}

/// The longest body that a route reads. The longest sensible one is a register request: a password
/// of 128 code points, each as an escaped surrogate pair, and a name.
const BODY_BYTES_MAX: usize = http1::limits::BODY_BYTES_MAX;

pub(super) fn from_head(head: &Head<'_>) -> Result<Accepted<Call>, Problem> {
    let route = Route::at(head.path()).ok_or(problems::NOT_FOUND)?;
    if !route.allows(head.method()) {
        return Err(problems::METHOD_NOT_ALLOWED.with_allow(route.allow()));
    }
    match route {
        Route::Products => Ok(Accepted::without_body(Call::Products(bearer::token(head)?))),
        Route::Session => Ok(Accepted::without_body(Call::Session(bearer::token(head)?))),
        Route::Register => with_json(head, Call::Register),
        Route::Authenticate => with_json(head, Call::Authenticate(user_agent(head))),
        Route::Logout => {
            let call = Call::Logout(bearer::token(head)?);
            // A logout has nothing more to say, so it may come without a body.
            match head.body_length() {
                BodyLength::Exact(0) => Ok(Accepted::with_body(call, BODY_BYTES_MAX)),
                _ => with_json(head, call),
            }
        }
    }
}

fn with_json(head: &Head<'_>, call: Call) -> Result<Accepted<Call>, Problem> {
    if !head.has_media_type("application/json") {
        return Err(problems::UNSUPPORTED_MEDIA_TYPE);
    }
    Ok(Accepted::with_body(call, BODY_BYTES_MAX))
}

/// The first `User-Agent`, cut to its bound. One that is not UTF-8 is left out: nothing depends on
/// it, so it is no reason to refuse somebody.
fn user_agent(head: &Head<'_>) -> Option<Box<str>> {
    let value = std::str::from_utf8(head.fields("User-Agent").next()?).ok()?;
    Some(value[..value.floor_char_boundary(USER_AGENT_BYTES_MAX)].into())
}
