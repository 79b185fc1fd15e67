//! Messages that several tests use, and strategies that draw them at random.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use framing::{
    EncodeError, Secret, Status, limits,
    v2::{
        Answer, Authenticate, ChangePassword, CheckSession, CheckSessionReply, Currency, Encoder,
        Frame, Health, Hello, Logout, Message, MessageType, Product, ProductList, Products,
        ProductsReply, Refusal, Register, ReplyMessage, Request, RequestId, RequestMessage,
        RevokeSession, SessionList, SessionSummary, Sessions, SessionsReply, split_frame,
    },
};
use proptest::{collection, option, prelude::*};

pub(crate) const REQUEST_ID: RequestId =
    RequestId::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
pub(crate) const TOKEN: Secret<'_> = Secret::new("k1.AAECAwQFBgcICQoLDA0ODw.c2lnbmF0dXJl");

/// The only frame in `wire`.
#[track_caller]
pub(crate) fn only_frame(wire: &[u8]) -> Frame<'_> {
    let (frame, consumed) = split_frame(wire).expect("well framed").expect("complete");
    assert_eq!(consumed, wire.len());
    frame
}

pub(crate) fn encode_request<'a, M: RequestMessage<'a>>(
    correlation: u64,
    budget_ms: u32,
    message: &M,
) -> Result<Vec<u8>, EncodeError> {
    encode_request_of(correlation, budget_ms, None, message)
}

pub(crate) fn encode_request_of<'a, M: RequestMessage<'a>>(
    correlation: u64,
    budget_ms: u32,
    http_request_id: Option<&str>,
    message: &M,
) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    Encoder::default()
        .request_of(&mut out, correlation, budget_ms, http_request_id, message)
        .map(|()| out)
}

pub(crate) fn encode_answer<'a, R: ReplyMessage<'a>>(
    correlation: u64,
    answer: &Answer<'_, R>,
) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    Encoder::default().answer(&mut out, correlation, answer).map(|()| out)
}

