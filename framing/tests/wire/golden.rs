//! Bytes of released versions. They are decoded forever; a file is never changed, only added.

use std::{
    fmt::Debug,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use framing::{
    DecodeError, EncodeError, Secret, Status, v1,
    v2::{
        Answer, Authenticate, AuthenticateReply, ChangePassword, ChangePasswordReply, CheckSession,
        CheckSessionReply, Currency, Features, Health, HealthReply, Hello, Logout, LogoutReply,
        Product, ProductList, Products, ProductsReply, Refusal, Register, RegisterReply,
        ReplyMessage, Request, RequestMessage, RevokeSession, RevokeSessionReply, SessionList,
        SessionSummary, Sessions, SessionsReply,
    },
};

use crate::samples::{
    REQUEST_ID, TOKEN, encode_again, encode_answer, encode_request, encode_request_of, name_of,
    only_frame,
};

macro_rules! golden {
    ($path:literal) => {
        bytes(include_str!(concat!("../golden/", $path, ".hex")))
    };
}

/// Hexadecimal bytes; `#` starts a comment.
fn bytes(text: &str) -> Vec<u8> {
    let digits = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let byte = |pair| u8::from_str_radix(pair, 16).expect("two hexadecimal digits");
    digits.flat_map(str::split_whitespace).map(byte).collect()
}

/// The message encodes to the golden bytes, and they decode to the message.
#[track_caller]
fn check_request<'a, M: RequestMessage<'a> + Debug>(
    golden: &'a [u8],
    (correlation, budget_ms): (u64, u32),
    message: &M,
) {
    let encoded = encode_request(correlation, budget_ms, message).expect("within limits");
    assert_eq!(encoded, golden, "{}", name_of::<M>());
    let frame = only_frame(golden);
    assert_eq!((frame.correlation, frame.budget_ms, frame.flags), (correlation, budget_ms, 0));
    let decoded = M::decode(frame.body).expect("golden bytes decode");
    assert_eq!(format!("{decoded:?}"), format!("{message:?}"));
    // `Debug` hides secrets, the bytes do not.
    let any = Request::decode(&frame).expect("golden bytes decode");
    assert_eq!(encode_again(&frame, &any), golden);
}

#[track_caller]
fn check_answer<'a, R: ReplyMessage<'a> + Debug>(
    golden: &'a [u8],
    correlation: u64,
    answer: &Answer<'a, R>,
) {
    assert_eq!(encode_answer(correlation, answer).expect("within limits"), golden);
    let frame = only_frame(golden);
    assert_eq!((frame.correlation, frame.budget_ms), (correlation, 0));
    let decoded = frame.answer::<R>().expect("golden bytes decode");
    assert_eq!(format!("{decoded:?}"), format!("{answer:?}"));
    assert_eq!(encode_answer(correlation, &decoded).expect("within limits"), golden);
}

#[test]
fn v2_0_hello() {
    let front = Hello { features: Features::NONE, ..Hello::current("http_front/0.1.0", 64) };
    check_request(&golden!("v2.0/hello_request"), (0, 5000), &front);
    let back = Hello { features: Features::NONE, ..Hello::current("auth_back/0.1.0", 1024) };
    check_answer(&golden!("v2.0/hello_response"), 0, &Ok(back));
}

#[test]
fn v2_1_hello() {
    let front = Hello::current("http_front/0.2.0", 64);
    check_request(&golden!("v2.1/hello_request"), (0, 5000), &front);
    let back = Hello::current("auth_back/0.2.0", 1024);
    check_answer(&golden!("v2.1/hello_response"), 0, &Ok(back));
}

#[test]
fn v2_2_hello() {
    let back = Hello { hash_threads: 300, ..Hello::current("auth_back/0.3.0", 1024) };
    check_answer(&golden!("v2.2/hello_response"), 0, &Ok(back));
}

const REGISTER: Register<'_> = Register {
    username: "alice",
    password: Secret::new("correct horse"),
    name: None,
    age: None,
    request_id: REQUEST_ID,
    client_address: None,
    user_agent: None,
    forwarded: false,
};

