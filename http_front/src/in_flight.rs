//! How many requests that hash are with auth servers at a time.
//!
//! A request that is with a server can no longer be overtaken, and holds a thread. So however fair the queue before it
//! is, a newcomer waits for as long as the requests before it are there. While they come back late, fewer are sent; while
//! they come back soon, more (additive increase, multiplicative decrease; Chiu and Jain, 1989). What waits then waits
//! here, in turns.
//!
//! Late is what takes longer than [`ANSWER_TIME_MAX`], and much longer than the quickest of late: a hash that takes that
//! long alone does not come back sooner if its server has less to do. Each step too far then costs all who wait a
//! second. So how many were too many is remembered, and tried again only after [`TOO_MANY_FOR`].
//!
//! Measured on the way is how fast they come back, by which the queue refuses what would wait too long: with `n` in
//! flight that take `t` each, one comes back each `t / n` (Little, 1961).

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use service::lane::{Admission, Permit};

use crate::limits::{ANSWER_TIME_MAX, IN_FLIGHT_MAX, IN_FLIGHT_MIN, TOO_MANY_FOR};
use crate::work::Job;

/// The window of requests in flight, and what is measured of them. Shared by all workers of the lane.
#[derive(Debug)]
pub struct Window {
    admission: Admission,
    servers: usize,
    most: usize,
    in_flight: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    size: usize,
    too_many: Option<TooMany>,
    quickest: Quickest,
    /// From one answer to the next: a moving average over about the last [`AVERAGED`]; `None` before the first.
    between: Option<Duration>,
}

/// How much of the average an answer replaces, as the divisor.
const AVERAGED: u32 = 8;

/// The last time that an answer was late.
#[derive(Clone, Copy, Debug)]
struct TooMany {
    /// A request that was sent before tells nothing of the smaller window.
    at: Instant,
    /// What the size was.
    size: usize,
}

/// The shortest time that a hash took of late: in the last [`TOO_MANY_FOR`] and what is gone of the next.
#[derive(Clone, Copy, Debug)]
struct Quickest {
    since: Instant,
    now: Duration,
    before: Duration,
}

impl Window {
    /// A window for so many servers, small at first: it is soon large where that does no harm. It sets what
    /// `admission` lets through.
    #[must_use]
    pub fn new(admission: Admission, servers: usize, most: usize) -> Arc<Self> {
        let most = most.min(IN_FLIGHT_MAX * servers).max(1);
        let size = (IN_FLIGHT_MIN * servers).min(most);
        let quickest = Quickest::new(clock::now());
        let state = State { size, too_many: None, quickest, between: None };
        let window = Self {
            admission,
            servers,
            most,
            in_flight: AtomicUsize::new(0),
            state: Mutex::new(state),
        };
        window.set(size);
        Arc::new(window)
    }

    /// A request is sent. Returns how many are on their way now, itself among them.
    fn enter(&self) -> usize {
        self.in_flight.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A request was answered, at `now`. When it was sent, `in_flight` were on their way, itself among them: these are
    /// what it waited for. How many there are now says nothing, when the last of a crowd is answered.
    fn answered(&self, sent_at: Instant, in_flight: usize, now: Instant, answer: Answered) {
        let took = now.saturating_duration_since(sent_at);
        let mut state = self.state.lock();
        // A refusal tells nothing of the time that work takes.
        if answer != Answered::Overloaded {
            let between = state.measure(took, in_flight);
            // A request that is sent comes back when those that are there have.
            self.admission.measured(between, between, now);
        }
        if answer == Answered::Served {
            state.quickest.note(took, now);
        }
        let quickest = state.quickest.time();
        let size = if took > ANSWER_TIME_MAX.max(quickest * 7 / 4) {
            if state.too_many.is_some_and(|many| sent_at < many.at) {
                return;
            }
            state.too_many = Some(TooMany { at: now, size: state.size });
            (state.size - state.size.div_ceil(4)).max(self.least(quickest))
        } else {
            // A server that refuses is soon done, and has no use for more.
            if answer == Answered::Overloaded || !state.may_grow(took, in_flight, now) {
                return;
            }
            (state.size + 1).min(self.most)
        };
        if size != state.size {
            state.size = size;
            self.set(size);
        }
    }

    /// One that is hashed and one that is there when its hash is done. If two take too long together, it is better that
    /// a thread idles for a moment.
    fn least(&self, quickest: Duration) -> usize {
        let each = if quickest.saturating_mul(2) > ANSWER_TIME_MAX { 1 } else { IN_FLIGHT_MIN };
        (each * self.servers).min(self.most)
    }

    fn set(&self, size: usize) {
        self.admission.set_window(NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN));
    }
}

