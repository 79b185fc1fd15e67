//! The frozen header, and cutting frames out of a byte stream.
//!
//! ```text
//!  0  magic 'G' 'H'           4  kind            8  body length, u32
//!  2  major version           5  message type   12  remaining budget in ms, u32
//!  3  header length           6  flags, u16     16  correlation id, u64
//! ```
//!
//! Big-endian. A longer header is skipped past what is known here.

use std::{fmt, ops::Range};

use crate::{
    FrameError,
    kind::Kind,
    limits::{FRAME_BYTES_MAX, HEADER_BYTES_MIN},
};

/// The first two bytes of every frame. The first differs from the lengths of v1's commands.
pub const MAGIC: [u8; 2] = *b"GH";

/// The major version that this release writes and reads.
pub const MAJOR_VERSION: u8 = 2;

/// One frame, borrowed from the buffer that it was received in.
///
/// `Debug` leaves the body out: it may hold a password or a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Whether it asks or answers.
    pub kind: Kind,
    /// Byte 5; may be of a type unknown here, see
    /// [`MessageType::new`](crate::v2::MessageType::new).
    pub message_type: u8,
    /// Bits unknown here are ignored; this release knows none.
    pub flags: u16,
    /// What is left of the request's deadline when it was sent, in milliseconds; 0 means that it has
    /// passed. In a response 0 is written, and nothing is read into it.
    pub budget_ms: u32,
    /// Chosen by the requester, repeated in the response.
    pub correlation: u64,
    /// The tagged fields, not looked at yet.
    pub body: &'a [u8],
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("kind", &self.kind)
            .field("message_type", &self.message_type)
            .field("flags", &self.flags)
            .field("budget_ms", &self.budget_ms)
            .field("correlation", &self.correlation)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Cuts the first frame off `input`: the frame and how many bytes it took, or `None` when more
/// bytes are needed. What was consumed is never more than `input.len()`.
///
/// Only the header is judged here; a body that is nonsense makes a frame all the same, because its
/// sender can still be answered.
///
/// # Errors
///
/// [`FrameError`] as soon as the byte that shows it is there, so a peer cannot make the caller wait
/// for, or buffer, a frame that will be refused. The stream is lost then.
///
/// # Examples
///
/// ```
/// use framing::v2::{Encoder, Health, split_frame};
///
/// let mut wire = Vec::new();
/// Encoder::default().request(&mut wire, 7, 1000, &Health)?;
///
/// assert_eq!(split_frame(&wire[..10]), Ok(None));
/// let (frame, consumed) = split_frame(&wire)?.ok_or("incomplete")?;
/// assert_eq!((frame.correlation, consumed), (7, wire.len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[inline]
pub fn split_frame(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    // With a whole header at hand, what follows folds into a few comparisons.
    match input.first_chunk() {
        Some(head) => split(input, head, HEADER_BYTES_MIN),
        None => split_early(input),
    }
}

/// As [`split_frame`], when only the first bytes of a header are there.
#[cold]
fn split_early(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    // Bytes that are still to come read as zero, so every number is a lower bound.
    let mut head = [0; HEADER_BYTES_MIN];
    head[..input.len()].copy_from_slice(input);
    split(input, &head, input.len())
}

/// Judges the header `head`, of which `present` bytes have arrived.
#[inline]
fn split<'a>(
    input: &'a [u8],
    head: &[u8; HEADER_BYTES_MIN],
    present: usize,
) -> Result<Option<(Frame<'a>, usize)>, FrameError> {
    let [m0, m1, version, header_len, kind, message_type, f0, f1, ..] = *head;

    if !MAGIC.starts_with(&[m0, m1][..present.min(MAGIC.len())]) {
        return Err(FrameError::Magic);
    }
    if present > 2 && version != MAJOR_VERSION {
        return Err(FrameError::Version(version));
    }
    if present > 3 && usize::from(header_len) < HEADER_BYTES_MIN {
        return Err(FrameError::HeaderLength(header_len));
    }
    let kind = match kind {
        1 => Kind::Request,
        2 => Kind::Response,
        _ if present <= 4 => return Ok(None),
        other => return Err(FrameError::Kind(other)),
    };
    let header_len = usize::from(header_len);
    // A usize has 32 bits or more on every platform that has sockets.
    let bytes = header_len.saturating_add(be_u32(head, 8) as usize);
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::FrameTooLong { bytes, bytes_max: FRAME_BYTES_MAX });
    }
    let Some(body) = input.get(header_len..bytes) else { return Ok(None) };
    let frame = Frame {
        kind,
        message_type,
        flags: u16::from_be_bytes([f0, f1]),
        budget_ms: be_u32(head, 12),
        correlation: u64::from(be_u32(head, 16)) << 32 | u64::from(be_u32(head, 20)),
        body,
    };
    Ok(Some((frame, bytes)))
}

