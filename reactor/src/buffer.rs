//! Byte buffers that a connection borrows only while it holds bytes.
//!
//! An idle connection owns no memory for input or output: a [`Buffer`] takes it from the
//! loop's [`Storage`] when the first byte arrives and gives it back when the last one has left.
//! Whatever leaves a buffer is overwritten, because requests carry passwords and tokens.

use zeroize::Zeroize;

use crate::storage::Storage;

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

    /// Appends to what is there. It has been given memory before.
    pub(crate) fn append(&mut self, bytes: &[u8], storage: &mut Storage) {
        let before = self.bytes.capacity();
        wipe::append(&mut self.bytes, bytes);
        storage.resized(before, self.bytes.capacity());
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

    /// The memory that it has, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives the buffer memory before something is appended.
    pub(crate) fn lend_from(&mut self, storage: &mut Storage) {
        if self.bytes.capacity() == 0 {
            self.bytes = storage.take();
        }
    }

    /// Hands the memory back when nothing is left in it.
    pub(crate) fn return_if_empty(&mut self, storage: &mut Storage) {
        if self.is_empty() && self.bytes.capacity() > 0 {
            self.start = 0;
            storage.put(std::mem::take(&mut self.bytes));
        }
    }

    /// Wipes what is left and hands the memory back.
    pub(crate) fn discard(&mut self, storage: &mut Storage) {
        self.consume(self.len());
        self.return_if_empty(storage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BUFFER_BYTES_START;

    fn storage() -> Storage {
        Storage::new(usize::MAX)
    }

    #[test]
    fn consumed_bytes_are_wiped_and_the_rest_stays() {
        let mut buffer = Buffer::default();
        buffer.append(b"secret|rest", &mut storage());
        buffer.consume(7);
        assert_eq!(buffer.as_slice(), b"rest");
        assert_eq!(&buffer.bytes[..7], [0; 7]);
    }

    #[test]
    fn compaction_moves_the_rest_to_the_front() {
        let (mut buffer, mut storage) = (Buffer::default(), storage());
        buffer.append(b"0123456789", &mut storage);
        buffer.consume(7);
        buffer.compact();
        assert_eq!(buffer.as_slice(), b"789");
        assert_eq!(buffer.bytes.len(), 3);
        buffer.append(b"ab", &mut storage);
        assert_eq!(buffer.as_slice(), b"789ab");
    }

    #[test]
    fn memory_goes_back_when_the_last_byte_has_left() {
        let mut storage = storage();
        let mut buffer = Buffer::default();
        buffer.lend_from(&mut storage);
        buffer.append(b"bytes", &mut storage);
        buffer.return_if_empty(&mut storage);
        assert_eq!(storage.free_bytes(), 0, "a buffer with bytes in it keeps its memory");
        buffer.discard(&mut storage);
        assert!(buffer.is_empty() && buffer.capacity() == 0);
        assert_eq!(storage.free_bytes(), storage.allocated());
    }

    #[test]
    fn memory_is_accounted_for_as_it_grows() {
        let mut storage = storage();
        let mut buffer = Buffer::default();
        buffer.lend_from(&mut storage);
        for _ in 0..5 {
            buffer.append(&[1; BUFFER_BYTES_START], &mut storage);
            assert_eq!(storage.allocated(), buffer.capacity());
        }
        buffer.discard(&mut storage);
        storage.free_all_spares();
        assert_eq!(storage.allocated(), 0);
    }

    #[test]
    #[should_panic(expected = "more consumed than there is")]
    fn consuming_more_than_there_is_is_a_bug() {
        Buffer::default().consume(1);
    }
}