impl State {
    fn measure(&mut self, took: Duration, in_flight: usize) -> Duration {
        let new = took / u32::try_from(in_flight).unwrap_or(u32::MAX);
        let between = self.between.map_or(new, |old| old - old / AVERAGED + new / AVERAGED);
        self.between = Some(between);
        between
    }

    /// Whether one more can be tried. Where each takes long alone, as many as were too many a moment ago are too
    /// many again, and what was sent beside fewer than there may be tells nothing of more.
    fn may_grow(&self, took: Duration, in_flight: usize, now: Instant) -> bool {
        let Some(many) = self.too_many.filter(|_| took > ANSWER_TIME_MAX) else { return true };
        let is_past = now.saturating_duration_since(many.at) > TOO_MANY_FOR;
        self.size + 1 < many.size || (is_past && in_flight >= self.size)
    }
}

impl Quickest {
    const fn new(now: Instant) -> Self {
        Self { since: now, now: Duration::MAX, before: Duration::MAX }
    }

    fn note(&mut self, took: Duration, now: Instant) {
        if now.saturating_duration_since(self.since) > TOO_MANY_FOR {
            *self = Self { before: self.now, ..Self::new(now) };
        }
        self.now = self.now.min(took);
    }

    /// Zero before anything was noted.
    fn time(&self) -> Duration {
        match self.now.min(self.before) {
            Duration::MAX => Duration::ZERO,
            time => time,
        }
    }
}

/// What an answer says of a server's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was served, or refused for a wrong password: it was hashed.
    Served,
    /// It was refused for something else that it asked, and may not have been hashed.
    Refused,
    /// It was refused for want of time.
    Overloaded,
}

/// A request's place in the window. Dropping it lets another have it.
#[derive(Debug)]
pub struct InFlight {
    window: Arc<Window>,
    /// How many there were when it was sent, itself among them.
    beside: usize,
    _permit: Permit<Job>,
}

impl InFlight {
    /// A request that has left the queue.
    #[must_use]
    pub fn new(window: &Arc<Window>, permit: Permit<Job>) -> Self {
        Self { window: Arc::clone(window), beside: window.enter(), _permit: permit }
    }

