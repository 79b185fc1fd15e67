//! Connecting, lending, returning.

use std::sync::{Arc, Mutex};

use pool::{Config, DiscardReason, Lent, Pool};

use crate::support::{Factory, Gate, Outcome, Refused, SECOND, World, check, join};

#[test]
fn handles_cross_threads() {
    fn assert_send<T: Send>() {}
    fn assert_sync<T: Sync>() {}
    assert_send::<Pool<Factory>>();
    assert_sync::<Pool<Factory>>();
    assert_send::<Lent<'_, Factory>>();
}

#[test]
fn connects_only_when_nil() {
    let world = World::untimed(3);
    assert_eq!(world.census.alive(), 0);
    for _ in 0..10 {
        check(world.pool.acquire(world.far()), Outcome::Lent(0));
    }
    let _zero = world.acquire();
    check(world.pool.acquire(world.far()), Outcome::Lent(1));
    assert_eq!(world.pool.stats().connected, 2);
}

#[test]
fn lends_the_most_recently_used_first() {
    let world = World::untimed(3);
    let [a, b, c] = [(); 3].map(|()| world.acquire());
    drop(b);
    drop(a);
    drop(c);
    let order = [(); 3].map(|()| world.acquire()).map(|lent| lent.id);
    assert_eq!(order, [2, 0, 1]);
}

#[test]
fn never_more_than_its_size() {
    let world = World::untimed(2);
    let _held = [world.acquire(), world.acquire()];
    check(world.pool.acquire(world.expired()), Outcome::TimedOut);
    assert_eq!(world.census.alive(), 2);
    assert_eq!(world.pool.stats().queued, 0, "who comes too late does not queue");
}

#[test]
fn an_idle_item_needs_no_deadline_but_a_connect_does() {
    let world = World::untimed(1);
    check(world.pool.acquire(world.expired()), Outcome::TimedOut);
    assert_eq!(world.pool.stats().connected, 0);
    check(world.pool.acquire(world.far()), Outcome::Lent(0));
    check(world.pool.acquire(world.expired()), Outcome::Lent(0));
    world.check_all_home();
}

#[test]
fn connect_is_given_the_callers_deadline() {
    let seen = Arc::new(Mutex::new(None));
    let sink = Arc::clone(&seen);
    let world = World::with(Config::new(1).unwrap())
        .on_connect(move |_, deadline| {
            *sink.lock().unwrap() = Some(deadline);
            Ok(())
        })
        .build();
    let deadline = world.clock.deadline(SECOND);
    check(world.pool.acquire(deadline), Outcome::Lent(0));
    assert_eq!(*seen.lock().unwrap(), Some(deadline));
}

#[test]
fn a_failed_connect_is_reported_and_frees_its_place() {
    let world = World::with(Config::new(1).unwrap())
        .on_connect(|id, _| if id < 3 { Err(Refused) } else { Ok(()) })
        .build();
    for _ in 0..3 {
        check(world.pool.acquire(world.far()), Outcome::Refused);
    }
    check(world.pool.acquire(world.far()), Outcome::Lent(3));
    assert_eq!(world.pool.stats().connect_failed, 3);
    world.check_all_home();
}

#[test]
fn a_slow_connect_blocks_nobody_else() {
    let (gate, connecting, proceed) = Gate::new();
    let world = World::with(Config::new(2).unwrap().without_liveness_check())
        .on_connect(move |id, _| {
            if id == 1 {
                gate.pass();
            }
            Ok(())
        })
        .build();
    let first = world.acquire();
    let pool = world.pool.clone();
    let far = world.far();
    let slow = std::thread::spawn(move || Outcome::of_brief(pool.acquire(far)));
    connecting.recv().unwrap();
    drop(first);
    // All of this happens while the other thread stands in `connect`.
    for _ in 0..100 {
        check(world.pool.acquire(far), Outcome::Lent(0));
    }
    assert_eq!(world.pool.try_acquire().unwrap().id, 0);
    assert_eq!(world.pool.stats().lent, 1);
    proceed.send(()).unwrap();
    assert_eq!(join(slow), Outcome::Lent(1));
    world.check_all_home();
}

