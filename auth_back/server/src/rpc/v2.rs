//! v2: HELLO first, then requests, several at a time, answered as they are done.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use framing::limits::{
    PRODUCT_DESCRIPTION_BYTES_MAX, PRODUCT_NAME_BYTES_MAX, USER_AGENT_BYTES_MAX,
};
use framing::v2::{
    Authenticate, AuthenticateReply, ChangePasswordReply, CheckSessionReply, Currency, Encoder,
    Frame, HealthReply, LogoutReply, Product, ProductList, ProductsReply, Refusal, Register,
    RegisterReply, Request as Message, RevokeSessionReply, SessionList, SessionSummary,
    SessionsReply,
};
use framing::{DecodeError, EncodeError, Secret, Status};
use service::sparing;
use unix_time::millis;
use zeroize::Zeroizing;

use super::refusals;
use crate::accounts::{Listed, Live, LogOut, NewPassword, Origin, Registration, Revocation};
use crate::job::{Done, Reply, Request};
use crate::limits::{BUDGET_MAX, PRODUCTS_FRESH_FOR};
use crate::login::Login;

/// The request in `message`; `None` for HELLO, which is no work. `peer` is where it comes from, if the message
/// says nothing of that.
pub(super) fn request(message: &Message<'_>, peer: IpAddr) -> Option<Request> {
    let at = |client_address: Option<IpAddr>| Origin::at(client_address.unwrap_or(peer));
    let from = |client_address, is_forwarded, user_agent: Option<&str>| Origin {
        is_forwarded,
        user_agent: user_agent.map(str::to_owned),
        ..at(client_address)
    };
    Some(match message {
        Message::Hello(_) => return None,
        Message::Register(message) => Request::Register(Registration {
            username: message.username.to_owned(),
            password: owned(message.password),
            name: message.name.map(str::to_owned),
            age: message.age,
            request_id: Some(message.request_id.to_bytes()),
            origin: from(message.client_address, message.forwarded, message.user_agent),
        }),
        Message::Authenticate(message) => Request::Authenticate(Login {
            username: message.username.to_owned(),
            password: owned(message.password),
            device: message.device.map(owned),
            origin: from(message.client_address, message.forwarded, message.user_agent),
        }),
        Message::CheckSession(message) => Request::CheckSession(owned(message.token)),
        Message::Logout(message) => Request::LogOut(LogOut {
            token: owned(message.token),
            all: message.all,
            origin: at(message.client_address),
        }),
        Message::Products(message) => Request::Products(owned(message.token)),
        Message::Health(_) => Request::Health,
        Message::Sessions(message) => Request::Sessions(owned(message.token)),
        Message::RevokeSession(message) => Request::RevokeSession(Revocation {
            token: owned(message.token),
            session_id: message.session_id,
            origin: at(message.client_address),
        }),
        Message::ChangePassword(message) => Request::ChangePassword(NewPassword {
            token: owned(message.token),
            current_password: owned(message.current_password),
            new_password: owned(message.new_password),
            origin: from(message.client_address, message.forwarded, message.user_agent),
        }),
    })
}

/// What the user's own request is found again by. Of a front before release 2.2, the id that it drew for a request
/// that it may send twice; its users are not told.
///
/// # Errors
/// When it is malformed.
pub(super) fn http_request_id(
    frame: &Frame<'_>,
    message: &Message<'_>,
) -> Result<Option<Box<str>>, DecodeError> {
    let told = frame.http_request_id()?.map(Box::from);
    Ok(told.or_else(|| match message {
        Message::Register(Register { request_id, .. })
        | Message::Authenticate(Authenticate { request_id, .. }) => {
            Some(format!("{request_id:?}").into())
        }
        _ => None,
    }))
}

/// When the requester stops waiting.
pub(super) fn deadline(frame: &Frame<'_>, now: Instant) -> Instant {
    now + Duration::from_millis(frame.budget_ms.into()).min(BUDGET_MAX)
}

/// Appends the answer to a request.
pub(super) fn answer(encoder: Encoder, out: &mut Vec<u8>, reply: &Reply, draining: bool) {
    let encoded = encode(encoder, out, reply, draining);
    if let Err(error) = encoded {
        // A list of products that no frame holds: the operator's to shorten.
        let request = reply.call.message_type.name();
        sparing!(ERROR, %error, request, "an answer does not fit");
        let refusal = Refusal::new(Status::INTERNAL, "internal");
        let (correlation, number) = (reply.call.correlation, reply.call.message_type.number());
        encoder
            .refusal(out, correlation, number, &refusal)
            .expect("the shortest refusal fits every frame");
    }
}