/// Writes a decoded request again.
pub(crate) fn encode_again(frame: &Frame<'_>, request: &Request<'_>) -> Vec<u8> {
    let Frame { correlation, budget_ms, .. } = *frame;
    let Ok(id) = frame.http_request_id() else { return Vec::new() };
    match request {
        Request::Hello(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::Register(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::Authenticate(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::CheckSession(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::Logout(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::Products(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::Health(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::Sessions(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::RevokeSession(m) => encode_request_of(correlation, budget_ms, id, m),
        Request::ChangePassword(m) => encode_request_of(correlation, budget_ms, id, m),
    }
    .expect("what was decoded is within the limits")
}

fn text(bytes_max: usize) -> impl Strategy<Value = String> {
    let any_text = ".{0,40}".prop_map(move |mut text: String| {
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    });
    // The limit itself is where mistakes are.
    prop_oneof![9 => any_text, 1 => Just("x".repeat(bytes_max))]
}

fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift)
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).into()),
        any::<[u8; 16]>().prop_map(|octets| Ipv6Addr::from(octets).into()),
    ]
}

prop_compose! {
    /// Owns what the requests borrow.
    fn parts()(
        kind in 0..MessageType::ALL.len(),
        head in (any::<u64>(), any::<u32>(), option::of("[!-~]{1,64}")),
        username in text(limits::USERNAME_BYTES_MAX),
        password in text(limits::PASSWORD_BYTES_MAX),
        name in option::of(text(limits::NAME_BYTES_MAX)),
        age: Option<u8>,
        request_id: [u8; 16],
        client_address in option::of(address()),
        user_agent in option::of(text(limits::USER_AGENT_BYTES_MAX)),
        token in text(limits::TOKEN_BYTES_MAX),
        device in option::of(text(limits::DEVICE_BYTES_MAX)),
        (all, session_id, new_password) in
            (any::<bool>(), number(), text(limits::PASSWORD_BYTES_MAX)),
        forwarded: bool,
        hello in (any::<u8>(), any::<u8>(), number(), any::<u32>(), any::<u32>()),
        software in text(limits::SOFTWARE_BYTES_MAX),
    ) -> Result<Vec<u8>, EncodeError> {
        let (correlation, budget, id) = head;
        let id = id.as_deref();
        let (password, token) = (Secret::new(&password), Secret::new(&token));
        let (username, name) = (username.as_str(), name.as_deref());
        let request_id = RequestId::new(request_id);
        let user_agent = user_agent.as_deref();
        let device = device.as_deref().map(Secret::new);
        match MessageType::ALL[kind] {
            MessageType::Hello => encode_request_of(correlation, budget, id, &Hello {
                version_min: hello.0.min(hello.1),
                version_max: hello.0.max(hello.1),
                features: framing::v2::Features::from_bits(hello.2),
                frame_bytes_max: hello.3,
                in_flight_max: hello.4,
                software: &software,
                hash_threads: 0,
            }),
            MessageType::Register => {
                let message = Register {
                    username, password, name, age, request_id, client_address, user_agent,
                    forwarded,
                };
                encode_request_of(correlation, budget, id, &message)
            }
            MessageType::Authenticate => {
                let message = Authenticate {
                    username, password, request_id, client_address, user_agent, device,
                    forwarded,
                };
                encode_request_of(correlation, budget, id, &message)
            }
            MessageType::CheckSession => encode_request_of(correlation, budget, id, &CheckSession { token }),
            MessageType::Logout => {
                encode_request_of(correlation, budget, id, &Logout { token, all, client_address })
            }
            MessageType::Products => encode_request_of(correlation, budget, id, &Products { token }),
            MessageType::Health => encode_request_of(correlation, budget, id, &Health),
            MessageType::Sessions => encode_request_of(correlation, budget, id, &Sessions { token }),
            MessageType::RevokeSession => {
                let message = RevokeSession { token, session_id, client_address };
                encode_request_of(correlation, budget, id, &message)
            }
            MessageType::ChangePassword => {
                let (current_password, new_password) = (password, Secret::new(&new_password));
                let message = ChangePassword {
                    token, current_password, new_password, client_address, user_agent,
                    forwarded,
                };
                encode_request_of(correlation, budget, id, &message)
            }
        }
    }
}

/// The frame of any request.
pub(crate) fn request_frame() -> impl Strategy<Value = Vec<u8>> {
    parts().prop_map(|frame| frame.expect("drawn within the limits"))
}

prop_compose! {
    /// The frame of a list of products, the message with the most structure.
    pub(crate) fn products_frame()(
        numbers in (number(), any::<u32>(), number(), number(), any::<u32>()),
        username in text(limits::USERNAME_BYTES_MAX),
        items in collection::vec(
            (
                number(),
                text(limits::PRODUCT_NAME_BYTES_MAX),
                text(limits::PRODUCT_DESCRIPTION_BYTES_MAX),
                number(),
                "[A-Z]{3}",
            ),
            0..12,
        ),
    ) -> Vec<u8> {
        let products: Vec<_> = items
            .iter()
            .map(|(id, name, description, price_minor, currency)| Product {
                id: *id,
                name,
                description,
                price_minor: *price_minor,
                currency: Currency::new(currency).expect("three letters"),
            })
            .collect();
        let reply = ProductsReply {
            session: CheckSessionReply {
                user_id: numbers.0,
                username: &username,
                lease_ms: numbers.1,
                expires_in_ms: numbers.2,
                created_at_unix_ms: numbers.3,
            },
            products: ProductList::new(&products),
            products_fresh_ms: numbers.4,
        };
        encode_answer(9, &Ok(reply)).expect("drawn within the limits")
    }
}

prop_compose! {
    /// The frame of a list of sessions.
    pub(crate) fn sessions_frame()(
        items in collection::vec(
            (
                [number(), number(), number(), number()],
                option::of(address()),
                option::of(text(limits::USER_AGENT_BYTES_MAX)),
                any::<bool>(),
            ),
            0..12,
        ),
    ) -> Vec<u8> {
        let sessions: Vec<_> = items
            .iter()
            .map(|(numbers, client_address, user_agent, current)| SessionSummary {
                id: numbers[0],
                created_at_unix_ms: numbers[1],
                last_seen_unix_ms: numbers[2],
                expires_in_ms: numbers[3],
                client_address: *client_address,
                user_agent: user_agent.as_deref(),
                current: *current,
            })
            .collect();
        let reply = SessionsReply { sessions: SessionList::new(&sessions) };
        encode_answer(9, &Ok(reply)).expect("drawn within the limits")
    }
}

prop_compose! {
    /// The frame of a refusal, of a registration.
    pub(crate) fn refusal_frame()(
        status in (100_u16..600).prop_filter("a refusal", |status| *status != 200),
        code in text(limits::CODE_BYTES_MAX),
        detail in text(2 * limits::DETAIL_BYTES_MAX),
        retry_after_ms: u32,
    ) -> Vec<u8> {
        let status = Status::new(status).expect("in range");
        let wait = std::time::Duration::from_millis(retry_after_ms.into());
        let refusal = Refusal::new(status, &code).with_detail(&detail).with_retry_after(wait);
        encode_answer::<framing::v2::RegisterReply>(3, &Err(refusal)).expect("within the limits")
    }
}

/// A name for a message type, for messages of failed assertions.
pub(crate) fn name_of<'a, M: Message<'a>>() -> &'static str {
    M::TYPE.name()
}