/// Where the length of the body stands in the header.
pub(super) const BODY_LEN_AT: Range<usize> = 8..12;

/// The header that this release writes, for a body of `body_len` bytes.
#[inline]
pub(super) fn header(frame: &Frame<'_>, body_len: u32) -> [u8; HEADER_BYTES_MIN] {
    const HEADER_LEN: u8 = 24;
    const _: () = assert!(HEADER_LEN as usize == HEADER_BYTES_MIN);
    let mut head = [0; HEADER_BYTES_MIN];
    head[..2].copy_from_slice(&MAGIC);
    head[2] = MAJOR_VERSION;
    head[3] = HEADER_LEN;
    head[4] = frame.kind as u8;
    head[5] = frame.message_type;
    head[6..8].copy_from_slice(&frame.flags.to_be_bytes());
    head[BODY_LEN_AT].copy_from_slice(&body_len.to_be_bytes());
    head[12..16].copy_from_slice(&frame.budget_ms.to_be_bytes());
    head[16..24].copy_from_slice(&frame.correlation.to_be_bytes());
    head
}

fn be_u32(head: &[u8; HEADER_BYTES_MIN], at: usize) -> u32 {
    u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], expected: Result<Option<usize>, FrameError>) {
        assert_eq!(split_frame(input).map(|split| split.map(|(_, consumed)| consumed)), expected);
    }

    #[test]
    fn errors_show_at_the_byte_that_makes_them() {
        check(b"", Ok(None));
        check(b"G", Ok(None));
        check(b"g", Err(FrameError::Magic));
        check(b"GET / HTTP/1.1", Err(FrameError::Magic));
        check(b"GH", Ok(None));
        check(b"GH\x02", Ok(None));
        check(b"GH\x03", Err(FrameError::Version(3)));
        check(b"GH\x02\x18", Ok(None));
        check(b"GH\x02\x17", Err(FrameError::HeaderLength(23)));
        check(b"GH\x02\x18\x01", Ok(None));
        check(b"GH\x02\x18\x00", Err(FrameError::Kind(0)));
        check(b"GH\x02\x18\x03", Err(FrameError::Kind(3)));
    }

    #[test]
    fn a_long_frame_is_refused_before_its_length_is_complete() {
        let too_long = |bytes| Err(FrameError::FrameTooLong { bytes, bytes_max: FRAME_BYTES_MAX });
        check(b"GH\x02\x18\x01\x01\0\0\x00", Ok(None));
        check(b"GH\x02\x18\x01\x01\0\0\x01", too_long(24 + (1 << 24)));
        check(b"GH\x02\x18\x01\x01\0\0\x00\x01", too_long(24 + (1 << 16)));
        check(b"GH\x02\x18\x01\x01\0\0\x00\x00\xff\xe8", Ok(None));
        check(b"GH\x02\x18\x01\x01\0\0\x00\x00\xff\xe9", too_long(FRAME_BYTES_MAX + 1));
        // A longer header leaves less for the body.
        check(b"GH\x02\x19\x01\x01\0\0\x00\x00\xff\xe8", too_long(FRAME_BYTES_MAX + 1));
    }

    #[test]
    fn a_longer_header_is_skipped() {
        let mut wire = b"GH\x02\x1a\x02\x09\x80\x01\0\0\0\x03".to_vec();
        wire.extend(b"\0\0\0\x05\x01\x02\x03\x04\x05\x06\x07\x08");
        wire.extend(b"??abcGH");
        check(&wire[..28], Ok(None));
        let frame = Frame {
            kind: Kind::Response,
            message_type: 9,
            flags: 0x8001,
            budget_ms: 5,
            correlation: 0x0102_0304_0506_0708,
            body: b"abc",
        };
        assert_eq!(split_frame(&wire), Ok(Some((frame, 29))));
    }

    #[test]
    fn debug_hides_the_body() {
        let frame = Frame {
            kind: Kind::Request,
            message_type: 3,
            flags: 0,
            budget_ms: 1,
            correlation: 2,
            body: b"hunter2",
        };
        let text = format!("{frame:?}");
        assert!(text.contains("body_bytes: 7") && !text.contains("hunter2"), "{text}");
    }
}
