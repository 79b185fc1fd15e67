//! Who computes argon2id.

use std::fmt;

use argon2::{Algorithm, Argon2, Version};
use subtle::{Choice, ConstantTimeEq};
use zeroize::ZeroizeOnDrop;

use super::super::limits::{SALT_LEN, TAG_LEN};
use super::super::password::Password;
use super::super::random::{self, RandomError};
use super::arena::{Arena, Memory, wipe};
use super::params::Params;

/// The implementation that computes a hash. Every engine gives the same tags; they differ in speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashEngine {
    /// The `argon2` crate of the `RustCrypto` project, widely used and reviewed.
    #[default]
    Reference,
    /// The `argon2-rust` crate: AVX-512, AVX2 or SSE2 chosen at run time, memory on huge pages. It
    /// is young and unaudited, so [`HashEngine::fastest_correct`] decides whether it is used.
    Simd,
}

impl HashEngine {
    /// Every engine.
    pub const ALL: [Self; 2] = [Self::Reference, Self::Simd];

    /// The fastest engine that gives the tags of the reference on this machine: with `params` and
    /// with a few smaller parameters, on random passwords and salts, once in a fresh arena and once
    /// in a used one. Computes for about as long as four hashes take.
    ///
    /// # Errors
    ///
    /// [`EngineFault`] says what differed; use [`HashEngine::Reference`] then.
    pub fn fastest_correct(params: Params) -> Result<Self, EngineFault> {
        // Odd sizes, several passes and lanes: each takes another way through an engine.
        let small = [(8, 1, 1), (67, 3, 1), (131, 2, 4)];
        for (m_kib, t, p) in small {
            agree(Params::in_record(m_kib, t, p).map_err(|_| EngineFault::Failed)?, Self::Simd)?;
        }
        agree(params, Self::Simd)?;
        Ok(Self::Simd)
    }
}

/// Why an engine is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineFault {
    /// It gave another tag than the reference. A defect of the engine, the compiler or the machine.
    #[error("its tags differ from those of the reference engine")]
    Differs,
    /// It, or the reference, gave none: no memory, or no random bytes.
    #[error("the engines could not be compared")]
    Failed,
}

/// Compares an engine with the reference on random input.
fn agree(params: Params, engine: HashEngine) -> Result<(), EngineFault> {
    let fault = |_| EngineFault::Failed;
    let mut reference =
        Arena::new(HashEngine::Reference, params).map_err(|_| EngineFault::Failed)?;
    let mut other = Arena::new(engine, params).map_err(|_| EngineFault::Failed)?;
    for _ in 0..2 {
        let password: [u8; 24] = random::bytes().map_err(|_| EngineFault::Failed)?;
        let salt = Salt::random().map_err(|_| EngineFault::Failed)?;
        let expected = reference.hash_bytes(&password, &salt, params).map_err(fault)?;
        let given = other.hash_bytes(&password, &salt, params).map_err(fault)?;
        if !bool::from(expected.ct_eq(&given)) {
            return Err(EngineFault::Differs);
        }
    }
    Ok(())
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
    #[error("the reference engine failed: {0}")]
    Reference(argon2::Error),
    /// The same of the other engine, or it found no memory for what it needs beside the arena.
    #[error("the SIMD engine failed: {0}")]
    Simd(argon2_rust::Error),
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
        self.hash_bytes(password.expose(), salt, params)
    }

    fn hash_bytes(
        &mut self,
        password: &[u8],
        salt: &Salt,
        params: Params,
    ) -> Result<Tag, HashError> {
        let needed_kib = params.m_kib();
        if needed_kib as usize > self.kib() {
            return Err(HashError::ArenaTooSmall { needed_kib, arena_kib: self.kib() });
        }
        match &mut self.memory {
            Memory::Reference(blocks) => {
                let tag = reference(password, salt, params, blocks);
                wipe(blocks, needed_kib as usize);
                tag
            }
            Memory::Simd { hasher, .. } => simd(password, salt, params, hasher),
        }
    }
}

fn reference(
    password: &[u8],
    salt: &Salt,
    params: Params,
    blocks: &mut [argon2::Block],
) -> Result<Tag, HashError> {
    let params = argon2::Params::new(params.m_kib(), params.t(), params.p(), Some(TAG_LEN))
        .map_err(HashError::Reference)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut tag = Tag([0; TAG_LEN]);
    argon2
        .hash_password_into_with_memory(password, &salt.0, &mut tag.0, blocks)
        .map_err(HashError::Reference)?;
    Ok(tag)
}

fn simd(
    password: &[u8],
    salt: &Salt,
    params: Params,
    hasher: &mut argon2_rust::Hasher,
) -> Result<Tag, HashError> {
    // Keeps the memory: it was allocated for parameters that are at least as large.
    hasher.set_argon2(simd_engine(params).map_err(HashError::Simd)?);
    let mut tag = Tag([0; TAG_LEN]);
    hasher.hash_into(password, &salt.0, &mut tag.0).map_err(HashError::Simd)?;
    Ok(tag)
}

/// The SIMD engine for these parameters.
pub(super) fn simd_engine(params: Params) -> Result<argon2_rust::Argon2, argon2_rust::Error> {
    let params = argon2_rust::Params::builder()
        .memory(argon2_rust::params::Memory::kib(params.m_kib().into()))
        .passes(params.t())
        .lanes(params.p())
        // A hash has one core: how many run at a time is the pool's to say.
        .threads(1)
        .tag_len(argon2_rust::params::TagLen::bytes(TAG_LEN as u64))
        .build()?;
    let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    Ok(argon2_rust::Argon2::new(algorithm, version, params))
}

#[cfg(test)]
mod tests;
