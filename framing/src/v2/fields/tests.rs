use proptest::{collection::vec, prelude::*};

use super::*;

const NUMBER: Field = field(1, Shape::Number { max: 300 }, Presence::DefaultZero);
const TEXT: Field = field(2, Shape::Text { bytes_max: 4 }, Presence::Required);
const KNOWN: u128 = mask(&[NUMBER, TEXT]);

const fn field(number: u8, shape: Shape, presence: Presence) -> Field {
    Field { number, name: "field", shape, presence, must_understand: false, since: "2.0" }
}

#[track_caller]
fn check(body: &[u8], expected: Result<(u64, &str), DecodeError>) {
    let mut fields = Fields::NONE;
    let got = fields
        .read(body, KNOWN)
        .and_then(|()| Ok((fields.number::<u64>(&NUMBER)?, fields.text(&TEXT)?)));
    assert_eq!(got, expected);
}

#[test]
fn order_defaults_and_unknown_fields() {
    check(b"\x02\x01\x07\x04\x02ab", Ok((7, "ab")));
    check(b"\x04\x02ab\x02\x01\x07", Ok((7, "ab")));
    check(b"\x04\x02ab", Ok((0, "ab")));
    check(b"\x04\x00", Ok((0, "")));
    check(b"\x02\x01\x07", Err(DecodeError::FieldMissing(2)));
    check(b"", Err(DecodeError::FieldMissing(2)));
    // 3 and 127 are unknown; a known field may carry the must-understand bit.
    check(b"\x06\x03xyz\x05\x02ab\xfe\x01\x00", Ok((0, "ab")));
    check(b"\x04\x02ab\x07\x03xyz", Err(DecodeError::FieldNotUnderstood(3)));
    check(b"\x04\x02ab\xff\x01\x00", Err(DecodeError::FieldNotUnderstood(127)));
}

#[test]
fn malformed_bodies() {
    check(b"\x00\x00", Err(DecodeError::FieldNumber(0)));
    check(b"\x01\x00", Err(DecodeError::FieldNumber(0)));
    check(b"\x80\x02\x00", Err(DecodeError::FieldNumber(128)));
    check(b"\x84\x04\x02ab", Err(DecodeError::FieldNumber(258)));
    check(b"\x04\x02ab\x04\x02ab", Err(DecodeError::FieldDuplicate(2)));
    check(b"\x04\x02ab\x06\x00\x06\x00", Err(DecodeError::FieldDuplicate(3)));
    check(b"\x04\x02ab\x05\x02ab", Err(DecodeError::FieldDuplicate(2)));
    check(b"\x04", Err(DecodeError::Overrun));
    check(b"\x04\x03ab", Err(DecodeError::Overrun));
    check(b"\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01ab", Err(DecodeError::Overrun));
    check(b"\x84\x00\x02ab", Err(DecodeError::VarintNotMinimal));
    check(b"\x04\x82\x00ab", Err(DecodeError::VarintNotMinimal));
}

#[test]
fn malformed_values() {
    check(b"\x04\x05abcde", Err(DecodeError::FieldTooLong { number: 2, bytes_max: 4 }));
    check(b"\x04\x02\xc3\x28", Err(DecodeError::NotUtf8(2)));
    check(b"\x02\x00\x04\x00", Err(DecodeError::FieldLength(1)));
    check(b"\x02\x01\x80\x04\x00", Err(DecodeError::FieldLength(1)));
    check(b"\x02\x02\x07\x07\x04\x00", Err(DecodeError::FieldLength(1)));
    check(b"\x02\x02\x87\x00\x04\x00", Err(DecodeError::VarintNotMinimal));
    check(b"\x02\x02\xac\x02\x04\x00", Ok((300, "")));
    check(b"\x02\x02\xad\x02\x04\x00", Err(DecodeError::FieldRange(1)));
}

#[test]
fn a_list_gets_its_lengths_in_front() {
    let shape = Shape::List { item: &[NUMBER], items_max: None };
    let list = field(20, shape, Presence::DefaultZero);
    let mut out = b"before".to_vec();
    let mut writer = FieldWriter::new(&mut out);
    let item = |number: u32| {
        move |writer: &mut FieldWriter<'_>| {
            writer.number(&NUMBER, number);
            Ok(())
        }
    };
    let written = writer.list(&list, |out| {
        append_item(out, item(5))?;
        append_item(out, item(300))
    });
    assert_eq!(written, Ok(()));
    assert_eq!(out, b"before\x28\x09\x03\x02\x01\x05\x04\x02\x02\xac\x02");
}

/// Bodies that are mostly well formed: small numbers, few fields, short values.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = (0_u8..16, vec(any::<u8>(), 0..4), 0_u8..8).prop_map(|(key, value, lie)| {
        let len = u8::try_from(value.len()).unwrap() + u8::from(lie == 0);
        [vec![key, len], value].concat()
    });
    vec(field, 0..6).prop_map(|fields| fields.concat())
}

proptest! {
    #[test]
    fn what_the_plain_way_accepts_the_full_one_accepts_too(body in body(), known in 0_u128..32) {
        let mut plain = Fields::NONE;
        if plain.read_plain(&body, known).is_some() {
            let mut full = Fields::NONE;
            prop_assert_eq!(full.read_any(&body, known), Ok(()));
            prop_assert_eq!(plain.values, full.values);
        }
    }
}

/// The bodies of this release's own encoder do not take the slow way.
#[test]
fn what_is_written_is_plain() {
    let text = "x".repeat(300);
    let longer = field(2, Shape::Text { bytes_max: 300 }, Presence::Required);
    let mut out = Vec::new();
    let mut writer = FieldWriter::new(&mut out);
    writer.number(&NUMBER, 300_u32);
    writer.text(&longer, &text).unwrap();
    let mut fields = Fields::NONE;
    assert_eq!(fields.read_plain(&out, KNOWN), Some(()));
    assert_eq!((fields.number(&NUMBER), fields.text(&longer)), (Ok(300_u32), Ok(text.as_str())));
}
