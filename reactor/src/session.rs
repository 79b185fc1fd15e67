//! One connection without its socket: the protocol, its buffers and its fate.
//!
//! The event loop moves bytes between a socket and a `Session`, the test harness between byte
//! arrays and a `Session`; both get the same behaviour because all rules about offering input,
//! pausing and finishing are here.

use std::net::IpAddr;
use std::time::Instant;

use crate::buffer::Buffer;
use crate::limits::{MESSAGES_PER_TURN, OUTPUT_BYTES_MAX, OUTPUT_HIGH_WATER_BYTES};
use crate::protocol::{ConnectionId, Control, Fate, Io, Protocol};
use crate::storage::Storage;

/// What a session needs from its loop during a call.
pub(crate) struct Surroundings<'a, P: Protocol> {
    pub(crate) now: Instant,
    pub(crate) id: ConnectionId,
    pub(crate) shared: &'a mut P::Shared,
    pub(crate) storage: &'a mut Storage,
}

pub(crate) struct Session<P: Protocol> {
    peer: IpAddr,
    protocol: P,
    /// Input that was received and not consumed. Empty, and without storage, on idle connections.
    input: Buffer,
    /// Output that was not yet taken by the socket.
    output: Buffer,
    control: Control,
    /// The protocol has seen all of `input` and waits for more.
    wants_more: bool,
    end: InputEnd,
    /// The peer has sent its FIN.
    peer_ended: bool,
}

/// How far the end of the input has come: the peer's FIN, or that the protocol wants no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputEnd {
    NotSeen,
    /// There; the protocol hears of it once the input before it was offered.
    Seen,
    Told,
}

impl<P: Protocol> Session<P> {
    pub(crate) fn open(peer: IpAddr, around: &mut Surroundings<'_, P>) -> Self {
        let mut output = Buffer::default();
        let mut control = Control {
            fate: Fate::Open,
            input_paused: false,
            input_ended: false,
            held_bytes: 0,
            deadline: None,
        };
        output.lend_from(around.storage);
        let before = output.capacity();
        let mut io = Io {
            now: around.now,
            id: &around.id,
            peer: &peer,
            output: &mut output,
            control: &mut control,
        };
        let protocol = P::open(around.shared, &mut io);
        around.storage.resized(before, output.capacity() + control.held_bytes as usize);
        output.return_if_empty(around.storage);
        Self {
            peer,
            protocol,
            input: Buffer::default(),
            output,
            control,
            wants_more: false,
            end: InputEnd::NotSeen,
            peer_ended: false,
        }
    }

    /// Whether bytes from the peer can be taken now. Not while output waits for the socket (see
    /// [`crate::limits::WRITE_STALL_MAX`]), and not beyond the protocol's input bound.
    pub(crate) fn wants_input(&self) -> bool {
        self.control.fate == Fate::Open
            && self.end == InputEnd::NotSeen
            && self.output.is_empty()
            && self.input.len() < P::INPUT_BYTES_MAX
    }

    /// How many bytes [`Session::receive`] takes at the most.
    pub(crate) fn input_room(&self) -> usize {
        P::INPUT_BYTES_MAX.saturating_sub(self.input.len())
    }

    /// Takes bytes from the peer, at most [`Session::input_room`]. They are copied only when the
    /// protocol leaves some of them.
    pub(crate) fn receive(&mut self, fresh: &[u8], around: &mut Surroundings<'_, P>) {
        debug_assert!(fresh.len() <= self.input_room());
        if self.input.is_empty() {
            let consumed = self.offer_fresh(fresh, around);
            if consumed < fresh.len() && self.control.fate == Fate::Open {
                self.input.lend_from(around.storage);
                self.input.append(&fresh[consumed..], around.storage);
            }
        } else {
            self.input.compact();
            self.input.append(fresh, around.storage);
            self.wants_more = false;
            self.offer_held(around);
        }
        self.settle(around);
    }

    /// The peer has sent its FIN.
    pub(crate) fn receive_end(&mut self, around: &mut Surroundings<'_, P>) {
        self.peer_ended = true;
        if self.end == InputEnd::NotSeen {
            self.end = InputEnd::Seen;
        }
        self.settle(around);
    }

    pub(crate) fn complete(&mut self, completion: P::Completion, around: &mut Surroundings<'_, P>) {
        if self.control.fate == Fate::Open {
            self.call(around, |protocol, shared, io| {
                protocol.on_completion(completion, shared, io);
            });
            self.offer_held(around);
        }
        self.settle(around);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.control.deadline
    }

    /// Tells the protocol of its deadline if it has passed.
    pub(crate) fn expire(&mut self, around: &mut Surroundings<'_, P>) {
        let passed = self.control.deadline.is_some_and(|deadline| deadline <= around.now);
        if passed && self.control.fate == Fate::Open {
            self.control.deadline = None;
            self.call(around, P::on_deadline);
        }
        self.settle(around);
    }

    pub(crate) fn shut_down(&mut self, around: &mut Surroundings<'_, P>) {
        if self.control.fate == Fate::Open {
            self.call(around, P::on_shutdown);
        }
        self.settle(around);
    }

