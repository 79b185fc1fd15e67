//! What a borrower holds, and how it comes back.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::Instant;

use crate::clock::{Clock, SystemClock};
use crate::event::{DiscardReason, Event};
use crate::ledger::{Overdue, Pooled, Slot};
use crate::manager::Manager;
use crate::shared::Shared;

/// A borrowed item. Dropping it gives the item back, and wakes the longest waiter if there is one.
///
/// The item is closed instead of kept if it has been [discarded](Self::discard), if
/// [`Manager::is_broken`] says so, if it is past its lifetime, if the pool is closed, or if the thread is
/// panicking: a borrow that a panic cut short may have left half a message behind. Its place in the pool
/// is free in every case.
///
/// It borrows the handle that lent it, which is cheaper than to share in the ownership of the pool:
///
/// ```compile_fail,E0505
/// # fn outlives<M: pool::Manager>(pool: pool::Pool<M>, deadline: std::time::Instant) {
/// let lent = pool.acquire(deadline);
/// drop(pool);
/// drop(lent);
/// # }
/// ```
///
/// A thread that is to keep items for longer than its caller's handle lives gets a handle of its own.
pub struct Lent<'pool, M: Manager, C: Clock = SystemClock> {
    permit: Permit<'pool, M, C>,
}

/// One of the pool's permits, out with a thread. Dropping it gives it back with whatever it holds, so a
/// panic anywhere loses none.
pub(crate) struct Permit<'pool, M: Manager, C: Clock> {
    shared: &'pool Shared<M, C>,
    slot: Slot<M::Item>,
}

impl<'pool, M: Manager, C: Clock> Lent<'pool, M, C> {
    /// `permit` must hold an item.
    pub(crate) fn new(permit: Permit<'pool, M, C>) -> Self {
        debug_assert!(permit.slot.is_some(), "only an item is lent");
        Self { permit }
    }

    /// Gives the item back to be closed: its borrower found it broken.
    pub fn discard(mut self) {
        self.permit.close_item(DiscardReason::Broken);
    }
}

impl<M: Manager, C: Clock> Drop for Lent<'_, M, C> {
    fn drop(&mut self) {
        let Permit { shared, slot } = &mut self.permit;
        if let Some(pooled) = slot {
            let now = shared.now_if_timed();
            pooled.idle_since = now;
            if let Some(reason) = reason_to_discard(shared, pooled, now) {
                self.permit.close_item(reason);
            }
        }
        // The permit goes back as the field drops, also if a panic in one of these calls cut them short.
        self.permit.shared.emit(Event::Released);
    }
}

fn reason_to_discard<M: Manager, C: Clock>(
    shared: &Shared<M, C>,
    pooled: &Pooled<M::Item>,
    now: Option<Instant>,
) -> Option<DiscardReason> {
    if thread::panicking() {
        // The manager is not asked: if it panicked too, the process would abort.
        Some(DiscardReason::Panicked)
    } else if shared.manager.is_broken(&pooled.item) {
        Some(DiscardReason::Broken)
    } else if now.is_some_and(|now| pooled.is_expired(now)) {
        Some(DiscardReason::Expired)
    } else {
        None
    }
}

impl<M: Manager, C: Clock> Deref for Lent<'_, M, C> {
    type Target = M::Item;

    fn deref(&self) -> &M::Item {
        &self.permit.slot.as_ref().expect("an item is lent until it is dropped").item
    }
}

impl<M: Manager, C: Clock> DerefMut for Lent<'_, M, C> {
    fn deref_mut(&mut self) -> &mut M::Item {
        &mut self.permit.slot.as_mut().expect("an item is lent until it is dropped").item
    }
}

/// Names the type alone: an item may hold secrets.
impl<M: Manager, C: Clock> fmt::Debug for Lent<'_, M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

impl<'pool, M: Manager, C: Clock> Permit<'pool, M, C> {
    pub(crate) fn new(shared: &'pool Shared<M, C>, slot: Slot<M::Item>) -> Self {
        Self { shared, slot }
    }

    /// A nil permit, once the item that is past its time is closed.
    pub(crate) fn of_closed(shared: &'pool Shared<M, C>, overdue: Overdue<M::Item>) -> Self {
        let mut permit = Self::new(shared, Some(overdue.item));
        permit.close_item(overdue.reason);
        permit
    }

    pub(crate) fn item(&self) -> Option<&Pooled<M::Item>> {
        self.slot.as_deref()
    }

    pub(crate) fn item_mut(&mut self) -> Option<&mut Pooled<M::Item>> {
        self.slot.as_deref_mut()
    }

    pub(crate) fn fill(&mut self, item: Pooled<M::Item>) {
        debug_assert!(self.slot.is_none(), "a permit holds one item");
        self.slot = Some(Box::new(item));
    }

    /// Drops the item, and keeps the permit meanwhile: were it free, another thread could make a new
    /// item before this one is closed, and N + 1 would exist.
    pub(crate) fn close_item(&mut self, reason: DiscardReason) {
        if let Some(item) = self.slot.take() {
            drop(item);
            self.shared.note_discarded(reason);
        }
    }
}

impl<M: Manager, C: Clock> Drop for Permit<'_, M, C> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.close_item(DiscardReason::Panicked);
        }
        if let Some(overdue) = self.shared.give(self.slot.take()) {
            // A nil permit finds no other that is overdue, so this ends here.
            drop(Self::of_closed(self.shared, overdue));
        }
    }
}
