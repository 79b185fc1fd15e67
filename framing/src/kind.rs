//! The kinds of frames, which errors name too.

/// Whether a frame asks or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Asks.
    Request = 1,
    /// Answers the request with the same correlation id.
    Response = 2,
}
