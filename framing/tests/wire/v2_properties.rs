//! What holds for every input of v2's decoders and encoders.

#![expect(clippy::cast_possible_truncation, reason = "what is built here is short")]

use framing::{
    DecodeError, EncodeError, Secret, Status,
    limits::{FRAME_BYTES_MAX, PASSWORD_BYTES_MAX, SESSIONS_MAX, USER_AGENT_BYTES_MAX},
    v2::{
        Agreed, AuthenticateReply, ChangePasswordReply, CheckSession, CheckSessionReply, Currency,
        Encoder, Features, Frame, HealthReply, Hello, Inbox, Kind, LogoutReply, MessageType,
        Product, ProductList, ProductsReply, Refusal, Register, RegisterReply, Request,
        RevokeSessionReply, SessionList, SessionSummary, SessionsReply, split_frame,
    },
};
use proptest::{collection, prelude::*, sample::Index};

use crate::samples::{
    REQUEST_ID, TOKEN, encode_again, encode_answer, only_frame, products_frame, refusal_frame,
    request_frame, sessions_frame,
};

/// Everything that a frame could be taken for; nothing may panic.
fn decode_as_anything(frame: &Frame<'_>) {
    for message_type in 0..=MessageType::ALL.len() as u8 + 1 {
        let request = Frame { kind: Kind::Request, message_type, ..*frame };
        if let Ok(request) = Request::decode(&request) {
            // What was accepted can be written.
            encode_again(frame, &request);
        }
        let response = Frame { kind: Kind::Response, message_type, ..*frame };
        let _ = response.answer::<Hello<'_>>();
        let _ = response.answer::<RegisterReply>();
        let _ = response.answer::<AuthenticateReply<'_>>();
        let _ = response.answer::<CheckSessionReply<'_>>();
        let _ = response.answer::<LogoutReply>();
        let _ = response.answer::<HealthReply<'_>>();
        let _ = response.answer::<RevokeSessionReply>();
        let _ = response.answer::<ChangePasswordReply<'_>>();
        if let Ok(Ok(reply)) = response.answer::<SessionsReply<'_>>() {
            assert!(reply.sessions.iter().count() <= SESSIONS_MAX);
        }
        if let Ok(Ok(reply)) = response.answer::<ProductsReply<'_>>() {
            assert!(reply.products.iter().count() <= frame.body.len());
        }
    }
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => request_frame(), 1 => products_frame(), 1 => sessions_frame(), 1 => refusal_frame()]
}

