//! Whether a database takes writes: one that does not, as after a failover or on a full disk, can still be read.

use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;
use super::fault::{Fault, Kind};

/// What the last write has shown.
#[derive(Debug, Default)]
pub(super) struct Writes {
    refused: AtomicBool,
}

impl Writes {
    pub(super) fn are_taken(&self) -> bool {
        !self.refused.load(Ordering::Relaxed)
    }

    /// Notes an error of any call.
    pub(super) fn note(&self, fault: &Fault) {
        if fault.kind() == Kind::TakesNoWrites {
            self.refused.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that a write was done. Whether the one before it was refused.
    pub(super) fn note_done(&self) -> bool {
        !self.are_taken() && self.refused.swap(false, Ordering::Relaxed)
    }

    /// Where the last write was refused, tries one that changes nothing.
    pub(super) fn try_again<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) {
        if !self.are_taken() && write().is_ok() {
            self.refused.store(false, Ordering::Relaxed);
        }
    }
}
