//! Closing the pool.

use pool::{Config, DiscardReason};

use crate::support::{Gate, Outcome, SECOND, World, check, join};

#[test]
fn closing_wakes_every_waiter() {
    let world = World::untimed(1);
    let held = world.acquire();
    let waiters: Vec<_> = (0..8).map(|_| world.queue(world.far(), Outcome::of_brief)).collect();
    world.pool.close();
    for waiter in waiters {
        assert_eq!(join(waiter), Outcome::Closed);
    }
    drop(held);
    world.check_all_home();
}

#[test]
fn idle_items_end_at_once_and_lent_ones_as_they_return() {
    let world = World::untimed(2);
    let held = world.acquire();
    drop(world.acquire());
    world.pool.close();
    assert_eq!(world.census.closed(), [1]);
    assert_eq!(world.pool.stats().lent, 1);
    drop(held);
    assert_eq!(world.census.closed(), [1, 0]);
    assert_eq!(world.pool.stats().discarded.of(DiscardReason::Closed), 2);
    world.check_all_home();
}

#[test]
fn a_closed_pool_lends_nothing() {
    let world = World::untimed(2);
    drop(world.acquire());
    assert!(!world.pool.is_closed());
    world.pool.close();
    world.pool.close();
    assert!(world.pool.is_closed());
    check(world.pool.acquire(world.far()), Outcome::Closed);
    assert!(world.pool.try_acquire().is_none());
    let filled = world.pool.prefill(2, world.far());
    assert!(matches!(filled, Err(pool::AcquireError::Closed)));
    world.check_all_home();
}

#[test]
fn what_was_being_checked_is_not_lent() {
    let (gate, checking, proceed) = Gate::new();
    let world = World::with(Config::new(1).unwrap())
        .on_liveness_check(move |_| {
            gate.pass();
            true
        })
        .build();
    drop(world.acquire());
    world.clock.advance(SECOND);
    let pool = world.pool.clone();
    let far = world.far();
    let caller = std::thread::spawn(move || Outcome::of_brief(pool.acquire(far)));
    checking.recv().unwrap();
    world.pool.close();
    proceed.send(()).unwrap();
    assert_eq!(join(caller), Outcome::Closed);
    world.check_all_home();
}

#[test]
fn what_was_being_connected_is_not_lent() {
    let (gate, connecting, proceed) = Gate::new();
    let world = World::with(Config::new(1).unwrap())
        .on_connect(move |_, _| {
            gate.pass();
            Ok(())
        })
        .build();
    let pool = world.pool.clone();
    let far = world.far();
    let caller = std::thread::spawn(move || Outcome::of_brief(pool.acquire(far)));
    connecting.recv().unwrap();
    world.pool.close();
    proceed.send(()).unwrap();
    assert_eq!(join(caller), Outcome::Closed);
    assert_eq!(world.census.alive(), 0);
    world.check_all_home();
}
