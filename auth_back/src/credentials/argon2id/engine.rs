//! Who computes argon2id.

use std::fmt;

use argon2::{Algorithm, Argon2, Version};
use subtle::{Choice, ConstantTimeEq};
use zeroize::ZeroizeOnDrop;

use super::super::limits::{SALT_LEN, TAG_LEN};
use super::super::password::Password;
use super::super::random::{self, RandomError};
use super::arena::Arena;
use super::params::Params;

/// The implementation that computes a hash. Every engine gives the same tags; they differ in speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashEngine {
    /// The `argon2` crate, one thread, AVX2 where the processor has it.
    #[default]
    RustCrypto,
}

/// 16 bytes, drawn anew for each password and kept in its record. Not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; SALT_LEN]);

impl Salt {
    /// A salt that no other password has.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the system gives no random bytes.
    pub fn random() -> Result<Self, RandomError> {
        random::bytes().map(Self)
    }
}

/// The 32 bytes that argon2id makes of a password: as good as the password to somebody who guesses,
/// so wiped on drop, printed as `***`, compared in constant time, and stored only sealed.
#[derive(ZeroizeOnDrop)]
pub struct Tag([u8; TAG_LEN]);

impl Tag {
    pub(in super::super) fn new(bytes: [u8; TAG_LEN]) -> Self {
        Self(bytes)
    }

    pub(in super::super) fn expose(&self) -> &[u8; TAG_LEN] {
        &self.0
    }
}

impl ConstantTimeEq for Tag {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(***)")
    }
}

/// Why no hash was computed. The server is at fault, never the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// A stored record needs more memory than arenas were allocated with. They never grow: see the
    /// module documentation.
    #[error("the hash needs {needed_kib} KiB of memory and the arenas have {arena_kib} KiB")]
    ArenaTooSmall {
        /// What the parameters ask for.
        needed_kib: u32,
        /// What each arena has.
        arena_kib: usize,
    },
    /// The engine refused parameters that are within the bounds of [`Params`].
    #[error("the argon2 engine failed: {0}")]
    Engine(argon2::Error),
}

impl Arena {
    /// Hashes a password: argon2id version 0x13, 32 bytes, no secret, no associated data.
    ///
    /// Computes for as long as `params` make it (tens of milliseconds for the default); does not block
    /// otherwise. The memory that was used is wiped before it returns.
    ///
    /// # Errors
    ///
    /// [`HashError::ArenaTooSmall`] when the parameters need more memory than the arena has.
    pub fn hash(
        &mut self,
        password: &Password,
        salt: &Salt,
        params: Params,
    ) -> Result<Tag, HashError> {
        let needed_kib = params.m_kib();
        if needed_kib as usize > self.kib() {
            return Err(HashError::ArenaTooSmall { needed_kib, arena_kib: self.kib() });
        }
        let tag = match self.engine {
            HashEngine::RustCrypto => rust_crypto(password.expose(), salt, params, self),
        };
        self.wipe(needed_kib as usize);
        tag
    }
}

fn rust_crypto(
    password: &[u8],
    salt: &Salt,
    params: Params,
    arena: &mut Arena,
) -> Result<Tag, HashError> {
    let params = argon2::Params::new(params.m_kib(), params.t(), params.p(), Some(TAG_LEN))
        .map_err(HashError::Engine)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut tag = Tag([0; TAG_LEN]);
    argon2
        .hash_password_into_with_memory(password, &salt.0, &mut tag.0, &mut arena.blocks[..])
        .map_err(HashError::Engine)?;
    Ok(tag)
}

#[cfg(test)]
mod tests;
