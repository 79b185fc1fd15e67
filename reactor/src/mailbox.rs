//! How workers hand answers to a loop.
//!
//! Posting never blocks a loop and never loses a letter. The loop is woken only by the post that
//! finds it possibly asleep: a wake is a system call, and under load one of them serves a whole
//! batch of completions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use crate::protocol::ConnectionId;

/// A loop's letter box; clones post to the same loop.
pub struct Mailbox<C> {
    sender: Sender<Letter<C>>,
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
    /// The queue has no bound of its own, because each letter answers work that was admitted under
    /// one: lanes and the loop's connections limit how many can be on their way.
    pub(crate) fn new(waker: mio::Waker) -> (Self, Letters<C>) {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let alarm = Arc::new(Alarm { waker, ringing: AtomicBool::new(false) });
        let letters = Letters { receiver, alarm: Arc::clone(&alarm) };
        (Self { sender, alarm }, letters)
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
        // An error means that the loop has ended; nobody is left to be answered.
        if self.sender.send(letter).is_ok() && !self.alarm.ringing.swap(true, Ordering::AcqRel) {
            // Writing to an eventfd fails only if the loop's poll is gone.
            let _ = self.alarm.waker.wake();
        }
    }
}

impl<C> Clone for Mailbox<C> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), alarm: Arc::clone(&self.alarm) }
    }
}

impl<C> fmt::Debug for Mailbox<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.sender.len()).finish_non_exhaustive()
    }
}

/// The loop's end of its mailbox.
pub(crate) struct Letters<C> {
    receiver: Receiver<Letter<C>>,
    alarm: Arc<Alarm>,
}

impl<C> Letters<C> {
    /// Moves everything that has been posted into `mail`. The alarm is reset first, so a letter
    /// that is posted meanwhile either is taken now or rings again. The reset has to be a swap: a
    /// plain store could be passed by the reads that follow it, and a letter posted in between
    /// would neither be seen nor ring.
    pub(crate) fn take(&self, mail: &mut Vec<Letter<C>>) {
        self.alarm.ringing.swap(false, Ordering::AcqRel);
        // Only what is there now, so that posting fast cannot hold the loop here.
        let waiting = self.receiver.len();
        mail.extend(self.receiver.try_iter().take(waiting));
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
