//! How workers hand answers to a loop.
//!
//! Posting never blocks a loop and never loses a letter. A wake is a system call, and a loop that is at
//! work does not need it: it looks at its letters before it sleeps, and only a post that finds it asleep,
//! or about to be, wakes it. Who has a batch of answers in hand posts it as a [`Bundle`], so that the
//! loop does not wake for the first and find the others missing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::protocol::ConnectionId;

/// A loop's letter box; clones post to the same loop.
pub struct Mailbox<C>(Arc<Letterbox<C>>);

struct Letterbox<C> {
    /// Its lock is held for as long as it takes to move one letter or a bundle in, or to exchange the list.
    letters: Mutex<Vec<Letter<C>>>,
    /// Whether the list may hold any: spares a loop that has no letters the lock.
    any: AtomicBool,
    waker: mio::Waker,
    /// The loop looks at its letters before it sleeps: it has not begun to, or has been woken.
    awake: AtomicBool,
}

/// What can be posted to a loop.
pub(crate) enum Letter<C> {
    Completion {
        to: ConnectionId,
        completion: C,
    },
    CompletionAt {
        at: Instant,
        to: ConnectionId,
        completion: C,
    },
    /// Another loop had to reject a connection: evict an idle one.
    Evict,
    /// Are you alive? Add one.
    Ask(Arc<AtomicUsize>),
    /// The server stops before long.
    Drain,
    ShutDown {
        by: Instant,
    },
}

impl<C> Mailbox<C> {
    /// The list has no bound of its own, because each letter answers work that was admitted under
    /// one: lanes and the loop's connections limit how many can be on their way.
    pub(crate) fn new(waker: mio::Waker) -> (Self, Letters<C>) {
        let letterbox = Arc::new(Letterbox {
            letters: Mutex::default(),
            any: AtomicBool::new(false),
            waker,
            awake: AtomicBool::new(true),
        });
        (Self(Arc::clone(&letterbox)), Letters(letterbox))
    }

    /// Delivers `completion` to a connection in the loop's next turn, or drops it when the
    /// connection has gone by then. Does not block.
    pub fn post(&self, to: ConnectionId, completion: C) {
        self.send(Letter::Completion { to, completion });
    }

    /// The same, no sooner than `at`; a timer of the loop waits, no thread does.
    pub fn post_at(&self, at: Instant, to: ConnectionId, completion: C) {
        self.send(Letter::CompletionAt { at, to, completion });
    }

    pub(crate) fn evict(&self) {
        self.send(Letter::Evict);
    }

    pub(crate) fn ask(&self, answers: Arc<AtomicUsize>) {
        self.send(Letter::Ask(answers));
    }

    pub(crate) fn drain(&self) {
        self.send(Letter::Drain);
    }

    pub(crate) fn shut_down(&self, by: Instant) {
        self.send(Letter::ShutDown { by });
    }

    fn send(&self, letter: Letter<C>) {
        self.put(|letters| letters.push(letter));
    }

    fn put(&self, put: impl FnOnce(&mut Vec<Letter<C>>)) {
        let letterbox = &*self.0;
        let mut letters = letterbox.letters.lock();
        put(&mut letters);
        letterbox.any.store(true, Ordering::Relaxed);
        drop(letters);
        if !letterbox.awake.swap(true, Ordering::AcqRel) {
            // Writing to an eventfd fails only if the loop's poll is gone.
            let _ = letterbox.waker.wake();
        }
    }
}

impl<C> Clone for Mailbox<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Mailbox<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("waiting", &self.0.letters.lock().len())
            .finish_non_exhaustive()
    }
}

/// The loop's end of its mailbox.
pub(crate) struct Letters<C>(Arc<Letterbox<C>>);

impl<C> Letters<C> {
    /// Exchanges everything that has been posted for `mail`, which has to be empty.
    pub(crate) fn take(&self, mail: &mut Vec<Letter<C>>) {
        debug_assert!(mail.is_empty());
        if self.any() {
            let mut letters = self.0.letters.lock();
            std::mem::swap(mail, &mut letters);
            self.0.any.store(false, Ordering::Relaxed);
        }
    }

