//! A blocking pool that lends a bounded number of items, on Mutex and Condvar.
//!
//! It suits threads that do one thing after the other: borrow a connection, use it, give it back. It is
//! generic over what it lends: TCP connections, database connections, blocks of memory.
//!
//! # Example
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::net::{SocketAddr, TcpListener, TcpStream};
//! use std::time::{Duration, Instant};
//!
//! /// Makes connections to one server.
//! struct Connections {
//!     server: SocketAddr,
//! }
//!
//! impl pool::Manager for Connections {
//!     type Item = TcpStream;
//!     type Error = io::Error;
//!
//!     fn connect(&self, deadline: Instant) -> io::Result<TcpStream> {
//!         // A timeout of zero would be refused.
//!         let left = deadline.saturating_duration_since(Instant::now());
//!         TcpStream::connect_timeout(&self.server, left.max(Duration::from_millis(1)))
//!     }
//!
//!     fn is_broken(&self, connection: &TcpStream) -> bool {
//!         !matches!(connection.take_error(), Ok(None))
//!     }
//! }
//!
//! # let listener = TcpListener::bind("127.0.0.1:0")?;
//! # let server = listener.local_addr()?;
//! # std::thread::spawn(move || {
//! #     let (mut peer, _) = listener.accept()?;
//! #     let mut request = [0; 5];
//! #     while peer.read_exact(&mut request).is_ok() {
//! #         peer.write_all(&request)?;
//! #     }
//! #     io::Result::Ok(())
//! # });
//! let config = pool::Config::new(8)?
//!     .lifetime(Duration::from_secs(1800), Duration::from_secs(180))?
//!     .idle_timeout(Duration::from_secs(600))?;
//! let pool = pool::Pool::new(Connections { server }, config);
//!
//! for _ in 0..2 {
//!     // One deadline for waiting, checking and connecting together.
//!     let mut connection = pool.acquire(Instant::now() + Duration::from_secs(1))?;
//!     connection.write_all(b"hello")?;
//!     let mut answer = [0; 5];
//!     if let Err(error) = connection.read_exact(&mut answer) {
//!         connection.discard();
//!         return Err(error.into());
//!     }
//!     // The connection goes back here, and serves the second round.
//! }
//! assert_eq!(pool.stats().connected, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it behaves
//!
//! - **Permits.** A pool of size N starts as N permits that hold nil. [`Pool::acquire`] takes one, and
//!   connects only if it is nil. A permit is free again only when its item is back or fully closed, so
//!   that no more than N items ever exist.
//! - **Nothing slow under the lock.** Connecting, checking, closing and telling the [`Observer`] happen
//!   outside it. A connect that hangs delays the one thread that asked for it.
//! - **One deadline**, absolute and fixed by the caller, covers the whole call.
//! - **First come, first served.** A returned item is handed to the longest waiter, which alone is woken.
//!   While somebody waits there is nothing that a newcomer could take. Order is that of joining the queue;
//!   a borrower lets other threads run a few times before it joins
//!   (`limits::YIELDS_BEFORE_QUEUE` says why). A waiter that is served at its deadline or later passes
//!   the item on.
//! - **Most recently used first.** The items in use stay few and warm, and the others reach their idle
//!   timeout.
//! - **Liveness** is checked when an item is borrowed, and only if it idled for a while (500 ms unless
//!   set otherwise): under load that costs nothing.
//! - **Broken items** are closed on return: those that their borrower [discards](Lent::discard), that
//!   [`Manager::is_broken`] names, or whose borrower panicked.
//! - **Closing** wakes every waiter with [`AcquireError::Closed`]; nothing is lent afterwards.
//!
//! # Why nothing closes items in the background
//!
//! A thread that goes round and closes connections past their lifetime does not own them. It either
//! closes one that a borrower is just using, or it first takes it out of the pool, which makes it a
//! borrower that competes with those who have work to do, at a moment that nobody chose. It also needs a
//! thread, a way to stop it, and locks against acquire and release.
//!
//! Acquire and release have the item in hand anyway. So they alone judge its age, with two comparisons:
//!
//! - Acquire never lends an item that is past its lifetime or idle timeout. It takes one that is fresh,
//!   else a nil permit, else it closes the longest idle one and connects in its place.
//! - Release closes the item at hand if it is past its lifetime, else at most one idle item that is past
//!   its time. One, so that no borrower pays for a whole pool that has aged.
//! - An item that is lent is never closed, however old.
//!
//! The price: when traffic stops altogether, idle items stay open until the next borrow, or until their
//! peer closes them. They cost no more than they did while idle, and are judged before they are lent.
//!
//! # What it leaves out
//!
//! It keeps no minimum of idle items ([`Pool::prefill`] makes some at the start), and does not retry a
//! failed connect: how long to wait, and whether to try elsewhere, is for the caller to say. It
//! serves threads, not futures. Nothing that it lends outlives the handle that lent it; a thread that
//! borrows by itself gets a clone of the handle.

mod acquire;
mod clock;
mod config;
mod error;
mod event;
mod jitter;
mod ledger;
mod lent;
pub mod limits;
mod manager;
mod pool;
mod shared;
mod stats;

pub use clock::{Clock, SystemClock};
pub use config::Config;
pub use error::{AcquireError, ConfigError};
pub use event::{DiscardReason, Event, Observer};
pub use lent::Lent;
pub use manager::Manager;
pub use pool::Pool;
pub use stats::{Discarded, Stats};
