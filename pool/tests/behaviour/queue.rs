//! Waiting: order, hand-off, deadlines.

use std::sync::mpsc;

use pool::Config;

use crate::support::{Gate, HOUR, Outcome, Refused, SECOND, World, await_that, check, join};

#[test]
fn waiters_are_served_in_order() {
    let world = World::untimed(1);
    let held = world.acquire();
    let (served, order) = mpsc::channel();
    let threads: Vec<_> = (0..8)
        .map(|place| {
            let served = served.clone();
            world.queue(world.far(), move |lent| {
                let lent = lent.unwrap();
                served.send((place, lent.id)).unwrap();
            })
        })
        .collect();
    drop(held);
    for thread in threads {
        join(thread);
    }
    let order: Vec<_> = order.try_iter().collect();
    assert_eq!(order, (0..8).map(|place| (place, 0)).collect::<Vec<_>>());
    assert_eq!(world.pool.stats().queued, 8);
    world.check_all_home();
}

#[test]
fn a_newcomer_does_not_overtake() {
    let world = World::untimed(1);
    let held = world.acquire();
    let (finish, finished) = mpsc::channel::<()>();
    let waiter = world.queue(world.far(), move |lent| {
        let lent = lent.unwrap();
        finished.recv().unwrap();
        lent.id
    });
    drop(held);
    // Whether or not the waiter has woken up yet, the item is already its own.
    assert!(world.pool.try_acquire().is_none());
    check(world.pool.acquire(world.expired()), Outcome::TimedOut);
    finish.send(()).unwrap();
    assert_eq!(join(waiter), 0);
    world.check_all_home();
}

#[test]
fn a_waiter_leaves_the_queue_at_its_deadline() {
    let world = World::untimed(1);
    let held = world.acquire();
    let hasty = world.queue(world.clock.deadline(SECOND / 100), Outcome::of_brief);
    let patient = world.queue(world.far(), Outcome::of_brief);
    world.clock.advance(SECOND / 100);
    assert_eq!(join(hasty), Outcome::TimedOut);
    assert_eq!(world.pool.stats().waiting, 1);
    drop(held);
    assert_eq!(join(patient), Outcome::Lent(0));
    assert_eq!(world.pool.stats().timed_out, 1);
    world.check_all_home();
}

#[test]
fn an_item_that_comes_at_the_deadline_is_passed_on() {
    let world = World::untimed(1);
    let held = world.acquire();
    // In real time the first waiter would sleep for an hour, so it is the hand-off that wakes it.
    let late = world.queue(world.clock.deadline(HOUR), Outcome::of_brief);
    let next = world.queue(world.clock.deadline(2 * HOUR), Outcome::of_brief);
    world.clock.advance(HOUR);
    drop(held);
    assert_eq!(join(late), Outcome::TimedOut);
    assert_eq!(join(next), Outcome::Lent(0));
    world.check_all_home();
    // The two threads tell of it at the same time.
    let mut waits: Vec<_> = world.log.take().into_iter().filter(|e| e.contains("3600s")).collect();
    waits.sort();
    assert_eq!(waits, ["acquired after 3600s", "timed out after 3600s"]);
}

#[test]
fn an_item_that_comes_too_late_for_everybody_is_kept() {
    let world = World::untimed(1);
    let held = world.acquire();
    let late = world.queue(world.far(), Outcome::of_brief);
    world.clock.advance(HOUR);
    drop(held);
    assert_eq!(join(late), Outcome::TimedOut);
    world.check_all_home();
    check(world.pool.acquire(world.far()), Outcome::Lent(0));
}

#[test]
fn a_failed_connect_passes_its_place_to_the_next_waiter() {
    let (gate, connecting, proceed) = Gate::new();
    let world = World::with(Config::new(1).unwrap())
        .on_connect(move |id, _| {
            if id > 0 {
                return Ok(());
            }
            gate.pass();
            Err(Refused)
        })
        .build();
    let pool = world.pool.clone();
    let far = world.far();
    let failing = std::thread::spawn(move || Outcome::of_brief(pool.acquire(far)));
    connecting.recv().unwrap();
    let waiter = world.queue(far, Outcome::of_brief);
    proceed.send(()).unwrap();
    assert_eq!(join(failing), Outcome::Refused);
    assert_eq!(join(waiter), Outcome::Lent(1));
    world.check_all_home();
}

#[test]
fn a_discard_passes_its_place_to_the_next_waiter() {
    let world = World::untimed(1);
    let held = world.acquire();
    let waiter = world.queue(world.far(), Outcome::of_brief);
    held.discard();
    assert_eq!(join(waiter), Outcome::Lent(1));
    world.check_all_home();
}

#[test]
fn a_prefilled_item_goes_to_a_waiter_first() {
    let (gate, connecting, proceed) = Gate::new();
    let world = World::with(Config::new(1).unwrap())
        .on_connect(move |_, _| {
            gate.pass();
            Ok(())
        })
        .build();
    let pool = world.pool.clone();
    let far = world.far();
    let filler = std::thread::spawn(move || pool.prefill(1, far).unwrap());
    connecting.recv().unwrap();
    let waiter = world.queue(far, Outcome::of_brief);
    proceed.send(()).unwrap();
    join(filler);
    assert_eq!(join(waiter), Outcome::Lent(0));
    await_that("all home", || world.pool.stats().idle == 1);
}
