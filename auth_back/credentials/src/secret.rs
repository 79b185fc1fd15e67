//! A secret key in memory.

use std::fmt;

use zeroize::ZeroizeOnDrop;

use super::limits::KEY_LEN;
use super::random::{self, RandomError};

/// 32 secret bytes: wiped on drop, printed as `***`, never compared and never copied by accident.
///
/// It stands behind a `Box`, so moving the key moves a pointer and leaves no copy behind.
#[derive(ZeroizeOnDrop)]
pub struct SecretKey(Box<[u8; KEY_LEN]>);

impl SecretKey {
    /// Takes over the bytes that `fill` writes, straight into the memory that is wiped on drop.
    ///
    /// # Errors
    ///
    /// What `fill` returns; the bytes written so far are wiped.
    pub fn try_fill<E>(fill: impl FnOnce(&mut [u8; KEY_LEN]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Self(Box::new([0; KEY_LEN]));
        fill(&mut key.0)?;
        Ok(key)
    }

    /// A new key from the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the system gives no random bytes.
    pub fn random() -> Result<Self, RandomError> {
        Self::try_fill(|key| {
            *key = random::bytes()?;
            Ok(())
        })
    }

    /// The bytes, for a cipher or a MAC.
    pub(super) fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl From<[u8; KEY_LEN]> for SecretKey {
    /// Copies the bytes. The caller's own copy stays the caller's to wipe.
    fn from(bytes: [u8; KEY_LEN]) -> Self {
        Self(Box::new(bytes))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", SecretKey::from([0x41; KEY_LEN])), "SecretKey(***)");
    }

    #[test]
    fn random_keys_differ() {
        let (first, second) = (SecretKey::random().unwrap(), SecretKey::random().unwrap());
        assert_ne!(first.expose(), second.expose());
    }
}
