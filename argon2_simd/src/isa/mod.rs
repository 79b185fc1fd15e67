//! One implementation for each instruction set, and the choice between them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod segment;

use crate::block::{Block, WORDS};
use crate::geometry::Geometry;

/// An instruction set that this processor has: there is no other way to a value than to have looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Inner);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inner {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Isa {
    /// The fastest of those that this processor has.
    #[must_use]
    pub fn best() -> Option<Self> {
        Self::avx512().or_else(Self::avx2)
    }

    /// AVX-512 Foundation.
    #[must_use]
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f") {
            return Some(Self(Inner::Avx512));
        }
        None
    }

    /// AVX2.
    #[must_use]
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Some(Self(Inner::Avx2));
        }
        None
    }

    /// Whether two hashes together take less than one after the other: 0.9 of it or a little more with AVX-512. With AVX2 a
    /// block takes so long that there is no waiting left to fill.
    #[must_use]
    pub fn gains_from_two(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Inner::Avx512 => true,
            #[cfg(target_arch = "x86_64")]
            Inner::Avx2 => false,
        }
    }

    /// Fills the memories of hashes of one cost, of which the first two blocks of each lane are there.
    pub(crate) fn fill<const N: usize>(self, memories: [&mut [Block]; N], geometry: &Geometry) {
        for blocks in &memories {
            assert!(blocks.len() >= geometry.blocks(), "as many blocks as the cost has");
        }
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the processor was looked at")]
            // SAFETY: `Isa::avx512` has seen that this processor has the feature.
            Inner::Avx512 => unsafe { avx512::fill(memories, geometry) },
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the processor was looked at")]
            // SAFETY: `Isa::avx2` has seen that this processor has the feature.
            Inner::Avx2 => unsafe { avx2::fill(memories, geometry) },
        }
    }

    /// Words in the order of RFC 9106, as this instruction set has them in memory.
    pub(crate) fn arranged(self, words: &[u64; WORDS]) -> Block {
        let mut block = Block([0; WORDS]);
        for (index, word) in words.iter().enumerate() {
            block.0[self.place(index)] = *word;
        }
        block
    }

    /// The words of a block in the order of RFC 9106.
    pub(crate) fn plain(self, block: &Block) -> [u64; WORDS] {
        std::array::from_fn(|index| block.0[self.place(index)])
    }

    /// Where a word is.
    fn place(self, index: usize) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Inner::Avx512 => avx512::place(index),
            #[cfg(target_arch = "x86_64")]
            Inner::Avx2 => index,
        }
    }
}
