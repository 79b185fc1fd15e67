//! Byte buffers that a connection borrows only while it holds bytes.
//!
//! An idle connection owns no memory for input or output: a [`Buffer`] takes its storage from the
//! loop's [`Spares`] when the first byte arrives and gives it back when the last one has left.
//! Whatever leaves a buffer is overwritten, because requests carry passwords and tokens.

use zeroize::Zeroize;

use crate::limits::{BUFFER_BYTES_START, SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS};

/// Bytes on their way in or out. Invariant: `start <= bytes.len()`; what lies before `start` has
/// been consumed and wiped.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// Bytes that were appended and not yet consumed.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The storage, for appending.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        append(&mut self.bytes, bytes);
    }

    /// Drops `count` bytes from the front and wipes them.
    pub(crate) fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more consumed than there is");
        self.bytes[self.start..self.start + count].zeroize();
        self.start += count;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Moves what is left to the front, so that appending does not grow the storage for bytes that
    /// are long gone. Worth it only once the gap is at least as large as what has to move.
    pub(crate) fn compact(&mut self) {
        if self.start > 0 && self.start >= self.len() {
            let (left, old_len) = (self.len(), self.bytes.len());
            self.bytes.copy_within(self.start.., 0);
            self.bytes[left..old_len].zeroize();
            self.bytes.truncate(left);
            self.start = 0;
        }
    }

    /// Gives the buffer storage before something is appended.
    pub(crate) fn lend_from(&mut self, spares: &mut Spares) {
        if self.bytes.capacity() == 0 {
            self.bytes = spares.take();
        }
    }

    /// Hands the storage back when nothing is left in it.
    pub(crate) fn return_if_empty(&mut self, spares: &mut Spares) {
        if self.is_empty() && self.bytes.capacity() > 0 {
            self.start = 0;
            spares.put(std::mem::take(&mut self.bytes));
        }
    }

    /// Wipes what is left and hands the storage back.
    pub(crate) fn discard(&mut self, spares: &mut Spares) {
        self.consume(self.len());
        self.return_if_empty(spares);
    }
}

/// Appends `bytes`. When the storage has to grow, the memory it grows out of is wiped, which
/// `Vec::extend_from_slice` would not do. For whatever writes secrets to [`Io::output`](crate::Io).
#[inline]
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    reserve(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Makes room for `additional` bytes, wiping the memory that the storage grows out of. The capacity
/// doubles at least, as that of a `Vec` does, so that appending stays linear in all.
#[inline]
pub fn reserve(out: &mut Vec<u8>, additional: usize) {
    if out.capacity() - out.len() < additional {
        grow(out, additional);
    }
}

#[cold]
fn grow(out: &mut Vec<u8>, additional: usize) {
    let capacity = (out.len() + additional).max(out.capacity() * 2);
    let mut grown = Vec::with_capacity(capacity);
    grown.extend_from_slice(out);
    out.zeroize();
    *out = grown;
}

/// A loop's free list of buffer storage.
#[derive(Default)]
pub(crate) struct Spares {
    free: Vec<Vec<u8>>,
}

impl Spares {
    fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES_START))
    }

    fn put(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        if self.free.len() < SPARE_BUFFERS && bytes.capacity() <= SPARE_BUFFER_BYTES_MAX {
            self.free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumed_bytes_are_wiped_and_the_rest_stays() {
        let mut buffer = Buffer::default();
        buffer.append(b"secret|rest");
        buffer.consume(7);
        assert_eq!(buffer.as_slice(), b"rest");
        assert_eq!(&buffer.bytes[..7], [0; 7]);
    }

    #[test]
    fn storage_grows_with_what_is_in_it() {
        let mut out = Vec::with_capacity(2);
        let mut grown = 0;
        for byte in 0..100 {
            let before = out.capacity();
            append(&mut out, &[byte]);
            grown += usize::from(out.capacity() != before);
        }
        assert!(out.iter().copied().eq(0..100));
        assert!(grown <= 6, "it doubles");
        reserve(&mut out, 1000);
        assert!(out.capacity() >= 1100 && out.len() == 100);
    }

    #[test]
    fn compaction_moves_the_rest_to_the_front() {
        let mut buffer = Buffer::default();
        buffer.append(b"0123456789");
        buffer.consume(7);
        buffer.compact();
        assert_eq!(buffer.as_slice(), b"789");
        assert_eq!(buffer.bytes.len(), 3);
        buffer.append(b"ab");
        assert_eq!(buffer.as_slice(), b"789ab");
    }

    #[test]
    fn storage_goes_back_to_the_free_list_and_is_used_again() {
        let mut spares = Spares::default();
        let mut first = Buffer::default();
        first.lend_from(&mut spares);
        first.append(b"bytes");
        let storage = first.bytes.as_ptr();
        first.return_if_empty(&mut spares);
        assert_eq!(spares.free.len(), 0, "a buffer with bytes in it keeps its storage");
        first.discard(&mut spares);
        assert_eq!(spares.free.len(), 1);

        let mut second = Buffer::default();
        second.lend_from(&mut spares);
        assert_eq!(second.bytes.as_ptr(), storage);
        assert!(second.is_empty());
    }

    #[test]
    fn storage_that_grew_large_is_freed() {
        let mut spares = Spares::default();
        let mut buffer = Buffer::default();
        buffer.append(&vec![1; SPARE_BUFFER_BYTES_MAX + 1]);
        buffer.discard(&mut spares);
        assert!(spares.free.is_empty());
    }

    #[test]
    #[should_panic(expected = "more consumed than there is")]
    fn consuming_more_than_there_is_is_a_bug() {
        Buffer::default().consume(1);
    }
}
