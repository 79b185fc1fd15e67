//! One loop: what wakes it, and the order in which a turn does its work.

mod admission;
mod relief;
mod state;
mod stopping;
mod timers;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use crate::accept::Gate;
use crate::common::Common;
use crate::connection::{Connection, Edge, Verdict};
use crate::counters::count;
use crate::eviction::Eviction;
use crate::limits::{
    BUSY_LETTERS_MIN, EVENTS_PER_POLL, LINGER_STOPPING_MAX, LINGER_TIME_MAX, READ_BYTES,
};
use crate::lingering::Lingering;
use crate::mailbox::{Letter, Letters, Mailbox};
use crate::protocol::{ConnectionId, Protocol};
use crate::session::Surroundings;
use crate::slots::Slots;
use crate::storage::Storage;
use crate::wheel::Wheel;
use state::{Accepting, Life, Timer};

/// A loop's descriptors, made where failing is still an ordinary error: before its thread starts.
pub(crate) struct Prepared<C> {
    poll: Poll,
    gate: Gate,
    letters: Letters<C>,
    common: Arc<Common>,
}

impl<C> Prepared<C> {
    pub(crate) fn new(
        socket: std::net::TcpListener,
        common: Arc<Common>,
    ) -> io::Result<(Self, Mailbox<C>)> {
        let poll = Poll::new()?;
        let mut socket = mio::net::TcpListener::from_std(socket);
        poll.registry().register(&mut socket, TOKEN_LISTENER, Interest::READABLE)?;
        let (mailbox, letters) = Mailbox::new(Waker::new(poll.registry(), TOKEN_WAKER)?);
        let gate = Gate::new(socket);
        Ok((Self { poll, gate, letters, common }, mailbox))
    }
}

pub(crate) struct EventLoop<P: Protocol> {
    poll: Poll,
    gate: Gate,
    letters: Letters<P::Completion>,
    common: Arc<Common>,
    /// The other loops of the reactor.
    others: Vec<Mailbox<P::Completion>>,
    shared: P::Shared,
    connections: Slots<Connection<P>>,
    wheel: Wheel<Timer<P::Completion>>,
    /// Connections to visit before the turn ends: an edge came, a completion, or a deadline, or
    /// their share of the last turn was used up. Each is on it once (`Connection::listed`).
    ready: VecDeque<ConnectionId>,
    accepting: Accepting,
    eviction: Eviction,
    /// The other loops are not asked before this time to evict a connection.
    ask_others_at: Option<Instant>,
    lingering: Lingering,
    life: Life,
    /// The wheel has an entry for the protocol's own time, and that is when.
    wake_armed: Option<Instant>,
    /// The wheel has an entry for tidying the storage.
    tidy_armed: bool,
    /// Completions for later that the last sweep of the wheel left there.
    completions_kept: usize,
    now: Instant,
    storage: Storage,
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

/// Bytes of user-space memory that an idle connection holds: a slot, and an entry of the timer wheel for
/// its deadline. It has no buffers. What `P` has on the heap while it is idle comes on top.
#[must_use]
pub const fn idle_connection_bytes<P: Protocol>() -> usize {
    Slots::<Connection<P>>::SLOT_BYTES + Wheel::<Timer<P::Completion>>::ENTRY_BYTES
}

const TOKEN_LISTENER: Token = Token(usize::MAX);
const TOKEN_WAKER: Token = Token(usize::MAX - 1);

impl<P: Protocol> EventLoop<P> {
    pub(crate) fn new(
        prepared: Prepared<P::Completion>,
        others: Vec<Mailbox<P::Completion>>,
        shared: P::Shared,
    ) -> Self {
        let now = clock::now();
        let Prepared { poll, gate, letters, common } = prepared;
        let limits = common.limits;
        let loops = others.len() + 1;
        Self {
            poll,
            gate,
            letters,
            common,
            others,
            shared,
            connections: Slots::new(limits.connections_max),
            wheel: Wheel::new(now),
            ready: VecDeque::with_capacity(limits.connections_max),
            accepting: Accepting::Waiting,
            eviction: Eviction::new(limits.connections_max),
            ask_others_at: None,
            lingering: Lingering::new(limits.connections_max / loops),
            life: Life::Serving,
            wake_armed: None,
            tidy_armed: false,
            completions_kept: 0,
            now,
            storage: Storage::new(limits.buffer_bytes_max / loops),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            mail: Vec::new(),
            due: Vec::with_capacity(EVENTS_PER_POLL),
        }
    }