fn encode(
    encoder: Encoder,
    out: &mut Vec<u8>,
    reply: &Reply,
    draining: bool,
) -> Result<(), EncodeError> {
    let correlation = reply.call.correlation;
    match &reply.outcome {
        Ok(Done::Registered(user_id)) => {
            let message = RegisterReply { user_id: user_id.get() };
            encoder.answer(out, correlation, &Ok(message))
        }
        Ok(Done::Authenticated(opened)) => {
            let message = AuthenticateReply {
                token: Secret::new(opened.token.expose()),
                user_id: opened.user_id.get(),
                expires_in_ms: millis(opened.expires_in),
                device: opened.device.as_ref().map(|marker| Secret::new(marker.expose())),
            };
            encoder.answer(out, correlation, &Ok(message))
        }
        Ok(Done::Session(live)) => encoder.answer(out, correlation, &Ok(session(live))),
        Ok(Done::LoggedOut(ended)) => {
            let message = LogoutReply { settled_in_ms: settled_in_ms(ended.settles_in) };
            encoder.answer(out, correlation, &Ok(message))
        }
        Ok(Done::Revoked(ended)) => {
            let message = RevokeSessionReply { settled_in_ms: settled_in_ms(ended.settles_in) };
            encoder.answer(out, correlation, &Ok(message))
        }
        Ok(Done::PasswordChanged(changed)) => {
            let message = ChangePasswordReply {
                token: Secret::new(changed.opened.token.expose()),
                user_id: changed.opened.user_id.get(),
                expires_in_ms: millis(changed.opened.expires_in),
                settled_in_ms: settled_in_ms(changed.settles_in),
            };
            encoder.answer(out, correlation, &Ok(message))
        }
        Ok(Done::Sessions(listed)) => {
            let sessions: Vec<_> =
                listed.sessions.iter().map(|session| summary(listed, session)).collect();
            let message = SessionsReply { sessions: SessionList::new(&sessions) };
            encoder.answer(out, correlation, &Ok(message))
        }
        Ok(Done::Products(live, products)) => {
            let products: Vec<Product<'_>> = products.iter().filter_map(product).collect();
            let message = ProductsReply {
                session: session(live),
                products: ProductList::new(&products),
                products_fresh_ms: clip(millis(PRODUCTS_FRESH_FOR)),
            };
            encoder.answer(out, correlation, &Ok(message))
        }
        Ok(Done::Health(health)) => {
            let reason = health.as_ref().err().map(refusals::detail).unwrap_or_default();
            let message = HealthReply { ready: health.is_ok(), reason: &reason, draining };
            encoder.answer(out, correlation, &Ok(message))
        }
        Err(error) => {
            let code = error.code();
            let detail = refusals::detail(error);
            let mut refusal =
                Refusal::new(refusals::status(code), code.text()).with_detail(&detail);
            if let Some(wait) = refusals::retry_after(error) {
                refusal = refusal.with_retry_after(wait);
            }
            encoder.refusal(out, correlation, reply.call.message_type.number(), &refusal)
        }
    }
}

fn session(live: &Live) -> CheckSessionReply<'_> {
    CheckSessionReply {
        user_id: live.session.user_id,
        username: &live.session.username,
        lease_ms: clip(millis(live.lease)),
        expires_in_ms: millis(live.expires_in),
        created_at_unix_ms: live.session.created_at_ms,
    }
}

fn summary<'a>(listed: &Listed, session: &'a store::ListedSession) -> SessionSummary<'a> {
    SessionSummary {
        id: session.session_id,
        created_at_unix_ms: session.created_at_ms,
        last_seen_unix_ms: session.last_seen_at_ms,
        expires_in_ms: session.expires_at_ms.saturating_sub(listed.at_ms),
        client_address: session.client_address,
        user_agent: session.user_agent.as_deref().map(clip_agent),
        current: session.session_id == listed.current.session_id,
    }
}

/// As much of a text as its field holds: the column counts characters, the field bytes.
fn clip_agent(text: &str) -> &str {
    &text[..text.floor_char_boundary(USER_AGENT_BYTES_MAX)]
}

/// A row as it goes over the wire. One that does not fit is left out: it is shown to nobody rather
/// than failing everybody.
fn product(row: &store::Product) -> Option<Product<'_>> {
    let Some(currency) = Currency::new(&row.currency) else {
        let product = row.product_id;
        sparing!(after 8, ERROR, product, "the product's currency is no ISO 4217 code");
        return None;
    };
    if row.name.len() > PRODUCT_NAME_BYTES_MAX
        || row.description.len() > PRODUCT_DESCRIPTION_BYTES_MAX
    {
        let product = row.product_id;
        sparing!(after 8, ERROR, product, "the product's texts are too long for a frame");
        return None;
    }
    Some(Product {
        id: row.product_id,
        name: &row.name,
        description: &row.description,
        price_minor: row.price_minor,
        currency,
    })
}

/// Whole milliseconds, rounded up: what has not settled yet must not be taken for settled.
fn millis_up(duration: Duration) -> u64 {
    millis(duration + Duration::from_nanos(999_999))
}

fn settled_in_ms(settles_in: Duration) -> u32 {
    clip(millis_up(settles_in))
}

/// As much of a number as its field holds.
fn clip(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn owned(secret: Secret<'_>) -> Zeroizing<String> {
    Zeroizing::new(secret.expose().to_owned())
}
