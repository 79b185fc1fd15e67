//! The memory of one loop's buffers: a free list, and an account of all that there is.
//!
//! Each loop has an equal part of its reactor's budget ([`Limits::buffer_bytes_max`](crate::Limits)), so loops share
//! nothing here. The account counts capacity, whether a connection or the free list has it at the moment. An ordinary request
//! only takes a buffer from the free list and returns it, which changes nothing in the account.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{
    BUFFER_BYTES_START, RELIEF_SHARE, SPARE_BUFFER_BYTES_MAX, SPARE_BYTES_MAX, TIGHT_SHARE,
};

/// A loop's buffer storage. Invariant: `allocated` is `free_bytes`, and the capacity of all buffers of the loop's
/// connections, and what their protocols hold beside them.
pub(crate) struct Storage {
    free: Vec<Vec<u8>>,
    free_bytes: usize,
    /// The shortest that the free list has been since it was last tidied: so many of its buffers were not needed.
    free_min: usize,
    allocated: usize,
    allocated_max: usize,
    /// The part of the reactor's counter that is this loop's.
    published: usize,
}

impl Storage {
    /// An empty free list, with a budget of `allocated_max` bytes.
    pub(crate) fn new(allocated_max: usize) -> Self {
        Self {
            free: Vec::new(),
            free_bytes: 0,
            free_min: 0,
            allocated: 0,
            allocated_max,
            published: 0,
        }
    }