    /// The loop is about to sleep: whoever posts from now on wakes it. False if a letter is there
    /// already, for which nobody will.
    ///
    /// A post marks its letter before it swaps, and this swaps before it looks. Of two swaps of one flag
    /// one comes first: the post's, and its letter is seen here, or this one, and the post wakes.
    pub(crate) fn may_sleep(&self) -> bool {
        self.0.awake.swap(false, Ordering::AcqRel);
        !self.any()
    }

    /// The loop is awake, and will look at its letters before it sleeps. A swap and no store, which would
    /// hide from [`may_sleep`](Self::may_sleep) what a post did before it.
    pub(crate) fn wake_up(&self) {
        self.0.awake.swap(true, Ordering::AcqRel);
    }

    fn any(&self) -> bool {
        self.0.any.load(Ordering::Relaxed)
    }
}

/// Answers that leave together. Dropping it posts them.
pub struct Bundle<C>(Vec<(Mailbox<C>, Vec<Letter<C>>)>);

impl<C> Bundle<C> {
    /// Posts what it holds: to each loop all of its letters at once, so that it wakes once, if it sleeps.
    /// Does not block.
    pub fn post(&mut self) {
        for (mailbox, bundled) in &mut self.0 {
            if !bundled.is_empty() {
                mailbox.put(|letters| letters.append(bundled));
            }
        }
    }

    fn add(&mut self, mailbox: &Mailbox<C>, letter: Letter<C>) {
        // There are as many as loops: a few.
        match self.0.iter_mut().find(|(known, _)| Arc::ptr_eq(&known.0, &mailbox.0)) {
            Some((_, bundled)) => bundled.push(letter),
            None => self.0.push((mailbox.clone(), vec![letter])),
        }
    }
}

impl<C> Default for Bundle<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C> Drop for Bundle<C> {
    fn drop(&mut self) {
        self.post();
    }
}

impl<C> fmt::Debug for Bundle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.0.iter().map(|(_, bundled)| bundled.len()).sum::<usize>();
        f.debug_struct("Bundle").field("letters", &letters).finish()
    }
}

/// The duty to answer one connection. However the work ends, one completion is posted: the
/// worker's answer, or, when the ticket is dropped without one (a panic, a queue torn down), the one
/// that it was given at first, as a `U` that becomes one: a ticket goes through many hands, so what is seldom needed should
/// be small.
pub struct Ticket<C: Send + 'static, U: Into<C> = C> {
    mailbox: Mailbox<C>,
    to: ConnectionId,
    unanswered: Option<U>,
}

impl<C: Send + 'static, U: Into<C>> Ticket<C, U> {
    /// A ticket for the connection `to`, which is told `unanswered` when nobody answers.
    pub fn new(mailbox: Mailbox<C>, to: ConnectionId, unanswered: U) -> Self {
        Self { mailbox, to, unanswered: Some(unanswered) }
    }

    /// Posts the answer.
    pub fn answer(mut self, completion: C) {
        self.unanswered = None;
        self.mailbox.post(self.to, completion);
    }

    /// Posts the answer, to be delivered no sooner than `at`.
    pub fn answer_at(mut self, at: Instant, completion: C) {
        self.unanswered = None;
        self.mailbox.post_at(at, self.to, completion);
    }

    /// Puts the answer into `bundle`, which posts it: for who has more of them in hand.
    pub fn answer_with(mut self, completion: C, bundle: &mut Bundle<C>) {
        self.unanswered = None;
        bundle.add(&self.mailbox, Letter::Completion { to: self.to, completion });
    }

    /// Gives the duty up without posting: the caller answers on the loop itself, such as when a
    /// lane was full.
    pub fn withdraw(mut self) {
        self.unanswered = None;
    }
}

impl<C: Send + 'static, U: Into<C>> Drop for Ticket<C, U> {
    fn drop(&mut self) {
        if let Some(unanswered) = self.unanswered.take() {
            self.mailbox.post(self.to, unanswered.into());
        }
    }
}

