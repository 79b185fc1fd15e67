//! Starts the real servers and talks to them as users do.
//!
//! [`System`] runs any number of `auth_back` and `http_front` processes over one store, each on
//! ports of its own choice. [`Client`] is a well-behaved user, [`RawConnection`] a hostile one,
//! [`MariaDb`] a database and [`Redis`] a Redis that a test may take away and bring back.
//!
//! ```no_run
//! use e2e::System;
//!
//! let system = System::start();
//! let user = system.client();
//! user.register("ada", "correct horse battery").assert_status(200);
//! let token = user.log_in("ada", "correct horse battery");
//! user.products(Some(&token)).assert_status(200);
//! ```
//!
//! Every helper panics when the unexpected happens, with what it was doing: that is how a test fails.
//! What the servers wrote to standard error is then shown below the panic. No helper decides anything
//! by time: a wait ends with the event it waits for, or panics after [`limits::HANG_GUARD`].

#![expect(clippy::missing_panics_doc, reason = "every helper panics, as said above")]

mod answer;
mod binaries;
mod client;
mod haproxy;
pub mod limits;
mod mariadb;
mod memory;
mod nginx;
mod operator;
mod procfs;
mod raw;
mod redis;
mod server;
pub mod statistics;
mod system;
mod wait;

pub use answer::Answer;
pub use binaries::Program;
pub use client::Client;
pub use haproxy::HaProxy;
pub use mariadb::{Database, MariaDb};
pub use memory::{Secrets, memory_image};
pub use nginx::{Nginx, free_address};
pub use operator::{Operator, Told};
pub use procfs::{anonymous_bytes, resident_bytes};
pub use raw::RawConnection;
pub use redis::Redis;
pub use server::{Server, run_to_end};
pub use system::{Builder, Store, System};
pub use wait::{StopOnDrop, until};