    /// Memory for a buffer, [`BUFFER_BYTES_START`] or more.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        match self.free.pop() {
            Some(bytes) => {
                self.free_bytes -= bytes.capacity();
                self.free_min = self.free_min.min(self.free.len());
                bytes
            }
            None => {
                let bytes = Vec::with_capacity(BUFFER_BYTES_START);
                self.allocated += bytes.capacity();
                bytes
            }
        }
    }

    /// Takes memory back: keeps it for the next buffer, or frees it.
    pub(crate) fn put(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        let capacity = bytes.capacity();
        if capacity <= SPARE_BUFFER_BYTES_MAX && self.free_bytes + capacity <= SPARE_BYTES_MAX {
            self.free_bytes += capacity;
            self.free.push(bytes);
        } else {
            self.allocated -= capacity;
        }
    }

    /// The memory that a connection holds has changed from `before` bytes to `after`.
    #[inline]
    pub(crate) fn resized(&mut self, before: usize, after: usize) {
        if before != after {
            self.allocated = self.allocated - before + after;
        }
    }

    /// All memory in the account, in bytes.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.allocated
    }

    /// The part of it in the free list, in bytes.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.free_bytes
    }

    /// Whether the budget is exceeded.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.allocated > self.allocated_max
    }

    /// Whether so much of the budget is used that the loop must know which connections stand still.
    pub(crate) fn is_tight(&self) -> bool {
        self.allocated > self.allocated_max / TIGHT_SHARE
    }

    /// Whether enough is free again after [`is_over`](Self::is_over).
    pub(crate) fn is_relieved(&self) -> bool {
        self.allocated <= self.allocated_max - self.allocated_max / RELIEF_SHARE
    }

    /// Whether [`tidy`](Self::tidy) has anything to free, now or at its next call.
    pub(crate) fn has_spares(&self) -> bool {
        !self.free.is_empty()
    }

    /// Frees the buffers that were not needed since the last call: those at the bottom of the list, which were used longest
    /// ago.
    pub(crate) fn tidy(&mut self) {
        self.free_spares(self.free_min);
        self.free_min = self.free.len();
    }

    /// Frees the whole free list.
    pub(crate) fn free_all_spares(&mut self) {
        self.free_spares(self.free.len());
        self.free_min = 0;
    }

    fn free_spares(&mut self, count: usize) {
        let freed: usize = self.free.drain(..count).map(|bytes| bytes.capacity()).sum();
        self.free_bytes -= freed;
        self.allocated -= freed;
        if self.free.is_empty() {
            self.free = Vec::new();
        }
    }

    /// Updates this loop's part of the reactor's counter.
    pub(crate) fn publish(&mut self, counter: &AtomicU64) {
        if self.allocated != self.published {
            let change = (self.allocated as u64).wrapping_sub(self.published as u64);
            // A decrease wraps around, and so does the sum.
            counter.fetch_add(change, Ordering::Relaxed);
            self.published = self.allocated;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_buffer_changes_nothing_in_the_account() {
        let mut storage = Storage::new(usize::MAX);
        let bytes = storage.take();
        let address = bytes.as_ptr();
        storage.put(bytes);
        for _ in 0..3 {
            let bytes = storage.take();
            assert_eq!(bytes.as_ptr(), address);
            assert_eq!((storage.allocated(), storage.free_bytes()), (BUFFER_BYTES_START, 0));
            storage.put(bytes);
        }
        assert_eq!(storage.free_bytes(), storage.allocated());
    }

    #[test]
    fn the_free_list_is_bounded_by_bytes() {
        let mut storage = Storage::new(usize::MAX);
        let many = SPARE_BYTES_MAX / BUFFER_BYTES_START + 100;
        let all: Vec<_> = (0..many).map(|_| storage.take()).collect();
        assert_eq!(storage.allocated(), many * BUFFER_BYTES_START);
        all.into_iter().for_each(|bytes| storage.put(bytes));
        assert_eq!((storage.allocated(), storage.free_bytes()), (SPARE_BYTES_MAX, SPARE_BYTES_MAX));
    }

    #[test]
    fn a_buffer_that_grew_large_is_freed() {
        let mut storage = Storage::new(usize::MAX);
        let mut bytes = storage.take();
        let before = bytes.capacity();
        bytes.reserve_exact(SPARE_BUFFER_BYTES_MAX + 1);
        storage.resized(before, bytes.capacity());
        storage.put(bytes);
        assert_eq!(storage.allocated(), 0);
    }

    #[test]
    fn buffers_that_were_not_needed_are_freed_and_the_others_stay() {
        let mut storage = Storage::new(usize::MAX);
        let check = |storage: &mut Storage, spares: usize| {
            storage.tidy();
            assert_eq!(storage.free_bytes(), spares * BUFFER_BYTES_START);
        };
        let all: Vec<_> = (0..10).map(|_| storage.take()).collect();
        all.into_iter().for_each(|bytes| storage.put(bytes));
        check(&mut storage, 10);
        // Three are needed at a time.
        let needed: Vec<_> = (0..3).map(|_| storage.take()).collect();
        needed.into_iter().for_each(|bytes| storage.put(bytes));
        check(&mut storage, 3);
        check(&mut storage, 0);
        assert!(!storage.has_spares());
        assert_eq!(storage.allocated(), 0);
    }

    #[test]
    fn marks_of_the_account() {
        let mut storage = Storage::new(8 * BUFFER_BYTES_START);
        let mut held = Vec::new();
        let mut check = |buffers: usize, expected: [bool; 3]| {
            while held.len() < buffers {
                held.push(storage.take());
            }
            let found = [storage.is_tight(), storage.is_relieved(), storage.is_over()];
            assert_eq!(found, expected, "{buffers} of 8");
        };
        check(4, [false, true, false]);
        check(5, [true, true, false]);
        check(7, [true, true, false]);
        check(8, [true, false, false]);
        check(9, [true, false, true]);
    }

    #[test]
    fn loops_add_up_in_the_counter() {
        let counter = AtomicU64::new(0);
        let (mut one, mut other) = (Storage::new(usize::MAX), Storage::new(usize::MAX));
        let (first, _second) = (one.take(), other.take());
        one.publish(&counter);
        other.publish(&counter);
        assert_eq!(counter.load(Ordering::Relaxed), 2 * BUFFER_BYTES_START as u64);
        one.put(first);
        one.free_all_spares();
        one.publish(&counter);
        assert_eq!(counter.load(Ordering::Relaxed), BUFFER_BYTES_START as u64);
    }
}
