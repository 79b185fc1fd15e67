//! Starts private servers, for end-to-end tests, tests of one crate, measurements and `./run`, and ends
//! them with whoever has started them.
//!
//! | what | type | program |
//! |---|---|---|
//! | both servers of Gatehouse over one store | [`System`] | `harness system`, and `harness run` for `./run` |
//! | one of them | [`Server`] | `harness server` |
//! | a MariaDB, a Redis | [`MariaDb`], [`Redis`] | `harness mariadb`, `harness redis` |
//! | proxies | [`Nginx`], [`HaProxy`] | |
//!
//! Each is private: on ports that nobody else gets, with everything that it writes in a directory of its
//! own, reading no configuration of the machine's. Each ends when it is dropped, and when this process
//! ends, however that comes about: by `kill -9` as well (`reaper.rs`).
//!
//! With the feature `database` there are databases on a MariaDB, with `client` users: [`Client`] is a
//! well-behaved one, [`RawConnection`] a hostile one.
//!
//! ```no_run
//! # #[cfg(feature = "client")] {
//! use harness::System;
//!
//! let system = System::start();
//! let user = system.client();
//! user.register("ada", "correct horse battery").assert_status(200);
//! let token = user.log_in("ada", "correct horse battery");
//! user.products(Some(&token)).assert_status(200);
//! # }
//! ```
//!
//! Every helper for tests panics when the unexpected happens, with what it was doing: that is how a test
//! fails. The last lines of the servers' logs are then shown below the panic. What other programs use
//! gives an [`Error`] instead. No helper decides anything by time: a wait ends with the event it waits for,
//! or fails after [`limits::HANG_GUARD`].

#![expect(clippy::missing_panics_doc, reason = "every helper for tests panics, as said above")]

#[cfg(feature = "client")]
mod answer;
#[cfg(feature = "client")]
mod client;
mod daemon;
#[cfg(feature = "database")]
mod database;
mod error;
mod haproxy;
mod last_lines;
pub mod limits;
mod mariadb;
mod nginx;
mod operator;
mod port;
mod process;
mod procfs;
mod program;
#[cfg(feature = "client")]
mod raw;
mod readiness;
mod reaper;
mod recipe;
mod redis;
mod scratch;
mod server;
mod system;
mod wait;

#[cfg(feature = "client")]
pub use answer::Answer;
#[cfg(feature = "client")]
pub use client::Client;
pub use daemon::{Daemon, is_root};
#[cfg(feature = "database")]
pub use database::Database;
pub use error::Error;
pub use haproxy::HaProxy;
pub use mariadb::MariaDb;
pub use nginx::Nginx;
pub use operator::{Operator, Told};
pub use port::Port;
pub use process::{Process, Waited, wait_for};
pub use procfs::{anonymous_bytes, resident_bytes};
pub use program::{Binaries, Program};
#[cfg(feature = "client")]
pub use raw::RawConnection;
pub use readiness::status;
pub use recipe::{Environment, Log, Recipe, run_to_end};
pub use redis::Redis;
pub use rustix::process::Signal;
pub use scratch::Scratch;
pub use server::Server;
pub use system::{Builder, Store, System};
pub use wait::{StopOnDrop, until};
