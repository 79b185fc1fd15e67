//! Memory for a hash: mapped once, on huge pages where the kernel gives them, and wiped when its owner says.

use std::fmt;

use zeroize::Zeroizing;

use crate::block::{Block, WORDS};
use crate::geometry::{Cost, CostError, Geometry};
use crate::hashing::{Input, TagError, seed, stretch};
use crate::isa::Isa;
use crate::lending::lend;

/// Memory for one hash at a time, reused. What a hash leaves in it is as good as the tag: [`Memory::wipe`] it unless
/// another hash follows at once. It is wiped on drop.
pub struct Memory {
    isa: Isa,
    mapping: mapping::Mapping,
    blocks: usize,
    /// What lies beyond is zero.
    used: usize,
}

/// There is no such room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory of {0} KiB")]
pub struct NoMemory(u32);

/// Why nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The cost is none.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// A length is none.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The cost wants more memory than there is here.
    #[error("{needed} KiB do not fit into {there} KiB")]
    TooSmall {
        /// What the cost wants, in KiB.
        needed: u32,
        /// What there is, in KiB.
        there: usize,
    },
}

impl Memory {
    /// Maps `kib` KiB, all of it now.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new(isa: Isa, kib: u32) -> Result<Self, NoMemory> {
        let blocks = kib as usize;
        let mapping = mapping::Mapping::new(blocks).ok_or(NoMemory(kib))?;
        Ok(Self { isa, mapping, blocks, used: 0 })
    }

    /// Its size in KiB.
    #[must_use]
    pub fn kib(&self) -> usize {
        self.blocks
    }

    /// Computes argon2 into `tag`. Takes as long as the cost makes it; does not block otherwise. Afterwards the memory
    /// holds what the tag can be had from.
    ///
    /// # Errors
    /// [`HashError`]; then nothing was computed.
    pub fn hash(
        &mut self,
        cost: &Cost,
        input: &Input<'_>,
        tag: &mut [u8],
    ) -> Result<(), HashError> {
        let geometry = Geometry::new(*cost)?;
        let isa = self.isa;
        let blocks = self.begin(&geometry, input, tag.len())?;
        isa.fill([blocks], &geometry);
        self.end(&geometry, tag);
        Ok(())
    }

    /// Two hashes of one cost in two memories, by this thread, as [`hash`](Self::hash) computes them. It may take less
    /// than one after the other ([`Isa::gains_from_two`]): while one waits for memory, the other is computed.
    ///
    /// # Errors
    /// [`HashError`], of either; then there is neither tag.
    ///
    /// # Panics
    /// When the memories are for two instruction sets.
    pub fn hash_two(
        cost: &Cost,
        memories: [&mut Self; 2],
        inputs: [&Input<'_>; 2],
        tags: [&mut [u8]; 2],
    ) -> Result<(), HashError> {
        let geometry = Geometry::new(*cost)?;
        let [one, other] = memories;
        assert_eq!(one.isa, other.isa, "memories for one instruction set");
        let isa = one.isa;
        let blocks = [
            one.begin(&geometry, inputs[0], tags[0].len())?,
            other.begin(&geometry, inputs[1], tags[1].len())?,
        ];
        isa.fill(blocks, &geometry);
        let [tag, other_tag] = tags;
        one.end(&geometry, tag);
        other.end(&geometry, other_tag);
        Ok(())
    }

    /// The blocks of a hash, with those that come from the password (RFC 9106, section 3.2, steps 1 to 4).
    fn begin(
        &mut self,
        geometry: &Geometry,
        input: &Input<'_>,
        tag_len: usize,
    ) -> Result<&mut [Block], HashError> {
        let (cost, len) = (&geometry.cost, geometry.blocks());
        if cost.m_kib as usize > self.blocks {
            return Err(HashError::TooSmall { needed: cost.m_kib, there: self.blocks });
        }
        let mut seed = seed(cost, input, tag_len)?;
        self.used = self.used.max(len);
        let blocks = &mut self.mapping.blocks_mut()[..len];
        let mut bytes = Zeroizing::new([0; size_of::<Block>()]);
        for lane in 0..cost.lanes {
            for index in 0..2_u32 {
                let at = seed.len() - 8;
                seed[at..at + 4].copy_from_slice(&index.to_le_bytes());
                seed[at + 4..].copy_from_slice(&lane.to_le_bytes());
                stretch(&*seed, &mut *bytes);
                blocks[geometry.position(lane, index)] = self.isa.arranged(&words(&bytes));
            }
        }
        Ok(blocks)
    }

    /// The tag, from the last block of each lane (RFC 9106, section 3.2, steps 7 and 8).
    fn end(&self, geometry: &Geometry, tag: &mut [u8]) {
        let blocks = self.mapping.blocks();
        let mut last = Zeroizing::new([0; WORDS]);
        for lane in 0..geometry.cost.lanes {
            let of_lane = Zeroizing::new(
                self.isa.plain(&blocks[geometry.position(lane, geometry.lane_len - 1)]),
            );
            for (sum, word) in last.iter_mut().zip(of_lane.iter()) {
                *sum ^= word;
            }
        }
        let mut bytes = Zeroizing::new([0; size_of::<Block>()]);
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(last.iter()) {
            *bytes = word.to_le_bytes();
        }
        stretch(&*bytes, tag);
    }

    /// Lends the memory to somebody who computes in blocks of another kind, `count` times `value` to begin with, and
    /// wipes it afterwards. So another implementation needs no memory of its own beside this.
    ///
    /// `None`, and nothing was called, when so many do not fit.
    pub fn lend<T: Copy, R>(
        &mut self,
        value: T,
        count: usize,
        compute: impl FnOnce(&mut [T]) -> R,
    ) -> Option<R> {
        lend(self.mapping.blocks_mut(), value, count, compute)
    }

    /// Overwrites with zeros what hashes have left.
    pub fn wipe(&mut self) {
        let used = std::mem::take(&mut self.used);
        let used = &mut self.mapping.blocks_mut()[..used];
        used.fill(Block([0; WORDS]));
        // As `zeroize` does it: nobody may conclude that what was written is never read.
        zeroize::optimization_barrier(used);
    }

    /// Whether nothing of any hash is left. Reads all of it.
    #[must_use]
    pub fn is_wiped(&self) -> bool {
        self.mapping.blocks().iter().all(|block| block.0.iter().all(|word| *word == 0))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("isa", &self.isa)
            .field("kib", &self.blocks)
            .finish_non_exhaustive()
    }
}

