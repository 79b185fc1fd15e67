//! Who computes argon2id.

use std::fmt;

use argon2::{Argon2, Block};
use argon2_simd::Isa;
use subtle::{Choice, ConstantTimeEq};
use zeroize::ZeroizeOnDrop;

use super::super::limits::{FOREIGN_TAG_LEN_MAX, SALT_LEN, TAG_LEN};
use super::super::password::Password;
use super::super::random::{self, RandomError};
use super::arena::{Arena, ArenaError, Memory, wipe};
use super::flavour::Flavour;
use super::params::Params;

/// The implementation that computes a hash. Every engine gives the same tags; they differ in speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashEngine {
    /// The `argon2` crate of the `RustCrypto` project, widely used and reviewed.
    #[default]
    Reference,
    /// The crate `argon2_simd` of this project on AVX-512 and AVX2, the `argon2-rust` crate on other processors.
    /// Both are young and unaudited, so [`HashEngine::fastest_correct`] decides whether they are used.
    Simd,
}

impl HashEngine {
    /// Every engine.
    pub const ALL: [Self; 2] = [Self::Reference, Self::Simd];

    /// Whether two hashes by one thread take less together than one after the other ([`Arena::hash_two`]).
    #[must_use]
    pub fn gains_from_two(self) -> bool {
        self == Self::Simd && Isa::best().is_some_and(Isa::gains_from_two)
    }
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
    pub(in super::super) fn new(bytes: &[u8]) -> Self {
        let mut tag = Self::blank(bytes.len());
        tag.expose_mut().copy_from_slice(bytes);
        tag
    }

    /// Zeros, to be written over.
    pub(in super::super) fn blank(len: usize) -> Self {
        assert!(len <= FOREIGN_TAG_LEN_MAX, "lengths are checked where they are read");
        Self { bytes: [0; FOREIGN_TAG_LEN_MAX], len }
    }

