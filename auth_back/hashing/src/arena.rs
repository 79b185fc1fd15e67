//! The memory that hashes happen in.

use std::fmt;
use std::time::Instant;

use argon2::Block;
use argon2_rust::Hasher;
use argon2_simd::Isa;
use parking_lot::Mutex;
use wipe::Expose;
use zeroize::optimization_barrier;

use crate::engine::{HashEngine, portable, portable_engine, reference};
use crate::error::{ArenaError, HashError};
use crate::flavour::Flavour;
use crate::limits::{SALT_LEN, TAG_LEN};
use crate::params::Params;
use crate::tag::{Salt, Tag};

// One block is the KiB that m counts in (RFC 9106, section 3.2).
const _: () = assert!(size_of::<Block>() == 1024);

/// Memory for one hash at a time: allocated and touched once, reused, wiped after each hash, or before it is
/// idle ([`Arena::keep_traces`]).
///
/// Wiping matters: the last block gives away the tag before the pepper seals it, and after a single
/// pass the first block can be compared with a guess at the price of one `BLAKE2b` hash.
pub struct Arena {
    pub(crate) memory: Memory,
    pub(crate) keeps_traces: bool,
}

/// Memory as each engine wants it.
pub(crate) enum Memory {
    /// Blocks that the reference engine is handed and that are wiped here.
    Reference(Vec<Block>),
    /// Mapped on huge pages where the kernel gives them, and wiped when it is told to.
    Simd(argon2_simd::Memory),
    /// An engine that owns its memory and wipes it after each hash.
    Portable { hasher: Box<Hasher>, kib: usize },
    /// None: leave to take as much from the allocator, for a function that brings its own.
    Leave { kib: usize },
}

impl Arena {
    /// An arena that holds hashes of up to `params.m_kib()` KiB, computed by `engine`.
    ///
    /// All of the memory is allocated now, so too little of it shows at start.
    ///
    /// # Errors
    ///
    /// [`ArenaError`] when the allocator has no such room.
    pub fn new(engine: HashEngine, params: Params) -> Result<Self, ArenaError> {
        let no_room = ArenaError { kib: params.m_kib() };
        let kib = params.m_kib() as usize;
        let memory = match engine {
            HashEngine::Reference => {
                let mut blocks = Vec::new();
                blocks.try_reserve_exact(kib).map_err(|_| no_room)?;
                // Written to, so that the kernel backs it and no hash waits for page faults.
                blocks.resize(kib, Block::new());
                Memory::Reference(blocks)
            }
            HashEngine::Simd => match Isa::best() {
                Some(isa) => Memory::Simd(
                    argon2_simd::Memory::new(isa, params.m_kib()).map_err(|_| no_room)?,
                ),
                None => {
                    let mut hasher = portable_engine(Flavour::OURS, params, TAG_LEN)
                        .map_err(|_| no_room)?
                        .hasher();
                    hasher.reserve().map_err(|_| no_room)?;
                    // That only asks for addresses. A hash of a single pass writes to all of it.
                    let once =
                        Params::in_record(params.m_kib(), 1, params.p()).map_err(|_| no_room)?;
                    let once = portable_engine(Flavour::OURS, once, TAG_LEN);
                    hasher.set_argon2(once.map_err(|_| no_room)?);
                    hasher
                        .hash_into(&[], &[0; SALT_LEN], &mut [0; TAG_LEN])
                        .map_err(|_| no_room)?;
                    Memory::Portable { hasher: Box::new(hasher), kib }
                }
            },
        };
        Ok(Self { memory, keeps_traces: false })
    }

    /// Whether arenas of an engine can lend their memory to the reference.
    pub(crate) fn lends(engine: HashEngine) -> bool {
        engine == HashEngine::Simd && Isa::best().is_some()
    }

    /// From now on a hash may leave in the memory what it will, and whoever asked for this sees to it that the
    /// memory is wiped before it is idle; or not any more.
    ///
    /// For an arena that goes straight on to the next hash: argon2 writes each block before it reads it, so the next
    /// hash overwrites what this one has left, and wiping would double the writing.
    pub fn keep_traces(&mut self, keeps: bool) {
        self.keeps_traces = keeps;
    }

    /// Overwrites what hashes have left. Does next to nothing when they have left nothing.
    pub fn wipe(&mut self) {
        if let Memory::Simd(memory) = &mut self.memory {
            memory.wipe();
        }
    }

    /// Whether nothing of any hash is left, as far as it can be seen.
    #[cfg(test)]
    pub(crate) fn is_wiped(&self) -> bool {
        match &self.memory {
            Memory::Reference(blocks) => {
                blocks.iter().flat_map(AsRef::as_ref).all(|word| *word == 0)
            }
            Memory::Simd(memory) => memory.is_wiped(),
            // Out of sight; the crate's own tests hold it to the same.
            Memory::Portable { .. } | Memory::Leave { .. } => true,
        }
    }

