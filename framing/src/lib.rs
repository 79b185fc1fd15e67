//! The wire protocol between `http_front` and `auth_back`: bytes in, messages out.
//!
//! The crate is sans-IO. It holds no socket, clock or thread (its `clippy.toml` bans them), so an
//! event loop, a blocking client and a fuzzer all drive the same code. `PROTOCOL.md` beside this
//! crate is the contract; [`registry`] is the one table of messages and fields.
//!
//! | to do this | use |
//! |---|---|
//! | tell v1 from v2 on a fresh connection | [`sniff`] |
//! | cut frames out of a buffer that you own | [`v2::split_frame`], [`v1::split_request`] |
//! | receive frames on a blocking socket | [`v2::Inbox`] |
//! | understand a frame | [`v2::Request::decode`], [`v2::Frame::answer`] |
//! | append a frame to a buffer | [`v2::Encoder`], [`v1::encode_response`] |
//! | agree on version, features and limits | [`v2::negotiate`] |
//!
//! Decoding borrows from the input and never allocates. Encoding appends to a `Vec` of the caller
//! and allocates only when that has to grow; what it grows out of is wiped, because frames carry
//! passwords and tokens.
//!
//! # Errors
//!
//! [`FrameError`] means that the byte stream is lost: close the connection. [`DecodeError`] means
//! that one well-framed message is bad: answer it with 400 and go on. [`EncodeError`] means that
//! the caller asked for something the protocol cannot carry; its buffer is as it was before.

mod error;
mod kind;
pub mod limits;
pub mod registry;
mod status;
pub mod v1;
pub mod v2;
mod varint;

pub use error::{DecodeError, EncodeError, FrameError};
pub use status::Status;
pub use wipe::Secret;

/// A major version of the protocol, as the first byte of a connection tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Positional requests, [`v1`].
    V1,
    /// Framed, tagged messages, [`v2`]. [`v2::negotiate`] settles everything finer.
    V2,
}

/// Tells from the first byte of a connection which protocol the peer speaks.
///
/// A v1 request starts with the length of its command, 3 (`REG`) or 4 (`AUTH`); a v2 frame starts
/// with the magic byte `G` (0x47). A connection never changes protocol afterwards.
///
/// # Errors
///
/// [`FrameError::FirstByte`] for any other byte: the peer speaks neither.
///
/// # Examples
///
/// ```
/// use framing::{Version, sniff};
/// assert_eq!(sniff(b'G'), Ok(Version::V2));
/// assert_eq!(sniff(4), Ok(Version::V1));
/// assert!(sniff(b'P').is_err(), "an HTTP client that has the wrong port");
/// ```
pub fn sniff(first_byte: u8) -> Result<Version, FrameError> {
    match first_byte {
        3 | 4 => Ok(Version::V1),
        first if first == v2::MAGIC[0] => Ok(Version::V2),
        other => Err(FrameError::FirstByte(other)),
    }
}