    /// Goes on with input that was held back while output waited or others had their turn.
    pub(crate) fn resume(&mut self, around: &mut Surroundings<'_, P>) {
        self.offer_held(around);
        self.settle(around);
    }

    /// Whether [`Session::resume`] would offer input.
    pub(crate) fn can_resume(&self) -> bool {
        !self.input.is_empty() && !self.wants_more && self.may_offer()
    }

    /// The address of the other side.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    pub(crate) fn output(&self) -> &[u8] {
        self.output.as_slice()
    }

    /// The socket took `count` bytes of [`Session::output`].
    pub(crate) fn sent(&mut self, count: usize, storage: &mut Storage) {
        self.output.consume(count);
        self.output.return_if_empty(storage);
    }

    pub(crate) fn fate(&self) -> Fate {
        self.control.fate
    }

    /// Since when the connection has been idle, with nothing buffered in either direction.
    pub(crate) fn idle_since(&self, shared: &P::Shared) -> Option<Instant> {
        let is_quiet = self.control.fate == Fate::Open
            && self.end == InputEnd::NotSeen
            && self.input.is_empty()
            && self.output.is_empty();
        if is_quiet { self.protocol.idle_since(self.control.deadline, shared) } else { None }
    }

    /// Memory that the connection holds for what it sends and receives, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.input.capacity() + self.grown_bytes()
    }

    /// The part of it that a call into the protocol may change.
    fn grown_bytes(&self) -> usize {
        self.output.capacity() + self.control.held_bytes as usize
    }

    /// Whether the peer will send nothing more.
    pub(crate) fn input_has_ended(&self) -> bool {
        self.peer_ended
    }

    /// The last call: buffers are wiped and go back, the protocol settles its accounts.
    pub(crate) fn close(mut self, shared: &mut P::Shared, storage: &mut Storage) {
        self.input.discard(storage);
        self.output.discard(storage);
        storage.resized(self.control.held_bytes as usize, 0);
        self.protocol.on_closed(shared);
    }

    fn may_offer(&self) -> bool {
        self.control.fate == Fate::Open
            && !self.control.input_paused
            && self.output.len() < OUTPUT_HIGH_WATER_BYTES
    }

    /// Offers bytes that still are in the loop's read buffer; returns how many were consumed.
    fn offer_fresh(&mut self, fresh: &[u8], around: &mut Surroundings<'_, P>) -> usize {
        let mut consumed = 0;
        for _ in 0..MESSAGES_PER_TURN {
            if consumed == fresh.len() || !self.may_offer() {
                break;
            }
            let rest = &fresh[consumed..];
            let taken =
                self.call(around, |protocol, shared, io| protocol.on_input(rest, shared, io));
            assert!(taken <= rest.len(), "a protocol consumed more than it was offered");
            if taken == 0 {
                self.wants_more = !self.control.input_paused;
                break;
            }
            consumed += taken;
        }
        consumed
    }

    /// Offers bytes that were kept from earlier.
    fn offer_held(&mut self, around: &mut Surroundings<'_, P>) {
        for _ in 0..MESSAGES_PER_TURN {
            if !self.can_resume() {
                return;
            }
            let held = std::mem::take(&mut self.input);
            let taken = self.call(around, |protocol, shared, io| {
                protocol.on_input(held.as_slice(), shared, io)
            });
            self.input = held;
            self.input.consume(taken);
            self.wants_more = taken == 0 && !self.control.input_paused;
        }
    }

    fn call<R>(
        &mut self,
        around: &mut Surroundings<'_, P>,
        body: impl FnOnce(&mut P, &mut P::Shared, &mut Io<'_>) -> R,
    ) -> R {
        self.output.lend_from(around.storage);
        let was_paused = self.control.input_paused;
        let before = self.grown_bytes();
        let mut io = Io {
            now: around.now,
            id: &around.id,
            peer: &self.peer,
            output: &mut self.output,
            control: &mut self.control,
        };
        let result = body(&mut self.protocol, around.shared, &mut io);
        around.storage.resized(before, self.grown_bytes());
        if was_paused && !self.control.input_paused {
            self.wants_more = false;
        }
        result
    }

    /// Brings the state in order after calls into the protocol.
    fn settle(&mut self, around: &mut Surroundings<'_, P>) {
        if self.control.input_ended && self.end == InputEnd::NotSeen {
            self.end = InputEnd::Seen;
        }
        // All input before the FIN was offered: either none is left, or the protocol wants more
        // than will ever come.
        let end_is_due = self.input.is_empty() || self.wants_more;
        if self.end == InputEnd::Seen && end_is_due && self.control.fate == Fate::Open {
            self.end = InputEnd::Told;
            self.call(around, P::on_input_end);
        }
        if self.output.len() > OUTPUT_BYTES_MAX {
            self.control.fate = Fate::Aborted;
        }
        if self.wants_more && self.input.len() >= P::INPUT_BYTES_MAX {
            debug_assert!(false, "INPUT_BYTES_MAX is below the protocol's longest message");
            self.control.fate = Fate::Aborted;
        }
        if self.control.fate != Fate::Open {
            self.input.discard(around.storage);
        }
        self.input.return_if_empty(around.storage);
        self.output.return_if_empty(around.storage);
    }
}
