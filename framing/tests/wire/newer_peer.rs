//! A synthetic newer peer: what it adds is skipped, or refused without losing the stream.

#![expect(clippy::cast_possible_truncation, reason = "what is built here is short")]

use framing::{
    DecodeError, Status,
    v2::{
        CheckSession, Encoder, HealthReply, Inbox, Logout, LogoutReply, MessageType, Refusal,
        RegisterReply, Request, RequestMessage, split_frame,
    },
};
use proptest::{collection, prelude::*, sample::Index};

use crate::samples::{
    TOKEN, encode_again, encode_request, only_frame, products_frame, request_frame,
};

/// A field that no release knows.
fn unknown_field(number: u8, must_understand: bool, value: &[u8]) -> Vec<u8> {
    assert!((64..128).contains(&number) && value.len() < 128);
    // A key of 128 to 255 takes two bytes.
    let key = number << 1 | u8::from(must_understand);
    [&[key | 0x80, 1, value.len() as u8], value].concat()
}

/// The places in `body` where a field ends, its start included.
fn field_boundaries(body: &[u8]) -> Vec<usize> {
    let varint = |at: &mut usize| {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = body[*at];
            *at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    };
    let mut boundaries = vec![0];
    let mut at = 0;
    while at < body.len() {
        varint(&mut at);
        at += varint(&mut at);
        boundaries.push(at);
    }
    boundaries
}

/// The frame as a newer peer sends it: a longer header, unknown flags, another body.
fn newer(frame: &[u8], header_extra: &[u8], body: &[u8]) -> Vec<u8> {
    let mut head = frame[..24].to_vec();
    head[3] += header_extra.len() as u8;
    head[6] = 0x80;
    head[8..12].copy_from_slice(&(body.len() as u32).to_be_bytes());
    [&head, header_extra, body].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn additions_are_skipped(
        frame in request_frame(),
        header_extra in collection::vec(any::<u8>(), 0..200),
        numbers in proptest::sample::subsequence((64..128).collect::<Vec<u8>>(), 0..6),
        value in collection::vec(any::<u8>(), 0..40),
        places in collection::vec(any::<Index>(), 6),
    ) {
        let mut body = frame[24..].to_vec();
        for (number, place) in numbers.into_iter().zip(places) {
            let boundaries = field_boundaries(&body);
            let at = boundaries[place.index(boundaries.len())];
            body.splice(at..at, unknown_field(number, false, &value));
        }
        let newer = newer(&frame, &header_extra, &body);
        let read = only_frame(&newer);
        prop_assert_eq!(read.flags, 0x8000);
        let request = Request::decode(&read).expect("additions are skipped");
        prop_assert_eq!(encode_again(&read, &request), frame);
    }

    #[test]
    fn what_must_be_understood_is_refused(
        frame in request_frame(),
        number in 64_u8..128,
        place: Index,
    ) {
        let mut body = frame[24..].to_vec();
        let boundaries = field_boundaries(&body);
        let at = boundaries[place.index(boundaries.len())];
        body.splice(at..at, unknown_field(number, true, b"?"));
        let newer = newer(&frame, b"", &body);
        let refused = Request::decode(&only_frame(&newer)).map(|_| ());
        prop_assert_eq!(refused, Err(DecodeError::FieldNotUnderstood(number)));
    }

    #[test]
    fn fields_in_any_order(frame in request_frame(), order: [Index; 8]) {
        let body = &frame[24..];
        let boundaries = field_boundaries(body);
        let mut fields: Vec<_> = boundaries.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
        for (i, place) in order.iter().enumerate().take(fields.len()) {
            let other = place.index(fields.len());
            fields.swap(i, other);
        }
        let newer = newer(&frame, b"", &fields.concat());
        let read = only_frame(&newer);
        let request = Request::decode(&read).expect("order is free");
        prop_assert_eq!(encode_again(&read, &request), frame);
    }

    #[test]
    fn an_unknown_type_costs_one_answer(number in 11_u8.., frame in request_frame()) {
        let mut wire = frame.clone();
        wire[5] = number;
        wire.extend(&frame);

        let (unknown, consumed) = split_frame(&wire).expect("well framed").expect("complete");
        let error = Request::decode(&unknown).expect_err("a type of the future");
        prop_assert_eq!(error, DecodeError::MessageTypeUnknown(number));
        let mut answer = Vec::new();
        let refusal = Refusal::from(error);
        let encoder = Encoder::default();
        encoder
            .refusal(&mut answer, unknown.correlation, unknown.message_type, &refusal)
            .expect("a short code");
        let answer = only_frame(&answer);
        prop_assert_eq!(answer.message_type, number);
        prop_assert_eq!(answer.correlation, unknown.correlation);

        let next = only_frame(&wire[consumed..]);
        prop_assert!(Request::decode(&next).is_ok());
    }
}

