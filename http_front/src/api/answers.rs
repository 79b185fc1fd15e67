//! The answers of the API that are not problems.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use http1::{Answered, ContentWriter, PreparedResponse, Reply, Response, Status};
use sha2::{Digest, Sha256};

use super::cookies;
use crate::lease::SessionFacts;
use crate::limits::ENTITY_TAG_BYTES;
use crate::token::{Device, Token};
use crate::work::Delivery;

/// Tokens and accounts are nobody else's business, so no cache keeps any answer (RFC 9111 section
/// 5.2.2.5).
const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");
const OK: Response<'static> = Response::json(Status::Ok).fields(&[NO_STORE]);

pub(super) fn registered(user_id: u64, reply: Reply<'_>) -> Answered {
    reply.send_with(&OK, |content| {
        content.push(b"{\"user_id\":\"");
        content.push_decimal(user_id);
        content.push(b"\"}");
    })
}

/// A new session: its token in the content, in a cookie, or both, and the marker with it.
pub(super) fn authenticated(
    token: &Token,
    expires_in_ms: u64,
    device: Option<&Device>,
    delivery: Delivery,
    reply: Reply<'_>,
) -> Answered {
    let expires_in = Duration::from_millis(expires_in_ms);
    let mut cookies = Vec::new();
    if delivery.in_cookie() {
        cookies.push(cookies::session(token, expires_in.as_secs()));
        cookies.extend(device.map(cookies::device));
    }
    send_with_cookies(cookies.iter().map(|cookie| cookie.as_str()), reply, |content| {
        content.push(b"{");
        if delivery.in_content() {
            content.push(b"\"token\":");
            content.push_json_string(token.expose());
            content.push(b",");
        }
        push_expires_in(content, expires_in);
        if let Some(device) = device.filter(|_| delivery.in_content()) {
            content.push(b",\"device\":");
            content.push_json_string(device.expose());
        }
        content.push(b"}");
    })
}

/// A live session. The fields `X-User-Id` and `X-User-Name` say the same to a proxy that asks on
/// behalf of another server, such as nginx with `auth_request`, which does not read the content.
pub(super) fn session(facts: &SessionFacts, now: Instant, reply: Reply<'_>) -> Answered {
    let user_id = facts.user_id.to_string();
    let mut fields = [NO_STORE, ("X-User-Id", &user_id), ("X-User-Name", &facts.username)];
    // By their convention all names can stand in a field. One that could not is left out.
    let has_plain_name = facts.username.bytes().all(|byte| byte.is_ascii_graphic());
    let fields = if has_plain_name { &mut fields[..] } else { &mut fields[..2] };
    reply.send_with(&Response::json(Status::Ok).fields(fields), |content| {
        content.push(b"{\"user_id\":\"");
        content.push(user_id.as_bytes());
        content.push(b"\",\"username\":");
        content.push_json_string(&facts.username);
        content.push(b",");
        push_expires_in(content, facts.expires_at.saturating_duration_since(now));
        content.push(b"}");
    })
}

/// What was asked is done, and there is nothing to say.
pub(super) fn done(reply: Reply<'_>) -> Answered {
    reply.send(&OK, b"{}")
}

/// The session is over; a cookie that carried its token goes with it.
pub(super) fn logged_out(delivery: Delivery, reply: Reply<'_>) -> Answered {
    let cookie = delivery.in_cookie().then_some(cookies::NO_SESSION);
    send_with_cookies(cookie, reply, |content| content.push(b"{}"))
}

fn send_with_cookies<'c>(
    cookies: impl IntoIterator<Item = &'c str>,
    reply: Reply<'_>,
    fill: impl FnOnce(&mut ContentWriter<'_>),
) -> Answered {
    let mut fields = vec![NO_STORE];
    fields.extend(cookies.into_iter().map(|cookie| ("Set-Cookie", cookie)));
    reply.send_with(&Response::json(Status::Ok).fields(&fields), fill)
}

/// `GET /sessions`, rendered on the worker.
pub(crate) fn sessions(list: framing::v2::SessionList<'_>) -> PreparedResponse {
    let sessions: Vec<SessionBody<'_>> = list
        .iter()
        .map(|session| SessionBody {
            id: session.id.to_string(),
            created_at: session.created_at_unix_ms / 1000,
            last_seen: session.last_seen_unix_ms / 1000,
            expires_in: session.expires_in_ms / 1000,
            address: session.client_address,
            user_agent: session.user_agent,
            current: session.current,
        })
        .collect();
    let body = serde_json::to_vec(&SessionsBody { sessions })
        .expect("a struct of texts and numbers is JSON");
    PreparedResponse::new(&OK, &body)
}

#[derive(serde::Serialize)]
struct SessionsBody<'a> {
    sessions: Vec<SessionBody<'a>>,
}

#[derive(serde::Serialize)]
struct SessionBody<'a> {
    id: String,
    created_at: u64,
    last_seen: u64,
    expires_in: u64,
    address: Option<IpAddr>,
    user_agent: Option<&'a str>,
    current: bool,
}

/// `GET /products`, rendered once for many requests.
pub(crate) fn products(list: framing::v2::ProductList<'_>) -> PreparedResponse {
    let items: Vec<ProductBody<'_>> = list
        .iter()
        .map(|product| ProductBody {
            // Ids are strings: a JSON number loses digits beyond 2^53 in many readers.
            id: product.id.to_string(),
            name: product.name,
            description: product.description,
            price_minor: product.price_minor,
            currency: product.currency.as_str(),
        })
        .collect();
    let body = serde_json::to_vec(&ProductsBody { products: items })
        .expect("a struct of texts and numbers is JSON");
    PreparedResponse::new(&OK.entity_tag(&entity_tag(&body)), &body)
}

/// A tag that is the same on every server, also after a restart: 128 bits of a digest. Other content has another
/// one but for 1 in 2^128, so it is a strong tag.
fn entity_tag(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let tag = digest.iter().take(ENTITY_TAG_BYTES).fold(String::from("\""), |mut tag, byte| {
        let _ = write!(tag, "{byte:02x}");
        tag
    });
    tag + "\""
}

#[derive(serde::Serialize)]
struct ProductsBody<'a> {
    products: Vec<ProductBody<'a>>,
}

#[derive(serde::Serialize)]
struct ProductBody<'a> {
    id: String,
    name: &'a str,
    description: &'a str,
    price_minor: u64,
    currency: &'a str,
}

/// Whole seconds, rounded down: a client must not count on more time than there is.
fn push_expires_in(content: &mut ContentWriter<'_>, left: Duration) {
    content.push(b"\"expires_in\":");
    content.push_decimal(left.as_secs());
}
