//! A panic costs at most one item, and never a place in the pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use pool::{Config, DiscardReason};

use crate::support::{Outcome, SECOND, World, check, join, panics};

/// The pool's one place must work again, with a new item.
#[track_caller]
fn check_recovered(world: &World, expected: u64) {
    check(world.pool.acquire(world.far()), Outcome::Lent(expected));
    world.check_all_home();
}

#[test]
fn in_the_holder() {
    let world = World::untimed(1);
    panics(|| {
        let _lent = world.acquire();
        panic!("half way through a message");
    });
    assert_eq!(world.pool.stats().discarded.of(DiscardReason::Panicked), 1);
    check_recovered(&world, 1);
}

#[test]
fn in_the_holder_and_then_nobody_asks_whether_the_item_is_broken() {
    let asked = Arc::new(AtomicBool::new(false));
    let sink = Arc::clone(&asked);
    let world =
        World::with(Config::new(1).unwrap()).on_return(move |_| sink.swap(true, SeqCst)).build();
    panics(|| {
        let _lent = world.acquire();
        panic!("half way through a message");
    });
    // A second panic, in that call, would abort the process.
    assert!(!asked.load(SeqCst));
}

#[test]
fn in_the_holder_while_another_waits() {
    let world = World::untimed(1);
    let held = world.acquire();
    let waiter = world.queue(world.far(), Outcome::of_brief);
    panics(|| {
        let _held = held;
        panic!("half way through a message");
    });
    assert_eq!(join(waiter), Outcome::Lent(1));
    world.check_all_home();
}

#[test]
fn in_connect() {
    let world = World::with(Config::new(1).unwrap())
        .on_connect(|id, _| {
            assert!(id > 0, "told to panic");
            Ok(())
        })
        .build();
    panics(|| drop(world.acquire()));
    check_recovered(&world, 1);
}

#[test]
fn in_the_liveness_check() {
    let world =
        World::with(Config::new(1).unwrap()).on_liveness_check(|_| panic!("told to")).build();
    drop(world.acquire());
    world.clock.advance(SECOND);
    panics(|| drop(world.acquire()));
    check_recovered(&world, 1);
}

#[test]
fn in_is_broken() {
    let first = AtomicBool::new(true);
    let world = World::with(Config::new(1).unwrap())
        .on_return(move |_| {
            assert!(!first.swap(false, SeqCst), "told to panic");
            false
        })
        .build();
    panics(|| drop(world.acquire()));
    check_recovered(&world, 1);
}

#[test]
fn in_the_drop_of_an_item() {
    let world = World::untimed(1);
    let mut lent = world.acquire();
    lent.panics_when_dropped = true;
    panics(|| lent.discard());
    assert_eq!(world.pool.stats().lent, 0);
    check(world.pool.acquire(world.far()), Outcome::Lent(1));
    assert_eq!(world.census.closed(), [0]);
}
