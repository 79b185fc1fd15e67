//! How the outcome of a hash comes to whoever goes on with it.

use std::sync::Arc;
use std::time::Instant;

use lane::{Wake, Wakeup};
use parking_lot::{Condvar, Mutex};

use super::outcome::{Answer, NotHashed};

/// Where a caller waits for what its hash came to.
pub(super) struct Waiter<T> {
    outcome: Mutex<Option<Answer<T>>>,
    arrived: Condvar,
}

impl<T: Send + 'static> Waiter<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { outcome: Mutex::new(None), arrived: Condvar::new() })
    }

    /// Puts the outcome ready; the wake-up is the caller's to fire.
    pub(super) fn put(self: &Arc<Self>, outcome: Answer<T>) -> Wakeup {
        *self.outcome.lock() = Some(outcome);
        Wakeup::of(Arc::clone(self) as Arc<dyn Wake>)
    }

    /// Waits for the outcome, until `deadline` at the latest: whatever became of a wake-up, nobody waits for ever.
    pub(super) fn wait(&self, deadline: Instant) -> Answer<T> {
        let mut outcome = self.outcome.lock();
        loop {
            if let Some(outcome) = outcome.take() {
                return outcome;
            }
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Err(NotHashed::TimedOut);
            }
            self.arrived.wait_for(&mut outcome, left);
        }
    }
}

impl<T: Send> Wake for Waiter<T> {
    fn wake(&self) {
        // Taken, so that it cannot come between the waiter's look and its sleep.
        drop(self.outcome.lock());
        self.arrived.notify_one();
    }
}

/// Hands the outcome on, also if there is none: when it is dropped, whoever waits is told so.
pub(super) struct Completion<T>(Option<Box<Then<T>>>);

/// Gets an outcome, and gives the wake-up of whoever goes on with it.
pub(super) type Then<T> = dyn FnOnce(Answer<T>) -> Wakeup + Send;

impl<T> Completion<T> {
    pub(super) fn new(then: impl FnOnce(Answer<T>) -> Wakeup + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    pub(super) fn complete(mut self, outcome: Answer<T>) -> Wakeup {
        let then = self.0.take().expect("only this takes it");
        then(outcome)
    }
}

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(NotHashed::Dropped)).fire();
        }
    }
}