#[test]
fn v2_0_register() {
    let least = REGISTER;
    check_request(&golden!("v2.0/register_request_least"), (2, 750), &least);
    let full = Register {
        name: Some("Älice"),
        age: Some(42),
        client_address: Some(IpAddr::from([192, 0, 2, 7])),
        ..least
    };
    let correlation = 0x0102_0304_0506_0708;
    check_request(&golden!("v2.0/register_request"), (correlation, 750), &full);
    let reply = RegisterReply { user_id: 7_000_000_000_000_000_001 };
    check_answer(&golden!("v2.0/register_response"), correlation, &Ok(reply));
    let taken = Refusal::new(Status::CONFLICT, "username_taken");
    let taken = taken.with_detail("That username is taken.");
    check_answer::<RegisterReply>(&golden!("v2.0/refusal"), 8, &Err(taken));
}

#[test]
fn v2_1_register() {
    let client_address = Some(IpAddr::from([192, 0, 2, 7]));
    let request = Register { client_address, user_agent: Some("curl/8.14.1"), ..REGISTER };
    check_request(&golden!("v2.1/register_request"), (2, 750), &request);
}

#[test]
fn v2_2_register() {
    let client_address = Some(IpAddr::from([192, 0, 2, 7]));
    let request =
        Register { client_address, user_agent: Some("curl/8.14.1"), forwarded: true, ..REGISTER };
    check_request(&golden!("v2.2/register_request"), (2, 750), &request);
}

const AUTHENTICATE: Authenticate<'_> = Authenticate {
    username: "alice",
    password: Secret::new("correct horse"),
    request_id: REQUEST_ID,
    client_address: Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7))),
    user_agent: Some("curl/8.14.1"),
    device: None,
    forwarded: false,
};

const AUTHENTICATED: AuthenticateReply<'_> = AuthenticateReply {
    token: TOKEN,
    user_id: 7_000_000_000_000_000_001,
    expires_in_ms: 43_200_000,
    device: None,
};

const DEVICE: Secret<'_> = Secret::new("gated_AAECAwQFBgcICQoLDA0ODw");

#[test]
fn v2_0_authenticate() {
    check_request(&golden!("v2.0/authenticate_request"), (3, 900), &AUTHENTICATE);
    check_answer(&golden!("v2.0/authenticate_response"), 3, &Ok(AUTHENTICATED));
}

#[test]
fn v2_1_authenticate() {
    let request = Authenticate { device: Some(DEVICE), ..AUTHENTICATE };
    check_request(&golden!("v2.1/authenticate_request"), (3, 900), &request);
    let reply = AuthenticateReply { device: Some(DEVICE), ..AUTHENTICATED };
    check_answer(&golden!("v2.1/authenticate_response"), 3, &Ok(reply));
    let too_many = Refusal::new(Status::TOO_MANY_REQUESTS, "too_many_attempts")
        .with_detail("Wait.")
        .with_retry_after(Duration::from_millis(1500));
    check_answer::<AuthenticateReply<'_>>(&golden!("v2.1/refusal"), 3, &Err(too_many));
}

#[test]
fn v2_2_authenticate() {
    let request = Authenticate { device: Some(DEVICE), forwarded: true, ..AUTHENTICATE };
    check_request(&golden!("v2.2/authenticate_request"), (3, 900), &request);
}

const LOGOUT: Logout<'_> = Logout { token: TOKEN, all: false, client_address: None };

const SESSION: CheckSessionReply<'_> = CheckSessionReply {
    user_id: 7_000_000_000_000_000_001,
    username: "alice",
    lease_ms: 250,
    expires_in_ms: 43_199_000,
    created_at_unix_ms: 1_760_000_000_000,
};

#[test]
fn v2_0_session() {
    let check = CheckSession { token: TOKEN };
    check_request(&golden!("v2.0/check_session_request"), (4, 1000), &check);
    check_answer(&golden!("v2.0/check_session_response"), 4, &Ok(SESSION));
    check_request(&golden!("v2.0/logout_request"), (5, 1000), &LOGOUT);
    let reply = LogoutReply { settled_in_ms: 250 };
    check_answer(&golden!("v2.0/logout_response"), 5, &Ok(reply));
}

