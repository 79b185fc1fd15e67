//! Tagged fields: what a body, and an item of a list, is made of.
//!
//! ```text
//! field = varint key, varint length, length bytes of value
//! key   = field number << 1 | must-understand
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{message::RequestId, messages::Currency};
use crate::{
    DecodeError, EncodeError, Secret, buffer,
    limits::FIELD_NUMBER_MAX,
    registry::{Field, Presence, SLOTS, Shape},
    varint::{self, Varint},
};

/// The fields of one body, each value a slice of it, by number. Built in one pass, in any order of
/// fields, without allocation.
pub struct Fields<'a> {
    present: u128,
    values: [&'a [u8]; SLOTS],
}

const _: () = assert!((FIELD_NUMBER_MAX as u32) < u128::BITS);

/// The set of numbers in `fields`, one bit each.
pub(super) const fn mask(fields: &[Field]) -> u128 {
    let mut mask = 0;
    let mut i = 0;
    while i < fields.len() {
        mask |= 1 << fields[i].number;
        i += 1;
    }
    mask
}

impl<'a> Fields<'a> {
    /// Takes `body` apart, keeping the fields in the set `known` and skipping others.
    pub(super) fn read(body: &'a [u8], known: u128) -> Result<Self, DecodeError> {
        let mut fields = Self { present: 0, values: [&[]; SLOTS] };
        let mut rest = body;
        while !rest.is_empty() {
            let key = varint::take(&mut rest)?;
            let number = match u8::try_from(key >> 1) {
                Ok(number @ 1..=FIELD_NUMBER_MAX) => number,
                _ => return Err(DecodeError::FieldNumber(key >> 1)),
            };
            let bit = 1_u128 << number;
            if fields.present & bit != 0 {
                return Err(DecodeError::FieldDuplicate(number));
            }
            fields.present |= bit;
            let value = varint::take_prefixed(&mut rest)?;
            if known & bit != 0 {
                fields.values[usize::from(number)] = value;
            } else if key & 1 != 0 {
                return Err(DecodeError::FieldNotUnderstood(number));
            }
        }
        Ok(fields)
    }

    /// A number; zero when the field is absent and has that default.
    pub(super) fn number<T: TryFrom<u64> + Default>(
        &self,
        field: &Field,
    ) -> Result<T, DecodeError> {
        self.due(field, Self::optional_number)
    }

    pub(super) fn optional_number<T>(&self, field: &Field) -> Result<Option<T>, DecodeError>
    where
        T: TryFrom<u64>,
    {
        let Some(mut value) = self.value(field) else { return Ok(None) };
        let number = varint::take(&mut value).map_err(|error| match error {
            // The value ends inside its varint: wrong length, not a body that is cut short.
            DecodeError::Overrun => DecodeError::FieldLength(field.number),
            other => other,
        })?;
        if !value.is_empty() {
            return Err(DecodeError::FieldLength(field.number));
        }
        let in_range = match field.shape {
            Shape::Number { max } => number <= max,
            _ => true,
        };
        let number = T::try_from(number).ok().filter(|_| in_range);
        number.map(Some).ok_or(DecodeError::FieldRange(field.number))
    }

    /// A text; empty when the field is absent and has that default.
    pub(super) fn text(&self, field: &Field) -> Result<&'a str, DecodeError> {
        self.due(field, Self::optional_text)
    }

    pub(super) fn optional_text(&self, field: &Field) -> Result<Option<&'a str>, DecodeError> {
        let Some(value) = self.value(field) else { return Ok(None) };
        if let Shape::Text { bytes_max } | Shape::Secret { bytes_max } = field.shape
            && value.len() > bytes_max
        {
            return Err(DecodeError::FieldTooLong { number: field.number, bytes_max });
        }
        str::from_utf8(value).map(Some).map_err(|_| DecodeError::NotUtf8(field.number))
    }

    pub(super) fn secret(&self, field: &Field) -> Result<Secret<'a>, DecodeError> {
        self.text(field).map(Secret::new)
    }

    pub(super) fn optional_secret(&self, field: &Field) -> Result<Option<Secret<'a>>, DecodeError> {
        Ok(self.optional_text(field)?.map(Secret::new))
    }

    /// A number of 0 or 1, as its field's shape says.
    pub(super) fn flag(&self, field: &Field) -> Result<bool, DecodeError> {
        Ok(self.number::<u8>(field)? == 1)
    }

    pub(super) fn request_id(&self, field: &Field) -> Result<RequestId, DecodeError> {
        let value = self.value(field).ok_or(DecodeError::FieldMissing(field.number))?;
        let bytes = value.try_into().map_err(|_| DecodeError::FieldLength(field.number))?;
        Ok(RequestId::new(bytes))
    }

    pub(super) fn optional_address(&self, field: &Field) -> Result<Option<IpAddr>, DecodeError> {
        let Some(value) = self.value(field) else { return Ok(None) };
        if let Ok(v4) = <[u8; 4]>::try_from(value) {
            Ok(Some(Ipv4Addr::from(v4).into()))
        } else if let Ok(v6) = <[u8; 16]>::try_from(value) {
            Ok(Some(Ipv6Addr::from(v6).into()))
        } else {
            Err(DecodeError::FieldLength(field.number))
        }
    }

    pub(super) fn currency(&self, field: &Field) -> Result<Currency<'a>, DecodeError> {
        let value = self.value(field).ok_or(DecodeError::FieldMissing(field.number))?;
        let text = str::from_utf8(value).map_err(|_| DecodeError::NotUtf8(field.number))?;
        Currency::new(text).ok_or(DecodeError::FieldRange(field.number))
    }

    /// The bytes of a list, items not looked at yet; empty when the field is absent.
    pub(super) fn list(&self, field: &Field) -> &'a [u8] {
        self.value(field).unwrap_or_default()
    }

    fn value(&self, field: &Field) -> Option<&'a [u8]> {
        let present = self.present & (1 << field.number) != 0;
        present.then(|| self.values[usize::from(field.number)])
    }

    fn due<T: Default>(
        &self,
        field: &Field,
        read: impl Fn(&Self, &Field) -> Result<Option<T>, DecodeError>,
    ) -> Result<T, DecodeError> {
        match (read(self, field)?, field.presence) {
            (Some(value), _) => Ok(value),
            (None, Presence::DefaultZero) => Ok(T::default()),
            (None, _) => Err(DecodeError::FieldMissing(field.number)),
        }
    }
}

