//! The answer: `u16 status, u16 message_len, message`.

use std::fmt;

use super::cursor::{Stop, append_prefixed, split};
use crate::{DecodeError, EncodeError, FrameError, Secret, Status, limits::V1_MESSAGE_BYTES_MAX};

/// An answer cut off the stream, its message not checked yet.
///
/// `Debug` prints the length of the message only: for an `AUTH` that succeeded it is the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// The outcome.
    pub status: Status,
    message: &'a [u8],
}

impl<'a> Response<'a> {
    /// The token when the request was `AUTH` and the status is 200, else a text for people.
    ///
    /// # Errors
    ///
    /// [`DecodeError::V1NotUtf8`]: the peer is at fault.
    pub fn message(&self) -> Result<Secret<'a>, DecodeError> {
        let text = str::from_utf8(self.message);
        text.map(Secret::new).map_err(|_| DecodeError::V1NotUtf8("message"))
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("message_bytes", &self.message.len())
            .finish()
    }
}

/// Cuts the first answer off `input`: the answer and how many bytes it took, or `None` when more
/// bytes are needed. What was consumed is never more than `input.len()`.
///
/// # Errors
///
/// [`FrameError`] for a status or a length out of range. The stream is lost then.
pub fn split_response(input: &[u8]) -> Result<Option<(Response<'_>, usize)>, FrameError> {
    split(input, |cursor| {
        let status = cursor.u16()?;
        let status = Status::new(status).ok_or(Stop::Bad(FrameError::V1Status(status)))?;
        let message = cursor.prefixed("message", V1_MESSAGE_BYTES_MAX)?;
        Ok(Response { status, message })
    })
}

/// Appends an answer. `message` is the token when an `AUTH` succeeded, else a text for people. What
/// `out` grows out of is wiped.
///
/// # Errors
///
/// [`EncodeError::FieldTooLong`]; `out` is as it was.
pub fn encode_response(
    out: &mut Vec<u8>,
    status: Status,
    message: Secret<'_>,
) -> Result<(), EncodeError> {
    wipe::append_or_restore(out, |out| {
        wipe::append(out, &status.get().to_be_bytes());
        append_prefixed(out, "message", message.expose(), V1_MESSAGE_BYTES_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], expected: Result<Option<usize>, FrameError>) {
        let got = split_response(input).map(|split| split.map(|(_, consumed)| consumed));
        assert_eq!(got, expected);
    }

    #[test]
    fn known_answers() {
        check(b"", Ok(None));
        check(b"\x00\xc8\x00\x02o", Ok(None));
        check(b"\x00\xc8\x00\x02ok", Ok(Some(6)));
        check(b"\x00\xc8\x00\x00\x00", Ok(Some(4)));
        check(b"\x00\x63", Err(FrameError::V1Status(99)));
        check(b"\x02\x58", Err(FrameError::V1Status(600)));
        let too_long = FrameError::V1FieldTooLong {
            field: "message",
            bytes: 0x500,
            bytes_max: V1_MESSAGE_BYTES_MAX,
        };
        check(b"\x00\xc8\x05", Err(too_long));
    }

    #[test]
    fn debug_hides_the_token() {
        let (response, _) =
            split_response(b"\x00\xc8\x00\x03tok").expect("well framed").expect("complete");
        assert_eq!(format!("{response:?}"), "Response { status: Status(200), message_bytes: 3 }");
    }

    #[test]
    fn a_message_over_its_limit_is_not_encoded() {
        let long = "m".repeat(V1_MESSAGE_BYTES_MAX + 1);
        let mut out = b"before".to_vec();
        let result = encode_response(&mut out, Status::OK, Secret::new(&long));
        assert!(matches!(result, Err(EncodeError::FieldTooLong { field: "message", .. })));
        assert_eq!(out, b"before");
    }
}
