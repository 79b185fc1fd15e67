//! Counts what a turn of each contender allocates, in its steady state. Prints JSON; fails if our side
//! allocates.

use std::alloc::System;
use std::process::ExitCode;

use micro::lenders::{Ageless, DeadpoolManaged, DeadpoolUnmanaged, Lender, R2d2, Timed};
use micro::messages::{Ours, Prost};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Enough that a rare allocation shows.
const TURNS: u32 = 10_000;

fn main() -> ExitCode {
    let mut ours = Ours::default();
    let framing = allocations_each(|| {
        ours.encode();
        ours.decode();
    });
    let mut prost = Prost::default();
    let prost_fresh = allocations_each(|| {
        prost.encode();
        prost.decode();
    });
    let prost_again = allocations_each(|| {
        prost.encode();
        prost.decode_again();
    });
    let ageless = borrow(&Ageless::filled());
    let timed = borrow(&Timed::filled());
    let counted = json!({
        "framing": framing,
        "prost": prost_fresh,
        "prost, message used again": prost_again,
        Ageless::NAME: ageless,
        Timed::NAME: timed,
        R2d2::NAME: borrow(&R2d2::filled()),
        DeadpoolManaged::NAME: borrow(&DeadpoolManaged::filled()),
        DeadpoolUnmanaged::NAME: borrow(&DeadpoolUnmanaged::filled()),
    });
    println!("{counted:#}");
    if framing + ageless + timed > 0.0 {
        eprintln!("something of ours allocates");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn borrow<L: Lender>(lender: &L) -> f64 {
    allocations_each(|| lender.borrow(|| (), |item| *item += 1))
}

fn allocations_each(mut turn: impl FnMut()) -> f64 {
    turn();
    let region = Region::new(ALLOCATOR);
    (0..TURNS).for_each(|_| turn());
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / f64::from(TURNS)
}