#[test]
fn v2_1_sessions() {
    let client_address = Some(IpAddr::from([192, 0, 2, 7]));
    let logout = Logout { all: true, client_address, ..LOGOUT };
    check_request(&golden!("v2.1/logout_request"), (5, 1000), &logout);

    check_request(&golden!("v2.1/sessions_request"), (8, 1000), &Sessions { token: TOKEN });
    let sessions = [
        SessionSummary {
            id: 7_000_000_000_000_000_002,
            created_at_unix_ms: 1_760_000_000_000,
            last_seen_unix_ms: 1_760_000_060_000,
            expires_in_ms: 43_140_000,
            client_address,
            user_agent: Some("curl/8.14.1"),
            current: true,
        },
        SessionSummary {
            id: 5,
            created_at_unix_ms: 1_759_999_000_000,
            last_seen_unix_ms: 1_759_999_000_000,
            expires_in_ms: 42_200_000,
            client_address: None,
            user_agent: None,
            current: false,
        },
    ];
    let golden = golden!("v2.1/sessions_response");
    check_answer(&golden, 8, &Ok(SessionsReply { sessions: SessionList::new(&sessions) }));
    let decoded = only_frame(&golden).answer::<SessionsReply<'_>>().expect("decodes");
    assert!(decoded.expect("status 200").sessions.iter().eq(sessions));

    let revoke = RevokeSession { token: TOKEN, session_id: 5, client_address };
    check_request(&golden!("v2.1/revoke_session_request"), (9, 1000), &revoke);
    let reply = RevokeSessionReply { settled_in_ms: 250 };
    check_answer(&golden!("v2.1/revoke_session_response"), 9, &Ok(reply));
}

fn change_password() -> ChangePassword<'static> {
    ChangePassword {
        token: TOKEN,
        current_password: Secret::new("correct horse"),
        new_password: Secret::new("battery staple"),
        client_address: Some(IpAddr::from([192, 0, 2, 7])),
        user_agent: Some("curl/8.14.1"),
        forwarded: false,
    }
}

#[test]
fn v2_1_change_password() {
    check_request(&golden!("v2.1/change_password_request"), (10, 900), &change_password());
    let reply = ChangePasswordReply {
        token: TOKEN,
        user_id: 7_000_000_000_000_000_001,
        expires_in_ms: 43_200_000,
        settled_in_ms: 250,
    };
    check_answer(&golden!("v2.1/change_password_response"), 10, &Ok(reply));
}

#[test]
fn v2_2_change_password() {
    let request = ChangePassword { forwarded: true, ..change_password() };
    check_request(&golden!("v2.2/change_password_request"), (10, 900), &request);
}

#[test]
fn v2_2_what_a_request_is_found_again_by() {
    let golden = golden!("v2.2/check_session_request");
    let message = CheckSession { token: TOKEN };
    let id = Some("4f1c2d3e-0a9b-4c8d-8e7f-123456789abc");
    assert_eq!(encode_request_of(4, 1000, id, &message).expect("within limits"), golden);
    let frame = only_frame(&golden);
    assert_eq!(frame.http_request_id(), Ok(id));
    assert_eq!(only_frame(&golden!("v2.1/logout_request")).http_request_id(), Ok(None));
    let decoded = Request::decode(&frame).expect("golden bytes decode");
    assert_eq!(encode_again(&frame, &decoded), golden);
}

/// It goes into logs as it is.
#[test]
fn what_a_request_is_found_again_by_is_short_and_visible() {
    #[track_caller]
    fn check(id: &str, expected: Result<Option<&str>, DecodeError>) {
        let wire = encode_request_of(1, 1000, Some(id), &Health).expect("within limits");
        assert_eq!(only_frame(&wire).http_request_id(), expected, "{id:?}");
    }
    let longest = "x".repeat(64);
    check(&longest, Ok(Some(&longest)));
    check("~!", Ok(Some("~!")));
    for bad in ["", "a b", "a\nb", "\u{7f}", "\u{e4}"] {
        check(bad, Err(DecodeError::FieldRange(16)));
    }
    let too_long = encode_request_of(1, 1000, Some(&"x".repeat(65)), &Health);
    let (field, bytes, bytes_max) = ("http_request_id", 65, 64);
    assert_eq!(too_long, Err(EncodeError::FieldTooLong { field, bytes, bytes_max }));
    // As a peer would write it that does not keep to the limit.
    let mut wire = encode_request_of(1, 1000, Some(&longest), &Health).expect("within limits");
    wire.push(b'x');
    wire[11] += 1;
    wire[25] += 1;
    let number = 16;
    let expected = Err(DecodeError::FieldTooLong { number, bytes_max });
    assert_eq!(only_frame(&wire).http_request_id(), expected);
}

