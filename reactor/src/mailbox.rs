//! How workers hand answers to a loop.
//!
//! Posting never blocks a loop and never loses a letter. The loop is woken only by the post that
//! finds it possibly asleep: a wake is a system call, and under load one of them serves a whole
//! batch of completions. Who has a batch in hand posts it [quietly](Ticket::answer_quietly) and rings
//! once, so that the loop does not wake for the first and find the others missing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::protocol::ConnectionId;

/// A loop's letter box; clones post to the same loop.
pub struct Mailbox<C>(Arc<Letterbox<C>>);

struct Letterbox<C> {
    /// Its lock is held for as long as it takes to append one letter, or to exchange the whole list.
    letters: Mutex<Vec<Letter<C>>>,
    alarm: Arc<Alarm>,
}

/// What can be posted to a loop.
pub(crate) enum Letter<C> {
    Completion { to: ConnectionId, completion: C },
    CompletionAt { at: Instant, to: ConnectionId, completion: C },
    ShutDown { by: Instant },
}

/// Wakes the loop once, however many post before it looks.
struct Alarm {
    waker: mio::Waker,
    ringing: AtomicBool,
}

impl<C> Mailbox<C> {
    /// The list has no bound of its own, because each letter answers work that was admitted under
    /// one: lanes and the loop's connections limit how many can be on their way.
    pub(crate) fn new(waker: mio::Waker) -> (Self, Letters<C>) {
        let alarm = Arc::new(Alarm { waker, ringing: AtomicBool::new(false) });
        let letterbox = Arc::new(Letterbox { letters: Mutex::default(), alarm });
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

    pub(crate) fn shut_down(&self, by: Instant) {
        self.send(Letter::ShutDown { by });
    }

    fn send(&self, letter: Letter<C>) {
        self.put(letter);
        self.0.alarm.ring();
    }

    fn put(&self, letter: Letter<C>) {
        self.0.letters.lock().push(letter);
    }
}

impl Alarm {
    fn ring(&self) {
        if !self.ringing.swap(true, Ordering::AcqRel) {
            // Writing to an eventfd fails only if the loop's poll is gone.
            let _ = self.waker.wake();
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
    /// Exchanges everything that has been posted for `mail`, which has to be empty. The alarm is reset
    /// first, so a letter that is posted meanwhile either is taken now or rings again. The reset has
    /// to be a swap: a plain store could be passed by the reads that follow it, and a letter posted
    /// in between would neither be seen nor ring.
    pub(crate) fn take(&self, mail: &mut Vec<Letter<C>>) {
        debug_assert!(mail.is_empty());
        self.0.alarm.ringing.swap(false, Ordering::AcqRel);
        std::mem::swap(mail, &mut self.0.letters.lock());
    }
}

/// Loops that were posted to and not rung for yet. Dropping it rings.
#[derive(Default)]
pub struct Bells(Vec<Arc<Alarm>>);

impl Bells {
    /// Wakes each of the loops that may sleep. A system call for each that does, none for the others.
    pub fn ring(&mut self) {
        for alarm in self.0.drain(..) {
            alarm.ring();
        }
    }

    fn add(&mut self, alarm: &Arc<Alarm>) {
        // There are as many as loops: a few.
        if !self.0.iter().any(|known| Arc::ptr_eq(known, alarm)) {
            self.0.push(Arc::clone(alarm));
        }
    }
}

impl Drop for Bells {
    fn drop(&mut self) {
        self.ring();
    }
}

impl fmt::Debug for Bells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bells").field("owed", &self.0.len()).finish()
    }
}

/// The duty to answer one connection. However the work ends, one completion is posted: the
/// worker's answer, or, when the ticket is dropped without one (a panic, a queue torn down), the one
/// that it was given at first.
pub struct Ticket<C: Send + 'static> {
    mailbox: Mailbox<C>,
    to: ConnectionId,
    unanswered: Option<C>,
}

impl<C: Send + 'static> Ticket<C> {
    /// A ticket for the connection `to`, which is told `unanswered` when nobody answers.
    pub fn new(mailbox: Mailbox<C>, to: ConnectionId, unanswered: C) -> Self {
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

    /// Posts the answer, and leaves it to `bells` to wake the loop: for who has more of them in hand.
    pub fn answer_quietly(mut self, completion: C, bells: &mut Bells) {
        self.unanswered = None;
        self.mailbox.put(Letter::Completion { to: self.to, completion });
        bells.add(&self.mailbox.0.alarm);
    }

    /// Gives the duty up without posting: the caller answers on the loop itself, such as when a
    /// lane was full.
    pub fn withdraw(mut self) {
        self.unanswered = None;
    }
}

impl<C: Send + 'static> Drop for Ticket<C> {
    fn drop(&mut self) {
        if let Some(unanswered) = self.unanswered.take() {
            self.mailbox.post(self.to, unanswered);
        }
    }
}

impl<C: Send + 'static> fmt::Debug for Ticket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("to", &self.to).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::connection_id;

    #[test]
    fn a_loop_is_woken_once_for_a_batch_and_not_before() {
        let mut poll = mio::Poll::new().expect("a descriptor for a test");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("another");
        let (mailbox, letters) = Mailbox::new(waker);
        let ticket = || Ticket::new(mailbox.clone(), connection_id(0), 0);
        let mut events = mio::Events::with_capacity(4);
        let mut check = |woken: bool, posted: usize| {
            poll.poll(&mut events, Some(Duration::ZERO)).expect("it can be polled");
            assert_eq!(!events.is_empty(), woken);
            let mut mail = Vec::new();
            letters.take(&mut mail);
            assert_eq!(mail.len(), posted);
        };
        let mut bells = Bells::default();
        ticket().answer_quietly(1, &mut bells);
        ticket().answer_quietly(2, &mut bells);
        check(false, 2);
        ticket().answer_quietly(3, &mut bells);
        bells.ring();
        check(true, 1);
        bells.ring();
        check(false, 0);
        ticket().answer_quietly(4, &mut bells);
        drop(bells);
        check(true, 1);
        ticket().answer(5);
        check(true, 1);
        drop(ticket());
        check(true, 1);
    }
}
