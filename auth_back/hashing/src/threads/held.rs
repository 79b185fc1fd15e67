//! Wake-ups that are held back, so that one thread that wakes finds several hashes done.
//!
//! A thread that wakes on a busy core interrupts a hash, and finds the core's caches full of that hash's memory; those
//! that run right after it find what they have in common. So while many hashes wait, whoever goes on with one that is
//! done is woken for a few at a time.
//!
//! Holding back is a bet on the next hash, and a bet can be lost: the next may be refused, may panic, may never come.
//! So what is held back has an end in time, and whoever holds something fires it before it sleeps, and before it
//! begins what lasts longer than that ([`Held::fire_unless_it_can_wait`]).

use std::time::Instant;

use lane::Wakeup;
use parking_lot::Mutex;

use crate::limits::{HASHES_TOGETHER_MAX, HELD_BACK_MAX};

/// What the threads that hash hold back, all of them together.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Batch>);

#[derive(Debug, Default)]
struct Batch {
    wakeups: Vec<Wakeup>,
    /// When the first of them has to be fired at the latest.
    by: Option<Instant>,
}

impl Held {
    /// Holds a wake-up for something that was done at `now` and is to be answered by `deadline`: what has less than
    /// [`HELD_BACK_MAX`] left for the rest of its way does not wait.
    pub(super) fn add(&self, wakeup: Wakeup, now: Instant, deadline: Instant) {
        let mut batch = self.0.lock();
        batch.wakeups.push(wakeup);
        let by = deadline.checked_sub(HELD_BACK_MAX).unwrap_or(now).min(now + HELD_BACK_MAX);
        batch.by = Some(batch.by.map_or(by, |others| others.min(by)));
    }

    /// Fires all that is held, unless it is better to wait for what is done by `then`: not too many wait already, and
    /// none of them would be late.
    pub(super) fn fire_unless_it_can_wait(&self, then: Instant) {
        let batch = self.0.lock();
        let can_wait =
            batch.wakeups.len() < HASHES_TOGETHER_MAX && batch.by.is_none_or(|by| then <= by);
        drop(batch);
        if !can_wait {
            self.fire();
        }
    }

    /// Fires all that is held.
    pub(super) fn fire(&self) {
        let Batch { wakeups, .. } = std::mem::take(&mut *self.0.lock());
        // Without the lock: whoever is woken may come here.
        wakeups.into_iter().for_each(Wakeup::fire);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use lane::Wake;

    use super::*;

    #[derive(Default)]
    struct Sleeper(AtomicUsize);

    impl Wake for Sleeper {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Holds one wake-up for each deadline, and asks whether they can wait until `then`. All times count from one
    /// moment, at which they are held.
    #[track_caller]
    fn check(deadlines: &[Duration], then: Duration, can_wait: bool) {
        let (held, sleeper, now) = (Held::default(), Arc::new(Sleeper::default()), clock::now());
        for deadline in deadlines {
            let wakeup = Wakeup::of(Arc::clone(&sleeper) as Arc<dyn Wake>);
            held.add(wakeup, now, now + *deadline);
        }
        held.fire_unless_it_can_wait(now + then);
        let fired = if can_wait { 0 } else { deadlines.len() };
        assert_eq!(sleeper.0.load(Ordering::Relaxed), fired, "{deadlines:?} {then:?}");
        held.fire();
        assert_eq!(sleeper.0.load(Ordering::Relaxed), deadlines.len(), "each once");
    }

    #[test]
    fn nothing_is_held_past_its_end() {
        let (late, ms) = (Duration::from_secs(60), Duration::from_millis);
        check(&[late], HELD_BACK_MAX, true);
        check(&[late], HELD_BACK_MAX + ms(1), false);
        check(&[late, HELD_BACK_MAX + ms(3), late], ms(3), true);
        check(&[late, HELD_BACK_MAX + ms(3), late], ms(4), false);
        check(&[HELD_BACK_MAX / 2], ms(0), false);
        check(&[late; HASHES_TOGETHER_MAX - 1], ms(1), true);
        check(&[late; HASHES_TOGETHER_MAX], ms(1), false);
        check(&[], late, true);
    }
}