fn words(bytes: &[u8; size_of::<Block>()]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Pages from the kernel.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "mappings and what is made of them")]
mod mapping {
    use std::ffi::c_void;
    use std::ptr::{NonNull, null_mut};
    use std::slice;

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    use super::Block;

    /// A huge page of x86-64.
    const HUGE: usize = 2 << 20;
    /// Blocks of the smallest page that there is.
    const SMALL: usize = 4_096 / size_of::<Block>();

    pub(super) struct Mapping {
        mapped: NonNull<c_void>,
        mapped_len: usize,
        /// The first huge page in it.
        blocks: NonNull<Block>,
        len: usize,
    }

    impl Mapping {
        /// Every page is touched. What is left over after the last huge page is on small ones, so that no more is
        /// taken than was asked for.
        pub(super) fn new(blocks: usize) -> Option<Self> {
            let len = blocks.checked_mul(size_of::<Block>())?;
            // One more, so that a boundary is in it wherever it starts.
            let mapped_len = len.checked_add(HUGE)?;
            let flags = MapFlags::PRIVATE;
            let access = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: the kernel chooses the address, so no mapping of anybody else is touched.
            let mapped = unsafe { mmap_anonymous(null_mut(), mapped_len, access, flags) }.ok()?;
            let mapped = NonNull::new(mapped)?;
            let start = mapped.as_ptr().map_addr(|address| address.next_multiple_of(HUGE));
            // SAFETY: `start` is at most HUGE - 1 behind `mapped`, and HUGE + len were mapped. It is advice: the
            // content stays. A kernel without huge pages says no and gives small ones, which is no error.
            let _ = unsafe { madvise(start, len, Advice::LinuxHugepage) };
            let blocks_start = NonNull::new(start.cast::<Block>())?;
            let mut this = Self { mapped, mapped_len, blocks: blocks_start, len: blocks };
            // Each page is written to, so that the kernel backs it and no hash waits for page faults. What the kernel
            // gives is zero, so one word of it will do.
            this.blocks_mut().iter_mut().step_by(SMALL).for_each(|block| block.0[0] = 0);
            zeroize::optimization_barrier(this.blocks_mut());
            Some(this)
        }

        pub(super) fn blocks(&self) -> &[Block] {
            // SAFETY: `len` blocks from `blocks` on are within the mapping, which lives as long as `self` and is
            // shared with nobody; they are aligned to HUGE; the kernel filled them with zeros, and any bits are a
            // valid `Block`.
            unsafe { slice::from_raw_parts(self.blocks.as_ptr(), self.len) }
        }

        pub(super) fn blocks_mut(&mut self) -> &mut [Block] {
            // SAFETY: as in `blocks`; `&mut self` makes it the only reference.
            unsafe { slice::from_raw_parts_mut(self.blocks.as_ptr(), self.len) }
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: it was mapped with this address and length, and nothing borrows from it any more.
            let _ = unsafe { munmap(self.mapped.as_ptr(), self.mapped_len) };
        }
    }

    // SAFETY: it owns its mapping alone, as a `Box` would.
    unsafe impl Send for Mapping {}
    // SAFETY: nothing is changed through a shared reference.
    unsafe impl Sync for Mapping {}
}

/// The allocator's memory.
#[cfg(not(target_os = "linux"))]
mod mapping {
    use super::Block;

    pub(super) struct Mapping(Vec<Block>);

    impl Mapping {
        pub(super) fn new(len: usize) -> Option<Self> {
            let mut blocks = Vec::new();
            blocks.try_reserve_exact(len).ok()?;
            blocks.resize(len, Block([0; super::WORDS]));
            Some(Self(blocks))
        }

        pub(super) fn blocks(&self) -> &[Block] {
            &self.0
        }

        pub(super) fn blocks_mut(&mut self) -> &mut [Block] {
            &mut self.0
        }
    }
}