/// What 2.2 adds to a request stands behind what a peer of 2.1 knows, and it may skip it: no key there has
/// the bit.
#[test]
fn a_reader_of_2_1_skips_what_2_2_adds() {
    #[track_caller]
    fn check(old: &[u8], new: &[u8]) {
        let (old, new) = (only_frame(old).body, only_frame(new).body);
        let mut added = new.strip_prefix(old).expect("the request of 2.1 comes first");
        assert!(!added.is_empty());
        while let [key, len, rest @ ..] = added {
            assert!(key & 1 == 0 && *key < 0x80 && *len < 0x80, "must be understood: {key:#x}");
            added = &rest[usize::from(*len)..];
        }
    }
    check(&golden!("v2.1/register_request"), &golden!("v2.2/register_request"));
    check(&golden!("v2.1/authenticate_request"), &golden!("v2.2/authenticate_request"));
    check(&golden!("v2.1/change_password_request"), &golden!("v2.2/change_password_request"));
    check(&golden!("v2.0/check_session_request"), &golden!("v2.2/check_session_request"));
}

#[test]
fn v2_0_products() {
    check_request(&golden!("v2.0/products_request"), (6, 1000), &Products { token: TOKEN });
    let currency = |code| Currency::new(code).expect("three letters");
    let products = [
        Product {
            id: 1,
            name: "Lamp",
            description: "Lights up.",
            price_minor: 4999,
            currency: currency("EUR"),
        },
        Product {
            id: 300,
            name: "Rope",
            description: "",
            price_minor: 250,
            currency: currency("JPY"),
        },
    ];
    let reply = ProductsReply {
        session: CheckSessionReply { lease_ms: 0, ..SESSION },
        products: ProductList::new(&products),
        products_fresh_ms: 60_000,
    };
    let golden = golden!("v2.0/products_response");
    check_answer(&golden, 6, &Ok(reply));
    let decoded = only_frame(&golden).answer::<ProductsReply<'_>>().expect("decodes");
    assert!(decoded.expect("status 200").products.iter().eq(products));
}

#[test]
fn v2_0_health() {
    check_request(&golden!("v2.0/health_request"), (7, 100), &Health);
    let away = HealthReply { ready: false, reason: "store away", draining: false };
    check_answer(&golden!("v2.0/health_response"), 7, &Ok(away));
}

#[test]
fn v2_2_health() {
    let stops = HealthReply { ready: true, reason: "", draining: true };
    check_answer(&golden!("v2.2/health_response"), 7, &Ok(stops));
}

#[test]
fn v1_requests() {
    let (username, password) = ("alice", Secret::new("correct horse"));
    let register =
        v1::Request::Register { username, password, name: Some("Älice"), age: Some(42) };
    check_v1_request(&golden!("v1/register_request"), &register);
    let authenticate = v1::Request::Authenticate { username, password };
    check_v1_request(&golden!("v1/authenticate_request"), &authenticate);
}

#[track_caller]
fn check_v1_request(golden: &[u8], request: &v1::Request<'_>) {
    let mut encoded = Vec::new();
    v1::encode_request(&mut encoded, request).expect("within limits");
    assert_eq!(encoded, golden);
    let (raw, consumed) = v1::split_request(golden).expect("well framed").expect("complete");
    assert_eq!(consumed, golden.len());
    let decoded = raw.decode().expect("UTF-8");
    assert_eq!(format!("{decoded:?}"), format!("{request:?}"));
    encoded.clear();
    v1::encode_request(&mut encoded, &decoded).expect("within limits");
    assert_eq!(encoded, golden);
}

#[test]
fn v1_responses() {
    check_v1_response(&golden!("v1/token_response"), Status::OK, TOKEN);
    let taken = Secret::new("username_taken");
    check_v1_response(&golden!("v1/refusal_response"), Status::CONFLICT, taken);
}

#[track_caller]
fn check_v1_response(golden: &[u8], status: Status, message: Secret<'_>) {
    let mut encoded = Vec::new();
    v1::encode_response(&mut encoded, status, message).expect("within limits");
    assert_eq!(encoded, golden);
    let (response, consumed) = v1::split_response(golden).expect("well framed").expect("complete");
    assert_eq!((response.status, consumed), (status, golden.len()));
    assert_eq!(response.message().expect("UTF-8").expose(), message.expose());
}
