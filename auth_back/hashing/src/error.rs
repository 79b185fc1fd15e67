//! Why no hash was computed.

/// Why no hash was computed. The server is at fault, never the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// A stored record needs more memory than there is: more than arenas were allocated with, which
    /// never grow (see the documentation of the [crate]), and more than the annex gives.
    #[error("the hash needs {needed_kib} KiB of memory and there are {arena_kib} KiB for it")]
    ArenaTooSmall {
        /// What the parameters ask for.
        needed_kib: u32,
        /// What there is for one hash.
        arena_kib: usize,
    },
    /// The engine refused parameters that are within the bounds of [`Params`](crate::Params).
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

/// An arena could not be allocated: the machine, or its operator, gave too little memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory for an argon2 arena of {kib} KiB")]
pub struct ArenaError {
    pub(crate) kib: u32,
}

/// A function of another system costs more, or less, than is taken. Whoever set it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {what} of the password hash is {value}, and from {min} to {max} is taken")]
pub struct CostOutOfRange {
    /// Which part of the cost.
    pub what: &'static str,
    /// What it is.
    pub value: u64,
    /// The least that is taken.
    pub min: u64,
    /// The most that is taken.
    pub max: u64,
}
