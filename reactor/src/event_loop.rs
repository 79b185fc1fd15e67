//! One loop: what wakes it, and the order in which a turn does its work.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::accept::{Arrival, Gate};
use crate::buffer::Spares;
use crate::connection::{Connection, Edge, Verdict};
use crate::counters::{Counters, count};
use crate::limits::{
    ACCEPT_PAUSE, ACCEPTS_PER_TURN, BUSY_LETTERS_MIN, EVENTS_PER_POLL, READ_BYTES,
};
use crate::mailbox::{Letter, Letters, Mailbox};
use crate::protocol::{ConnectionId, Protocol};
use crate::running::Limits;
use crate::session::{Session, Surroundings};
use crate::slots::Slots;
use crate::stack::wipe_stack;
use crate::wheel::Wheel;

/// A loop's descriptors, made where failing is still an ordinary error: before its thread starts.
pub(crate) struct Prepared<C> {
    poll: Poll,
    gate: Gate,
    letters: Letters<C>,
    limits: Limits,
    counters: Arc<Counters>,
}

impl<C> Prepared<C> {
    pub(crate) fn new(
        socket: std::net::TcpListener,
        limits: Limits,
        counters: Arc<Counters>,
    ) -> io::Result<(Self, Mailbox<C>)> {
        let poll = Poll::new()?;
        let mut socket = mio::net::TcpListener::from_std(socket);
        poll.registry().register(&mut socket, TOKEN_LISTENER, Interest::READABLE)?;
        let (mailbox, letters) = Mailbox::new(Waker::new(poll.registry(), TOKEN_WAKER)?);
        let gate = Gate::new(socket, limits, Arc::clone(&counters));
        Ok((Self { poll, gate, letters, limits, counters }, mailbox))
    }
}

pub(crate) struct EventLoop<P: Protocol> {
    poll: Poll,
    gate: Gate,
    letters: Letters<P::Completion>,
    counters: Arc<Counters>,
    shared: P::Shared,
    connections: Slots<Connection<P>>,
    wheel: Wheel<Timer<P::Completion>>,
    /// Connections to visit before the turn ends: an edge came, a completion, or a deadline, or
    /// their share of the last turn was used up. Each is on it once (`Connection::listed`).
    ready: VecDeque<ConnectionId>,
    /// Accepting was cut off for the others' sake and goes on next turn.
    accept_again: bool,
    stopping: bool,
    /// The wheel has an entry for the protocol's own time, and that is when.
    wake_armed: Option<Instant>,
    now: Instant,
    spares: Spares,
    scratch: Box<[u8]>,
    /// This turn's letters and timers; fields only so that their storage is reused.
    mail: Vec<Letter<P::Completion>>,
    due: Vec<Timer<P::Completion>>,
}

/// Every reason for a loop to wake.
enum Event<C> {
    /// The listener has connections waiting.
    Acceptable,
    /// A socket's edge.
    Socket(ConnectionId, Edge),
    /// A timer of the wheel has come due.
    Timer(Timer<C>),
}

/// What the wheel holds.
enum Timer<C> {
    /// A connection's deadline; `at` tells the entry that counts from those it replaced.
    Deadline { id: ConnectionId, at: Instant },
    /// A completion that must not be delivered sooner. Boxed, since it is rare and may be large, while
    /// each idle connection has a deadline here.
    Completion { to: ConnectionId, completion: Box<C> },
    /// Accepting has rested long enough.
    AcceptRetry,
    /// The protocol's own time for what its connections share; `at` as for a deadline.
    Wake { at: Instant },
    /// The grace period of a shutdown has ended.
    GraceOver,
}

/// Bytes of user-space memory that an idle connection holds: a slot, and an entry of the timer wheel for
/// its deadline. It has no buffers. What `P` has on the heap while it is idle comes on top.
#[must_use]
pub const fn idle_connection_bytes<P: Protocol>() -> usize {
    Slots::<Connection<P>>::SLOT_BYTES + Wheel::<Timer<P::Completion>>::ENTRY_BYTES
}

const TOKEN_LISTENER: Token = Token(usize::MAX);
const TOKEN_WAKER: Token = Token(usize::MAX - 1);

impl<P: Protocol> EventLoop<P> {
    pub(crate) fn new(prepared: Prepared<P::Completion>, shared: P::Shared) -> Self {
        let now = clock::now();
        Self {
            poll: prepared.poll,
            gate: prepared.gate,
            letters: prepared.letters,
            counters: prepared.counters,
            shared,
            connections: Slots::new(prepared.limits.connections_max),
            wheel: Wheel::new(now),
            ready: VecDeque::new(),
            accept_again: false,
            stopping: false,
            wake_armed: None,
            now,
            spares: Spares::default(),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            mail: Vec::new(),
            due: Vec::new(),
        }
    }

