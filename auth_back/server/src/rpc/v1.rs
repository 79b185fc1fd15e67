//! v1: REG and AUTH, one at a time, answers in order.

use std::net::IpAddr;
use std::time::Instant;

use framing::v1::{Request as Message, encode_response, split_request};
use framing::v2::MessageType;
use framing::{FrameError, Secret, Status};
use zeroize::Zeroizing;

use super::refusals;
use crate::accounts::{Origin, Registration};
use crate::job::{Call, Done, Reply, Request};
use crate::limits::V1_BUDGET;
use crate::login::Login;

/// One request cut off the input.
pub(super) enum Cut {
    /// More bytes have to come.
    NeedMore,
    /// A request, its deadline, and how many bytes it took.
    Request(Call, Request, Instant, usize),
    /// A request that is answered at once, and how many bytes it took.
    Refused(&'static str, usize),
}

/// Cuts the first request off, if all of it is there. `peer` is where it comes from: a message of v1 says no
/// address.
pub(super) fn cut(input: &[u8], peer: IpAddr, now: Instant) -> Result<Cut, FrameError> {
    let Some((raw, taken)) = split_request(input)? else { return Ok(Cut::NeedMore) };
    let Ok(message) = raw.decode() else { return Ok(Cut::Refused("a text is not UTF-8", taken)) };
    let (message_type, request) = match message {
        Message::Register { username, password, name, age } => {
            let request = Registration {
                username: username.to_owned(),
                password: owned(password),
                name: name.map(str::to_owned),
                age,
                request_id: None,
                origin: Origin::at(peer),
            };
            (MessageType::Register, Request::Register(request))
        }
        Message::Authenticate { username, password } => {
            let request = Login {
                username: username.to_owned(),
                password: owned(password),
                device: None,
                origin: Origin::at(peer),
            };
            (MessageType::Authenticate, Request::Authenticate(request))
        }
    };
    let call = Call { correlation: 0, message_type };
    Ok(Cut::Request(call, request, now + V1_BUDGET, taken))
}

/// Appends the answer: the token for AUTH, nothing for REG, or what is wrong.
pub(super) fn answer(out: &mut Vec<u8>, reply: &Reply) {
    match &reply.outcome {
        Ok(Done::Authenticated(opened)) => append(out, Status::OK, opened.token.expose()),
        Ok(_) => append(out, Status::OK, ""),
        Err(error) => append(out, refusals::status(error.code()), &refusals::detail(error)),
    }
}

/// Appends an answer without a worker.
pub(super) fn refuse(out: &mut Vec<u8>, status: Status, message: &str) {
    append(out, status, message);
}

fn append(out: &mut Vec<u8>, status: Status, message: &str) {
    encode_response(out, status, Secret::new(message))
        .expect("tokens and details are shorter than a v1 message");
}

fn owned(secret: Secret<'_>) -> Zeroizing<String> {
    Zeroizing::new(secret.expose().to_owned())
}
