//! Argon2id (RFC 9106), the slow and memory-hard function that passwords go through, and the
//! [threads] that compute it.
//!
//! [`Params`] say how much work a hash is, an [`Arena`] is the memory it happens in, and
//! [`HashEngine`] is the one seam behind which the computation stands. Its siblings, [`Flavour`], and
//! the functions of other systems, [`foreign`], are computed for records that come from elsewhere and
//! for nothing else.
//!
//! # Memory is fixed at start
//!
//! A hash needs megabytes. An allocator asked for them on each login would return them to the
//! kernel and fault them in again, and a storm of logins would ask for all of them at once. So the
//! arenas are allocated when the server starts, as many as cores are set aside for hashing, and lent
//! through a [`pool::Pool`] of an [`ArenaManager`] to the threads that hash: the pool bounds memory and processor
//! time at once. An arena never grows. What needs more memory than an arena has, such as a record from before
//! the setting was lowered, is hashed in an [`Annex`]: memory that is taken for one hash and
//! given back, for one hash at a time, up to a bound.
//!
//! # Two engines
//!
//! Hashing is nearly all that a login costs, so the fastest implementation is worth having, and a
//! wrong one would lock everybody out. So there are two: the reference, and the fastest one for this processor, which is
//! compared with it at every start ([`HashEngine::fastest_correct`]) and not used if anything
//! differs.
//!
//! # What is left out
//!
//! The secret and the associated data of RFC 9106 (its K and X) are not used: the pepper seals the
//! tag instead, since a tag keyed with K could be moved to
//! another key only by its user logging in.

mod annex;
mod arena;
mod comparison;
mod engine;
mod error;
mod flavour;
pub mod foreign;
pub mod limits;
mod params;
mod tag;
#[cfg(test)]
mod testing;
pub mod threads;
mod work;

pub use annex::{Annex, Need};
pub use arena::{Arena, ArenaManager};
pub use comparison::EngineFault;
pub use engine::HashEngine;
pub use error::{ArenaError, CostOutOfRange, HashError};
pub use flavour::Flavour;
pub use foreign::ForeignFunction;
pub use params::{Params, ParamsError};
pub use tag::{Salt, Tag};
pub use threads::{HashPace, Hashers, HashersOptions, NotHashed};
pub use work::{Work, WorkKind};