    /// Serves until a shutdown has closed the last connection.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        let mut letters = 0;
        while !(self.life == Life::Closing && self.connections.is_empty()) {
            let mut patience = self.patience();
            // Requests of the last turn are not to lie on the stack while nobody asks anything.
            wipe::wipe_stack();
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
            if self.accepting == Accepting::CutOff {
                self.accept();
            }
            letters = self.take_mail();
            self.visit_ready();
            // After the visits: a request that has arrived when its time ends is in time.
            self.fire_timers();
            P::on_turn_end(&mut self.shared);
            self.arm_own_timers();
            self.storage.publish(&self.common.counters.buffer_bytes);
        }
    }

    /// How long poll may sleep.
    fn patience(&self) -> Option<Duration> {
        if self.accepting == Accepting::CutOff || !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let next = self.wheel.next_expiry()?;
        // mio rounds up to whole milliseconds, so the wheel's tick has come when poll returns.
        Some(next.saturating_duration_since(clock::now()))
    }

    fn handle(&mut self, event: Event<P::Completion>) {
        match event {
            Event::Acceptable => self.begin_to_accept(),
            Event::Socket(id, edge) if edge.broken => self.close(id),
            Event::Socket(id, edge) => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.note(edge);
                    self.list(id);
                }
            }
            Event::Timer(Timer::Deadline { id, at }) => self.expire(id, at),
            Event::Timer(Timer::Completion { to, completion }) => self.deliver(to, *completion),
            Event::Timer(Timer::AcceptRetry) => self.accept_again(),
            Event::Timer(Timer::Wake { at }) => self.wake(at),
            Event::Timer(Timer::Tidy) => self.tidy_storage(),
            Event::Timer(Timer::GraceOver) => self.cut_all(),
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
                Letter::Evict => self.evict_for_another(),
                Letter::Ask(answers) => {
                    answers.fetch_add(1, Ordering::Release);
                }
                Letter::Drain => P::on_drain(&mut self.shared),
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

    /// Visits every connection on the ready list, once; those that it lists again wait for the
    /// next turn, when the others have had theirs.
    fn visit_ready(&mut self) {
        for _ in 0..self.ready.len() {
            let id = self.ready.pop_front().expect("counted above");
            let Self { connections, shared, storage, scratch, now, .. } = self;
            let Some(connection) = connections.get_mut(id) else { continue };
            connection.listed = false;
            let mut around = Surroundings { now: *now, id, shared, storage };
            match connection.visit(scratch, &mut around) {
                Ok(Verdict::Wait) => self.arm(id),
                Ok(Verdict::Again) => {
                    self.arm(id);
                    self.list(id);
                }
                Ok(Verdict::Finished) => self.let_linger(id),
                Ok(Verdict::Close) | Err(_) => self.close(id),
                Ok(Verdict::Stalled) => {
                    count(&self.common.counters.stalled);
                    self.close(id);
                }
            }
            if self.storage.is_over() {
                self.relieve_storage();
            }
        }
    }

    fn let_linger(&mut self, id: ConnectionId) {
        let max = match self.life {
            Life::Serving => LINGER_TIME_MAX,
            Life::LastArrivals { .. } | Life::Closing => LINGER_STOPPING_MAX,
        };
        let Self { connections, lingering, now, .. } = self;
        let Some(connection) = connections.get_mut(id) else { return };
        if connection.begin_to_linger(*now, max).is_err() {
            return self.close(id);
        }
        lingering.begun(id, |id| connections.get_mut(id).is_some_and(|it| it.is_lingering()));
        self.arm(id);
        self.list(id);
        while let Some(oldest) = self.lingering.pop_surplus() {
            if self.connections.get_mut(oldest).is_some_and(|it| it.is_lingering()) {
                count(&self.common.counters.lingering_cut);
                self.close(oldest);
            }
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
            if connection.is_lingering() {
                self.lingering.ended();
            }
            self.common.census.depart(connection.peer(), connection.counted);
            count(&self.common.counters.closed);
            connection.close(&mut self.shared, &mut self.storage);
        }
    }

    fn enter(&mut self, id: ConnectionId) -> Option<(&mut Connection<P>, Surroundings<'_, P>)> {
        let Self { connections, shared, storage, now, .. } = self;
        let connection = connections.get_mut(id)?;
        Some((connection, Surroundings { now: *now, id, shared, storage }))
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
                // Not when both sides have ended: input from before the peer's end must be read first, or
                // the kernel would answer it with a reset.
                broken: event.is_error(),
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
