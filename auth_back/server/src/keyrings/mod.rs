//! The keys of a running server: peppers and token keys that change without a restart.
//!
//! Each ring stands behind a [`LiveRing`]. Whoever seals, opens, signs or checks takes the ring of the
//! moment and holds no lock meanwhile. A ring is read again every few seconds and on SIGHUP, by the
//! thread of a [`Refresher`], and at once when a record or a token names a key that the ring lacks: with
//! keys in a directory that several servers share, a new key is so known to all of them before anything
//! made under it reaches them.
//!
//! What was read is taken only if it can be right: no id stands for another key than before, and every
//! pepper that records may need is there ([`register`]). Otherwise the old ring stays and the log says
//! why, again and again: keys that vanish from a disk must not lock everybody out.

mod bell;
mod live;
mod refresher;
pub mod register;
pub mod rewrap;

pub use bell::{Bell, Ear};
pub use live::{LiveRing, Lookup, RingFault};
pub use refresher::Refresher;
