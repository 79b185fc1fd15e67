//! Many threads at once. Threads run until their work is done; no clock decides the outcome.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use pool::{AcquireError, Config, DiscardReason, Manager, Pool};

use crate::support::{Refused, World, panics};

const THREADS: u64 = 16;
const ROUNDS: u64 = 500;

/// A different small number for each thread and round, the same in every run.
fn pick(thread: u64, round: u64, of: u64) -> u64 {
    ((thread * ROUNDS + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % of
}

fn everybody(work: impl Fn(u64) + Sync) {
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(thread);
            });
        }
    });
}

#[test]
fn everybody_is_served_and_no_item_is_in_two_hands() {
    let world = World::untimed(4);
    let far = world.far();
    everybody(|_| {
        for _ in 0..ROUNDS {
            world.pool.acquire(far).unwrap().exclusively(thread::yield_now);
        }
    });
    assert_eq!(world.pool.stats().acquired, THREADS * ROUNDS);
    assert!(world.pool.stats().queued > 0, "nobody had to wait: the test shows nothing");
    world.check_all_home();
}

#[test]
fn no_place_is_lost_to_failures() {
    let world = World::with(Config::new(4).unwrap())
        .on_connect(|id, _| if id % 3 == 1 { Err(Refused) } else { Ok(()) })
        .build();
    let far = world.far();
    everybody(|thread| {
        for round in 0..ROUNDS {
            let lent = match world.pool.acquire(far) {
                Ok(lent) => lent,
                Err(AcquireError::Connect(Refused)) => continue,
                Err(other) => panic!("{other}"),
            };
            lent.exclusively(thread::yield_now);
            match pick(thread, round, 8) {
                0 => lent.discard(),
                1 => drop(world.pool.try_acquire()),
                2 if round % 64 == 0 => panics(|| {
                    let _held = lent;
                    std::panic::resume_unwind(Box::new("quietly"));
                }),
                _ => {}
            }
        }
    });
    let stats = world.pool.stats();
    assert!(stats.connect_failed > 0 && stats.discarded.of(DiscardReason::Broken) > 0);
    world.check_all_home();
}

/// Deadlines of zero to a few microseconds on the real clock: hand-offs and time-outs meet.
#[test]
fn no_place_is_lost_between_a_hand_off_and_a_deadline() {
    struct Numbers(AtomicU64);
    impl Manager for Numbers {
        type Item = u64;
        type Error = Refused;
        fn connect(&self, _: Instant) -> Result<u64, Refused> {
            Ok(self.0.fetch_add(1, SeqCst))
        }
    }
    let config = Config::new(2).unwrap();
    let pool = Pool::new(Numbers(AtomicU64::new(0)), config);
    pool.prefill(2, clock::now() + Duration::from_secs(30)).unwrap();
    let outcomes = [const { AtomicU64::new(0) }; 2];
    everybody(|thread| {
        for round in 0..ROUNDS {
            let patience = Duration::from_micros(pick(thread, round, 64));
            match pool.acquire(clock::now() + patience) {
                Ok(_lent) => {
                    thread::yield_now();
                    outcomes[0].fetch_add(1, SeqCst)
                }
                Err(AcquireError::TimedOut) => outcomes[1].fetch_add(1, SeqCst),
                Err(other) => panic!("{other}"),
            };
        }
    });
    let stats = pool.stats();
    let [served, timed_out] = outcomes.map(AtomicU64::into_inner);
    assert_eq!((served, timed_out), (stats.acquired, stats.timed_out));
    assert_eq!(served + timed_out, THREADS * ROUNDS);
    assert_eq!((stats.lent, stats.idle, stats.waiting, stats.connected), (0, 2, 0, 2));
}

#[test]
fn closing_in_the_middle_of_it_ends_everybody() {
    let world = World::untimed(4);
    let far = world.far();
    everybody(|thread| {
        for round in 0.. {
            match world.pool.acquire(far) {
                Ok(lent) => lent.exclusively(thread::yield_now),
                Err(AcquireError::Closed) => break,
                Err(other) => panic!("{other}"),
            }
            if thread == 0 && round == ROUNDS {
                world.pool.close();
            }
        }
    });
    assert_eq!(world.census.alive(), 0);
    world.check_all_home();
}
