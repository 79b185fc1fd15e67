//! Whose sessions are, as far as this server has seen: what lets one command ask for a session and for
//! the epoch of its user.
//!
//! A session never changes hands, so what is noted here does not age. Digests share places, and the last
//! one noted has it; so what is found is a guess, to be held against the session itself.

use std::sync::atomic::{AtomicU64, Ordering};

use super::limits::OWNERS;

/// Ids of users, each at a place that the digest of a session says.
pub(super) struct Owners(Box<[AtomicU64]>);

impl Owners {
    pub(super) fn new() -> Self {
        Self((0..OWNERS).map(|_| AtomicU64::new(0)).collect())
    }

    /// The id of the user, perhaps.
    pub(super) fn guess(&self, digest: &[u8; 32]) -> u64 {
        self.place(digest).load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, digest: &[u8; 32], user_id: u64) {
        self.place(digest).store(user_id, Ordering::Relaxed);
    }

    fn place(&self, digest: &[u8; 32]) -> &AtomicU64 {
        // The bytes of a SHA-256 digest are as good as random.
        &self.0[usize::from(u16::from_be_bytes([digest[0], digest[1]]))]
    }
}

const _: () = assert!(OWNERS == 1 << u16::BITS, "two bytes name a place");
