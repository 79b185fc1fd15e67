//! How the pool behaves, seen through its public interface.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod closing;
mod lending;
mod lifetime;
mod model;
mod panics;
mod queue;
mod stress;
mod support;
