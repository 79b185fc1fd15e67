//! Addresses: networks as operators write them ([`Network`]), which addresses count as one party
//! ([`Source`]), and where the servers of others are (`ServerUrl`, with the feature `server_url`).

mod network;
#[cfg(feature = "server_url")]
mod server_url;
mod source;

pub use network::{Network, NotANetwork};
#[cfg(feature = "server_url")]
pub use server_url::{ServerUrl, ServerUrlError};
pub use source::Source;