    pub(in super::super) fn expose(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(in super::super) fn expose_mut(&mut self) -> &mut [u8] {
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

/// Why no hash was computed. The server is at fault, never the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// A stored record needs more memory than there is: more than arenas were allocated with, which
    /// never grow (see the module documentation), and more than the annex gives.
    #[error("the hash needs {needed_kib} KiB of memory and there are {arena_kib} KiB for it")]
    ArenaTooSmall {
        /// What the parameters ask for.
        needed_kib: u32,
        /// What there is for one hash.
        arena_kib: usize,
    },
    /// The engine refused parameters that are within the bounds of [`Params`].
    #[error("the reference engine failed: {0}")]
    Reference(argon2::Error),
    /// The same of the SIMD engine.
    #[error("the SIMD engine failed: {0}")]
    Simd(argon2_simd::HashError),
    /// The same of the engine for other processors, or it found no memory for what it needs beside the arena.
    #[error("the portable SIMD engine failed: {0}")]
    Portable(argon2_rust::Error),
    /// There is no memory for a hash that does not fit an arena.
    #[error(transparent)]
    NoMemory(ArenaError),
    /// The same of a function that is not argon2.
    #[error("{0} refused parameters that are within bounds")]
    Foreign(&'static str),
}

impl Arena {
    /// Hashes a password: argon2id version 0x13, 32 bytes, no secret, no associated data.
    ///
    /// Computes for as long as `params` make it (tens of milliseconds for the default); does not block
    /// otherwise. The memory that was used is wiped before it returns, unless [`Arena::keep_traces`] says
    /// otherwise.
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
        self.hash_as(Flavour::OURS, password.expose(), &salt.0, params, TAG_LEN)
    }

    /// Two passwords, each with its salt, in two arenas: the same tags as [`hash`](Self::hash), but computed together where
    /// the engine can do that.
    ///
    /// # Errors
    ///
    /// [`HashError::ArenaTooSmall`] when the parameters need more memory than either arena has; then there is neither tag.
    pub fn hash_two(
        arenas: [&mut Self; 2],
        inputs: [(&Password, &Salt); 2],
        params: Params,
    ) -> Result<[Tag; 2], HashError> {
        let inputs = inputs.map(|(password, salt)| (password.expose(), salt.0.as_slice()));
        Self::hash_two_as(Flavour::OURS, arenas, inputs, params)
    }

    /// The same for any flavour.
    pub(super) fn hash_two_as(
        flavour: Flavour,
        [one, other]: [&mut Self; 2],
        inputs: [(&[u8], &[u8]); 2],
        params: Params,
    ) -> Result<[Tag; 2], HashError> {
        let fits = one.kib().min(other.kib()) >= params.m_kib() as usize;
        match (&mut one.memory, &mut other.memory) {
            (Memory::Simd(first), Memory::Simd(second)) if fits => {
                let inputs = inputs.map(|(password, salt)| argon2_simd::Input {
                    password,
                    salt,
                    ..Default::default()
                });
                let mut tags = [(); 2].map(|()| Tag::blank(TAG_LEN));
                let done = argon2_simd::Memory::hash_two(
                    &flavour.costs(params),
                    [&mut *first, &mut *second],
                    inputs.each_ref(),
                    tags.each_mut().map(Tag::expose_mut),
                );
                for (memory, keeps_traces) in
                    [(first, one.keeps_traces), (second, other.keeps_traces)]
                {
                    if !keeps_traces {
                        memory.wipe();
                    }
                }
                done.map_err(HashError::Simd)?;
                Ok(tags)
            }
            _ => {
                let [first, second] = inputs;
                Ok([
                    one.hash_as(flavour, first.0, first.1, params, TAG_LEN)?,
                    other.hash_as(flavour, second.0, second.1, params, TAG_LEN)?,
                ])
            }
        }
    }

    /// One password, for any flavour, any salt of at least 8 bytes and a tag of `tag_len` bytes.
    pub(in super::super) fn hash_as(
        &mut self,
        flavour: Flavour,
        password: &[u8],
        salt: &[u8],
        params: Params,
        tag_len: usize,
    ) -> Result<Tag, HashError> {
        let needed_kib = params.m_kib();
        let arena_kib = self.kib();
        let mut tag = Tag::blank(tag_len);
        match &mut self.memory {
            Memory::Reference(blocks) if needed_kib as usize <= arena_kib => {
                let done = reference(flavour, password, salt, params, blocks, &mut tag);
                wipe(blocks, needed_kib as usize);
                done?;
            }
            Memory::Simd(memory) if needed_kib as usize <= arena_kib => {
                let input = argon2_simd::Input { password, salt, ..Default::default() };
                let done = memory.hash(&flavour.costs(params), &input, tag.expose_mut());
                if !self.keeps_traces {
                    memory.wipe();
                }
                done.map_err(HashError::Simd)?;
            }
            Memory::Portable { hasher, .. } if needed_kib as usize <= arena_kib => {
                portable(flavour, password, salt, params, hasher, &mut tag)?;
            }
            Memory::Reference(_)
            | Memory::Simd(_)
            | Memory::Portable { .. }
            | Memory::Leave { .. } => {
                return Err(HashError::ArenaTooSmall { needed_kib, arena_kib });
            }
        }
        Ok(tag)
    }

    /// A tag of ours by the reference engine, in memory that another engine has lent to it if the arena is that one's.
    ///
    /// # Errors
    ///
    /// [`HashError::ArenaTooSmall`] also for an engine that lends none ([`Arena::lends`]).
    pub(super) fn hash_by_reference(
        &mut self,
        flavour: Flavour,
        password: &[u8],
        salt: &[u8],
        params: Params,
    ) -> Result<Tag, HashError> {
        let needed_kib = params.m_kib();
        let arena_kib = self.kib();
        let too_small = HashError::ArenaTooSmall { needed_kib, arena_kib };
        match &mut self.memory {
            Memory::Reference(_) => self.hash_as(flavour, password, salt, params, TAG_LEN),
            Memory::Simd(memory) => {
                let mut tag = Tag::blank(TAG_LEN);
                let done = memory.lend(Block::new(), needed_kib as usize, |blocks| {
                    reference(flavour, password, salt, params, blocks, &mut tag)
                });
                done.ok_or(too_small)?.map(|()| tag)
            }
            Memory::Portable { .. } | Memory::Leave { .. } => Err(too_small),
        }
    }
}

fn reference(
    flavour: Flavour,
    password: &[u8],
    salt: &[u8],
    params: Params,
    blocks: &mut [Block],
    tag: &mut Tag,
) -> Result<(), HashError> {
    let tag = tag.expose_mut();
    let params = argon2::Params::new(params.m_kib(), params.t(), params.p(), Some(tag.len()))
        .map_err(HashError::Reference)?;
    let (algorithm, version) = flavour.for_reference();
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(password, salt, tag, blocks)
        .map_err(HashError::Reference)
}

fn portable(
    flavour: Flavour,
    password: &[u8],
    salt: &[u8],
    params: Params,
    hasher: &mut argon2_rust::Hasher,
    tag: &mut Tag,
) -> Result<(), HashError> {
    let tag = tag.expose_mut();
    // Keeps the memory: it was allocated for parameters that are at least as large.
    let engine = portable_engine(flavour, params, tag.len()).map_err(HashError::Portable)?;
    hasher.set_argon2(engine);
    hasher.hash_into(password, salt, tag).map_err(HashError::Portable)
}

/// The portable SIMD engine for these parameters.
pub(super) fn portable_engine(
    flavour: Flavour,
    params: Params,
    tag_len: usize,
) -> Result<argon2_rust::Argon2, argon2_rust::Error> {
    let params = argon2_rust::Params::builder()
        .memory(argon2_rust::params::Memory::kib(params.m_kib().into()))
        .passes(params.t())
        .lanes(params.p())
        // A hash has one core: how many run at a time is the pool's to say.
        .threads(1)
        .tag_len(argon2_rust::params::TagLen::bytes(tag_len as u64))
        .build()?;
    let (algorithm, version) = flavour.for_portable();
    Ok(argon2_rust::Argon2::new(algorithm, version, params))
}

#[cfg(test)]
mod tests;