impl<C: Send + 'static, U: Into<C>> fmt::Debug for Ticket<C, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("to", &self.to).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::hint::spin_loop;
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::testing::connection_id;

    /// A mailbox, and the poll that its waker belongs to.
    struct Desk {
        mailbox: Mailbox<u64>,
        letters: Letters<u64>,
        poll: mio::Poll,
    }

    impl Desk {
        fn new() -> Self {
            let poll = mio::Poll::new().expect("a descriptor for a test");
            let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("another");
            let (mailbox, letters) = Mailbox::new(waker);
            Self { mailbox, letters, poll }
        }

        fn ticket(&self) -> Ticket<u64> {
            Ticket::new(self.mailbox.clone(), connection_id(0), 0)
        }

        fn is_woken(&mut self, patience: Duration) -> bool {
            let mut events = mio::Events::with_capacity(4);
            self.poll.poll(&mut events, Some(patience)).expect("it can be polled");
            self.letters.wake_up();
            !events.is_empty()
        }

        fn take(&self) -> usize {
            let mut mail = Vec::new();
            self.letters.take(&mut mail);
            mail.len()
        }
    }

    #[test]
    fn a_loop_that_is_awake_is_not_woken() {
        let mut desk = Desk::new();
        desk.ticket().answer(1);
        assert!(!desk.letters.may_sleep(), "nobody would wake it for the letter that is there");
        assert!(!desk.is_woken(Duration::ZERO));
        desk.ticket().answer(2);
        assert!(!desk.is_woken(Duration::ZERO));
        assert_eq!((desk.take(), desk.take()), (2, 0));
        assert!(desk.letters.may_sleep());
    }

    #[test]
    fn a_loop_that_sleeps_is_woken_once() {
        let mut desk = Desk::new();
        for _ in 0..2 {
            assert!(desk.letters.may_sleep());
            desk.ticket().answer(1);
            drop(desk.ticket());
            assert!(desk.is_woken(Duration::ZERO));
            assert!(!desk.is_woken(Duration::ZERO));
            assert_eq!(desk.take(), 2);
        }
    }

    #[test]
    fn a_bundle_is_posted_whole_and_at_the_latest_when_it_is_dropped() {
        let mut desk = Desk::new();
        let mut bundle = Bundle::default();
        assert!(desk.letters.may_sleep());
        desk.ticket().answer_with(1, &mut bundle);
        desk.ticket().answer_with(2, &mut bundle);
        assert_eq!((desk.is_woken(Duration::ZERO), desk.take()), (false, 0));
        assert!(desk.letters.may_sleep());
        bundle.post();
        assert_eq!((desk.is_woken(Duration::ZERO), desk.take()), (true, 2));
        assert!(desk.letters.may_sleep());
        bundle.post();
        assert_eq!((desk.is_woken(Duration::ZERO), desk.take()), (false, 0));
        desk.ticket().answer_with(3, &mut bundle);
        drop(bundle);
        assert_eq!(desk.take(), 1);
    }

    #[test]
    fn a_bundle_keeps_the_loops_apart() {
        let (one, other) = (Desk::new(), Desk::new());
        let mut bundle = Bundle::default();
        for desk in [&one, &other, &one] {
            desk.ticket().answer_with(1, &mut bundle);
        }
        bundle.post();
        assert_eq!((one.take(), other.take()), (2, 1));
    }

    #[test]
    fn no_letter_is_slept_over() {
        const LETTERS: usize = 50_000;
        let mut desk = Desk::new();
        let mailbox = desk.mailbox.clone();
        let taken = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&taken);
        // A letter is posted as soon as the one before is taken, which is when the loop goes to sleep.
        let poster = thread::spawn(move || {
            for letter in 0..LETTERS {
                let mut looks = 0;
                while seen.load(Ordering::Acquire) < letter {
                    looks += 1;
                    if looks % 256 == 0 { thread::yield_now() } else { spin_loop() }
                }
                // Somewhat later each time, to come between any two steps of the loop.
                for _ in 0..letter % 64 {
                    spin_loop();
                }
                mailbox.post(connection_id(0), 1);
            }
        });
        while taken.load(Ordering::Relaxed) < LETTERS {
            if desk.letters.may_sleep() {
                assert!(desk.is_woken(Duration::from_secs(20)), "after {taken:?} letters");
            }
            desk.letters.wake_up();
            taken.fetch_add(desk.take(), Ordering::Release);
        }
        poster.join().expect("all letters were taken");
    }
}
