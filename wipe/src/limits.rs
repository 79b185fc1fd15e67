//! Every bound of this crate, with its reason.

/// How much of the stack is wiped before a thread waits. Optimised, everything that a request goes
/// through stays within a few KiB; unoptimised, frames are several times as large.
pub const WIPED_STACK_BYTES: usize = if cfg!(debug_assertions) { 128 << 10 } else { 16 << 10 };
