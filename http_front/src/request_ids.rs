//! What requests are found again by: `X-Request-Id` as a trusted proxy gives it, or an id of our own.

use getrandom::fill;
use http1::{Head, RequestId};
use service::sparing;

use crate::limits::REQUEST_IDS_AT_ONCE;

/// Bytes of an id of our own: no two requests get the same, on any front, without these knowing of each other.
const ID_BYTES: usize = 16;

/// The ids of one event loop.
#[derive(Debug)]
pub struct RequestIds {
    /// Random bytes; asking the system for them costs more than all the rest that an id takes.
    stock: [[u8; ID_BYTES]; REQUEST_IDS_AT_ONCE],
    /// How many of them are left, from the start.
    left: usize,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self { stock: [[0; ID_BYTES]; REQUEST_IDS_AT_ONCE], left: 0 }
    }
}

impl RequestIds {
    /// The id of the next request. `None` if the system has no random bytes.
    pub fn draw(&mut self) -> Option<RequestId> {
        if self.left == 0 {
            if let Err(error) = fill(self.stock.as_flattened_mut()) {
                sparing!(ERROR, %error, "the system gives no random bytes, so requests get no id");
                return None;
            }
            self.left = REQUEST_IDS_AT_ONCE;
        }
        self.left -= 1;
        Some(RequestId::of_bytes(self.stock[self.left]))
    }
}

/// The id that a proxy gives to the request with this head, if it gives exactly one and that is plain text.
#[must_use]
pub fn given(head: &Head<'_>) -> Option<RequestId> {
    RequestId::given(head.field("X-Request-Id").ok()??)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let mut ids = [RequestIds::default(), RequestIds::default()];
        let mut seen = HashSet::new();
        for round in 0..3 * REQUEST_IDS_AT_ONCE {
            for ids in &mut ids {
                let id = ids.draw().expect("random bytes").to_string();
                assert!(id.len() == 32 && seen.insert(id), "{round}");
            }
        }
    }
}
