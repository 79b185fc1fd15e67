//! The JSON bodies of the API.
//!
//! Shape is judged here: JSON, its types, unknown and repeated keys. Whether a username or password
//! follows its convention is for auth_back alone to say, so that there is one rule. Only what the
//! frame could not carry is refused here already.

mod password;

use framing::limits::{NAME_BYTES_MAX, PASSWORD_BYTES_MAX, USERNAME_BYTES_MAX};
use framing::v2::RequestId;
use http1::Problem;
use serde::Deserialize;
use service::sparing;
use zeroize::Zeroizing;

use super::call::Entry;
use super::problems;
use crate::token::Device;
use crate::work::{Client, Delivery, Login, Registration};
use password::PasswordText;

/// Reads the body of a register request.
pub(super) fn registration(body: &[u8], client: Client) -> Result<Registration, Problem> {
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
        client,
    })
}

/// Reads the body of an authenticate request.
pub(super) fn login(body: &[u8], entry: Entry) -> Result<Login, Problem> {
    let body: AuthenticateBody = parse(body)?;
    check_length(&body.username, USERNAME_BYTES_MAX, &problems::USERNAME_INVALID)?;
    check_length(&body.password.0, PASSWORD_BYTES_MAX, &problems::PASSWORD_INVALID)?;
    // Else another site could log a browser in to an account of its own choice.
    if body.cookie && !entry.is_ours {
        return Err(problems::CROSS_SITE);
    }
    // A marker that cannot be one is left out: nobody is refused for what a program has kept.
    let device = body.device.and_then(|text| Device::new(text.0.as_bytes())).or(entry.device);
    Ok(Login {
        username: body.username,
        password: body.password.0,
        request_id: new_request_id()?,
        client: entry.client,
        device,
        delivery: if body.cookie { Delivery::Cookie } else { Delivery::Content },
    })
}

/// Reads the body of a logout request, which may be absent: whether all sessions are to end.
pub(super) fn logout(body: &[u8]) -> Result<bool, Problem> {
    if body.is_empty() {
        return Ok(false);
    }
    parse::<LogoutBody>(body).map(|body| body.all)
}

/// Reads the body of a request to revoke a session: its number.
pub(super) fn revocation(body: &[u8]) -> Result<u64, Problem> {
    let body: RevokeBody = parse(body)?;
    // `parse` of a number would take a plus sign as well.
    let digits = body.session_id.bytes().all(|byte| byte.is_ascii_digit());
    body.session_id.parse().ok().filter(|_| digits).ok_or_else(|| {
        problems::BODY_MALFORMED.with_detail("The session_id is one of those that sessions lists.")
    })
}

/// Reads the body of a request to change a password: the current and the new one.
pub(super) fn passwords(body: &[u8]) -> Result<(Zeroizing<String>, Zeroizing<String>), Problem> {
    let body: ChangePasswordBody = parse(body)?;
    for password in [&body.current_password, &body.new_password] {
        check_length(&password.0, PASSWORD_BYTES_MAX, &problems::PASSWORD_INVALID)?;
    }
    Ok((body.current_password.0, body.new_password.0))
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
    #[serde(default)]
    cookie: bool,
    device: Option<PasswordText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutBody {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeBody {
    session_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangePasswordBody {
    current_password: PasswordText,
    new_password: PasswordText,
}

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
        sparing!(ERROR, %error, "the system gives no random bytes");
        problems::INTERNAL
    })?;
    Ok(RequestId::new(bytes))
}

#[cfg(test)]
mod tests;
