//! The event loop that both servers are made of: mio, edge-triggered, one thread per loop.
//!
//! A loop moves bytes between sockets and protocols. It knows neither HTTP nor frames; those are
//! [`Protocol`] implementations, one value per connection, without I/O of their own. This crate is
//! the only one that names mio.
//!
//! A turn of a loop: poll; accept; deliver what workers posted to the [`Mailbox`]; read from whoever is
//! readable, up to a share, and write, once per connection, all that came out of it; fire
//! deadlines. **Invariant:** a loop never blocks except in poll.
//!
//! What is left out on purpose: TLS (a proxy in front ends it), UDP, moving connections between
//! loops (they would need locks, and `SO_REUSEPORT` already spreads them).

mod accept;
mod buffer;
mod census;
mod common;
mod connection;
mod counters;
mod event_loop;
mod eviction;
pub mod limits;
mod lingering;
mod listener;
mod mailbox;
mod protocol;
mod running;
mod session;
mod slots;
mod storage;
pub mod testing;
mod wheel;

pub use accept::is_exhaustion;
pub use counters::Counters;
pub use event_loop::idle_connection_bytes;
pub use limits::Limits;
pub use listener::Listener;
pub use mailbox::{Bundle, Mailbox, Ticket};
pub use protocol::{ConnectionId, Io, Protocol};
pub use running::{Reactor, start};
