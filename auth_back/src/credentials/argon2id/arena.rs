//! The memory that hashes happen in.

use std::fmt;
use std::time::Instant;

use argon2::Block;
use zeroize::optimization_barrier;

use super::engine::HashEngine;
use super::params::Params;

// One block is the KiB that m counts in (RFC 9106, section 3.2).
const _: () = assert!(size_of::<Block>() == 1024);

/// Memory for one hash at a time: allocated and touched once, reused, wiped after each hash.
///
/// Wiping matters: the last block gives away the tag before the pepper seals it, and after a single
/// pass the first block can be compared with a guess at the price of one `BLAKE2b` hash.
pub struct Arena {
    pub(super) engine: HashEngine,
    pub(super) blocks: Vec<Block>,
}

/// An arena could not be allocated: the machine, or its operator, gave too little memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory for an argon2 arena of {kib} KiB")]
pub struct ArenaError {
    kib: u32,
}

impl Arena {
    /// An arena that holds hashes of up to `params.m_kib()` KiB, computed by `engine`.
    ///
    /// Writes to all of the memory, so that the kernel backs it now: no hash waits for page faults,
    /// and too little memory shows at start. The kernel uses huge pages where it is set to
    /// (`transparent_hugepage/enabled` is `always`, or glibc's tunable `glibc.malloc.hugetlb=1`).
    ///
    /// # Errors
    ///
    /// [`ArenaError`] when the allocator has no such room.
    pub fn new(engine: HashEngine, params: Params) -> Result<Self, ArenaError> {
        let kib = params.m_kib();
        let len = kib as usize;
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(len).map_err(|_| ArenaError { kib })?;
        blocks.resize(len, Block::new());
        Ok(Self { engine, blocks })
    }

    /// The memory, in KiB: the highest `m` of a hash that fits.
    #[must_use]
    pub fn kib(&self) -> usize {
        self.blocks.len()
    }

    /// Overwrites the first `len` blocks with zeros.
    ///
    /// Filling blocks and then forbidding the compiler to see that nobody reads them is what
    /// `zeroize` does for integers. Its own implementation for `Block` writes word by word.
    pub(super) fn wipe(&mut self, len: usize) {
        let used = &mut self.blocks[..len];
        used.fill(Block::new());
        optimization_barrier(used);
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // A hash wipes what it used, unless it panicked.
        self.wipe(self.blocks.len());
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("engine", &self.engine).field("kib", &self.kib()).finish()
    }
}

/// Makes the arenas of a [`pool::Pool`].
///
/// The pool wants no lifetime, no idle timeout and no liveness check, since memory does not age; and
/// it is filled at start, so that none is allocated later.
///
/// ```
/// use auth_back::credentials::{ArenaManager, HashEngine, Params};
/// use std::time::{Duration, Instant};
///
/// let cores = 2;
/// let manager = ArenaManager::new(HashEngine::default(), Params::default());
/// let arenas = pool::Pool::new(manager, pool::Config::new(cores)?.without_liveness_check());
/// arenas.prefill(cores, Instant::now() + Duration::from_secs(10))?;
///
/// let arena = arenas.acquire(Instant::now() + Duration::from_secs(1))?;
/// assert_eq!(arena.kib(), 19_456);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ArenaManager {
    engine: HashEngine,
    params: Params,
}

impl ArenaManager {
    /// Arenas as [`Arena::new`] makes them. `params` are those of the costliest hash to come: the
    /// setting, or a stored record's if those need more memory.
    #[must_use]
    pub fn new(engine: HashEngine, params: Params) -> Self {
        Self { engine, params }
    }
}

impl pool::Manager for ArenaManager {
    type Item = Arena;
    type Error = ArenaError;

    /// Allocates; takes milliseconds, and no longer than the kernel takes to clear the memory.
    fn connect(&self, _deadline: Instant) -> Result<Arena, ArenaError> {
        Arena::new(self.engine, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_as_large_as_its_parameters_ask() {
        for kib in [8, 19, 1_024] {
            let params = Params::in_record(kib, 1, 1).unwrap();
            let arena = Arena::new(HashEngine::default(), params).unwrap();
            assert_eq!(arena.kib(), kib as usize);
            assert_eq!(arena.blocks.capacity(), kib as usize);
        }
    }

    #[test]
    fn wiping_reaches_what_was_used_and_no_further() {
        let params = Params::in_record(8, 1, 1).unwrap();
        let mut arena = Arena::new(HashEngine::default(), params).unwrap();
        for block in &mut arena.blocks {
            block.as_mut().fill(u64::MAX);
        }
        arena.wipe(5);
        let wiped = |block: &Block| block.as_ref().iter().all(|word| *word == 0);
        assert!(arena.blocks[..5].iter().all(wiped));
        assert!(!arena.blocks[5..].iter().any(wiped));
    }

    #[test]
    fn debug_shows_no_memory() {
        let params = Params::in_record(8, 1, 1).unwrap();
        let arena = Arena::new(HashEngine::default(), params).unwrap();
        assert_eq!(format!("{arena:?}"), "Arena { engine: RustCrypto, kib: 8 }");
    }
}
