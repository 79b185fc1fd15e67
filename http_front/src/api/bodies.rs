//! The JSON bodies of the API.
//!
//! Shape is judged here: JSON, its types, unknown and repeated keys. Whether a username or password
//! follows its convention is for auth_back alone to say, so that there is one rule. Only what the
//! frame could not carry is refused here already.

use std::fmt;

use framing::limits::{NAME_BYTES_MAX, PASSWORD_BYTES_MAX, USERNAME_BYTES_MAX};
use framing::v2::RequestId;
use http1::{Exchange, Problem};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, Visitor};
use zeroize::Zeroizing;

use super::problems;
use crate::work::{Login, Registration};

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

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterBody {
    username: String,
    password: PasswordText,
    name: Option<String>,
    age: Option<u8>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthenticateBody {
    username: String,
    password: PasswordText,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutBody {}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(problems::BODY_MALFORMED.with_detail("The body is empty."));
    }
    serde_json::from_slice(body).map_err(|error| {
        // The parser's own words: they name the place, the key and what was expected. They never
        // hold a password: see `PasswordText`.
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

/// A password as JSON text. It is wiped when dropped, and a value of another type is refused in
/// words that do not repeat it, as those of the parser would.
struct PasswordText(Zeroizing<String>);

impl<'de> Deserialize<'de> for PasswordText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PasswordVisitor)
    }
}

struct PasswordVisitor;

impl PasswordVisitor {
    fn refuse<T, E: Error>() -> Result<T, E> {
        Err(E::custom("the password must be a string"))
    }
}

impl<'de> Visitor<'de> for PasswordVisitor {
    type Value = PasswordText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password as a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PasswordText, E> {
        Ok(PasswordText(Zeroizing::new(text.to_owned())))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<PasswordText, E> {
        Self::refuse()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<PasswordText, E> {
        Self::refuse()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<PasswordText, E> {
        Self::refuse()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<PasswordText, E> {
        Self::refuse()
    }
}

#[cfg(test)]
mod tests;
