//! What holds for every input of v2's decoders and encoders.

use framing::{
    EncodeError, Secret,
    limits::{FRAME_BYTES_MAX, PASSWORD_BYTES_MAX},
    v2::{
        Agreed, AuthenticateReply, CheckSession, CheckSessionReply, Currency, Encoder, Features,
        Frame, HealthReply, Hello, Inbox, Kind, LogoutReply, Product, ProductList, ProductsReply,
        Register, RegisterReply, Request, split_frame,
    },
};
use proptest::{collection, prelude::*, sample::Index};

use crate::samples::{
    REQUEST_ID, TOKEN, encode_again, encode_answer, only_frame, products_frame, refusal_frame,
    request_frame,
};

/// Everything that a frame could be taken for; nothing may panic.
fn decode_as_anything(frame: &Frame<'_>) {
    for message_type in 0..=8 {
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
        if let Ok(Ok(reply)) = response.answer::<ProductsReply<'_>>() {
            assert!(reply.products.iter().count() <= frame.body.len());
        }
    }
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
    fn every_truncation_needs_more(wire in request_frame()) {
        for cut in 0..wire.len() {
            prop_assert_eq!(split_frame(&wire[..cut]), Ok(None));
        }
    }

    #[test]
    fn a_truncated_body_does_not_panic(
        wire in prop_oneof![request_frame(), products_frame(), refusal_frame()],
        cut: Index,
    ) {
        let frame = only_frame(&wire);
        decode_as_anything(&Frame { body: &frame.body[..cut.index(frame.body.len() + 1)], ..frame });
    }

    #[test]
    fn a_body_with_changed_bytes_does_not_panic(
        wire in prop_oneof![request_frame(), products_frame(), refusal_frame()],
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
fn secrets_do_not_show() {
    let shown = format!("{:?}", CheckSession { token: TOKEN });
    assert_eq!(shown, "CheckSession { token: *** }");
    let reply = AuthenticateReply { token: TOKEN, user_id: 1, expires_in_ms: 2 };
    let shown = format!("{reply:?}");
    assert_eq!(shown, "AuthenticateReply { token: ***, user_id: 1, expires_in_ms: 2 }");
}
