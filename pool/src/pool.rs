//! The pool's handle.

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::event::{DiscardReason, Observer};
use crate::manager::Manager;
use crate::shared::Shared;
use crate::stats::Stats;

/// Lends at most N items, made as they are needed. Handles are cheap to clone and share one pool.
///
/// See the [crate documentation](crate) for how it behaves. When the last handle is gone, the idle items
/// are dropped; [`close`](Self::close) drops them at once.
pub struct Pool<M: Manager, C: Clock = SystemClock> {
    pub(crate) shared: Arc<Shared<M, C>>,
}

impl<M: Manager> Pool<M> {
    /// A pool of nil items: nothing is connected yet.
    pub fn new(manager: M, config: Config) -> Self {
        Self::assemble(manager, config, SystemClock, None)
    }

    /// As [`new`](Self::new), with somebody to tell of each [`Event`](crate::Event).
    pub fn with_observer(manager: M, config: Config, observer: impl Observer) -> Self {
        Self::assemble(manager, config, SystemClock, Some(Box::new(observer)))
    }
}

impl<M: Manager, C: Clock> Pool<M, C> {
    /// As [`Pool::with_observer`], with another clock.
    pub fn with_clock(manager: M, config: Config, clock: C, observer: impl Observer) -> Self {
        Self::assemble(manager, config, clock, Some(Box::new(observer)))
    }

    fn assemble(manager: M, config: Config, clock: C, observer: Option<Box<dyn Observer>>) -> Self {
        Self { shared: Arc::new(Shared::new(manager, config, clock, observer)) }
    }

    /// Closes the pool for good: every waiter and every later caller gets
    /// [`AcquireError::Closed`](crate::AcquireError::Closed), idle items are dropped now and lent ones as they come back. Does not
    /// wait for those; [`Stats::lent`] counts them. Closing twice is harmless.
    pub fn close(&self) {
        let (items, bells) = self.shared.ledger.lock().close();
        for bell in bells {
            bell.notify_one();
        }
        for item in items {
            drop(item);
            self.shared.note_discarded(DiscardReason::Closed);
        }
    }

    /// Whether [`close`](Self::close) has been called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.shared.ledger.lock().is_open()
    }

    /// What the pool holds and has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        let ledger = self.shared.ledger.lock();
        Stats {
            size: self.shared.config.size(),
            idle: ledger.idle(),
            lent: ledger.out(),
            waiting: ledger.waiting(),
            acquired: ledger.lent_at_once + counters.acquired.total(),
            queued: counters.queued.total(),
            timed_out: counters.timed_out.total(),
            connected: counters.connected.total(),
            connect_failed: counters.connect_failed.total(),
            discarded: counters.all_discarded(),
        }
    }

    /// The settings that it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// What makes its items.
    #[must_use]
    pub fn manager(&self) -> &M {
        &self.shared.manager
    }
}

/// Another handle of the same pool.
impl<M: Manager, C: Clock> Clone for Pool<M, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// Shows the counts, never an item.
impl<M: Manager, C: Clock> fmt::Debug for Pool<M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
