//! How many requests that hash are with auth servers at a time.
//!
//! A request that is with a server can no longer be overtaken, and holds a thread. So however fair the queue before it
//! is, a newcomer waits for as long as the requests before it are there. While they come back late, fewer are sent; while
//! they come back soon, more (additive increase, multiplicative decrease; Chiu and Jain, 1989). What waits then waits
//! here, in turns.
//!
//! Auth servers tell how many passwords they hash at a time. As many are always sent: with fewer a thread would idle,
//! however long a hash takes, and none of these waits for another.
//!
//! Measured on the way is how fast they come back, by which the queue refuses what would wait too long: with `n` in
//! flight that take `t` each, one comes back each `t / n` (Little, 1961). While `n` are fewer than are hashed at a time,
//! more of them would take no longer.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lane::{Admission, Permit};
use parking_lot::Mutex;

use crate::limits::ANSWER_TIME_MAX;

/// The window of requests in flight, and what is measured of them. Shared by all workers of the lane.
pub struct Window {
    admission: Admission,
    hash_threads: Box<dyn Fn() -> usize + Send + Sync>,
    most: usize,
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
    /// A window of up to `most` requests, at its smallest: it is soon large where that does no harm. `hash_threads`
    /// tells how many passwords servers hash at a time, all together. The window sets what `admission` lets through.
    #[must_use]
    pub fn new(
        admission: Admission,
        hash_threads: impl Fn() -> usize + Send + Sync + 'static,
        most: usize,
    ) -> Arc<Self> {
        let state = State { size: hash_threads().clamp(1, most), shrunk_at: None, between: None };
        let (hash_threads, in_flight) = (Box::new(hash_threads), AtomicUsize::new(0));
        let size = state.size;
        let state = Mutex::new(state);
        let window = Self { admission, hash_threads, most, in_flight, state };
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
        let least = (self.hash_threads)().clamp(1, self.most);
        let mut state = self.state.lock();
        let is_late = took > ANSWER_TIME_MAX;
        // A quick refusal tells nothing of the time that work takes, a late one how long a place is taken.
        if answer == Answered::Hashed || is_late {
            let between = state.measure(took, in_flight.max(least));
            let together = u32::try_from(least).unwrap_or(u32::MAX);
            self.admission.measured(between, between.saturating_mul(together), now);
        }
        let size = match answer {
            _ if is_late => {
                if state.shrunk_at.is_some_and(|at| sent_at < at) {
                    return;
                }
                state.shrunk_at = Some(now);
                (state.size - state.size.div_ceil(4)).max(least)
            }
            Answered::Refused => return,
            Answered::Hashed => (state.size + 1).clamp(least, self.most),
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

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("state", &self.state).finish_non_exhaustive()
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
    /// It was hashed: it was served, or refused for a wrong password.
    Hashed,
    /// It was refused for something else, or for want of time.
    Refused,
}

/// A request's place in the window. Dropping it lets another have it.
#[derive(Debug)]
pub struct InFlight<J> {
    window: Arc<Window>,
    /// How many there were when it was sent, itself among them.
    beside: usize,
    _permit: Permit<J>,
}

impl<J> InFlight<J> {
    /// A request that has left the queue.
    #[must_use]
    pub fn new(window: &Arc<Window>, permit: Permit<J>) -> Self {
        Self { window: Arc::clone(window), beside: window.enter(), _permit: permit }
    }

    /// Its answer has come.
    pub fn answered(&self, sent_at: Instant, answer: Answered) {
        self.window.answered(sent_at, self.beside, clock::now(), answer);
    }
}

impl<J> Drop for InFlight<J> {
    fn drop(&mut self) {
        self.window.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn window(hash_threads: usize, most: usize) -> Arc<Window> {
        Window::new(Admission::new(700 * MS, NonZeroUsize::MIN), move || hash_threads, most)
    }

    #[test]
    fn late_answers_make_it_smaller_once_a_round_trip_and_early_ones_larger() {
        let (window, start) = (window(2, 32), clock::now());
        let size = || window.admission.window();
        let answer = |sent: u32, took: u32, answer: Answered, expected: usize| {
            let sent_at = start + sent * MS;
            window.answered(sent_at, 1, sent_at + took * MS, answer);
            assert_eq!(size(), expected, "sent at {sent}, took {took}");
        };
        assert_eq!(size(), 2);
        for size in 3..=32 {
            answer(0, 1, Answered::Hashed, size);
        }
        answer(0, 1, Answered::Hashed, 32);
        answer(0, 300, Answered::Hashed, 24);
        // Sent before the window was smaller, at 300.
        answer(10, 300, Answered::Hashed, 24);
        answer(299, 300, Answered::Refused, 24);
        answer(300, 300, Answered::Hashed, 18);
        answer(600, 250, Answered::Hashed, 19);
        answer(600, 1, Answered::Refused, 19);
        for sent in 1..20 {
            let sent_at = start + sent * 1000 * MS;
            window.answered(sent_at, 1, sent_at + 999 * MS, Answered::Hashed);
        }
        assert_eq!(size(), 2, "never less");
        for _ in 0..100 {
            window.answered(start, 1, start + MS, Answered::Hashed);
        }
        assert_eq!(size(), 32, "never more");
    }

    /// The sizes at each answer of a server whose threads take `hash` each, give or take a tenth, where there is always
    /// more to send.
    fn sizes(threads: usize, hash: Duration, answers: u32) -> Vec<usize> {
        let (window, start) = (window(threads, 32), clock::now());
        let mut busy_until = vec![start; threads];
        let mut sent = Vec::new();
        let mut now = start;
        (0..answers)
            .map(|number| {
                while sent.len() < window.admission.window() {
                    let thread = busy_until.iter_mut().min().expect("there is one");
                    *thread = (*thread).max(now) + hash * (90 + number * 7 % 21) / 100;
                    sent.push((*thread, now, window.enter()));
                }
                let next = (0..sent.len()).min_by_key(|&index| sent[index].0).expect("some are");
                let (done, sent_at, beside) = sent.remove(next);
                now = done;
                window.in_flight.fetch_sub(1, Ordering::Relaxed);
                window.answered(sent_at, beside, now, Answered::Hashed);
                window.admission.window()
            })
            .collect()
    }

    #[test]
    fn hashes_that_take_long_alone_leave_no_thread_idle_and_none_waiting() {
        for threads in [1, 2, 8] {
            let sizes = sizes(threads, 400 * MS, 500);
            assert!(sizes.iter().all(|&size| size == threads), "{threads}: {sizes:?}");
        }
        // Twelve of them take a quarter of a second.
        let quick = sizes(1, 20 * MS, 2000).split_off(100);
        let (least, most) = (quick.iter().min(), quick.iter().max());
        assert!(least >= Some(&6) && most <= Some(&26), "{least:?} to {most:?}");
    }

    #[test]
    fn it_learns_how_many_are_hashed_at_a_time() {
        let threads = Arc::new(AtomicUsize::new(2));
        let told = Arc::clone(&threads);
        let admission = Admission::new(700 * MS, NonZeroUsize::MIN);
        let window = Window::new(admission, move || told.load(Ordering::Relaxed), 32);
        let start = clock::now();
        threads.store(8, Ordering::Relaxed);
        window.answered(start, 1, start + 400 * MS, Answered::Hashed);
        assert_eq!(window.admission.window(), 8);
        threads.store(100, Ordering::Relaxed);
        window.answered(start + 400 * MS, 1, start + 401 * MS, Answered::Hashed);
        assert_eq!(window.admission.window(), 32, "no more than can be sent");
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
            window.answered(start, beside, start + number * 10 * MS, Answered::Hashed);
        }
        assert_eq!(window.state.lock().between, Some(10 * MS));
    }
}
