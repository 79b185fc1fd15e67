//! Random histories of one thread against a model so simple that it is plainly right.

use std::time::Duration;

use pool::Config;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{HOUR, Outcome, World};

const LIFETIME: u64 = 3000;
const IDLE_TIMEOUT: u64 = 1000;
const LIVENESS_AFTER: u64 = 500;

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire,
    /// With a deadline that has passed.
    AcquireLate,
    TryAcquire,
    Release(usize),
    Discard(usize),
    AdvanceMs(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Acquire),
        1 => Just(Step::AcquireLate),
        1 => Just(Step::TryAcquire),
        4 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Discard),
        3 => (0..1500_u64).prop_map(Step::AdvanceMs),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Thing {
    id: u64,
    made_at: u64,
    idle_since: u64,
}

/// Times are milliseconds since the start.
#[derive(Default)]
struct Model {
    size: usize,
    now: u64,
    made: u64,
    idle: Vec<Thing>,
    lent: Vec<Thing>,
    closed: Vec<u64>,
}

impl Model {
    fn is_overdue(&self, thing: &Thing) -> bool {
        self.now >= thing.made_at + LIFETIME || self.now >= thing.idle_since + IDLE_TIMEOUT
    }

    /// Items whose number is a multiple of 3 die of idling.
    fn is_dead(thing: &Thing) -> bool {
        thing.id.is_multiple_of(3)
    }

    fn needs_check(&self, thing: &Thing) -> bool {
        self.now >= thing.idle_since + LIVENESS_AFTER
    }

    fn acquire(&mut self, late: bool) -> Outcome {
        if self.lent.len() == self.size {
            return Outcome::TimedOut;
        }
        if let Some(index) = self.idle.iter().rposition(|thing| !self.is_overdue(thing)) {
            let thing = self.idle.remove(index);
            if !self.needs_check(&thing) {
                self.lent.push(thing);
                return Outcome::Lent(thing.id);
            }
            if late {
                return self.put_back(thing);
            }
            if !Self::is_dead(&thing) {
                self.lent.push(thing);
                return Outcome::Lent(thing.id);
            }
            self.closed.push(thing.id);
        } else if self.idle.len() + self.lent.len() == self.size {
            let oldest = self.idle.remove(0);
            self.closed.push(oldest.id);
        }
        if late {
            return Outcome::TimedOut;
        }
        let thing = Thing { id: self.made, made_at: self.now, idle_since: self.now };
        self.made += 1;
        self.lent.push(thing);
        Outcome::Lent(thing.id)
    }

    /// An item that was taken and not lent returns with the time that it carries, so nothing that
    /// became overdue later is noticed.
    fn put_back(&mut self, thing: Thing) -> Outcome {
        let now = std::mem::replace(&mut self.now, thing.idle_since);
        self.shelve(thing);
        self.now = now;
        Outcome::TimedOut
    }

    fn shelve(&mut self, thing: Thing) {
        self.idle.push(thing);
        if let Some(index) = self.idle.iter().position(|thing| self.is_overdue(thing)) {
            self.closed.push(self.idle.remove(index).id);
        }
    }

    fn try_acquire(&mut self) -> Option<u64> {
        if self.lent.len() == self.size {
            return None;
        }
        let Some(index) = self.idle.iter().rposition(|thing| !self.is_overdue(thing)) else {
            if self.idle.len() + self.lent.len() == self.size {
                let oldest = self.idle.remove(0);
                self.closed.push(oldest.id);
            }
            return None;
        };
        let thing = self.idle.remove(index);
        if self.needs_check(&thing) {
            self.put_back(thing);
            return None;
        }
        self.lent.push(thing);
        Some(thing.id)
    }

    fn release(&mut self, index: usize) {
        let mut thing = self.lent.remove(index);
        thing.idle_since = self.now;
        if self.is_overdue(&thing) {
            self.closed.push(thing.id);
        } else {
            self.shelve(thing);
        }
    }

    fn discard(&mut self, index: usize) {
        let thing = self.lent.remove(index);
        self.closed.push(thing.id);
    }
}

fn world(size: usize) -> World {
    let ms = Duration::from_millis;
    let config = Config::new(size)
        .and_then(|config| config.lifetime(ms(LIFETIME), Duration::ZERO))
        .and_then(|config| config.idle_timeout(ms(IDLE_TIMEOUT)))
        .and_then(|config| config.liveness_after(ms(LIVENESS_AFTER)))
        .unwrap();
    World::with(config).on_liveness_check(|item| !item.id.is_multiple_of(3)).build()
}

proptest! {
    #[test]
    fn behaves_as_the_model(size in 1..5_usize, steps in vec(step(), 0..200)) {
        let world = world(size);
        let mut model = Model { size, ..Model::default() };
        let mut lent = Vec::new();
        for step in steps {
            match step {
                Step::Acquire | Step::AcquireLate => {
                    let late = matches!(step, Step::AcquireLate);
                    // With every item lent, waiting for this thread's own return would never end.
                    let patient = !late && lent.len() < size;
                    let after = if patient { HOUR } else { Duration::ZERO };
                    let got = world.pool.acquire(world.clock.deadline(after));
                    let expected = model.acquire(late);
                    prop_assert_eq!(Outcome::of(&got), expected);
                    lent.extend(got);
                }
                Step::TryAcquire => {
                    let got = world.pool.try_acquire();
                    prop_assert_eq!(got.as_ref().map(|lent| lent.id), model.try_acquire());
                    lent.extend(got);
                }
                Step::Release(index) if !lent.is_empty() => {
                    let index = index % lent.len();
                    drop(lent.remove(index));
                    model.release(index);
                }
                Step::Discard(index) if !lent.is_empty() => {
                    let index = index % lent.len();
                    lent.remove(index).discard();
                    model.discard(index);
                }
                Step::Release(_) | Step::Discard(_) => {}
                Step::AdvanceMs(ms) => {
                    world.clock.advance(Duration::from_millis(ms));
                    model.now += ms;
                }
            }
            let stats = world.pool.stats();
            prop_assert_eq!((stats.idle, stats.lent), (model.idle.len(), model.lent.len()));
            prop_assert_eq!(world.census.closed(), &model.closed[..]);
        }
        prop_assert!(world.census.alive_max() <= size);
    }
}
