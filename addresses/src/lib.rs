//! Addresses: networks as operators write them ([`Network`]), and which addresses count as one party
//! ([`Source`]).

mod network;
mod source;

pub use network::{Network, NotANetwork};
pub use source::Source;
