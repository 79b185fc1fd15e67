//! Who has what: the state behind the pool's lock.
//!
//! It moves items between the idle stack, the borrowers and the queue of waiters, and does nothing else:
//! no lock, no clock, no call into a [`Manager`](crate::Manager). Every operation is a short critical
//! section, and tests drive it one step at a time.
//!
//! There are N permits, each with one slot that holds an item or nil. A permit is in one of three
//! places: in the ledger (`idle` or `nil`), out with a thread, or on the desk of a waiter that has been
//! served and has not yet collected.
//!
//! **Invariant:** while somebody waits, the ledger holds no permit. Permits that come back go to the
//! longest waiter, so a newcomer finds nothing to take before its turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Condvar;

use crate::event::DiscardReason;

/// The content of a permit: an item, or nil. All start as nil.
///
/// An item is boxed once, when it is made. A borrow then moves a pointer through the ledger, whatever the
/// size of the item, and the lock is held that much shorter.
pub(crate) type Slot<T> = Option<Box<Pooled<T>>>;

/// An item with the times that bound its life.
pub(crate) struct Pooled<T> {
    pub(crate) item: T,
    /// `None` in a pool without a lifetime.
    pub(crate) expires_at: Option<Instant>,
    /// When its last borrow ended; `None` in a pool that does not look at the clock.
    pub(crate) idle_since: Option<Instant>,
}

pub(crate) struct Ledger<T> {
    size: usize,
    idle_timeout: Option<Duration>,
    open: bool,
    /// Permits without an item.
    nil: usize,
    /// Most recently used last. Lending from that end keeps few items warm and lets the rest age.
    idle: Vec<Box<Pooled<T>>>,
    /// No idle item is overdue before this time; it may be earlier than needed. `None` is never.
    next_due: Option<Instant>,
    /// Longest waiter first.
    queue: VecDeque<Ticket>,
    /// One for each waiter; a desk is used again, so that waiting does not allocate.
    desks: Vec<Desk<T>>,
    free_desks: Vec<Ticket>,
    /// How often an item was lent that was there. A plain number: another atomic operation would be a seventh of
    /// what such a borrow costs.
    pub(crate) lent_at_once: u64,
}

/// Names a waiter's desk, from [`Ledger::enqueue`] until it collects or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(usize);

/// Where a waiter is handed its permit. It has a bell of its own, so that a permit wakes one thread.
struct Desk<T> {
    bell: Arc<Condvar>,
    handed: Option<Slot<T>>,
}

/// The permit of an idle item that is past its time: the item must be closed before the permit is free.
pub(crate) struct Overdue<T> {
    pub(crate) item: Box<Pooled<T>>,
    pub(crate) reason: DiscardReason,
}

/// What a newcomer finds.
pub(crate) enum Taken<T> {
    /// A permit, with an item that may be lent, or nil.
    Permit(Slot<T>),
    /// A permit whose item must be closed: all that are left are past their time.
    Overdue(Overdue<T>),
    /// Nothing: every permit is out.
    Exhausted,
    Closed,
}

/// How a waiter's turn came.
pub(crate) enum Turn<T> {
    Served(Slot<T>),
    Closed,
}

/// What to do once the lock is released.
#[must_use]
pub(crate) struct Given<T> {
    /// Rings for the waiter that was served.
    pub(crate) bell: Option<Arc<Condvar>>,
    /// The pool is closed and keeps no items: drop it.
    pub(crate) refused: Slot<T>,
    /// Another permit to deal with. One at a time, so that nobody pays for a whole pool that has aged;
    /// each return finds the next.
    pub(crate) overdue: Option<Overdue<T>>,
}

impl<T> Pooled<T> {
    /// When the item becomes overdue if it stays idle.
    fn due(&self, idle_timeout: Option<Duration>) -> Option<Instant> {
        let idle_until = self.idle_since.zip(idle_timeout).map(|(since, timeout)| since + timeout);
        [self.expires_at, idle_until].into_iter().flatten().min()
    }

