//! What goes into a slow hash beside the password, and what comes out.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::ZeroizeOnDrop;

use crate::limits::{FOREIGN_TAG_LEN_MAX, SALT_LEN};

/// 16 bytes, drawn anew for each password and kept in its record. Not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; SALT_LEN]);

/// What a slow hash makes of a password, 32 bytes where it is ours: as good as the password to
/// somebody who guesses, so wiped on drop, printed as `***`, compared in constant time, and stored
/// only sealed.
#[derive(ZeroizeOnDrop)]
pub struct Tag {
    /// Of fixed size, so that no growing leaves a copy behind.
    bytes: [u8; FOREIGN_TAG_LEN_MAX],
    len: usize,
}

impl Tag {
    /// Copies at most [`FOREIGN_TAG_LEN_MAX`] bytes; the copy that is passed stays its owner's to wipe.
    ///
    /// # Panics
    ///
    /// If there are more: lengths are checked where they are read.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut tag = Self::blank(bytes.len());
        tag.expose_mut().copy_from_slice(bytes);
        tag
    }

    /// Zeros, to be written over.
    pub(crate) fn blank(len: usize) -> Self {
        assert!(len <= FOREIGN_TAG_LEN_MAX, "lengths are checked where they are read");
        Self { bytes: [0; FOREIGN_TAG_LEN_MAX], len }
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The same, to be written over.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl ConstantTimeEq for Tag {
    /// Takes as long for any two tags of one length, which is no secret.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.expose().ct_eq(other.expose())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(***)")
    }
}