#[test]
fn a_discarded_item_is_closed_and_replaced() {
    let world = World::untimed(1);
    world.acquire().discard();
    assert_eq!(world.census.closed(), [0]);
    check(world.pool.acquire(world.far()), Outcome::Lent(1));
    assert_eq!(world.pool.stats().discarded.of(DiscardReason::Broken), 1);
    world.check_all_home();
}

#[test]
fn a_broken_item_is_closed_when_it_returns() {
    let world = World::untimed(1);
    world.acquire().broken = true;
    check(world.pool.acquire(world.far()), Outcome::Lent(1));
    assert_eq!(world.pool.stats().discarded.of(DiscardReason::Broken), 1);
    world.check_all_home();
}

#[test]
fn try_acquire_takes_only_what_is_ready() {
    let world = World::with(Config::new(2).unwrap()).build();
    assert!(world.pool.try_acquire().is_none(), "it does not connect");
    drop(world.acquire());
    let held = world.pool.try_acquire().unwrap();
    assert!(world.pool.try_acquire().is_none());
    drop(held);
    world.clock.advance(SECOND);
    assert!(world.pool.try_acquire().is_none(), "it does not check");
    check(world.pool.acquire(world.far()), Outcome::Lent(0));
    assert!(world.pool.try_acquire().is_some());
    world.check_all_home();
}

#[test]
fn prefill_makes_what_is_missing() {
    let world = World::untimed(4);
    let lent = world.acquire();
    world.pool.prefill(3, world.far()).unwrap();
    assert_eq!(world.pool.stats().idle, 2);
    world.pool.prefill(2, world.far()).unwrap();
    assert_eq!(world.pool.stats().connected, 3);
    world.pool.prefill(usize::MAX, world.far()).unwrap();
    assert_eq!(world.pool.stats().connected, 4);
    drop(lent);
    world.check_all_home();
}

#[test]
fn prefill_stops_at_the_first_failure() {
    let world = World::with(Config::new(4).unwrap())
        .on_connect(|id, _| if id == 2 { Err(Refused) } else { Ok(()) })
        .build();
    let failed = world.pool.prefill(4, world.far());
    assert!(matches!(failed, Err(pool::AcquireError::Connect(Refused))));
    assert_eq!(world.pool.stats().idle, 2);
    let late = world.pool.prefill(4, world.expired());
    assert!(matches!(late, Err(pool::AcquireError::TimedOut)));
    world.check_all_home();
}

#[test]
fn what_never_ages_costs_no_look_at_the_clock() {
    let world = World::untimed(1);
    drop(world.acquire());
    let before = world.clock.reads();
    for _ in 0..10 {
        drop(world.pool.acquire(world.far()).unwrap());
    }
    assert_eq!(world.clock.reads(), before);
}

#[test]
fn observers_hear_everything_in_order() {
    let world = World::with(Config::new(1).unwrap())
        .on_connect(|id, _| if id == 1 { Err(Refused) } else { Ok(()) })
        .build();
    let lent = world.acquire();
    check(world.pool.acquire(world.expired()), Outcome::TimedOut);
    lent.discard();
    check(world.pool.acquire(world.far()), Outcome::Refused);
    assert_eq!(
        world.log.take(),
        [
            "connected",
            "acquired after 0ns",
            "timed out after 0ns",
            "discarded: Broken",
            "released",
            "connect failed: refused",
        ]
    );
}

#[test]
fn items_end_with_the_last_handle() {
    let world = World::untimed(2);
    drop(world.acquire());
    let World { pool, census, .. } = world;
    let other = pool.clone();
    drop(pool);
    assert_eq!(other.try_acquire().unwrap().id, 0);
    drop(other);
    assert_eq!(census.alive(), 0);
}

#[test]
fn debug_output_shows_no_item() {
    let world = World::untimed(1);
    let lent = world.acquire();
    assert_eq!(format!("{lent:?}"), "Lent { .. }");
    assert!(format!("{:?}", world.pool).starts_with("Pool { stats: Stats { size: 1"));
}
