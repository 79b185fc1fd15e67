//! Memory beside the arenas, for the few hashes that do not fit one.
//!
//! Such hashes are of two kinds: those that another system made with more memory or another function,
//! and our own from before `--argon2` was lowered. Each is converted at its user's next login, so
//! there are fewer every day, and arenas of their size would be a waste for ever after.
//!
//! So the annex allocates for one hash and gives the memory back. One thread has it, so nobody else does so
//! meanwhile. Memory for hashing stays known at start: the arenas and one annex of [`ANNEX_KIB_MAX`]. The price is
//! that these logins are served one after the other.

use crate::arena::Arena;
use crate::engine::HashEngine;
use crate::error::HashError;
use crate::limits::ANNEX_KIB_MAX;
use crate::params::Params;

/// The right to take memory for one hash at a time.
#[derive(Debug)]
pub struct Annex {
    engine: HashEngine,
}

/// What a hash needs beyond a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing to speak of.
    Nothing,
    /// Memory for argon2, which an arena has if it is large enough.
    Blocks(Params),
    /// Memory that the function takes from the allocator by itself, in KiB. No arena helps there.
    Allocator(u32),
}

impl Annex {
    /// An annex whose argon2 is computed by `engine`. There is to be one.
    #[must_use]
    pub const fn new(engine: HashEngine) -> Self {
        Self { engine }
    }

    /// Memory for a hash that needs `need`; given back when the arena is dropped.
    ///
    /// # Errors
    ///
    /// [`HashError::ArenaTooSmall`] beyond [`ANNEX_KIB_MAX`], [`HashError::NoMemory`] when the
    /// allocator has no such room.
    pub fn arena(&self, need: Need) -> Result<Arena, HashError> {
        let kib = need.kib();
        if kib > ANNEX_KIB_MAX {
            let arena_kib = ANNEX_KIB_MAX as usize;
            return Err(HashError::ArenaTooSmall { needed_kib: kib, arena_kib });
        }
        match need {
            Need::Nothing | Need::Allocator(_) => Ok(Arena::leave(kib as usize)),
            Need::Blocks(params) => Arena::new(self.engine, params).map_err(HashError::NoMemory),
        }
    }
}

impl Need {
    /// Memory, in KiB.
    #[must_use]
    pub const fn kib(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Blocks(params) => params.m_kib(),
            Self::Allocator(kib) => kib,
        }
    }

    /// Whether an arena of `arena_kib` KiB will not do.
    #[must_use]
    pub const fn exceeds(self, arena_kib: u32) -> bool {
        match self {
            Self::Nothing => false,
            Self::Blocks(params) => params.m_kib() > arena_kib,
            Self::Allocator(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(kib: u32) -> Need {
        Need::Blocks(Params::in_record(kib, 1, 1).unwrap())
    }

    #[test]
    fn who_needs_it() {
        for (need, expected) in [
            (Need::Nothing, false),
            (blocks(8), false),
            (blocks(64), false),
            (blocks(65), true),
            (Need::Allocator(1), true),
        ] {
            assert_eq!(need.exceeds(64), expected, "{need:?}");
        }
    }

    #[test]
    fn it_gives_what_was_asked_for_up_to_its_bound() {
        let annex = Annex::new(HashEngine::Reference);
        let kib = |need| annex.arena(need).unwrap().kib();
        assert_eq!(kib(blocks(67)), 67);
        assert_eq!(kib(Need::Allocator(ANNEX_KIB_MAX)), ANNEX_KIB_MAX as usize);
        for need in [blocks(ANNEX_KIB_MAX + 1), Need::Allocator(ANNEX_KIB_MAX + 1)] {
            let error = annex.arena(need).unwrap_err();
            let arena_kib = ANNEX_KIB_MAX as usize;
            let needed_kib = ANNEX_KIB_MAX + 1;
            assert_eq!(error, HashError::ArenaTooSmall { needed_kib, arena_kib });
        }
    }
}
