//! A block, the unit of argon2's memory.

/// 1 KiB, the unit of argon2 (RFC 9106, section 3.2). Aligned to a cache line, which is a vector of AVX-512 too.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [u64; WORDS]);

/// Words of a block.
pub(crate) const WORDS: usize = 128;

const _: () = assert!(size_of::<Block>() == 1024);
