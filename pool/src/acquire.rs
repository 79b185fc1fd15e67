//! The way to an item: take a permit or wait for one, check or connect, lend.

use std::thread;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::clock::Clock;
use crate::error::AcquireError;
use crate::event::{DiscardReason, Event};
use crate::ledger::{Ledger, Pooled, Slot, Taken, Turn};
use crate::lent::{Lent, Permit};
use crate::limits::YIELDS_BEFORE_QUEUE;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::shared::Shared;

type Acquired<'pool, M, C> = Result<Lent<'pool, M, C>, AcquireError<<M as Manager>::Error>>;

impl<M: Manager, C: Clock> Pool<M, C> {
    /// Borrows an item, the most recently used one first. Blocks until there is one, `deadline` at the
    /// latest: it bounds waiting, the liveness check and connecting together.
    ///
    /// An item that is there at once and needs no check is lent without a look at `deadline`. Nothing
    /// slow begins after it, and a waiter that is served too late passes its item on.
    ///
    /// A thread that already holds an item of the same pool may wait for itself, until its deadline.
    ///
    /// # Errors
    ///
    /// [`AcquireError::TimedOut`] at the deadline, [`AcquireError::Closed`] if the pool is closed or gets
    /// closed meanwhile, [`AcquireError::Connect`] if a new item was needed and could not be made. A
    /// failed connect frees its place for the next waiter.
    pub fn acquire(&self, deadline: Instant) -> Acquired<'_, M, C> {
        let shared = &*self.shared;
        let mut yields_left = YIELDS_BEFORE_QUEUE;
        loop {
            let now = shared.now_if_timed();
            let mut ledger = shared.ledger.lock();
            let permit = match ledger.take(now) {
                Taken::Permit(slot) => {
                    let lendable = is_lendable(shared, &slot, now);
                    ledger.lent_at_once += u64::from(lendable);
                    drop(ledger);
                    let permit = Permit::new(shared, slot);
                    if lendable {
                        return Ok(lent_at_once(shared, permit));
                    }
                    permit
                }
                Taken::Exhausted if yields_left > 0 => {
                    drop(ledger);
                    yields_left -= 1;
                    thread::yield_now();
                    continue;
                }
                Taken::Exhausted => return wait(shared, ledger, deadline),
                Taken::Overdue(overdue) => {
                    drop(ledger);
                    Permit::of_closed(shared, overdue)
                }
                Taken::Closed => return Err(AcquireError::Closed),
            };
            return lend_after_work(shared, permit, deadline, Duration::ZERO);
        }
    }

    /// Borrows an item if one is idle and needs no check. Never waits, checks or connects.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Lent<'_, M, C>> {
        let shared = &*self.shared;
        let now = shared.now_if_timed();
        let mut ledger = shared.ledger.lock();
        match ledger.take(now) {
            Taken::Permit(slot) => {
                let lendable = is_lendable(shared, &slot, now);
                ledger.lent_at_once += u64::from(lendable);
                drop(ledger);
                let permit = Permit::new(shared, slot);
                lendable.then(|| lent_at_once(shared, permit))
            }
            Taken::Overdue(overdue) => {
                drop(ledger);
                drop(Permit::of_closed(shared, overdue));
                None
            }
            Taken::Exhausted | Taken::Closed => None,
        }
    }

    /// Connects until at least `count` items exist (the pool's size, if that is less), those lent or
    /// just being made by others included. Blocks until then. Items made for another caller count, so
    /// several threads may call this at once.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire). What has been made by then stays.
    pub fn prefill(&self, count: usize, deadline: Instant) -> Result<(), AcquireError<M::Error>> {
        while let Some(mut permit) = self.permit_to_prefill(count)? {
            connect(&self.shared, &mut permit, deadline, Duration::ZERO)?;
            if let Some(pooled) = permit.item_mut() {
                pooled.idle_since = self.shared.now_if_timed();
            }
        }
        Ok(())
    }

    fn permit_to_prefill(
        &self,
        count: usize,
    ) -> Result<Option<Permit<'_, M, C>>, AcquireError<M::Error>> {
        let mut ledger = self.shared.ledger.lock();
        if !ledger.is_open() {
            return Err(AcquireError::Closed);
        }
        if ledger.idle() + ledger.out() >= count {
            return Ok(None);
        }
        let taken = ledger.take_nil();
        drop(ledger);
        Ok(taken.then(|| Permit::new(&self.shared, None)))
    }
}

