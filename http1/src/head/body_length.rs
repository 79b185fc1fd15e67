//! Where a body ends.

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyLength {
    /// So many bytes; 0 also when the head says nothing (RFC 9112 section 6.3, item 7).
    Exact(u64),
    /// The chunked coding tells.
    Chunked,
}
