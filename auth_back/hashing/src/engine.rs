//! Who computes argon2id.

use argon2::{Argon2, Block};
use argon2_simd::Isa;

use crate::error::HashError;
use crate::flavour::Flavour;
use crate::params::Params;
use crate::tag::Tag;

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

    /// Whether two hashes by one thread take less together than one after the other ([`Arena::hash_two`](crate::Arena::hash_two)).
    #[must_use]
    pub fn gains_from_two(self) -> bool {
        self == Self::Simd && Isa::best().is_some_and(Isa::gains_from_two)
    }
}

pub(crate) fn reference(
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

pub(crate) fn portable(
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
pub(crate) fn portable_engine(
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