    /// Why the item is overdue, if it is.
    fn overdue(&self, now: Instant, idle_timeout: Option<Duration>) -> Option<DiscardReason> {
        if self.is_expired(now) {
            return Some(DiscardReason::Expired);
        }
        self.due(idle_timeout).is_some_and(|due| due <= now).then_some(DiscardReason::Idle)
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

impl<T> Ledger<T> {
    pub(crate) fn new(size: usize, idle_timeout: Option<Duration>) -> Self {
        Self {
            size,
            idle_timeout,
            open: true,
            nil: size,
            idle: Vec::with_capacity(size),
            next_due: None,
            queue: VecDeque::new(),
            desks: Vec::new(),
            free_desks: Vec::new(),
            lent_at_once: 0,
        }
    }

    /// Takes a permit for a newcomer: the most recently used item, else nil. `now` is `None` in a
    /// pool where time does not matter.
    pub(crate) fn take(&mut self, now: Option<Instant>) -> Taken<T> {
        if !self.open {
            return Taken::Closed;
        }
        if let Some(now) = now.filter(|&now| self.is_any_due(now)) {
            return self.take_fresh(now);
        }
        match self.idle.pop() {
            Some(item) => Taken::Permit(Some(item)),
            None if self.take_nil() => Taken::Permit(None),
            None => Taken::Exhausted,
        }
    }

    /// As [`take`](Self::take), when some item may be past its time.
    #[cold]
    fn take_fresh(&mut self, now: Instant) -> Taken<T> {
        let idle_timeout = self.idle_timeout;
        let fresh = self.idle.iter().rposition(|item| item.overdue(now, idle_timeout).is_none());
        if let Some(index) = fresh {
            return Taken::Permit(Some(self.idle.remove(index)));
        }
        if self.take_nil() {
            return Taken::Permit(None);
        }
        self.take_overdue(now).map_or(Taken::Exhausted, Taken::Overdue)
    }

    /// Takes a permit without an item. False if there is none.
    pub(crate) fn take_nil(&mut self) -> bool {
        let taken = self.nil > 0;
        self.nil -= usize::from(taken);
        taken
    }

    /// Takes the permit of the longest idle item that is past its time, if there is one.
    #[cold]
    fn take_overdue(&mut self, now: Instant) -> Option<Overdue<T>> {
        let found = (0..self.idle.len())
            .find_map(|index| Some((index, self.idle[index].overdue(now, self.idle_timeout)?)));
        let overdue =
            found.map(|(index, reason)| Overdue { item: self.idle.remove(index), reason });
        self.next_due = self.idle.iter().filter_map(|item| item.due(self.idle_timeout)).min();
        overdue
    }

    /// Takes a permit back: to the longest waiter, else to the ledger.
    pub(crate) fn give(&mut self, slot: Slot<T>) -> Given<T> {
        let mut given = Given { bell: None, refused: None, overdue: None };
        if !self.open {
            self.nil += 1;
            given.refused = slot;
        } else if let Some(ticket) = self.queue.pop_front() {
            let desk = &mut self.desks[ticket.0];
            desk.handed = Some(slot);
            given.bell = Some(Arc::clone(&desk.bell));
        } else if let Some(item) = slot {
            given.overdue = self.shelve(item);
        } else {
            self.nil += 1;
        }
        given
    }

    /// Puts an item on the idle stack. The time that it carries, the end of its borrow, also serves to
    /// see whether another is overdue.
    fn shelve(&mut self, item: Box<Pooled<T>>) -> Option<Overdue<T>> {
        let now = item.idle_since;
        if let Some(due) = item.due(self.idle_timeout) {
            self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
        }
        self.idle.push(item);
        now.filter(|&now| self.is_any_due(now)).and_then(|now| self.take_overdue(now))
    }

    fn is_any_due(&self, now: Instant) -> bool {
        self.next_due.is_some_and(|due| due <= now)
    }

    /// Joins the queue at its end. Only for who has just been told [`Taken::Exhausted`].
    pub(crate) fn enqueue(&mut self) -> (Ticket, Arc<Condvar>) {
        debug_assert!(self.open && self.idle.is_empty() && self.nil == 0, "nothing to wait for");
        let ticket = self.free_desks.pop().unwrap_or_else(|| {
            self.desks.push(Desk { bell: Arc::new(Condvar::new()), handed: None });
            Ticket(self.desks.len() - 1)
        });
        self.queue.push_back(ticket);
        (ticket, Arc::clone(&self.desks[ticket.0].bell))
    }

    /// Looks at the desk: `None` is to wait on, any other answer uses up the ticket.
    pub(crate) fn turn(&mut self, ticket: Ticket) -> Option<Turn<T>> {
        let turn = match self.desks[ticket.0].handed.take() {
            Some(slot) => Turn::Served(slot),
            None if !self.open => Turn::Closed,
            None => return None,
        };
        self.free_desks.push(ticket);
        Some(turn)
    }

    /// Leaves the queue unserved. Only for who has just been told to [wait on](Self::turn).
    pub(crate) fn withdraw(&mut self, ticket: Ticket) {
        // Deadlines mostly pass in the order of arrival, so it is found near the front.
        let place = self.queue.iter().position(|&queued| queued == ticket);
        let removed = place.and_then(|place| self.queue.remove(place));
        debug_assert_eq!(removed, Some(ticket), "who has not been served is in the queue");
        self.free_desks.push(ticket);
    }

    /// Closes the pool: what was idle is to be dropped, and the bells of all who wait are to be rung.
    /// Waiters that have been served keep what they were handed.
    pub(crate) fn close(&mut self) -> (Vec<Box<Pooled<T>>>, Vec<Arc<Condvar>>) {
        self.open = false;
        self.next_due = None;
        self.nil += self.idle.len();
        let bells =
            self.queue.drain(..).map(|ticket| Arc::clone(&self.desks[ticket.0].bell)).collect();
        (std::mem::take(&mut self.idle), bells)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Permits that are out, or on the desk of a waiter.
    pub(crate) fn out(&self) -> usize {
        self.size - self.nil - self.idle.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests;