    /// Serves until a shutdown has closed the last connection.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        let mut letters = 0;
        while !(self.stopping && self.connections.is_empty()) {
            let mut patience = self.patience();
            // Requests of the last turn are not to lie on the stack while nobody asks anything.
            wipe_stack();
            if letters >= BUSY_LETTERS_MIN && patience != Some(Duration::ZERO) {
                // Under a flood, workers that wait for this core have the next answers.
                thread::yield_now();
            }
            if !self.letters.may_sleep() {
                patience = Some(Duration::ZERO);
            }
            let polled = self.poll.poll(&mut events, patience);
            self.letters.wake_up();
            self.now = clock::now();
            match polled {
                Ok(()) => {
                    for event in events.iter().filter_map(translate) {
                        self.handle(event);
                    }
                }
                // Only a signal can interrupt a poll of descriptors that are all ours.
                Err(error) => {
                    assert!(error.kind() == io::ErrorKind::Interrupted, "epoll failed: {error}");
                }
            }
            if self.accept_again {
                self.handle(Event::Acceptable);
            }
            letters = self.take_mail();
            self.fire_timers();
            self.visit_ready();
            P::on_turn_end(&mut self.shared);
            self.arm_wake();
        }
    }

    /// How long poll may sleep.
    fn patience(&self) -> Option<Duration> {
        if self.accept_again || !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let next = self.wheel.next_expiry()?;
        // mio rounds up to whole milliseconds, so the wheel's tick has come when poll returns.
        Some(next.saturating_duration_since(clock::now()))
    }

    fn handle(&mut self, event: Event<P::Completion>) {
        match event {
            Event::Acceptable => self.accept(),
            Event::Socket(id, edge) if edge.broken => self.close(id),
            Event::Socket(id, edge) => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.note(edge);
                    self.list(id);
                }
            }
            Event::Timer(Timer::Deadline { id, at }) => self.expire(id, at),
            Event::Timer(Timer::Completion { to, completion }) => self.deliver(to, *completion),
            Event::Timer(Timer::AcceptRetry) => self.accept(),
            Event::Timer(Timer::Wake { at }) => self.wake(at),
            Event::Timer(Timer::GraceOver) => self.cut_all(),
        }
    }

    fn accept(&mut self) {
        self.accept_again = false;
        for _ in 0..ACCEPTS_PER_TURN {
            match self.gate.accept(|address| P::is_capped(address, &self.shared)) {
                Arrival::Admitted(stream, peer) => self.open(stream, peer),
                Arrival::TurnedAway => {}
                Arrival::Nobody => return,
                Arrival::Exhausted => {
                    tracing::warn!("out of file descriptors or memory: accepting rests");
                    self.wheel.insert(self.now + ACCEPT_PAUSE, Timer::AcceptRetry);
                    return;
                }
            }
        }
        self.accept_again = true;
    }

    fn open(&mut self, stream: TcpStream, peer: IpAddr) {
        // Answers are small and written once a turn; waiting to fill segments only adds delay.
        // A socket that refuses the option is broken, and its first read says so.
        let _ = stream.set_nodelay(true);
        let Self { connections, shared, spares, now, .. } = self;
        let id = connections.insert(|id| {
            let mut around = Surroundings { now: *now, id, shared, spares };
            Connection::new(stream, Session::open(peer, &mut around))
        });
        let connection = self.connections.get_mut(id).expect("inserted above");
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(connection.stream(), token_of(id), interest) {
            Ok(()) => self.list(id),
            Err(error) => {
                // The system is out of epoll watches or memory: this peer pays, not the loop.
                tracing::warn!(%error, "a connection could not be registered");
                self.close(id);
            }
        }
    }

    /// Returns how many letters there were.
    fn take_mail(&mut self) -> usize {
        let mut mail = std::mem::take(&mut self.mail);
        self.letters.take(&mut mail);
        let count = mail.len();
        for letter in mail.drain(..) {
            match letter {
                Letter::Completion { to, completion } => self.deliver(to, completion),
                Letter::CompletionAt { at, to, completion } => {
                    let completion = Box::new(completion);
                    self.wheel.insert(at, Timer::Completion { to, completion });
                }
                Letter::ShutDown { by } => self.begin_shutdown(by),
            }
        }
        self.mail = mail;
        count
    }

    fn deliver(&mut self, to: ConnectionId, completion: P::Completion) {
        // A connection that has gone meanwhile has no use for its answer.
        if let Some((connection, mut around)) = self.enter(to) {
            connection.session().complete(completion, &mut around);
            self.list(to);
        }
    }

    fn begin_shutdown(&mut self, by: Instant) {
        self.stopping = true;
        self.gate.close();
        self.wheel.insert(by, Timer::GraceOver);
        for id in self.connections.ids() {
            let (connection, mut around) = self.enter(id).expect("listed just now");
            connection.session().shut_down(&mut around);
            self.list(id);
        }
    }

    fn cut_all(&mut self) {
        for id in self.connections.ids() {
            count(&self.counters.cut);
            self.close(id);
        }
    }

    fn fire_timers(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(self.now, |timer| due.push(timer));
        for timer in due.drain(..) {
            self.handle(Event::Timer(timer));
        }
        self.due = due;
    }

    fn expire(&mut self, id: ConnectionId, at: Instant) {
        let Some((connection, mut around)) = self.enter(id) else { return };
        if connection.armed != Some(at) {
            return;
        }
        connection.armed = None;
        // The wheel fires at its horizon for what lies beyond; the visit arms it again.
        match connection.expire(&mut around) {
            Verdict::Stalled => {
                count(&self.counters.stalled);
                self.close(id);
            }
            Verdict::Close => self.close(id),
            Verdict::Wait | Verdict::Again => self.list(id),
        }
    }

    fn wake(&mut self, at: Instant) {
        if self.wake_armed == Some(at) {
            self.wake_armed = None;
            // It may have moved since, and the end of the turn arms it again.
            if P::wake_at(&self.shared).is_some_and(|due| due <= self.now) {
                P::on_wake(&mut self.shared, self.now);
            }
        }
    }

    /// Puts the protocol's own time on the wheel, unless an entry that fires sooner is there.
    fn arm_wake(&mut self) {
        if let Some(at) = P::wake_at(&self.shared)
            && self.wake_armed.is_none_or(|armed| at < armed)
        {
            self.wake_armed = Some(at);
            self.wheel.insert(at, Timer::Wake { at });
        }
    }

    /// Visits every connection on the ready list, once; those that it lists again wait for the
    /// next turn, when the others have had theirs.
    fn visit_ready(&mut self) {
        for _ in 0..self.ready.len() {
            let id = self.ready.pop_front().expect("counted above");
            let Self { connections, shared, spares, scratch, now, .. } = self;
            let Some(connection) = connections.get_mut(id) else { continue };
            connection.listed = false;
            let mut around = Surroundings { now: *now, id, shared, spares };
            match connection.visit(scratch, &mut around) {
                Ok(Verdict::Wait) => self.arm(id),
                Ok(Verdict::Again) => {
                    self.arm(id);
                    self.list(id);
                }
                Ok(Verdict::Close | Verdict::Stalled) | Err(_) => self.close(id),
            }
        }
    }

    /// Puts the connection's deadline on the wheel, unless an entry that fires sooner is there:
    /// that one will find the deadline moved and arm it again.
    fn arm(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(at) = connection.deadline() else { return };
        if connection.armed.is_none_or(|armed| at < armed) {
            connection.armed = Some(at);
            self.wheel.insert(at, Timer::Deadline { id, at });
        }
    }

    fn list(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id)
            && !connection.listed
        {
            connection.listed = true;
            self.ready.push_back(id);
        }
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(id) {
            self.gate.departed(connection.peer());
            connection.close(&mut self.shared, &mut self.spares);
        }
    }

    fn enter(&mut self, id: ConnectionId) -> Option<(&mut Connection<P>, Surroundings<'_, P>)> {
        let Self { connections, shared, spares, now, .. } = self;
        let connection = connections.get_mut(id)?;
        Some((connection, Surroundings { now: *now, id, shared, spares }))
    }
}

/// `None` for a wake: there is mail, which every turn looks at.
fn translate<C>(event: &mio::event::Event) -> Option<Event<C>> {
    Some(match event.token() {
        TOKEN_WAKER => return None,
        TOKEN_LISTENER => Event::Acceptable,
        token => {
            let edge = Edge {
                readable: event.is_readable() || event.is_read_closed(),
                writable: event.is_writable(),
                peer_closed: event.is_read_closed(),
                broken: event.is_error() || (event.is_read_closed() && event.is_write_closed()),
            };
            Event::Socket(id_of(token), edge)
        }
    })
}

/// Slot and generation travel through epoll together, so an event that was queued for a closed
/// connection cannot be taken for one of its successor.
fn token_of(id: ConnectionId) -> Token {
    Token((id.generation as usize) << 32 | id.slot as usize)
}

fn id_of(token: Token) -> ConnectionId {
    let low = |bits: usize| u32::try_from(bits & 0xffff_ffff).expect("masked to 32 bits");
    ConnectionId { slot: low(token.0), generation: low(token.0 >> 32) }
}

const _: () = assert!(usize::BITS == 64, "a token carries a 32-bit slot and generation");
