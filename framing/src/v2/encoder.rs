//! Appending whole frames to a caller's buffer.

use super::{
    fields::FieldWriter,
    frame::{self, Frame},
    message::{Answer, Refusal, ReplyMessage, RequestMessage},
};
use crate::{
    EncodeError, Status,
    kind::Kind,
    limits::{FRAME_BYTES_MAX, FRAME_BYTES_MAX_FLOOR},
    registry::{request, response},
};

/// Appends frames, none longer than what the peer accepts. A value of a few bytes without state:
/// `default()` before HELLO, [`Agreed::encoder`](crate::v2::Agreed::encoder) after it.
///
/// Each method appends one whole frame, or leaves the buffer as it was. Nothing is allocated but
/// what the buffer needs to grow, and the memory that it grows out of is wiped. Wiping the buffer
/// itself, once it is written out, is up to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    frame_bytes_max: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { frame_bytes_max: FRAME_BYTES_MAX }
    }
}

impl Encoder {
    /// # Panics
    ///
    /// When the limit is outside what negotiation can yield.
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        assert!((FRAME_BYTES_MAX_FLOOR..=FRAME_BYTES_MAX).contains(&frame_bytes_max));
        Self { frame_bytes_max }
    }

    /// Appends a request. `budget_ms` is what is left of its deadline, rounded down.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a field or the frame is over its limit; `out` is as it was.
    pub fn request<'a, M: RequestMessage<'a>>(
        self,
        out: &mut Vec<u8>,
        correlation: u64,
        budget_ms: u32,
        message: &M,
    ) -> Result<(), EncodeError> {
        self.request_of(out, correlation, budget_ms, None, message)
    }

    /// Appends a request that a user's own request gave rise to, with what that one is found again by; see
    /// [`Frame::http_request_id`].
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a field or the frame is over its limit; `out` is as it was.
    pub fn request_of<'a, M: RequestMessage<'a>>(
        self,
        out: &mut Vec<u8>,
        correlation: u64,
        budget_ms: u32,
        http_request_id: Option<&str>,
        message: &M,
    ) -> Result<(), EncodeError> {
        let message_type = M::TYPE.number();
        let head = Frame {
            kind: Kind::Request,
            message_type,
            flags: 0,
            budget_ms,
            correlation,
            body: &[],
        };
        self.frame(out, &head, |fields| {
            message.write(fields)?;
            fields.optional_text(&request::HTTP_REQUEST_ID, http_request_id)
        })
    }

    /// Appends the answer to the request with this correlation id.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a field or the frame is over its limit; `out` is as it was.
    pub fn answer<'a, R: ReplyMessage<'a>>(
        self,
        out: &mut Vec<u8>,
        correlation: u64,
        answer: &Answer<'_, R>,
    ) -> Result<(), EncodeError> {
        match answer {
            Ok(reply) => self.frame(out, &response_head(R::TYPE.number(), correlation), |fields| {
                fields.number(&response::STATUS, Status::OK.get());
                reply.write(fields)
            }),
            Err(refusal) => self.refusal(out, correlation, R::TYPE.number(), refusal),
        }
    }

    /// Appends a refusal under a message type by number, which may be one that is unknown here.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the code is over its limit; `out` is as it was.
    pub fn refusal(
        self,
        out: &mut Vec<u8>,
        correlation: u64,
        message_type: u8,
        refusal: &Refusal<'_>,
    ) -> Result<(), EncodeError> {
        let head = response_head(message_type, correlation);
        self.frame(out, &head, |fields| refusal.write(fields))
    }

    fn frame(
        self,
        out: &mut Vec<u8>,
        head: &Frame<'_>,
        write: impl FnOnce(&mut FieldWriter<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        wipe::append_or_restore(out, |out| {
            let start = out.len();
            // The length of the body is put in when the body is there.
            wipe::append(out, &frame::header(head, 0));
            let body_start = out.len();
            write(&mut FieldWriter::new(out))?;

            let bytes = out.len() - start;
            let bytes_max = self.frame_bytes_max;
            let too_long = EncodeError::FrameTooLong { bytes, bytes_max };
            let body_len = u32::try_from(out.len() - body_start).map_err(|_| too_long)?;
            if bytes > bytes_max {
                return Err(too_long);
            }
            out[start..][frame::BODY_LEN_AT].copy_from_slice(&body_len.to_be_bytes());
            Ok(())
        })
    }
}

fn response_head(message_type: u8, correlation: u64) -> Frame<'static> {
    Frame { kind: Kind::Response, message_type, flags: 0, budget_ms: 0, correlation, body: &[] }
}
