//! Micro-benchmarks of `pool` and `framing` beside what one would otherwise take.
//!
//! Contenders do the same work on the same threads, in turn, for several rounds; `micro` prints every
//! round as JSON and leaves medians to its reader (`perf/figures/micro.py`). `micro_allocations` counts
//! allocations, in a program of its own because counting costs time and would fall on one side only.

pub mod contention;
pub mod lenders;
pub mod messages;
pub mod rounds;
