//! Where the content of a chunked body is put together.

use std::ops::Deref;

use wipe::append;
use zeroize::Zeroizing;

/// Bytes that are wiped wherever they have been: also when the storage grows, which `Vec` alone
/// would do by freeing a copy that still holds them.
#[derive(Default)]
pub(super) struct Content {
    bytes: Zeroizing<Vec<u8>>,
}

impl Content {
    pub(super) fn push(&mut self, piece: &[u8]) {
        append(&mut self.bytes, piece);
    }

    /// The memory that it has.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_while_the_storage_grows() {
        let mut content = Content::default();
        let mut expected = Vec::new();
        for length in [0, 1, 7, 100, 1, 3000] {
            let piece = vec![b'a' + u8::try_from(length % 26).unwrap(); length];
            content.push(&piece);
            expected.extend_from_slice(&piece);
            assert_eq!(&*content, expected);
        }
    }
}
