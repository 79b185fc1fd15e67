//! The cost of a borrow: acquire and release, of an item that is there.
//!
//! `floor` does the least that any such pool must do, two rounds of a mutex around a vector, so that the
//! figures of two machines can be compared.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use parking_lot::Mutex;
use pool::{Config, ConfigError, Manager, Pool};

struct Numbers;

impl Manager for Numbers {
    type Item = u64;
    type Error = Infallible;

    fn connect(&self, _deadline: Instant) -> Result<u64, Infallible> {
        Ok(0)
    }
}

/// Items that never age, as arenas, and such as are checked after idling, as connections.
fn pools(size: usize) -> Result<[(&'static str, Pool<Numbers>); 2], ConfigError> {
    let connections = Config::new(size)?;
    let arenas = connections.clone().without_liveness_check();
    Ok([("ageless", Pool::new(Numbers, arenas)), ("timed", Pool::new(Numbers, connections))])
}

fn borrow(pool: &Pool<Numbers>, deadline: Instant) {
    let mut lent = pool.acquire(deadline).expect("an hour is enough");
    *black_box(&mut *lent) += 1;
}

/// One thread, always the same item.
fn uncontended(c: &mut Criterion) {
    let mut group = c.benchmark_group("uncontended");
    let deadline = Instant::now() + Duration::from_secs(3600);
    group.bench_function("floor", |b| {
        let stack = Mutex::new(vec![0_u64]);
        b.iter(|| {
            let item = stack.lock().pop();
            stack.lock().extend(black_box(item));
        });
    });
    for (name, pool) in pools(4).expect("four is a valid size") {
        group.bench_function(name, |b| b.iter(|| borrow(&pool, deadline)));
    }
    group.finish();
}

/// Eight threads on four items; the time is that of one borrow, over all threads.
fn contended(c: &mut Criterion) {
    const THREADS: u32 = 8;
    let mut group = c.benchmark_group("8 threads on 4 items");
    let deadline = Instant::now() + Duration::from_secs(3600);
    for (name, pool) in pools(4).expect("four is a valid size") {
        group.bench_function(name, |b| {
            b.iter_custom(|borrows| {
                let each = borrows.div_ceil(u64::from(THREADS));
                together(THREADS, || (0..each).for_each(|_| borrow(&pool, deadline)))
            });
        });
    }
    group.finish();
}

/// How long `threads` threads need from a common start until the last has done its `work`.
fn together(threads: u32, work: impl Fn() + Sync) -> Duration {
    let gate = Barrier::new(threads as usize + 1);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                gate.wait();
                work();
                gate.wait();
            });
        }
        // Read before the gate opens: afterwards this thread may be the last to run.
        let start = Instant::now();
        gate.wait();
        gate.wait();
        start.elapsed()
    })
}

criterion_group!(benches, uncontended, contended);
criterion_main!(benches);
