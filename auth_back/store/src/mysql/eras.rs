//! Which connections may lead to a primary that was demoted.
//!
//! A demoted primary goes on answering reads, from data that grows old: a session that has ended elsewhere is live there.
//! Its connections stay open, so nothing but a refused write tells. Such a refusal casts doubt on every connection that is
//! open, whether or not it has written: each belongs to the era in which it was begun, and those of earlier eras are not
//! used again. While writes are refused, a new era begins once in [`ERA_MIN`], because the address may have moved
//! since; when one succeeds, a last one begins, because what was opened before may lead to the demoted one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::limits::ERA_MIN;

/// The number of an era. Those that began later are greater.
pub(super) type Era = u64;

#[derive(Debug, Default)]
pub(super) struct Eras {
    now: AtomicU64,
    /// When the last one began after a refused write.
    refused_at: Mutex<Option<Instant>>,
}

impl Eras {
    pub(super) fn now(&self) -> Era {
        self.now.load(Ordering::SeqCst)
    }

    /// A write over a connection of `era` was refused. Does nothing where the era is over already, or has just begun.
    pub(super) fn refused(&self, era: Era, now: Instant) {
        let mut last = self.refused_at.lock();
        if era != self.now() || last.is_some_and(|last| now < last + ERA_MIN) {
            return;
        }
        *last = Some(now);
        self.begin();
    }

    /// A write was done after others were refused. Returns the new era, to which its connection belongs.
    pub(super) fn taken(&self) -> Era {
        let mut last = self.refused_at.lock();
        // The next refusal is of another failover.
        *last = None;
        self.begin()
    }

    fn begin(&self) -> Era {
        self.now.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_begin_one_era_in_a_while_and_a_success_begins_the_last() {
        let (eras, start) = (Eras::default(), clock::now());
        eras.refused(0, start);
        assert_eq!(eras.now(), 1);
        // Of an era that is over; too soon.
        eras.refused(0, start + ERA_MIN * 2);
        eras.refused(1, start + ERA_MIN / 2);
        assert_eq!(eras.now(), 1);
        eras.refused(1, start + ERA_MIN);
        assert_eq!(eras.now(), 2);
        assert_eq!((eras.taken(), eras.now()), (3, 3));
        eras.refused(3, start + ERA_MIN);
        assert_eq!(eras.now(), 4);
    }
}
