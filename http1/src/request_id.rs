//! What a request is found again by: in its answer, and in the logs of all who had a part in it.

use std::fmt;

use wipe::append;

use crate::limits::REQUEST_ID_BYTES_MAX;

/// The field that carries it, in requests and in answers. No standard has it; proxies and their logs do.
pub(crate) const FIELD: &str = "X-Request-Id";

/// A name for a request: text that can stand in a field, in JSON and in a line of a log as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(Kind);

/// 32 hexadecimal digits are kept as the bytes that they are: then the ids that nginx and we make need no
/// memory of their own.
#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Bytes([u8; 16]),
    Text(Box<str>),
}

impl RequestId {
    /// The id of these bytes: 32 hexadecimal digits.
    #[must_use]
    pub const fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(Kind::Bytes(bytes))
    }

    /// The id that a peer has given: 1 to [`REQUEST_ID_BYTES_MAX`] letters, digits and `- . _ ~ + / = :` of ASCII,
    /// which is what UUIDs, numbers and base64 are made of. `None` for all others.
    #[must_use]
    pub fn given(text: &[u8]) -> Option<Self> {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(byte);
        if text.is_empty() || text.len() > REQUEST_ID_BYTES_MAX || !text.iter().all(is_plain) {
            return None;
        }
        if let Some(bytes) = from_hex(text) {
            return Some(Self(Kind::Bytes(bytes)));
        }
        let text = std::str::from_utf8(text).ok()?;
        Some(Self(Kind::Text(text.into())))
    }

    /// As text, without taking memory: digits are written into `digits`.
    #[expect(clippy::missing_panics_doc, reason = "digits are UTF-8")]
    pub fn as_text<'t>(&'t self, digits: &'t mut [u8; 32]) -> &'t str {
        match &self.0 {
            Kind::Bytes(bytes) => {
                *digits = hex(bytes);
                std::str::from_utf8(digits).expect("digits are ASCII")
            }
            Kind::Text(text) => text,
        }
    }

    /// Appends it as text.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Kind::Bytes(bytes) => append(out, &hex(bytes)),
            Kind::Text(text) => append(out, text.as_bytes()),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_text(&mut [0; 32]))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex(bytes: &[u8; 16]) -> [u8; 32] {
    // Without a table and without a branch, all digits are made at once.
    let digit = |half: u8| half + b'0' + u8::from(half > 9) * (b'a' - b'9' - 1);
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = digit(byte >> 4);
        pair[1] = digit(byte & 0xf);
    }
    text
}

/// The bytes that [`hex`] makes this text of, if it is of that form.
fn from_hex(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; 32] = text.try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let id = RequestId::given(text.as_bytes()).expect("it is an id");
        let mut out = Vec::new();
        id.append_to(&mut out);
        assert_eq!((id.to_string().as_str(), out.as_slice()), (text, text.as_bytes()));
        assert_eq!(id.as_text(&mut [0; 32]), text);
    }

    #[test]
    fn ids_are_given_back_as_they_came() {
        check("0123456789abcdef0123456789abcdef");
        check("0123456789ABCDEF0123456789abcdef");
        check("00000000000000000000000000000000");
        check("0123456789abcdef0123456789abcde");
        check("0123456789abcdef0123456789abcdefa");
        check("4f1c2d3e-0a9b-4c8d-8e7f-123456789abc");
        check("Root=1-67891233-abcdef012345678912345678");
        check("qZs7+/M=");
        check("x");
        check(&"x".repeat(REQUEST_ID_BYTES_MAX));
    }

    #[test]
    fn what_could_not_stand_in_a_log_as_it_is_is_no_id() {
        let too_long = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
        for bad in ["", " ", "a b", "a,b", "a\"b", "a\\b", "a\nb", "<b>", "\u{e4}", &too_long] {
            assert_eq!(RequestId::given(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(RequestId::given(b"a\xff"), None);
    }

    #[test]
    fn bytes_are_written_in_hexadecimal() {
        let id = RequestId::of_bytes([0, 1, 0xab, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff]);
        assert_eq!(id.to_string(), "0001ab030405060708090a0b0c0d0eff");
        check(&id.to_string());
    }
}
