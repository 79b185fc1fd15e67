//! Lifetime, idle timeout, liveness: on items that the pool holds, and only there.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pool::{Config, DiscardReason};

use crate::support::{HOUR, ManualClock, Outcome, SECOND, World, check};

const NONE: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);

fn ageless(size: usize) -> Config {
    Config::new(size).unwrap().without_liveness_check()
}

/// `size` items, all idle; the highest number was used last.
fn filled(config: Config) -> World {
    let world = World::with(config).build();
    let size = world.pool.config().size();
    let lent: Vec<_> = (0..size).map(|_| world.acquire()).collect();
    drop(lent);
    world
}

#[test]
fn an_item_at_its_lifetime_is_replaced_when_borrowed() {
    let world = filled(ageless(1).lifetime(10 * SECOND, NONE).unwrap());
    world.clock.advance(10 * SECOND - MILLISECOND);
    check(world.pool.acquire(world.far()), Outcome::Lent(0));
    world.clock.advance(MILLISECOND);
    check(world.pool.acquire(world.far()), Outcome::Lent(1));
    assert_eq!(world.pool.stats().discarded.of(DiscardReason::Expired), 1);
    world.check_all_home();
}

#[test]
fn an_item_at_its_lifetime_stays_with_its_borrower() {
    let world = filled(ageless(1).lifetime(10 * SECOND, NONE).unwrap());
    let lent = world.acquire();
    world.clock.advance(HOUR);
    assert!(world.pool.try_acquire().is_none());
    assert_eq!(world.census.closed(), []);
    drop(lent);
    assert_eq!(world.census.closed(), [0]);
    world.check_all_home();
}

#[test]
fn jitter_shortens_lifetimes_by_different_parts() {
    const SIZE: usize = 64;
    let world = filled(ageless(SIZE).lifetime(100 * SECOND, 50 * SECOND).unwrap());
    let mut ends_s = [None; SIZE];
    for second in 0..=100 {
        drop((0..SIZE).map(|_| world.acquire()).collect::<Vec<_>>());
        for id in world.census.closed() {
            if let Some(end) = usize::try_from(id).ok().and_then(|id| ends_s.get_mut(id)) {
                end.get_or_insert(second);
            }
        }
        world.clock.advance(SECOND);
    }
    let ends_s = ends_s.map(|end| end.expect("each ends within its lifetime"));
    let (first, last) = (ends_s.iter().min().unwrap(), ends_s.iter().max().unwrap());
    assert!((50..=100).contains(first), "the first ended after {first} s");
    // That 64 draws from 50 s all fall within 10 s happens once in 10^42 runs.
    assert!(last - first > 10, "all ended between {first} s and {last} s");
    world.check_all_home();
}

#[test]
fn what_nobody_borrows_is_closed_at_the_next_return() {
    let world = filled(ageless(3).idle_timeout(10 * SECOND).unwrap());
    for _ in 0..9 {
        world.clock.advance(SECOND);
        drop(world.acquire());
    }
    assert_eq!(world.census.closed(), []);
    world.clock.advance(SECOND);
    // The last used item, number 2, is kept warm. One other is closed with each return.
    drop(world.acquire());
    assert_eq!(world.census.closed(), [0]);
    drop(world.acquire());
    assert_eq!(world.census.closed(), [0, 1]);
    drop(world.acquire());
    assert_eq!(world.census.closed(), [0, 1]);
    assert_eq!(world.pool.stats().discarded.of(DiscardReason::Idle), 2);
    world.check_all_home();
}

#[test]
fn a_pool_that_idled_as_a_whole_starts_anew() {
    let world = filled(ageless(2).idle_timeout(10 * SECOND).unwrap());
    world.clock.advance(10 * SECOND);
    let lent = world.acquire();
    assert_eq!(lent.id, 2);
    assert_eq!(world.census.closed(), [0], "it closes one, not all");
    drop(lent);
    assert_eq!(world.census.closed(), [0, 1]);
    assert_eq!(world.census.alive_max(), 2);
    world.check_all_home();
}

#[test]
fn a_fresh_item_below_an_expired_one_is_found() {
    let world = World::with(ageless(2).lifetime(10 * SECOND, NONE).unwrap()).build();
    let old = world.acquire();
    world.clock.advance(5 * SECOND);
    drop(world.acquire());
    drop(old);
    world.clock.advance(5 * SECOND);
    check(world.pool.acquire(world.far()), Outcome::Lent(1));
    assert_eq!(world.census.closed(), [0]);
    world.check_all_home();
}

/// A pool of one whose item answers `alive`, and how often it was asked.
fn checked(config: Config, alive: bool) -> (World, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let world = World::with(config)
        .on_liveness_check(move |_| {
            counter.fetch_add(1, SeqCst);
            alive
        })
        .build();
    drop(world.acquire());
    (world, asked)
}

#[test]
fn liveness_is_checked_only_after_idling() {
    let (world, asked) = checked(Config::new(1).unwrap(), true);
    for (idle, expected) in [(499, 0), (499, 0), (500, 1), (499, 1), (3000, 2), (0, 2)] {
        world.clock.advance(Duration::from_millis(idle));
        check(world.pool.acquire(world.far()), Outcome::Lent(0));
        assert_eq!(asked.load(SeqCst), expected, "after {idle} ms");
    }
}

#[test]
fn a_window_of_zero_checks_every_time() {
    let (world, asked) = checked(Config::new(1).unwrap().liveness_after(NONE).unwrap(), true);
    check(world.pool.acquire(world.far()), Outcome::Lent(0));
    check(world.pool.acquire(world.far()), Outcome::Lent(0));
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn a_dead_item_is_replaced() {
    let (world, _) = checked(Config::new(1).unwrap(), false);
    world.clock.advance(SECOND);
    check(world.pool.acquire(world.far()), Outcome::Lent(1));
    assert_eq!(world.pool.stats().discarded.of(DiscardReason::Dead), 1);
    assert_eq!(world.census.alive_max(), 1);
    world.check_all_home();
}

#[test]
fn no_check_begins_after_the_deadline_and_none_is_forgotten() {
    let (world, asked) = checked(Config::new(1).unwrap(), true);
    world.clock.advance(SECOND);
    // By the rough time the deadline is still to come.
    world.clock.lag(10 * MILLISECOND);
    check(world.pool.acquire(world.expired()), Outcome::TimedOut);
    assert_eq!(asked.load(SeqCst), 0);
    check(world.pool.acquire(world.far()), Outcome::Lent(0));
    assert_eq!(asked.load(SeqCst), 1, "a borrow that failed is no sign of life");
    world.check_all_home();
}

#[test]
fn a_check_that_uses_up_the_time_leaves_none_to_connect() {
    let clock = Arc::new(OnceLock::<ManualClock>::new());
    let in_check = Arc::clone(&clock);
    let world = World::with(Config::new(1).unwrap())
        .on_liveness_check(move |_| {
            in_check.get().unwrap().advance(SECOND);
            false
        })
        .build();
    clock.get_or_init(|| world.clock.clone());
    drop(world.acquire());
    world.clock.advance(SECOND);
    check(world.pool.acquire(world.clock.deadline(SECOND)), Outcome::TimedOut);
    assert_eq!(world.pool.stats().connected, 1);
    world.check_all_home();
}
