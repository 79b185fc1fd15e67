//! The key of a request that must not be done twice.

use std::fmt;

use crate::limits::REQUEST_ID_BYTES;

/// An idempotency key: the same request, sent again, carries the same one.
///
/// The requester draws it at random, so that it is unique without coordination.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; REQUEST_ID_BYTES]);

impl RequestId {
    /// A key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; REQUEST_ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; REQUEST_ID_BYTES] {
        self.0
    }
}

/// Lower-case hexadecimal.
impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
