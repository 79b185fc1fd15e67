//! A clock that a test moves.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rustix::time::ClockId;

use crate::kernel::since_boot;

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Arc<Hands>>> = const { RefCell::new(None) };
}

/// The clock of the thread that made it, and of the threads that are started from there by
/// [`spawn`](crate::spawn). Dropping it gives this thread the system's clock back.
#[derive(Debug)]
pub struct Movable(Arc<Hands>);

#[derive(Debug)]
pub(crate) struct Hands(Mutex<Time>);

#[derive(Clone, Copy, Debug)]
struct Time {
    monotonic: Instant,
    boot: Duration,
    /// How long the machine has slept.
    slept: Duration,
    wall: SystemTime,
    /// When the two were so, if time goes on by itself.
    since: Option<Instant>,
}

impl Movable {
    /// A clock that stands still until it is [advanced](Self::advance). It begins at the present time.
    #[must_use]
    pub fn stopped() -> Self {
        Self::install(None)
    }

    /// A clock that goes as fast as the system's, and can be advanced and stepped beside that.
    #[must_use]
    pub fn running() -> Self {
        Self::install(Some(Instant::now()))
    }

    fn install(since: Option<Instant>) -> Self {
        let time = Time {
            monotonic: Instant::now(),
            boot: since_boot(ClockId::Boottime),
            slept: Duration::ZERO,
            wall: SystemTime::now(),
            since,
        };
        let hands = Arc::new(Hands(Mutex::new(time)));
        adopt(Some(Arc::clone(&hands)));
        Self(hands)
    }

    /// Lets time pass, for all clocks.
    pub fn advance(&self, by: Duration) {
        self.0.change(|time| time.pass(by));
    }

    /// Lets the machine sleep: all clocks go on but the monotonic one.
    pub fn sleep(&self, by: Duration) {
        self.0.change(|time| {
            time.boot += by;
            time.slept += by;
            time.wall += by;
        });
    }

    /// Sets the wall clock ahead, as an operator or a bad time server does.
    pub fn step_wall_ahead(&self, by: Duration) {
        self.0.change(|time| time.wall += by);
    }

    /// Sets the wall clock back.
    pub fn step_wall_back(&self, by: Duration) {
        self.0.change(|time| time.wall -= by);
    }
}

impl Drop for Movable {
    fn drop(&mut self) {
        adopt(None);
    }
}

impl Time {
    fn pass(&mut self, by: Duration) {
        self.monotonic += by;
        self.boot += by;
        self.wall += by;
    }
}

impl Hands {
    fn change(&self, change: impl FnOnce(&mut Time)) {
        change(&mut self.0.lock().expect("no test panics within a change"));
    }

    fn read(&self) -> Time {
        let mut time = *self.0.lock().expect("no test panics within a change");
        if let Some(since) = time.since {
            time.pass(since.elapsed());
        }
        time
    }
}

pub(crate) fn now() -> Option<Instant> {
    OF_THIS_THREAD.with_borrow(|hands| hands.as_ref().map(|hands| hands.read().monotonic))
}

pub(crate) fn boot() -> Option<Duration> {
    OF_THIS_THREAD.with_borrow(|hands| hands.as_ref().map(|hands| hands.read().boot))
}

pub(crate) fn slept() -> Option<Duration> {
    OF_THIS_THREAD.with_borrow(|hands| hands.as_ref().map(|hands| hands.read().slept))
}

pub(crate) fn wall() -> Option<SystemTime> {
    OF_THIS_THREAD.with_borrow(|hands| hands.as_ref().map(|hands| hands.read().wall))
}

pub(crate) fn inherit() -> Option<Arc<Hands>> {
    OF_THIS_THREAD.with_borrow(Clone::clone)
}

pub(crate) fn adopt(hands: Option<Arc<Hands>>) {
    OF_THIS_THREAD.set(hands);
}

#[cfg(test)]
mod tests {
    use std::thread::{self, Builder};

    use super::*;
    use crate::{boot, roughly, since, slept, wall};

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_stopped_clock_moves_when_it_is_advanced() {
        let clock = Movable::stopped();
        let (then, then_wall) = (crate::now(), wall());
        assert_eq!(crate::now(), then);
        clock.advance(HOUR);
        assert_eq!((since(then), roughly()), (HOUR, then + HOUR));
        assert_eq!(wall(), then_wall + HOUR);
        clock.step_wall_back(2 * HOUR);
        assert_eq!((since(then), wall()), (HOUR, then_wall - HOUR));
        clock.step_wall_ahead(HOUR);
        assert_eq!(wall(), then_wall);
        drop(clock);
        assert!(since(then) < HOUR, "the system's clock again");
    }

    #[test]
    fn the_monotonic_clock_stands_still_while_the_machine_sleeps() {
        let clock = Movable::stopped();
        let (then, then_wall, then_boot, slept) = (crate::now(), wall(), boot(), slept());
        clock.sleep(HOUR);
        assert_eq!((crate::now(), wall()), (then, then_wall + HOUR));
        assert_eq!((boot() - then_boot, crate::slept() - slept), (HOUR, HOUR));
        clock.advance(HOUR);
        assert_eq!((since(then), boot() - then_boot), (HOUR, 2 * HOUR));
        assert_eq!(crate::slept() - slept, HOUR);
    }

    #[test]
    fn threads_inherit_it_and_others_do_not_have_it() {
        let clock = Movable::running();
        let then = crate::now();
        clock.advance(HOUR);
        let ours = crate::spawn(Builder::new(), move || since(then)).expect("a thread");
        assert!(ours.join().expect("no panic") >= HOUR);
        let foreign = thread::spawn(move || since(then));
        assert!(foreign.join().expect("no panic") < HOUR);
    }
}