    /// Its answer has come.
    pub fn answered(&self, sent_at: Instant, answer: Answered) {
        self.window.answered(sent_at, self.beside, clock::now(), answer);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.window.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn window(servers: usize, most: usize) -> Arc<Window> {
        Window::new(Admission::new(700 * MS, NonZeroUsize::MIN), servers, most)
    }

    #[test]
    fn late_answers_make_it_smaller_once_a_round_trip_and_early_ones_larger() {
        let (window, start) = (window(1, 64), clock::now());
        let size = || window.admission.window();
        let answer = |sent: u32, took: u32, answer: Answered, expected: usize| {
            let sent_at = start + sent * MS;
            window.answered(sent_at, 1, sent_at + took * MS, answer);
            assert_eq!(size(), expected, "sent at {sent}, took {took}");
        };
        assert_eq!(size(), IN_FLIGHT_MIN);
        for size in IN_FLIGHT_MIN + 1..=IN_FLIGHT_MAX {
            answer(0, 1, Answered::Served, size);
        }
        answer(0, 1, Answered::Served, IN_FLIGHT_MAX);
        answer(0, 300, Answered::Served, 24);
        // Sent before the window was smaller, at 300.
        answer(10, 300, Answered::Served, 24);
        answer(299, 300, Answered::Overloaded, 24);
        answer(300, 300, Answered::Served, 18);
        answer(600, 250, Answered::Served, 19);
        answer(600, 1, Answered::Overloaded, 19);
        for sent in 1..20 {
            window.answered(
                start + sent * 1000 * MS,
                1,
                start + (sent * 1000 + 999) * MS,
                Answered::Served,
            );
        }
        assert_eq!(size(), IN_FLIGHT_MIN, "never less");
        for _ in 0..100 {
            window.answered(start, 1, start + MS, Answered::Served);
        }
        assert_eq!(size(), IN_FLIGHT_MAX, "never more");
    }

    #[test]
    fn its_range_is_for_each_server_and_within_what_threads_can_send() {
        let check = |servers, most, range| {
            let window = window(servers, most);
            assert_eq!((window.admission.window(), window.most), range);
        };
        check(1, 1000, (IN_FLIGHT_MIN, IN_FLIGHT_MAX));
        check(3, 1000, (3 * IN_FLIGHT_MIN, 3 * IN_FLIGHT_MAX));
        check(3, 32, (3 * IN_FLIGHT_MIN, 32));
        check(20, 32, (32, 32));
        check(1, 1, (1, 1));
    }

    #[test]
    fn answers_come_as_often_as_there_are_in_flight() {
        let quickest = Quickest::new(clock::now());
        let mut state = State { size: 8, too_many: None, quickest, between: None };
        assert_eq!(state.measure(80 * MS, 8), 10 * MS);
        for _ in 0..100 {
            state.measure(40 * MS, 2);
        }
        let between = state.measure(40 * MS, 2);
        assert!(between > 19 * MS && between <= 20 * MS, "{between:?}");
    }

    /// The sizes at each answer of a server whose threads take `hash` each, where there is always more to send.
    fn sizes(threads: usize, hash: Duration, answers: usize) -> Vec<usize> {
        let (window, start) = (window(1, 64), clock::now());
        let mut busy_until = vec![start; threads];
        let mut sent = Vec::new();
        let mut now = start;
        let mut sizes = Vec::new();
        while sizes.len() < answers {
            while sent.len() < window.admission.window() {
                let thread = busy_until.iter_mut().min().expect("there is one");
                *thread = (*thread).max(now) + hash;
                sent.push((*thread, now, window.enter()));
            }
            let next = sent.iter().enumerate().min_by_key(|(_, sent)| sent.0).expect("some are").0;
            let (done, sent_at, beside) = sent.remove(next);
            now = done;
            window.in_flight.fetch_sub(1, Ordering::Relaxed);
            window.answered(sent_at, beside, now, Answered::Served);
            sizes.push(window.admission.window());
        }
        sizes
    }

    #[test]
    fn hashes_that_take_long_alone_leave_no_thread_idle_and_few_waiting() {
        let one = sizes(1, 300 * MS, 200);
        let at_one = one.iter().filter(|&&size| size == 1).count();
        assert!(at_one > 180 && one[4..].iter().all(|&size| size <= 2), "{one:?}");

        let eight = sizes(8, 300 * MS, 2000);
        let (begin, rest) = eight.split_at(100);
        assert!(begin.contains(&8), "{begin:?}");
        let (least, most) = (rest.iter().min(), rest.iter().max());
        assert!(least >= Some(&6) && most <= Some(&10), "{least:?} to {most:?}");
        let idle: usize = rest.iter().map(|size| 8_usize.saturating_sub(*size)).sum();
        assert!(idle * 20 < rest.len() * 8, "{idle} of {} are idle", rest.len() * 8);

        // Three of them are late together, and two are not: there is no need to go down to one.
        let quick = sizes(1, 110 * MS, 200);
        assert!(quick[10..].iter().all(|size| (2..=5).contains(size)), "{quick:?}");
    }

    #[test]
    fn what_was_not_hashed_does_not_make_hashes_seem_late() {
        let (window, start) = (window(1, 64), clock::now());
        window.answered(start, 1, start + 300 * MS, Answered::Served);
        window.answered(start, 1, start + MS, Answered::Refused);
        window.answered(start, 1, start + MS, Answered::Overloaded);
        assert_eq!(window.state.lock().quickest.time(), 300 * MS);
        let size = window.admission.window();
        window.answered(start + 400 * MS, 1, start + 700 * MS, Answered::Served);
        assert_eq!(window.admission.window(), size + 1);
        // Twenty seconds later it is known no more.
        for seconds in [11, 22] {
            let sent_at = start + seconds * 1000 * MS;
            window.answered(sent_at, 1, sent_at + 400 * MS, Answered::Served);
        }
        assert_eq!(window.state.lock().quickest.time(), 400 * MS);
    }

    #[test]
    fn the_last_of_a_crowd_do_not_seem_slow() {
        let (window, start) = (window(1, 64), clock::now());
        // Sixteen that are sent together come back one after the other.
        let sent: Vec<usize> = (0..16).map(|_| window.enter()).collect();
        for (number, beside) in (1..).zip(sent) {
            window.answered(start, beside, start + number * 10 * MS, Answered::Served);
        }
        assert_eq!(window.state.lock().between, Some(10 * MS));
    }
}
