//! What all handles of a pool share, and what is lent borrows.

use std::time::Instant;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::Config;
use crate::event::{DiscardReason, Event, Observer};
use crate::jitter::Jitter;
use crate::ledger::{Given, Ledger, Overdue, Slot};
use crate::manager::Manager;
use crate::stats::Counters;

pub(crate) struct Shared<M: Manager, C> {
    pub(crate) manager: M,
    pub(crate) config: Config,
    pub(crate) clock: C,
    pub(crate) counters: Counters,
    pub(crate) jitter: Jitter,
    /// Held for a few moves at a time; never across a call into the manager, the observer or an item.
    pub(crate) ledger: Mutex<Ledger<M::Item>>,
    observer: Option<Box<dyn Observer>>,
    /// Settled once, so that a borrow tests one flag.
    is_timed: bool,
}

impl<M: Manager, C: Clock> Shared<M, C> {
    pub(crate) fn new(
        manager: M,
        config: Config,
        clock: C,
        observer: Option<Box<dyn Observer>>,
    ) -> Self {
        Self {
            ledger: Mutex::new(Ledger::new(config.size(), config.idle_time_allowed())),
            is_timed: config.is_timed(),
            manager,
            config,
            clock,
            counters: Counters::default(),
            jitter: Jitter::new(),
            observer,
        }
    }

    /// The time to judge an item's age by, or `None` if nothing depends on it. A rough one, because an
    /// exact one costs more than all else that a borrow does.
    pub(crate) fn now_if_timed(&self) -> Option<Instant> {
        self.is_timed.then(|| self.clock.now_roughly())
    }

    pub(crate) fn emit(&self, event: Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.on_event(event);
        }
    }

    pub(crate) fn note_discarded(&self, reason: DiscardReason) {
        self.counters.discarded(reason).add_one();
        self.emit(Event::Discarded { reason });
    }

    /// Puts a permit back. Also takes out one whose item is past its time, for the caller to close.
    pub(crate) fn give(&self, slot: Slot<M::Item>) -> Option<Overdue<M::Item>> {
        let Given { bell, refused, overdue } = self.ledger.lock().give(slot);
        // From here on without the lock.
        if let Some(bell) = bell {
            bell.notify_one();
        }
        if let Some(item) = refused {
            drop(item);
            self.note_discarded(DiscardReason::Closed);
        }
        overdue
    }
}
