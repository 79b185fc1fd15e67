//! The errors of the crate, one type for each thing that the caller then does.
//!
//! None of them carries bytes of a message: what a peer sent may be a password.

use thiserror::Error;

use crate::kind::Kind;

/// The byte stream cannot be followed any further. The peer is at fault in every variant; close
/// the connection, because the start of the next frame is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The peer opened the connection with a byte of neither protocol.
    #[error("first byte {0:#04x} belongs to no version of the protocol")]
    FirstByte(u8),
    /// The peer sent something that is not a v2 frame.
    #[error("frame does not start with the magic bytes 'G' 'H'")]
    Magic,
    /// The peer sent a frame of a major version that HELLO did not agree on.
    #[error("major version {0} is not spoken here")]
    Version(u8),
    /// The peer sent a header shorter than the fixed one.
    #[error("header length {0} is below 24")]
    HeaderLength(u8),
    /// The peer sent neither a request nor a response.
    #[error("frame kind {0} is neither request nor response")]
    Kind(u8),
    /// The peer sent a header that announces a frame over the limit. `bytes` is a lower bound while
    /// the header is incomplete.
    #[error("frame of {bytes} bytes or more is over the limit of {bytes_max}")]
    FrameTooLong {
        /// Header and body as announced.
        bytes: usize,
        /// [`limits::FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX).
        bytes_max: usize,
    },
    /// The peer sent a v1 command other than `REG` and `AUTH`; v1 has no length that would let a
    /// reader skip it.
    #[error("v1 command is neither REG nor AUTH")]
    V1Command,
    /// The peer sent a v1 length over the limit of that field. `bytes` is a lower bound while only
    /// the first byte of the length is there.
    #[error("v1 {field} of {bytes} bytes or more is over the limit of {bytes_max}")]
    V1FieldTooLong {
        /// `username`, `password`, `name` or `message`.
        field: &'static str,
        /// The length as announced.
        bytes: usize,
        /// The field's limit.
        bytes_max: usize,
    },
    /// The peer sent a v1 status outside 100 to 599.
    #[error("v1 status {0} is not a status")]
    V1Status(u16),
}

/// One message is bad, in a frame that is well formed. The peer is at fault in every variant; its
/// request is answered with 400 and [`DecodeError::code`], and the connection goes on.
///
/// Field numbers inside a list item are those of the item's own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The peer sent a message type that this release does not know.
    #[error("message type {0} is unknown")]
    MessageTypeUnknown(u8),
    /// The peer sent a known message type where another was due.
    #[error("message type {got} where {want} was due")]
    MessageTypeUnexpected {
        /// The type that was due.
        want: u8,
        /// The type in the frame.
        got: u8,
    },
    /// The peer sent a request where a response was due, or the reverse.
    #[error("a {0:?} where the other kind was due")]
    KindUnexpected(Kind),
    /// A varint, or a value, runs past the end of what encloses it.
    #[error("field runs past the end of the message")]
    Overrun,
    /// A varint has a superfluous last byte of zero.
    #[error("varint is not in its shortest form")]
    VarintNotMinimal,
    /// A varint is longer than 10 bytes or over 64 bits.
    #[error("varint is over 64 bits")]
    VarintTooLong,
    /// A field number is 0 or over 127.
    #[error("field number {0} is outside 1 to 127")]
    FieldNumber(u64),
    /// A field number occurs twice.
    #[error("field {0} occurs twice")]
    FieldDuplicate(u8),
    /// A field is unknown here and marked must-understand.
    #[error("field {0} must be understood and is unknown here")]
    FieldNotUnderstood(u8),
    /// A required field is not there.
    #[error("field {0} is missing")]
    FieldMissing(u8),
    /// A value has a length that its type does not have.
    #[error("field {0} has the wrong length for its type")]
    FieldLength(u8),
    /// A value is over the limit of its field.
    #[error("field {number} is over the limit of {bytes_max} bytes")]
    FieldTooLong {
        /// The field's number.
        number: u8,
        /// The field's limit.
        bytes_max: usize,
    },
    /// A value is outside the range of its field.
    #[error("field {0} is out of range")]
    FieldRange(u8),
    /// A list has more items than its field may have.
    #[error("field {number} has more than {items_max} items")]
    TooManyItems {
        /// The field's number.
        number: u8,
        /// The field's limit.
        items_max: usize,
    },
    /// A text is not UTF-8.
    #[error("field {0} is not UTF-8")]
    NotUtf8(u8),
    /// A text of a v1 message is not UTF-8.
    #[error("v1 {0} is not UTF-8")]
    V1NotUtf8(&'static str),
}

impl DecodeError {
    /// The stable code for the 400 that answers the message.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MessageTypeUnknown(_) => "message_type_unknown",
            Self::MessageTypeUnexpected { .. } => "message_type_unexpected",
            Self::KindUnexpected(_) => "kind_unexpected",
            Self::FieldNotUnderstood(_) => "field_not_understood",
            Self::FieldMissing(_) => "field_missing",
            Self::NotUtf8(_) | Self::V1NotUtf8(_) => "not_utf8",
            Self::FieldTooLong { .. } => "field_too_long",
            Self::Overrun
            | Self::VarintNotMinimal
            | Self::VarintTooLong
            | Self::FieldNumber(_)
            | Self::FieldDuplicate(_)
            | Self::FieldLength(_)
            | Self::FieldRange(_)
            | Self::TooManyItems { .. } => "message_malformed",
        }
    }
}

/// The protocol cannot carry what the caller asked it to. The caller is at fault in every variant,
/// or the user whose text it passes on; the output buffer is as it was before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A text is over the limit of its field.
    #[error("{field} of {bytes} bytes is over the limit of {bytes_max}")]
    FieldTooLong {
        /// The field's name in the registry.
        field: &'static str,
        /// The length that was asked for.
        bytes: usize,
        /// The field's limit.
        bytes_max: usize,
    },
    /// A list has more items than its field may have.
    #[error("{field} of {items} items is over the limit of {items_max}")]
    TooManyItems {
        /// The field's name in the registry.
        field: &'static str,
        /// How many there were.
        items: usize,
        /// The field's limit.
        items_max: usize,
    },
    /// The whole frame is over what the peer accepts.
    #[error("frame of {bytes} bytes is over the limit of {bytes_max}")]
    FrameTooLong {
        /// Header and body.
        bytes: usize,
        /// The limit of the [`Encoder`](crate::v2::Encoder).
        bytes_max: usize,
    },
}
