//! What happens in a pool, told to whoever keeps metrics.

use std::error::Error;
use std::time::Duration;

/// Hears of each event, on the thread that caused it and without the pool's lock held.
///
/// It runs on the way of every borrow: it should count and return. It may call back into the pool.
pub trait Observer: Send + Sync + 'static {
    /// Called as `event` happens.
    fn on_event(&self, event: Event<'_>);
}

/// Something that happened in a pool.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An item was made.
    Connected {
        /// How long [`Manager::connect`](crate::Manager::connect) took.
        took: Duration,
    },
    /// An item could not be made.
    ConnectFailed {
        /// How long [`Manager::connect`](crate::Manager::connect) took.
        took: Duration,
        /// What it said.
        error: &'a (dyn Error + Send + Sync + 'static),
    },
    /// An item was lent.
    Acquired {
        /// How long the borrower stood in the queue; zero if it did not.
        waited: Duration,
    },
    /// A borrower's deadline passed.
    TimedOut {
        /// How long the borrower stood in the queue; zero if it did not.
        waited: Duration,
    },
    /// A borrower is done with an item. It is on its way back, or has been discarded just before.
    Released,
    /// An item was closed.
    Discarded {
        /// Why.
        reason: DiscardReason,
    },
}

/// Why the pool closed an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiscardReason {
    /// It reached its lifetime.
    Expired,
    /// Nobody borrowed it for as long as the idle timeout.
    Idle,
    /// It failed its liveness check.
    Dead,
    /// Its borrower discarded it, or [`Manager::is_broken`](crate::Manager::is_broken) said so.
    Broken,
    /// Its borrower panicked and may have left it half used.
    Panicked,
    /// The pool is closed.
    Closed,
}

impl DiscardReason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 6] =
        [Self::Expired, Self::Idle, Self::Dead, Self::Broken, Self::Panicked, Self::Closed];
}