/// Appends fields to a body, in ascending order of their numbers. A value that equals its field's
/// default is left out.
pub struct FieldWriter<'v> {
    out: &'v mut Vec<u8>,
    last_number: u8,
}

impl<'v> FieldWriter<'v> {
    pub(super) fn new(out: &'v mut Vec<u8>) -> Self {
        Self { out, last_number: 0 }
    }

    pub(super) fn number(&mut self, field: &Field, value: impl Into<u64>) {
        let value = value.into();
        if value != 0 || field.presence != Presence::DefaultZero {
            self.value(field, Varint::new(value).as_bytes());
        }
    }

    pub(super) fn text(&mut self, field: &Field, text: &str) -> Result<(), EncodeError> {
        if let Shape::Text { bytes_max } | Shape::Secret { bytes_max } = field.shape
            && text.len() > bytes_max
        {
            let bytes = text.len();
            return Err(EncodeError::FieldTooLong { field: field.name, bytes, bytes_max });
        }
        if !text.is_empty() || field.presence != Presence::DefaultZero {
            self.value(field, text.as_bytes());
        }
        Ok(())
    }

    pub(super) fn secret(&mut self, field: &Field, secret: Secret<'_>) -> Result<(), EncodeError> {
        self.text(field, secret.expose())
    }

    pub(super) fn request_id(&mut self, field: &Field, id: RequestId) {
        self.value(field, &id.to_bytes());
    }

    pub(super) fn address(&mut self, field: &Field, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.value(field, &v4.octets()),
            IpAddr::V6(v6) => self.value(field, &v6.octets()),
        }
    }

    pub(super) fn optional_text(
        &mut self,
        field: &Field,
        text: Option<&str>,
    ) -> Result<(), EncodeError> {
        text.map_or(Ok(()), |text| self.text(field, text))
    }

    pub(super) fn optional_secret(
        &mut self,
        field: &Field,
        secret: Option<Secret<'_>>,
    ) -> Result<(), EncodeError> {
        secret.map_or(Ok(()), |secret| self.secret(field, secret))
    }

    pub(super) fn optional_address(&mut self, field: &Field, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.address(field, address);
        }
    }

    /// A list whose items `write` appends, each through [`append_item`]. An empty one is left out.
    pub(super) fn list(
        &mut self,
        field: &Field,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let start = self.out.len();
        write(self.out)?;
        if self.out.len() > start {
            let key = self.key(field);
            prepend_length(self.out, start);
            insert(self.out, start, key.as_bytes());
        }
        Ok(())
    }

    fn value(&mut self, field: &Field, value: &[u8]) {
        let key = self.key(field);
        buffer::append(self.out, key.as_bytes());
        buffer::append(self.out, Varint::new(value.len() as u64).as_bytes());
        buffer::append(self.out, value);
    }

    fn key(&mut self, field: &Field) -> Varint {
        debug_assert!(field.number > self.last_number, "fields are written in ascending order");
        self.last_number = field.number;
        Varint::new(u64::from(field.number) << 1 | u64::from(field.must_understand))
    }
}

/// Appends one item of a list: its length, then the fields that `write` appends.
pub(super) fn append_item(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut FieldWriter<'_>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    write(&mut FieldWriter::new(out))?;
    prepend_length(out, start);
    Ok(())
}

/// Puts the length of `out[start..]` before it. The length's own size is known only afterwards, and
/// moving the bytes by one to three places is cheaper than encoding them twice.
fn prepend_length(out: &mut Vec<u8>, start: usize) {
    let len = Varint::new((out.len() - start) as u64);
    insert(out, start, len.as_bytes());
}

fn insert(out: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    buffer::append(out, bytes);
    out[at..].rotate_right(bytes.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Field = field(1, Shape::Number { max: 300 }, Presence::DefaultZero);
    const TEXT: Field = field(2, Shape::Text { bytes_max: 4 }, Presence::Required);
    const KNOWN: u128 = mask(&[NUMBER, TEXT]);

    const fn field(number: u8, shape: Shape, presence: Presence) -> Field {
        Field { number, name: "field", shape, presence, must_understand: false, since: "2.0" }
    }

    #[track_caller]
    fn check(body: &[u8], expected: Result<(u64, &str), DecodeError>) {
        let got = Fields::read(body, KNOWN)
            .and_then(|fields| Ok((fields.number::<u64>(&NUMBER)?, fields.text(&TEXT)?)));
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
}
