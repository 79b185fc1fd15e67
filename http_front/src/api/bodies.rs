//! The JSON bodies of the API.
//!
//! Shape is judged here: JSON, its types, unknown and repeated keys. Whether a username or password
//! follows its convention is for auth_back alone to say, so that there is one rule. Only what the
//! frame could not carry is refused here already.

mod password;

use framing::limits::{NAME_BYTES_MAX, PASSWORD_BYTES_MAX, USERNAME_BYTES_MAX};
use framing::v2::RequestId;
use http1::{Exchange, Problem};
use serde::Deserialize;

use super::problems;
use crate::work::{Login, Registration};
use password::PasswordText;

/// Reads the body of a register request.
pub(super) fn registration(body: &[u8], exchange: &Exchange) -> Result<Registration, Problem> {
    let body: RegisterBody = parse(body)?;
    check_length(&body.username, USERNAME_BYTES_MAX, &problems::USERNAME_INVALID)?;
    check_length(&body.password.0, PASSWORD_BYTES_MAX, &problems::PASSWORD_INVALID)?;
    if let Some(name) = &body.name {
        check_length(name, NAME_BYTES_MAX, &problems::NAME_INVALID)?;
    }
    Ok(Registration {
        username: body.username,
        password: body.password.0,
        name: body.name,
        age: body.age,
        request_id: new_request_id()?,
        client_address: exchange.peer.ip(),
    })
}

/// Reads the body of an authenticate request.
pub(super) fn login(
    body: &[u8],
    exchange: &Exchange,
    user_agent: Option<Box<str>>,
) -> Result<Login, Problem> {
    let body: AuthenticateBody = parse(body)?;
    check_length(&body.username, USERNAME_BYTES_MAX, &problems::USERNAME_INVALID)?;
    check_length(&body.password.0, PASSWORD_BYTES_MAX, &problems::PASSWORD_INVALID)?;
    Ok(Login {
        username: body.username,
        password: body.password.0,
        request_id: new_request_id()?,
        client_address: exchange.peer.ip(),
        user_agent,
    })
}

/// Reads the body of a logout request: none, or an empty object.
pub(super) fn logout(body: &[u8]) -> Result<(), Problem> {
    if body.is_empty() {
        return Ok(());
    }
    parse::<LogoutBody>(body).map(|LogoutBody {}| ())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterBody {
    username: String,
    password: PasswordText,
    name: Option<String>,
    age: Option<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthenticateBody {
    username: String,
    password: PasswordText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutBody {}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(problems::BODY_MALFORMED.with_detail("The body is empty."));
    }
    // For serde, an array of the right values in the right order would do as well.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(problems::BODY_MALFORMED.with_detail("The body is an array, not an object."));
    }
    serde_json::from_slice(body).map_err(|error| {
        // The parser's own words: they name the place and what was expected there. They never hold
        // a password: see `PasswordText`.
        problems::BODY_MALFORMED.with_detail(format!("The body is not as expected: {error}."))
    })
}

fn check_length(text: &str, bytes_max: usize, problem: &Problem) -> Result<(), Problem> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(problem.clone().with_detail(format!("It is longer than {bytes_max} bytes.")))
}

fn new_request_id() -> Result<RequestId, Problem> {
    let mut bytes = [0; framing::limits::REQUEST_ID_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        problems::INTERNAL
    })?;
    Ok(RequestId::new(bytes))
}

#[cfg(test)]
mod tests;
