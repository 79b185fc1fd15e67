//! v2: HELLO first, then requests, several at a time, answered as they are done.

use std::time::{Duration, Instant};

use framing::limits::{PRODUCT_DESCRIPTION_BYTES_MAX, PRODUCT_NAME_BYTES_MAX};
use framing::registry::logout;
use framing::v2::{
    AuthenticateReply, CheckSessionReply, Currency, Encoder, Frame, HealthReply, LogoutReply,
    Product, ProductList, ProductsReply, Refusal, RegisterReply, Request as Message,
};
use framing::{DecodeError, EncodeError, Secret, Status};
use zeroize::Zeroizing;

use super::refusals;
use crate::accounts::{Live, millis};
use crate::limits::{BUDGET_MAX, PRODUCTS_FRESH_FOR};
use crate::store;
use crate::work::{Done, Login, Origin, Registration, Reply, Request};

/// What a message asks for.
pub(super) enum Asked {
    /// HELLO, which is no work.
    Greeting,
    /// Work.
    Work(Request),
    /// What this server does not do and does not announce in its HELLO.
    Unknown(DecodeError),
}

/// What `message` asks for.
pub(super) fn asked(message: &Message<'_>) -> Asked {
    Asked::Work(match message {
        Message::Hello(_) => return Asked::Greeting,
        Message::Sessions(_) | Message::RevokeSession(_) | Message::ChangePassword(_) => {
            return Asked::Unknown(DecodeError::MessageTypeUnknown(
                message.message_type().number(),
            ));
        }
        // Ending one session and saying that all are over would be a lie.
        Message::Logout(message) if message.all => {
            return Asked::Unknown(DecodeError::FieldNotUnderstood(logout::ALL.number));
        }
        Message::Register(message) => Request::Register(Registration {
            username: message.username.to_owned(),
            password: owned(message.password),
            name: message.name.map(str::to_owned),
            age: message.age,
            request_id: Some(message.request_id.to_bytes()),
            origin: Origin { client_address: message.client_address, user_agent: None },
        }),
        Message::Authenticate(message) => Request::Authenticate(Login {
            username: message.username.to_owned(),
            password: owned(message.password),
            request_id: Some(message.request_id.to_bytes()),
            origin: Origin {
                client_address: message.client_address,
                user_agent: message.user_agent.map(str::to_owned),
            },
        }),
        Message::CheckSession(message) => Request::CheckSession(owned(message.token)),
        Message::Logout(message) => Request::LogOut(owned(message.token)),
        Message::Products(message) => Request::Products(owned(message.token)),
        Message::Health(_) => Request::Health,
    })
}

/// When the requester stops waiting.
pub(super) fn deadline(frame: &Frame<'_>, now: Instant) -> Instant {
    now + Duration::from_millis(frame.budget_ms.into()).min(BUDGET_MAX)
}

/// Appends the answer to a request.
pub(super) fn answer(encoder: Encoder, out: &mut Vec<u8>, reply: &Reply) {
    let encoded = encode(encoder, out, reply);
    if let Err(error) = encoded {
        // A list of products that no frame holds: the operator's to shorten.
        tracing::error!(%error, request = reply.call.message_type.name(), "an answer does not fit");
        let refusal = Refusal::new(Status::INTERNAL, "internal");
        let (correlation, number) = (reply.call.correlation, reply.call.message_type.number());
        encoder
            .refusal(out, correlation, number, &refusal)
            .expect("the shortest refusal fits every frame");
    }
}

fn encode(encoder: Encoder, out: &mut Vec<u8>, reply: &Reply) -> Result<(), EncodeError> {
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
                device: None,
            };
            encoder.answer(out, correlation, &Ok(message))
        }
        Ok(Done::Session(live)) => encoder.answer(out, correlation, &Ok(session(live))),
        Ok(Done::LoggedOut(settles_in)) => {
            let message = LogoutReply { settled_in_ms: clip(millis_up(*settles_in)) };
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
            let message = HealthReply { ready: health.is_ok(), reason: &reason };
            encoder.answer(out, correlation, &Ok(message))
        }
        Err(error) => {
            let (status, code) = refusals::status_and_code(error);
            let detail = refusals::detail(error);
            let refusal = Refusal::new(status, code).with_detail(&detail);
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

/// A row as it goes over the wire. One that does not fit is left out: it is shown to nobody rather
/// than failing everybody.
fn product(row: &store::Product) -> Option<Product<'_>> {
    let Some(currency) = Currency::new(&row.currency) else {
        tracing::error!(product = row.product_id, "the product's currency is no ISO 4217 code");
        return None;
    };
    if row.name.len() > PRODUCT_NAME_BYTES_MAX
        || row.description.len() > PRODUCT_DESCRIPTION_BYTES_MAX
    {
        tracing::error!(product = row.product_id, "the product's texts are too long for a frame");
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

/// As much of a number as its field holds.
fn clip(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn owned(secret: Secret<'_>) -> Zeroizing<String> {
    Zeroizing::new(secret.expose().to_owned())
}