#[test]
fn unknown_fields_of_items_are_skipped() {
    // One item: id 1, name "p", field 9 unknown, price 2, currency EUR.
    let item = b"\x03\x01\x01\x05\x01p\x12\x01?\x09\x01\x02\x0b\x03EUR";
    let session = b"\x15\x01\x07\x17\x01u\x1b\x01\x05\x1d\x01\x06";
    let check = |item: &[u8]| {
        let list = [&[0x28, item.len() as u8 + 1, item.len() as u8], item].concat();
        let body = [b"\x03\x02\xc8\x01", session.as_slice(), &list].concat();
        <framing::v2::ProductsReply<'_> as framing::v2::ReplyMessage<'_>>::decode(&body)
            .map(|answer| answer.expect("status 200").products.iter().count())
    };
    assert_eq!(check(item), Ok(1));
    let demanding = item.map(|byte| if byte == 0x12 { 0x13 } else { byte });
    assert_eq!(check(&demanding), Err(DecodeError::FieldNotUnderstood(9)));
    assert_eq!(check(&item[..item.len() - 5]), Err(DecodeError::FieldMissing(5)));
}

#[test]
fn a_status_of_the_future_is_a_refusal() {
    let check = |body: &[u8]| {
        let head = [&b"GH\x02\x18\x02\x05\0\0\0\0\0"[..], &[body.len() as u8], &[0; 12]].concat();
        let wire = [head.as_slice(), body].concat();
        only_frame(&wire)
            .answer::<LogoutReply>()
            .map(|answer| answer.map_err(|refusal| refusal.status()))
    };
    let reply = LogoutReply { settled_in_ms: 5 };
    assert_eq!(check(b"\x03\x02\xc8\x01\x15\x01\x05"), Ok(Ok(reply)));
    assert_eq!(check(b"\x03\x02\xca\x01"), Ok(Err(Status::new(202).expect("a status"))));
    assert_eq!(check(b"\x03\x02\xad\x03"), Ok(Err(Status::new(429).expect("a status"))));
    assert_eq!(check(b"\x03\x02\xd8\x04"), Err(DecodeError::FieldRange(1)));
    assert_eq!(check(b"\x03\x01\x63"), Err(DecodeError::FieldRange(1)));
    assert_eq!(check(b""), Err(DecodeError::FieldMissing(1)));
}

/// CHECK_SESSION's request has the fields that LOGOUT's had in 2.0, so its reader is that of 2.0.
#[test]
fn a_reader_of_2_0_refuses_to_end_all_sessions_and_skips_the_address() {
    let check = |all, expected| {
        let client_address = Some(std::net::IpAddr::from([192, 0, 2, 7]));
        let logout = Logout { token: TOKEN, all, client_address };
        let wire = encode_request(1, 1, &logout).expect("within limits");
        let read = CheckSession::decode(only_frame(&wire).body);
        assert_eq!(read.map(|read| read.token.expose() == TOKEN.expose()), expected);
    };
    check(false, Ok(true));
    check(true, Err(DecodeError::FieldNotUnderstood(2)));
}

#[test]
fn an_answer_to_another_question_is_an_error() {
    let mut wire = Vec::new();
    let encoder = Encoder::default();
    encoder
        .answer(&mut wire, 1, &Ok(HealthReply { ready: true, reason: "", draining: false }))
        .expect("short");
    let mut inbox = Inbox::new();
    inbox.space()[..wire.len()].copy_from_slice(&wire);
    inbox.filled(wire.len());
    let frame = inbox.next_frame().expect("well framed").expect("complete");
    let (want, got) = (MessageType::Register.number(), MessageType::Health.number());
    assert_eq!(
        frame.answer::<RegisterReply>(),
        Err(DecodeError::MessageTypeUnexpected { want, got })
    );
    let kind = Request::decode(&frame).map(|_| ());
    assert_eq!(kind, Err(DecodeError::KindUnexpected(frame.kind)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_survives_additions_around_it(frame in products_frame(), number in 64_u8..128) {
        let body = [unknown_field(number, false, b"new"), frame[24..].to_vec()].concat();
        let newer = newer(&frame, b"more", &body);
        let before = only_frame(&frame).answer::<framing::v2::ProductsReply<'_>>();
        let after = only_frame(&newer).answer::<framing::v2::ProductsReply<'_>>();
        prop_assert_eq!(before, after);
    }
}
