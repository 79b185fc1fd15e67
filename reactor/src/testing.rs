//! Drives a protocol with byte arrays instead of a socket, under the rules of the real loop.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::listener::Listener;
use crate::mailbox::{Letter, Letters, Mailbox};
use crate::protocol::{ConnectionId, Fate, Protocol};
use crate::session::{Session, Surroundings};
use crate::storage::Storage;

/// A connection whose peer is the test. The peer takes output at once.
pub struct Harness<P: Protocol> {
    session: Session<P>,
    shared: P::Shared,
    storage: Storage,
    /// What the protocol has sent and the test has not looked at.
    sent: Vec<u8>,
    now: Instant,
    id: ConnectionId,
}

impl<P: Protocol> Harness<P> {
    /// Opens a connection from 127.0.0.1 on a loop whose shared state is `shared`.
    pub fn new(mut shared: P::Shared) -> Self {
        let mut storage = Storage::new(usize::MAX);
        let now = clock::now();
        let id = ConnectionId { slot: 0, generation: 0 };
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut around = Surroundings { now, id, shared: &mut shared, storage: &mut storage };
        let session = Session::open(peer, &mut around);
        let mut harness = Self { session, shared, storage, sent: Vec::new(), now, id };
        harness.settle();
        harness
    }

    /// Bytes from the peer. Returns how many were taken: fewer than given when the protocol has
    /// paused and its input buffer is full, or when it has finished.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && self.session.wants_input() {
            let count = self.session.input_room().min(bytes.len() - taken);
            let piece = &bytes[taken..taken + count];
            self.call(|session, around| session.receive(piece, around));
            taken += count;
        }
        taken
    }

    /// The peer's FIN.
    pub fn end_input(&mut self) {
        self.call(Session::receive_end);
    }

    /// A worker's answer.
    pub fn complete(&mut self, completion: P::Completion) {
        self.call(|session, around| session.complete(completion, around));
    }

    /// Lets time pass and fires the deadline if it comes due.
    pub fn advance(&mut self, time: Duration) {
        self.now += time;
        self.call(Session::expire);
    }

    /// The server stops before long.
    pub fn drain(&mut self) {
        P::on_drain(&mut self.shared);
    }

    /// The server is stopping, and all that had arrived was fed.
    pub fn shut_down(&mut self) {
        self.call(Session::shut_down);
    }

    /// What the protocol has sent since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    /// Forgets what the protocol has sent, but keeps the room for it: nothing is allocated for the next
    /// answers if they are not longer.
    pub fn discard_output(&mut self) {
        self.sent.clear();
    }

    /// Whether the protocol has finished or aborted.
    pub fn is_finished(&self) -> bool {
        self.session.fate() != Fate::Open
    }

    /// Whether the protocol has aborted, which discards output.
    pub fn is_aborted(&self) -> bool {
        self.session.fate() == Fate::Aborted
    }

    /// The deadline that the protocol has set, as time from now.
    pub fn deadline(&self) -> Option<Duration> {
        self.session.deadline().map(|deadline| deadline.saturating_duration_since(self.now))
    }

    /// Since when the connection has been idle.
    pub fn idle_since(&self) -> Option<Instant> {
        self.session.idle_since(&self.shared)
    }

    /// Memory that the connection holds, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.session.held_bytes()
    }

    /// The loop's shared state.
    pub fn shared(&mut self) -> &mut P::Shared {
        &mut self.shared
    }

    /// The time as the protocol sees it.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The name of this connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    fn call(&mut self, body: impl FnOnce(&mut Session<P>, &mut Surroundings<'_, P>)) {
        let mut around = Surroundings {
            now: self.now,
            id: self.id,
            shared: &mut self.shared,
            storage: &mut self.storage,
        };
        body(&mut self.session, &mut around);
        self.settle();
    }

    /// Takes output and goes on with held input until nothing moves any more, as the loop does
    /// over several turns.
    fn settle(&mut self) {
        loop {
            let output = self.session.output();
            let count = output.len();
            self.sent.extend_from_slice(output);
            self.session.sent(count, &mut self.storage);
            if !self.session.can_resume() {
                P::on_turn_end(&mut self.shared);
                return;
            }
            let mut around = Surroundings {
                now: self.now,
                id: self.id,
                shared: &mut self.shared,
                storage: &mut self.storage,
            };
            self.session.resume(&mut around);
        }
    }
}

/// Limits what the kernel buffers of a connection's output before its peer reads to about `bytes`. By default that is
/// megabytes, and differs between machines.
///
/// # Panics
///
/// When the system refuses.
pub fn limit_send_buffers(listener: &Listener, bytes: usize) {
    for socket in &listener.sockets {
        // Connections inherit it from their listener.
        let socket = socket2::SockRef::from(socket);
        socket.set_send_buffer_size(bytes).expect("any size is allowed");
    }
}

/// A mailbox that no loop empties, and the test's end of it.
///
/// # Panics
///
/// When the system gives no descriptor.
#[must_use]
pub fn mailbox<C>() -> (Mailbox<C>, Post<C>) {
    let poll = mio::Poll::new().expect("a descriptor for a test");
    let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a descriptor for a test");
    let (mailbox, letters) = Mailbox::new(waker);
    (mailbox, Post { letters, _poll: poll })
}

/// The name of a connection that is not there, for a [`Ticket`](crate::Ticket) whose answer the test
/// takes from a [`Post`]. Different slots make different names.
#[must_use]
pub fn connection_id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 0 }
}

/// What was posted to a [`mailbox`].
pub struct Post<C> {
    letters: Letters<C>,
    /// The waker rings here.
    _poll: mio::Poll,
}

/// One completion on its way to a connection.
#[derive(Debug)]
pub struct Posted<C> {
    /// Whom it is for.
    pub to: ConnectionId,
    /// The loop would deliver it no sooner.
    pub not_before: Option<Instant>,
    /// What was posted.
    pub completion: C,
}

impl<C> Post<C> {
    /// What was posted since the last call, in order. Does not wait.
    #[must_use]
    pub fn take(&self) -> Vec<Posted<C>> {
        let mut mail = Vec::new();
        self.letters.take(&mut mail);
        let posted = mail.into_iter().filter_map(|letter| match letter {
            Letter::Completion { to, completion } => {
                Some(Posted { to, not_before: None, completion })
            }
            Letter::CompletionAt { at, to, completion } => {
                Some(Posted { to, not_before: Some(at), completion })
            }
            Letter::Evict | Letter::Ask(_) | Letter::Drain | Letter::ShutDown { .. } => None,
        });
        posted.collect()
    }
}
