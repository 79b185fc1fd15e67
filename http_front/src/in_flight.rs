//! How many requests that hash are with auth servers at a time.
//!
//! A request that is with a server can no longer be overtaken, and holds a thread. So however fair the queue before it
//! is, a newcomer waits for as long as the requests before it are there. While they come back late, fewer are sent; while
//! they come back soon, more (additive increase, multiplicative decrease; Chiu and Jain, 1989). What waits then waits
//! here, in turns.
//!
//! Measured on the way is how fast they come back, by which the queue refuses what would wait too long: with `n` in
//! flight that take `t` each, one comes back each `t / n` (Little, 1961).

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use service::lane::{Admission, Permit};

use crate::limits::{ANSWER_TIME_MAX, IN_FLIGHT_MAX, IN_FLIGHT_MIN};
use crate::work::Job;

/// The window of requests in flight, and what is measured of them. Shared by all workers of the lane.
#[derive(Debug)]
pub struct Window {
    admission: Admission,
    range: (usize, usize),
    in_flight: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    size: usize,
    /// A request that was sent before tells nothing of the smaller window.
    shrunk_at: Option<Instant>,
    /// From one answer to the next: a moving average over about the last [`AVERAGED`]; `None` before the first.
    between: Option<Duration>,
}

/// How much of the average an answer replaces, as the divisor.
const AVERAGED: u32 = 8;

impl Window {
    /// A window for so many servers, at its smallest: it is soon large where that does no harm. It sets what
    /// `admission` lets through.
    #[must_use]
    pub fn new(admission: Admission, servers: usize, most: usize) -> Arc<Self> {
        let most = most.min(IN_FLIGHT_MAX * servers).max(1);
        let range = ((IN_FLIGHT_MIN * servers).min(most), most);
        let state = State { size: range.0, shrunk_at: None, between: None };
        let window =
            Self { admission, range, in_flight: AtomicUsize::new(0), state: Mutex::new(state) };
        window.set(range.0);
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
        let between = state.measure(took, in_flight);
        // A request that is sent comes back when those that are there have.
        self.admission.measured(between, between, now);
        let (least, most) = self.range;
        let size = match answer {
            _ if took > ANSWER_TIME_MAX => {
                if state.shrunk_at.is_some_and(|at| sent_at < at) {
                    return;
                }
                state.shrunk_at = Some(now);
                (state.size - state.size.div_ceil(4)).max(least)
            }
            // A server that refuses is soon done, and has no use for more.
            Answered::Overloaded => return,
            Answered::Served => (state.size + 1).min(most),
        };
        if size != state.size {
            state.size = size;
            self.set(size);
        }
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
}

/// What an answer says of a server's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was served, or refused for what it asked.
    Served,
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
        let check = |servers, most, range| assert_eq!(window(servers, most).range, range);
        check(1, 1000, (IN_FLIGHT_MIN, IN_FLIGHT_MAX));
        check(3, 1000, (3 * IN_FLIGHT_MIN, 3 * IN_FLIGHT_MAX));
        check(3, 32, (3 * IN_FLIGHT_MIN, 32));
        check(20, 32, (32, 32));
        check(1, 1, (1, 1));
    }

    #[test]
    fn answers_come_as_often_as_there_are_in_flight() {
        let mut state = State { size: 8, shrunk_at: None, between: None };
        assert_eq!(state.measure(80 * MS, 8), 10 * MS);
        for _ in 0..100 {
            state.measure(40 * MS, 2);
        }
        let between = state.measure(40 * MS, 2);
        assert!(between > 19 * MS && between <= 20 * MS, "{between:?}");
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
