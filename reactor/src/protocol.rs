//! What the event loop asks of a protocol, and what it offers in return.
//!
//! A protocol is sans-IO: bytes, completions and deadlines come in, with the current time as an
//! argument; bytes, a deadline and the wish to close go out through [`Io`]. It owns no socket,
//! reads no clock and starts no thread, so a test drives it with byte arrays
//! ([`crate::testing::Harness`]).

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use crate::buffer::Buffer;
use crate::limits::OUTPUT_HIGH_WATER_BYTES;

/// One value per connection: the state of a conversation with one peer.
///
/// No method may block, and none may do work that grows without a bound: the loop serves all its
/// other connections only after the call returns.
pub trait Protocol: Sized + 'static {
    /// State that all connections of one loop share. It is made on the loop's own thread and never
    /// leaves it, so it needs neither locks nor `Send`.
    type Shared: 'static;

    /// What a worker posts back through the loop's [`crate::Mailbox`].
    type Completion: Send + 'static;

    /// Bytes of unconsumed input kept for one connection at the most. At this mark the reactor
    /// stops reading, and the peer feels TCP's own backpressure. It has to hold the longest
    /// message that [`Protocol::on_input`] wants to see in one piece.
    const INPUT_BYTES_MAX: usize;

    /// Whether connections from `address` count for
    /// [`Limits::connections_per_address_max`](crate::Limits). Not those of a proxy, which all users
    /// share; the answer has to be the same for as long as the loop runs.
    fn is_capped(_address: IpAddr, _shared: &Self::Shared) -> bool {
        true
    }

    /// What a connection is sent, best effort, that is closed at once because a cap is reached. Empty where the
    /// protocol has no message for that.
    fn rejection(_shared: &Self::Shared) -> &[u8] {
        &[]
    }

    /// A connection was accepted.
    fn open(shared: &mut Self::Shared, io: &mut Io<'_>) -> Self;

    /// Takes one message (or less) from the front of `input`, which is all that was received and
    /// not yet consumed, and returns how many bytes it took. 0 means that more must arrive first.
    ///
    /// Called again at once with the rest for as long as it takes something, does not
    /// [pause](Io::pause_input) or [finish](Io::finish), and its output stays below the high-water
    /// mark; so pipelined requests are answered together, in one write.
    fn on_input(&mut self, input: &[u8], shared: &mut Self::Shared, io: &mut Io<'_>) -> usize;

    /// A worker's answer to something that this connection asked for.
    fn on_completion(
        &mut self,
        completion: Self::Completion,
        shared: &mut Self::Shared,
        io: &mut Io<'_>,
    );

    /// The deadline set with [`Io::set_deadline`] has passed. It is unset when this is called.
    fn on_deadline(&mut self, shared: &mut Self::Shared, io: &mut Io<'_>);

    /// The peer has sent its FIN and all input was offered to [`Protocol::on_input`]. The peer may
    /// still be reading, so an answer in flight can be sent. The default finishes.
    fn on_input_end(&mut self, _shared: &mut Self::Shared, io: &mut Io<'_>) {
        io.finish();
    }

    /// Since when the connection has been idle: no request is in work or has arrived in part, so that closing it loses
    /// nothing. `None` while it is not idle, or where that is not known. When all slots are taken, the
    /// connection that has been idle longest is closed for a new one. `deadline` is the one that was set last. Called rarely.
    fn idle_since(&self, _deadline: Option<Instant>, _shared: &Self::Shared) -> Option<Instant> {
        None
    }

    /// The server stops before long, and serves on until then: what is sent from now on may say so. Called once or
    /// twice, the last time before the first [`Protocol::on_shutdown`].
    fn on_drain(_shared: &mut Self::Shared) {}

    /// The server is stopping: finish at once when idle, otherwise after what is in flight. All input that had
    /// arrived before was offered, as far as the protocol takes any.
    /// A connection that has not finished when the grace period ends is cut.
    fn on_shutdown(&mut self, shared: &mut Self::Shared, io: &mut Io<'_>);

    /// The connection is gone, for whatever reason; the last call. For giving back what was
    /// counted in `shared`.
    fn on_closed(&mut self, _shared: &mut Self::Shared) {}

    /// When what all connections share has something to do by itself, such as forgetting what has
    /// run out. Asked at the end of each turn, so it has to be quick to tell.
    fn wake_at(_shared: &Self::Shared) -> Option<Instant> {
        None
    }

    /// The time that [`Protocol::wake_at`] told has come.
    fn on_wake(_shared: &mut Self::Shared, _now: Instant) {}

    /// Every connection that had something to do in this turn was visited. What was gathered in
    /// `shared` for all of them, such as jobs for workers, is handed on here, once a turn.
    fn on_turn_end(_shared: &mut Self::Shared) {}
}

/// Names one connection of one loop. The generation tells a connection from a later one in the
/// same slot, so a completion that comes too late is dropped and never reaches a stranger.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// How a connection goes on after a call into its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Open,
    /// Its output is flushed, then it lingers and is closed; input is dropped.
    Finishing,
    /// Its output is flushed, then it is closed at once.
    Leaving,
    /// It is closed at once; output that was not sent is discarded.
    Aborted,
}

/// The part of a connection's state that a protocol steers through [`Io`].
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) fate: Fate,
    pub(crate) input_paused: bool,
    /// No more is read from the peer.
    pub(crate) input_ended: bool,
    /// Bytes that the protocol holds beside the buffers.
    pub(crate) held_bytes: u32,
    pub(crate) deadline: Option<Instant>,
}

