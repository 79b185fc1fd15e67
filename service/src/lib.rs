//! What both servers are equipped with, and neither of them owns.
//!
//! The two servers never know each other, so whatever both need stands here: how settings are
//! read and refused, how log lines leave the process, what `/metrics` is made of, signals, and
//! what a process does to itself before it handles secrets.
//!
//! Left out on purpose: sockets, HTTP and frames. A server brings those together with this crate.

pub mod build;
pub mod descriptors;
mod exit;
pub mod hardening;
pub mod lifetime;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod ops;
pub mod pid_file;
pub mod process;
pub mod ready;
pub mod settings;
pub mod signals;
pub mod supervisor;

pub use ::sparing::{rare, sparing, token_bucket};