/// Stands in the queue until served, closed or too late.
#[cold]
fn wait<'pool, M: Manager, C: Clock>(
    shared: &'pool Shared<M, C>,
    mut ledger: MutexGuard<'_, Ledger<M::Item>>,
    deadline: Instant,
) -> Acquired<'pool, M, C> {
    let started = shared.clock.now();
    if started >= deadline {
        drop(ledger);
        return Err(timed_out(shared, Duration::ZERO));
    }
    let (ticket, bell) = ledger.enqueue();
    shared.counters.queued.add_one();
    let mut now = started;
    let turn = loop {
        if let Some(turn) = ledger.turn(ticket) {
            break turn;
        }
        if now >= deadline {
            ledger.withdraw(ticket);
            drop(ledger);
            return Err(timed_out(shared, now - started));
        }
        bell.wait_for(&mut ledger, deadline - now);
        now = shared.clock.now();
    };
    drop(ledger);
    let slot = match turn {
        Turn::Served(slot) => slot,
        Turn::Closed => return Err(AcquireError::Closed),
    };
    let permit = Permit::new(shared, slot);
    if now >= deadline {
        drop(permit);
        return Err(timed_out(shared, now - started));
    }
    let waited = now - started;
    match permit.item() {
        Some(item) if !needs_check(shared, item, Some(now)) => Ok(lent(shared, permit, waited)),
        _ => lend_after_work(shared, permit, deadline, waited),
    }
}

/// Lends the item of a permit that must be checked first, or made.
#[cold]
fn lend_after_work<'pool, M: Manager, C: Clock>(
    shared: &'pool Shared<M, C>,
    mut permit: Permit<'pool, M, C>,
    deadline: Instant,
    waited: Duration,
) -> Acquired<'pool, M, C> {
    if let Some(pooled) = permit.item_mut() {
        // By the exact time: what judged the item's age may be a little behind.
        if shared.clock.now() >= deadline {
            drop(permit);
            return Err(timed_out(shared, waited));
        }
        if !shared.manager.is_alive(&mut pooled.item, deadline) {
            permit.close_item(DiscardReason::Dead);
        }
    }
    // After a dead item too: those below it on the stack have idled longer still.
    if permit.item().is_none() {
        connect(shared, &mut permit, deadline, waited)?;
    }
    // The pool may have been closed during all that.
    if !shared.ledger.lock().is_open() {
        return Err(AcquireError::Closed);
    }
    Ok(lent(shared, permit, waited))
}

/// Whether there is an item, and nothing to be done before it is lent.
fn is_lendable<M: Manager, C: Clock>(
    shared: &Shared<M, C>,
    slot: &Slot<M::Item>,
    now: Option<Instant>,
) -> bool {
    slot.as_ref().is_some_and(|item| !needs_check(shared, item, now))
}

fn needs_check<M: Manager, C: Clock>(
    shared: &Shared<M, C>,
    pooled: &Pooled<M::Item>,
    now: Option<Instant>,
) -> bool {
    let Some(window) = shared.config.idle_time_unchecked() else { return false };
    pooled.idle_since.zip(now).is_some_and(|(since, now)| since + window <= now)
}

/// Makes an item for a nil permit.
fn connect<M: Manager, C: Clock>(
    shared: &Shared<M, C>,
    permit: &mut Permit<'_, M, C>,
    deadline: Instant,
    waited: Duration,
) -> Result<(), AcquireError<M::Error>> {
    let started = shared.clock.now();
    if started >= deadline {
        return Err(timed_out(shared, waited));
    }
    let made = shared.manager.connect(deadline);
    let now = shared.clock.now();
    let took = now.saturating_duration_since(started);
    match made {
        Ok(item) => {
            let expires_at = shared
                .config
                .lifetime_and_jitter()
                .map(|lifetime| now + lifetime.longest - shared.jitter.up_to(lifetime.jitter));
            permit.fill(Pooled { item, expires_at, idle_since: None });
            shared.counters.connected.add_one();
            shared.emit(Event::Connected { took });
            Ok(())
        }
        Err(error) => {
            shared.counters.connect_failed.add_one();
            shared.emit(Event::ConnectFailed { took, error: &error });
            Err(AcquireError::Connect(error))
        }
    }
}

/// For an item that was there, and was counted while the ledger was locked.
fn lent_at_once<'pool, M: Manager, C: Clock>(
    shared: &Shared<M, C>,
    permit: Permit<'pool, M, C>,
) -> Lent<'pool, M, C> {
    let lent = Lent::new(permit);
    shared.emit(Event::Acquired { waited: Duration::ZERO });
    lent
}

fn lent<'pool, M: Manager, C: Clock>(
    shared: &Shared<M, C>,
    permit: Permit<'pool, M, C>,
    waited: Duration,
) -> Lent<'pool, M, C> {
    let lent = Lent::new(permit);
    shared.counters.acquired.add_one();
    shared.emit(Event::Acquired { waited });
    lent
}

fn timed_out<M: Manager, C: Clock>(
    shared: &Shared<M, C>,
    waited: Duration,
) -> AcquireError<M::Error> {
    shared.counters.timed_out.add_one();
    shared.emit(Event::TimedOut { waited });
    AcquireError::TimedOut
}
