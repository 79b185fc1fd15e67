//! What end-to-end tests need beside the servers and their users, which are the crate [`harness`]'s and are
//! named here too: a wall clock that a test sets, whether secrets lie where they must not, and whether two samples of times can be told
//! apart.

#![expect(clippy::missing_panics_doc, reason = "a helper panics: that is how a test fails")]

mod fake_clock;
pub mod fault_proxy;
pub mod limits;
mod memory;
pub mod statistics;

pub use fake_clock::FakeClock;
pub use harness::*;
pub use memory::{Secrets, memory_image};
