//! What is known of an answer.

/// What is known of an answer from the bytes that have come.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Answer {
    /// More bytes are needed.
    Partial,
    /// It is over after `length` bytes; `keeps` says whether the connection stays.
    Whole { status: u16, length: usize, keeps: bool },
    /// Its end cannot be found: neither HTTP nor v1, chunked, or without Content-Length.
    Unreadable,
}
