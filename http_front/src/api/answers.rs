//! The answers of the API that are not problems.

use std::time::{Duration, Instant};

use http1::{Answered, ContentWriter, PreparedResponse, Reply, Response, Status};

use crate::lease::SessionFacts;

/// Tokens and accounts are nobody else's business, so no cache keeps any answer (RFC 9111 section
/// 5.2.2.5).
const OK: Response<'static> = Response::json(Status::Ok).fields(&[("Cache-Control", "no-store")]);

pub(super) fn registered(user_id: u64, reply: Reply<'_>) -> Answered {
    reply.send_with(&OK, |content| {
        content.push(b"{\"user_id\":\"");
        content.push_decimal(user_id);
        content.push(b"\"}");
    })
}

pub(super) fn authenticated(token: &str, expires_in_ms: u64, reply: Reply<'_>) -> Answered {
    reply.send_with(&OK, |content| {
        content.push(b"{\"token\":");
        content.push_json_string(token);
        push_expires_in(content, Duration::from_millis(expires_in_ms));
    })
}

pub(super) fn session(facts: &SessionFacts, now: Instant, reply: Reply<'_>) -> Answered {
    reply.send_with(&OK, |content| {
        content.push(b"{\"user_id\":\"");
        content.push_decimal(facts.user_id);
        content.push(b"\",\"username\":");
        content.push_json_string(&facts.username);
        push_expires_in(content, facts.expires_at.saturating_duration_since(now));
    })
}

pub(super) fn logged_out(reply: Reply<'_>) -> Answered {
    reply.send(&OK, b"{}")
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
    PreparedResponse::new(&OK, &body)
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
    content.push(b",\"expires_in\":");
    content.push_decimal(left.as_secs());
    content.push(b"}");
}