/// The frames in `wire`, received in two pieces.
fn receive(wire: &[u8], cut: usize) -> Vec<(u64, Vec<u8>)> {
    let mut inbox = Inbox::new();
    let mut frames = Vec::new();
    for mut piece in [&wire[..cut], &wire[cut..]] {
        while !piece.is_empty() {
            let space = inbox.space();
            let n = piece.len().min(space.len());
            space[..n].copy_from_slice(&piece[..n]);
            piece = &piece[n..];
            inbox.filled(n);
            while let Some(frame) = inbox.next_frame().expect("well framed") {
                frames.push((frame.correlation, frame.body.to_vec()));
            }
        }
    }
    assert_eq!(inbox.waiting(), 0);
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_request_survives_the_wire(wire in request_frame()) {
        let frame = only_frame(&wire);
        let request = Request::decode(&frame).expect("decodes");
        prop_assert_eq!(encode_again(&frame, &request), wire);
    }

    #[test]
    fn a_refusal_survives_the_wire(wire in refusal_frame()) {
        let answer = only_frame(&wire).answer::<RegisterReply>().expect("decodes");
        prop_assert!(answer.is_err());
        prop_assert_eq!(encode_answer(3, &answer), Ok(wire));
    }

    #[test]
    fn a_list_survives_the_wire(wire in products_frame()) {
        let answer = only_frame(&wire).answer::<ProductsReply<'_>>().expect("decodes");
        prop_assert_eq!(encode_answer(9, &answer), Ok(wire.clone()));
        // And from a slice as from the bytes.
        let reply = answer.expect("status 200");
        let products: Vec<_> = reply.products.iter().collect();
        let again = ProductsReply { products: ProductList::new(&products), ..reply };
        prop_assert_eq!(encode_answer(9, &Ok(again)), Ok(wire));
    }

    #[test]
    fn a_list_of_sessions_survives_the_wire(wire in sessions_frame()) {
        let answer = only_frame(&wire).answer::<SessionsReply<'_>>().expect("decodes");
        prop_assert_eq!(encode_answer(9, &answer), Ok(wire.clone()));
        let sessions: Vec<_> = answer.expect("status 200").sessions.iter().collect();
        let again = SessionsReply { sessions: SessionList::new(&sessions) };
        prop_assert_eq!(encode_answer(9, &Ok(again)), Ok(wire));
    }

    #[test]
    fn every_truncation_needs_more(wire in request_frame()) {
        for cut in 0..wire.len() {
            prop_assert_eq!(split_frame(&wire[..cut]), Ok(None));
        }
    }

    #[test]
    fn a_truncated_body_does_not_panic(
        wire in any_frame(),
        cut: Index,
    ) {
        let frame = only_frame(&wire);
        decode_as_anything(&Frame { body: &frame.body[..cut.index(frame.body.len() + 1)], ..frame });
    }

    #[test]
    fn a_body_with_changed_bytes_does_not_panic(
        wire in any_frame(),
        changes in collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let frame = only_frame(&wire);
        let mut body = frame.body.to_vec();
        for (place, byte) in changes {
            if !body.is_empty() {
                let at = place.index(body.len());
                body[at] = byte;
            }
        }
        decode_as_anything(&Frame { body: &body, ..frame });
    }

    #[test]
    fn a_random_body_does_not_panic(body in collection::vec(any::<u8>(), 0..200)) {
        let frame = Frame {
            kind: Kind::Request, message_type: 0, flags: 0, budget_ms: 0, correlation: 0, body: &body,
        };
        decode_as_anything(&frame);
    }

    #[test]
    fn no_more_is_consumed_than_there_is(
        // Half of the inputs start like a frame, else few would come past the magic.
        start in prop_oneof![Just(&b""[..]), Just(&b"GH\x02\x18\x01\x01\0\0\0\0\0"[..])],
        rest in collection::vec(any::<u8>(), 0..300),
    ) {
        let input = [start, &rest].concat();
        if let Ok(Some((frame, consumed))) = split_frame(&input) {
            prop_assert!(consumed <= input.len());
            prop_assert!(frame.body.len() + 24 <= consumed);
        }
        // An error, once shown, is shown by every longer input.
        let first_error = (0..=input.len()).find(|cut| split_frame(&input[..*cut]).is_err());
        if let Some(first) = first_error {
            prop_assert!((first..=input.len()).all(|cut| split_frame(&input[..cut]).is_err()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_split_point_equals_the_whole(frames in collection::vec(request_frame(), 1..4)) {
        let wire = frames.concat();
        let whole = receive(&wire, wire.len());
        prop_assert_eq!(whole.len(), frames.len());
        for cut in 0..wire.len() {
            prop_assert_eq!(&receive(&wire, cut), &whole);
        }
    }
}

#[track_caller]
fn check_refused(
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    expected: EncodeError,
) {
    let mut out = b"before".to_vec();
    assert_eq!(encode(&mut out), Err(expected));
    assert_eq!(out, b"before", "the output is as it was");
}

#[test]
fn a_field_over_its_limit_is_not_encoded() {
    let long = "p".repeat(PASSWORD_BYTES_MAX + 1);
    let message = Register {
        username: "alice",
        password: Secret::new(&long),
        name: None,
        age: None,
        request_id: REQUEST_ID,
        client_address: None,
        user_agent: None,
        forwarded: false,
    };
    let expected = EncodeError::FieldTooLong {
        field: "password",
        bytes: PASSWORD_BYTES_MAX + 1,
        bytes_max: PASSWORD_BYTES_MAX,
    };
    check_refused(|out| Encoder::default().request(out, 1, 1, &message), expected);
}

#[test]
fn a_frame_over_its_limit_is_not_encoded() {
    let description = "d".repeat(2000);
    let product = Product {
        id: 1,
        name: "Lamp",
        description: &description,
        price_minor: 1,
        currency: Currency::new("EUR").expect("three letters"),
    };
    let session = CheckSessionReply {
        user_id: 1,
        username: "alice",
        lease_ms: 0,
        expires_in_ms: 1,
        created_at_unix_ms: 1,
    };
    let check = |encoder: Encoder, count: usize, expected| {
        let products = vec![product; count];
        let products = ProductList::new(&products);
        let answer = Ok(ProductsReply { session, products, products_fresh_ms: 0 });
        check_refused(|out| encoder.answer(out, 1, &answer), expected);
    };
    let too_long = |count, bytes_max| {
        let list = count * (2 + 3 + 6 + 2003 + 3 + 5_usize);
        let list_len = if list < 1 << 14 { 2 } else { 3 };
        let around = 24 + 4 + 3 + 7 + 3 + 3 + 1 + list_len;
        EncodeError::FrameTooLong { bytes: around + list, bytes_max }
    };
    check(Encoder::default(), 33, too_long(33, FRAME_BYTES_MAX));
    // A peer that accepts less gets less.
    let agreed = Agreed {
        version: 2,
        features: Features::default(),
        frame_bytes_max: 8192,
        in_flight_max: 1,
    };
    check(agreed.encoder(), 5, too_long(5, 8192));
}

#[test]
fn a_full_list_of_sessions_fits_and_no_more_are_written_or_read() {
    let user_agent = "u".repeat(USER_AGENT_BYTES_MAX);
    let session = SessionSummary {
        id: u64::MAX,
        created_at_unix_ms: u64::MAX,
        last_seen_unix_ms: u64::MAX,
        expires_in_ms: u64::MAX,
        client_address: Some(std::net::Ipv6Addr::LOCALHOST.into()),
        user_agent: Some(&user_agent),
        current: true,
    };
    let many = vec![session; SESSIONS_MAX + 1];
    let reply = |count: usize| Ok(SessionsReply { sessions: SessionList::new(&many[..count]) });
    let full = encode_answer(1, &reply(SESSIONS_MAX)).expect("a full list fits a frame");
    assert_eq!(only_frame(&full).answer::<SessionsReply<'_>>(), Ok(reply(SESSIONS_MAX)));

    let (items, items_max) = (SESSIONS_MAX + 1, SESSIONS_MAX);
    let too_many = EncodeError::TooManyItems { field: "sessions", items, items_max };
    check_refused(|out| Encoder::default().answer(out, 1, &reply(SESSIONS_MAX + 1)), too_many);

    // Items of the least size, one too many, as a peer that does not keep to the limit sends them.
    let item = b"\x0c\x03\x01\x01\x05\x01\x01\x07\x01\x01\x09\x01\x01";
    let check = |count: usize, expected: Result<usize, DecodeError>| {
        let list = item.repeat(count);
        let (low, high) = (list.len() as u8 | 0x80, (list.len() >> 7) as u8);
        let body = [&b"\x03\x02\xc8\x01\x28"[..], &[low, high], &list].concat();
        let read = <SessionsReply<'_> as framing::v2::ReplyMessage<'_>>::decode(&body);
        assert_eq!(
            read.map(|answer| answer.expect("status 200").sessions.iter().count()),
            expected
        );
    };
    check(SESSIONS_MAX, Ok(SESSIONS_MAX));
    check(SESSIONS_MAX + 1, Err(DecodeError::TooManyItems { number: 20, items_max }));
}

#[test]
fn a_wait_is_rounded_up() {
    let check = |nanos: u64, expected: u32| {
        let refusal = Refusal::new(Status::TOO_MANY_REQUESTS, "too_many_attempts");
        let refusal = refusal.with_retry_after(std::time::Duration::from_nanos(nanos));
        let wire = encode_answer::<AuthenticateReply<'_>>(1, &Err(refusal)).expect("short");
        let read = only_frame(&wire).answer::<AuthenticateReply<'_>>().expect("decodes");
        assert_eq!(read.expect_err("status 429").retry_after_ms(), expected);
    };
    check(0, 0);
    check(1, 1);
    check(1_000_000, 1);
    check(1_000_001, 2);
    check(u64::MAX, u32::MAX);
}

#[test]
fn secrets_do_not_show() {
    let shown = format!("{:?}", CheckSession { token: TOKEN });
    assert_eq!(shown, "CheckSession { token: *** }");
    let reply =
        AuthenticateReply { token: TOKEN, user_id: 1, expires_in_ms: 2, device: Some(TOKEN) };
    let shown = format!("{reply:?}");
    let expected =
        "AuthenticateReply { token: ***, user_id: 1, expires_in_ms: 2, device: Some(***) }";
    assert_eq!(shown, expected);
}
