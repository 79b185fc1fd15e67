//! Tagged fields: what a body, and an item of a list, is made of.
//!
//! ```text
//! field = varint key, varint length, length bytes of value
//! key   = field number << 1 | must-understand
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{currency::Currency, request_id::RequestId};
use crate::{
    DecodeError, EncodeError, Secret,
    limits::{FIELD_NUMBER_MAX, VARINT_BYTES_MAX},
    registry::{Field, Presence, SLOTS, Shape},
    varint::{self, Varint},
};

/// The fields of one body, each value a slice of it, by number. Built in one pass, in any order of
/// fields, without allocation.
pub struct Fields<'a> {
    values: [Option<&'a [u8]>; SLOTS],
}

const _: () = assert!((FIELD_NUMBER_MAX as u32) < u128::BITS);
// `read_plain` tests for known numbers with half of the set.
const _: () = assert!(SLOTS <= u64::BITS as usize);

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
    /// No field at all.
    pub(super) const NONE: Self = Self { values: [None; SLOTS] };

    /// Takes `body` apart, keeping the fields in the set `known` and skipping others. In place, because
    /// a copy of all slots costs as much as finding the fields.
    #[inline]
    pub(super) fn read(&mut self, body: &'a [u8], known: u128) -> Result<(), DecodeError> {
        if self.read_plain(body, known).is_some() { Ok(()) } else { self.read_any(body, known) }
    }

    /// Reads what a peer of this release writes: known fields in ascending order, so that none can be
    /// there twice, with one-byte keys. `None` says only that there is something else in the body, and
    /// [`read_any`](Self::read_any) judges it: errors are found in one place.
    fn read_plain(&mut self, body: &'a [u8], known: u128) -> Option<()> {
        #[expect(clippy::cast_possible_truncation, reason = "higher numbers have no slot")]
        let known = known as u64;
        let mut last_number = 0;
        let mut rest = body;
        while let [key @ ..=0x7f, after_key @ ..] = rest {
            let number = key >> 1;
            if number <= last_number || known >> number & 1 == 0 {
                return None;
            }
            last_number = number;
            rest = after_key;
            let value = varint::take_prefixed(&mut rest).ok()?;
            *self.values.get_mut(usize::from(number))? = Some(value);
        }
        rest.is_empty().then_some(())
    }

    /// Reads any body: fields in any order, unknown ones, and errors.
    #[cold]
    fn read_any(&mut self, body: &'a [u8], known: u128) -> Result<(), DecodeError> {
        *self = Self::NONE;
        let mut present = 0;
        let mut rest = body;
        while !rest.is_empty() {
            let key = varint::take(&mut rest)?;
            let number = match u8::try_from(key >> 1) {
                Ok(number @ 1..=FIELD_NUMBER_MAX) => number,
                _ => return Err(DecodeError::FieldNumber(key >> 1)),
            };
            let bit = 1_u128 << number;
            if present & bit != 0 {
                return Err(DecodeError::FieldDuplicate(number));
            }
            present |= bit;
            let value = varint::take_prefixed(&mut rest)?;
            if known & bit != 0 {
                self.values[usize::from(number)] = Some(value);
            } else if key & 1 != 0 {
                return Err(DecodeError::FieldNotUnderstood(number));
            }
        }
        Ok(())
    }

    /// One text of a body, without the other fields.
    pub(super) fn find_text(
        mut body: &'a [u8],
        field: &Field,
    ) -> Result<Option<&'a str>, DecodeError> {
        while !body.is_empty() {
            let key = varint::take(&mut body)?;
            let value = varint::take_prefixed(&mut body)?;
            if key >> 1 == u64::from(field.number) {
                return as_text(field, value).map(Some);
            }
        }
        Ok(None)
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
        self.value(field).map(|value| as_text(field, value)).transpose()
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

    #[inline]
    fn value(&self, field: &Field) -> Option<&'a [u8]> {
        self.values[usize::from(field.number)]
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

fn as_text<'a>(field: &Field, value: &'a [u8]) -> Result<&'a str, DecodeError> {
    if let Shape::Text { bytes_max } | Shape::Secret { bytes_max } = field.shape
        && value.len() > bytes_max
    {
        return Err(DecodeError::FieldTooLong { number: field.number, bytes_max });
    }
    str::from_utf8(value).map_err(|_| DecodeError::NotUtf8(field.number))
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
            let key = Varint::new(self.key(field));
            prepend_length(self.out, start);
            insert(self.out, start, key.as_bytes());
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, field: &Field, value: &[u8]) {
        let key = self.key(field);
        wipe::reserve(self.out, 2 * VARINT_BYTES_MAX + value.len());
        match (u8::try_from(key), u8::try_from(value.len())) {
            // Both are their own varints: almost all fields there are.
            (Ok(key @ ..=0x7f), Ok(len @ ..=0x7f)) => self.out.extend_from_slice(&[key, len]),
            _ => {
                self.out.extend_from_slice(Varint::new(key).as_bytes());
                self.out.extend_from_slice(Varint::new(value.len() as u64).as_bytes());
            }
        }
        self.out.extend_from_slice(value);
    }

    fn key(&mut self, field: &Field) -> u64 {
        debug_assert!(field.number > self.last_number, "fields are written in ascending order");
        self.last_number = field.number;
        u64::from(field.number) << 1 | u64::from(field.must_understand)
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
    wipe::append(out, bytes);
    out[at..].rotate_right(bytes.len());
}

#[cfg(test)]
mod tests;