    /// The memory, in KiB: the highest `m` of a hash that fits.
    #[must_use]
    pub fn kib(&self) -> usize {
        match &self.memory {
            Memory::Reference(blocks) => blocks.len(),
            Memory::Simd(memory) => memory.kib(),
            Memory::Portable { kib, .. } | Memory::Leave { kib } => *kib,
        }
    }

    /// No memory for argon2, but leave to take `kib` KiB from the allocator.
    pub(crate) fn leave(kib: usize) -> Self {
        Self { memory: Memory::Leave { kib }, keeps_traces: false }
    }

    /// How much a function that brings its own memory may take, in KiB. None in an arena: its
    /// memory is there already, and more would come on top of what is known at start.
    pub(crate) fn may_take_kib(&self) -> usize {
        match &self.memory {
            Memory::Leave { kib } => *kib,
            Memory::Reference(_) | Memory::Simd(_) | Memory::Portable { .. } => 0,
        }
    }
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
        password: &dyn Expose,
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
        inputs: [(&dyn Expose, &Salt); 2],
        params: Params,
    ) -> Result<[Tag; 2], HashError> {
        let inputs = inputs.map(|(password, salt)| (password.expose(), salt.0.as_slice()));
        Self::hash_two_as(Flavour::OURS, arenas, inputs, params)
    }

    /// The same for any flavour.
    pub(crate) fn hash_two_as(
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
    pub(crate) fn hash_as(
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
    pub(crate) fn hash_by_reference(
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

/// Overwrites the first `len` blocks with zeros.
///
/// Filling blocks and then forbidding the compiler to see that nobody reads them is what `zeroize`
/// does for integers. Its own implementation for `Block` writes word by word.
pub(crate) fn wipe(blocks: &mut [Block], len: usize) {
    let used = &mut blocks[..len];
    used.fill(Block::new());
    optimization_barrier(used);
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A hash wipes what it used, unless it panicked. The other engines see to their own memory.
        if let Self::Reference(blocks) = self {
            let len = blocks.len();
            wipe(blocks, len);
        }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match self.memory {
            Memory::Reference(_) => Some(HashEngine::Reference),
            Memory::Simd(_) | Memory::Portable { .. } => Some(HashEngine::Simd),
            Memory::Leave { .. } => None,
        };
        f.debug_struct("Arena").field("engine", &engine).field("kib", &self.kib()).finish()
    }
}

/// Makes the arenas of a [`pool::Pool`].
///
/// The pool wants no lifetime, no idle timeout and no liveness check, since memory does not age; and
/// it is filled at start, so that none is allocated later.
///
/// ```
/// use hashing::{ArenaManager, HashEngine, Params};
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
#[derive(Debug)]
pub struct ArenaManager {
    engine: HashEngine,
    params: Params,
    /// To be lent before any is made.
    made: Mutex<Vec<Arena>>,
}

impl ArenaManager {
    /// Arenas as [`Arena::new`] makes them. `params` are those of the costliest hash to come: the
    /// setting, or a stored record's if those need more memory.
    #[must_use]
    pub fn new(engine: HashEngine, params: Params) -> Self {
        Self { engine, params, made: Mutex::default() }
    }

    /// The same, with arenas that are there already, of that engine and these parameters.
    #[must_use]
    pub fn with_made(mut self, arenas: Vec<Arena>) -> Self {
        self.made = Mutex::new(arenas);
        self
    }
}

impl pool::Manager for ArenaManager {
    type Item = Arena;
    type Error = ArenaError;

    /// Takes one that is there, or allocates one and writes to the memory, which takes milliseconds.
    fn connect(&self, _deadline: Instant) -> Result<Arena, ArenaError> {
        let made = self.made.lock().pop();
        made.map_or_else(|| Arena::new(self.engine, self.params), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_as_large_as_its_parameters_ask() {
        for engine in HashEngine::ALL {
            for kib in [8, 19, 1_024] {
                let params = Params::in_record(kib, 1, 1).unwrap();
                assert_eq!(Arena::new(engine, params).unwrap().kib(), kib as usize);
            }
        }
    }

    #[test]
    fn wiping_reaches_what_was_used_and_no_further() {
        let mut blocks = vec![Block::new(); 8];
        for block in &mut blocks {
            block.as_mut().fill(u64::MAX);
        }
        wipe(&mut blocks, 5);
        let wiped = |block: &Block| block.as_ref().iter().all(|word| *word == 0);
        assert!(blocks[..5].iter().all(wiped));
        assert!(!blocks[5..].iter().any(wiped));
    }

    #[test]
    fn debug_shows_no_memory() {
        let params = Params::in_record(8, 1, 1).unwrap();
        let arena = Arena::new(HashEngine::Reference, params).unwrap();
        assert_eq!(format!("{arena:?}"), "Arena { engine: Some(Reference), kib: 8 }");
    }
}