/// A protocol's way to the outside during one call.
pub struct Io<'a> {
    pub(crate) now: Instant,
    /// Borrowed, as the next one: a protocol that copies what was copied a moment ago waits until the parts of
    /// the first copy have left the processor's store buffer.
    pub(crate) id: &'a ConnectionId,
    pub(crate) peer: &'a IpAddr,
    pub(crate) output: &'a mut Buffer,
    pub(crate) control: &'a mut Control,
}

impl Io<'_> {
    /// A time at which everything that was offered to the protocol had arrived, and not older than this
    /// turn of the loop. The clock is read after each read of the socket, once for all messages in it:
    /// that spares a call per request, and still nothing that held at this time can have ended before
    /// the peer sent its request.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The name under which a worker posts the answer for this connection.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        *self.id
    }

    /// The address of the other side: a client, or a proxy before it.
    #[must_use]
    pub fn peer(&self) -> IpAddr {
        *self.peer
    }

    /// Bytes for the peer are appended here; the reactor writes them when the turn ends. What is
    /// already there must not be touched, except to take back what this very call appended. It is
    /// wiped once it is sent; who appends secrets uses [`wipe::append`], which also wipes what the
    /// storage grows out of.
    pub fn output(&mut self) -> &mut Vec<u8> {
        self.output.tail()
    }

    /// Whether so much output waits that a protocol should not produce more of its own accord.
    #[must_use]
    pub fn output_is_full(&self) -> bool {
        self.output.len() >= OUTPUT_HIGH_WATER_BYTES
    }

    /// Stops offering and, once the buffer is full, reading input; for a request in flight.
    pub fn pause_input(&mut self) {
        self.control.input_paused = true;
    }

    /// Takes [`Io::pause_input`] back; input that was held is offered after this call.
    pub fn resume_input(&mut self) {
        self.control.input_paused = false;
    }

    /// Reads no more from the peer, as if its FIN came after what has been received: that is still offered, then
    /// [`Protocol::on_input_end`] is called. For a protocol that stops between two messages.
    pub fn end_input(&mut self) {
        self.control.input_ended = true;
    }

    /// Sets the one deadline of this connection, absolute; `None` removes it.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.control.deadline = deadline;
    }

    /// Sets how much memory the protocol itself holds for this connection, beside the reactor's buffers, such as for
    /// a message that is assembled elsewhere. It counts against the same budget until another number is set.
    pub fn hold(&mut self, bytes: usize) {
        self.control.held_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    /// Sends what was appended, then closes lingering: the write side is shut down first, and input is dropped until the peer
    /// closes too or has had time enough. Closing a socket with unread input makes the kernel send a reset, which
    /// can destroy an answer on its way (RFC 9112 section 9.6).
    pub fn finish(&mut self) {
        if self.control.fate == Fate::Open {
            self.control.fate = Fate::Finishing;
        }
    }

    /// Sends what was appended, then closes at once. For a connection over which nothing is expected, such as one that has
    /// idled out.
    pub fn leave(&mut self) {
        if self.control.fate == Fate::Open {
            self.control.fate = Fate::Leaving;
        }
    }

    /// Closes at once and discards what was not yet sent.
    pub fn abort(&mut self) {
        self.control.fate = Fate::Aborted;
    }
}
