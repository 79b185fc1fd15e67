//! Threads that compete for the items of a pool, for a fixed time.
//!
//! A fixed time and not a fixed number of borrows: with a number, whoever is starved runs last and alone,
//! and looks fast.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::lenders::Lender;

/// Twice as many as there are items.
pub const THREADS: usize = 8;

/// What a thread does while it holds an item.
#[derive(Clone, Copy)]
pub enum Hold {
    /// Adds one to it.
    Nothing,
    /// Computes for about a microsecond.
    Compute { steps: u32 },
    /// Sleeps, as if a peer took this long to answer.
    Sleep(Duration),
}

impl Hold {
    /// Computing for about a microsecond on this machine.
    pub fn a_microsecond() -> Self {
        const STEPS: u32 = 10_000;
        let start = Instant::now();
        // The fastest of several: a preempted one would count too few steps.
        let fastest = (0..50)
            .map(|_| {
                let start = Instant::now();
                compute(&mut 1, STEPS);
                start.elapsed()
            })
            .min()
            .unwrap_or_else(|| start.elapsed());
        let steps = f64::from(STEPS) * 1e-6 / fastest.as_secs_f64();
        Self::Compute { steps: steps as u32 }
    }

    pub fn with(self, item: &mut u64) {
        match self {
            Self::Nothing => *black_box(item) += 1,
            Self::Compute { steps } => compute(item, steps),
            Self::Sleep(span) => thread::sleep(span),
        }
    }
}

/// A chain of dependent steps, so that it takes as long everywhere as on its own.
fn compute(item: &mut u64, steps: u32) {
    for _ in 0..steps {
        *item = black_box(*item).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(5);
    }
}

/// Borrows a second by all threads, CPU time per borrow, and the shares of the threads.
pub fn throughput<L: Lender>(lender: &L, hold: Hold, span: Duration) -> Value {
    let cpu_before = cpu_seconds();
    let (elapsed, counts) = together(span, |stop| {
        let mut borrows = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            lender.borrow(|| (), |item| hold.with(item));
            borrows += 1;
        }
        borrows
    });
    let cpu = cpu_seconds() - cpu_before;
    let borrows = counts.iter().sum::<u64>() as f64;
    let fewest = counts.iter().copied().min().unwrap_or(0) as f64;
    let most = counts.iter().copied().max().unwrap_or(0) as f64;
    json!({
        "borrows_per_second": borrows / elapsed.as_secs_f64(),
        "cpu_ns_per_borrow": cpu * 1e9 / borrows,
        "fewest_over_most": fewest / most,
    })
}

/// How long acquiring took. Apart from [`throughput`], because two looks at the clock each time cost as
/// much as a borrow.
pub fn latency<L: Lender>(lender: &L, hold: Hold, span: Duration) -> Value {
    let (_, histograms) = together(span, |stop| {
        let mut waits = Histogram::<u64>::new(3).expect("three digits are a valid precision");
        while !stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            lender.borrow(
                || {
                    let waited = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    waits.record(waited.max(1)).expect("the histogram grows");
                },
                |item| hold.with(item),
            );
        }
        waits
    });
    let mut all = Histogram::<u64>::new(3).expect("three digits are a valid precision");
    for waits in histograms {
        all.add(waits).expect("the histogram grows");
    }
    let us = |quantile| all.value_at_quantile(quantile) as f64 / 1000.0;
    json!({
        "p50_us": us(0.5),
        "p99_us": us(0.99),
        "p99.9_us": us(0.999),
        "p99.99_us": us(0.9999),
        "max_us": all.max() as f64 / 1000.0,
    })
}

/// Has [`THREADS`] threads do `work` for `span` from a common start; what each of them returned.
fn together<T: Send>(span: Duration, work: impl Fn(&AtomicBool) -> T + Sync) -> (Duration, Vec<T>) {
    let stop = AtomicBool::new(false);
    let gate = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    gate.wait();
                    work(&stop)
                })
            })
            .collect();
        gate.wait();
        let start = Instant::now();
        thread::sleep(span);
        stop.store(true, Ordering::Relaxed);
        let elapsed = start.elapsed();
        let join = |thread: thread::ScopedJoinHandle<'_, T>| thread.join().expect("no panic");
        (elapsed, threads.into_iter().map(join).collect())
    })
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}
