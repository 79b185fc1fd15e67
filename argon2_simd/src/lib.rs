//! Argon2 (RFC 9106) for x86-64 with AVX-512 or AVX2.
//!
//! ```
//! use argon2_simd::{Cost, Input, Isa, Kind, Memory, Version};
//!
//! let Some(isa) = Isa::best() else { return Ok(()) }; // another machine: use another implementation
//! let cost = Cost { kind: Kind::Id, version: Version::V19, m_kib: 64, passes: 3, lanes: 1 };
//! let input = Input { password: b"pencil", salt: b"of sixteen bytes", ..Input::default() };
//!
//! let mut memory = Memory::new(isa, cost.m_kib)?;
//! let mut tag = [0; 32];
//! memory.hash(&cost, &input, &mut tag)?;
//! memory.wipe();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What makes it fast
//!
//! - Blocks lie in memory as the vector registers want them, so no word is shuffled into place before and after
//!   each block: `isa/avx512.rs` has 48 shuffles a block where the reference implementation has 144.
//! - The word that says which block comes next is computed first. That block is on its way to the cache while the
//!   rest of the block at hand is computed. So are the places that will be written.
//! - Instructions of independent chains alternate. The compiler would put one chain after the other, and the
//!   processor does not look that far ahead.
//! - Two hashes of one cost can be computed by one thread, a block of each in turn ([`Memory::hash_two`]): each block
//!   waits for the one before it and for memory, and the other hash's does not wait for the same.
//! - The memory is on huge pages, and stays: the first pass writes each block before it reads it, so memory that
//!   goes on to the next hash need not be wiped in between. When it is wiped is the caller's to say.
//!
//! # What is left out
//!
//! Lanes are computed one after the other: a server has other hashes for its other cores. Other processors: the
//! callers have an implementation for them. Encoding.
//!
//! # Side channels
//!
//! As in RFC 9106: Argon2i, and the first half of the first pass of Argon2id, read memory in an order that does not
//! depend on the password; the rest does, which is what the RFC calls data-dependent addressing.

mod block;
mod geometry;
mod hashing;
mod isa;
mod lending;
mod memory;

pub use geometry::{Cost, CostError, Kind, Version};
pub use hashing::{Input, TagError};
pub use isa::Isa;
pub use memory::{HashError, Memory, NoMemory};
