//! One connection: a state machine between bytes and a [`Handler`].
//!
//! ```text
//!          first byte         head complete            body complete
//!   Idle ------------> Head ---------------> Body ---------------------> InFlight
//!    ^                                       Chunks                       |
//!    |                        refused: Discard                            |
//!    +---------------------------- answered ------------------------------+
//! ```
//!
//! A request that arrived whole passes through in one call. One request is in work at a time: while
//! a worker has it, input is paused and pipelined requests wait in the buffer, so answers keep
//! their order and memory is bounded. Every state has a deadline.

mod content;
mod receive;
mod state;
mod turn;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use reactor::{Io, Protocol};

use crate::fault::Fault;
use crate::handler::{Handler, Shared};
use crate::limits::INPUT_BYTES_MAX;
use state::State;
use turn::Turn;

/// The answer to a connection that is rejected because a cap is reached. Nothing was read from it, so this answers
/// whatever it asks first.
const REJECTION: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    Content-Type: application/problem+json\r\n\
    Cache-Control: no-store\r\n\
    Retry-After: 1\r\n\
    Content-Length: 152\r\n\
    Connection: close\r\n\
    \r\n\
    {\"type\":\"/problems/too_many_connections\",\"title\":\"There are too many connections\",\"status\":503,\
    \"detail\":\"The server has as many connections as it may.\"}";

/// One HTTP/1.1 connection, as a protocol of the reactor.
pub struct Connection<H: Handler> {
    state: State<H::Call>,
    /// The request that is in work, or arriving, is the last: this connection was told that the server is stopping, or the
    /// peer has ended its side. While the server drains, answers are the last of any connection ([`Shared`]).
    draining: bool,
}

impl<H: Handler> Protocol for Connection<H> {
    type Shared = Shared<H>;
    type Completion = H::Completion;
    const INPUT_BYTES_MAX: usize = INPUT_BYTES_MAX;

    fn is_capped(address: IpAddr, shared: &Self::Shared) -> bool {
        shared.handler.is_capped(address)
    }

    fn rejection(_: &Self::Shared) -> &[u8] {
        REJECTION.as_bytes()
    }

    fn open(shared: &mut Self::Shared, io: &mut Io<'_>) -> Self {
        let mut turn = Turn::new(shared, io, false);
        Self { state: turn.idle(), draining: false }
    }

    fn on_input(&mut self, input: &[u8], shared: &mut Self::Shared, io: &mut Io<'_>) -> usize {
        self.step(shared, io, |turn, state| turn.receive(input, state))
    }

    fn on_completion(
        &mut self,
        completion: Self::Completion,
        shared: &mut Self::Shared,
        io: &mut Io<'_>,
    ) {
        self.step(shared, io, |turn, state| match state {
            State::InFlight(form) => turn.complete(completion, form),
            // It came after the request's deadline.
            State::Closed => State::Closed,
            other => {
                debug_assert!(false, "a completion for a connection without a request in flight");
                other
            }
        });
    }

    fn on_deadline(&mut self, shared: &mut Self::Shared, io: &mut Io<'_>) {
        self.step(shared, io, |turn, state| match state {
            State::Idle { .. } | State::Closed => turn.leave(),
            State::Head { head_only, .. } => turn.fault(Fault::HeadTimeout, head_only),
            State::Body(body) => turn.fault_in_form(Fault::BodyTimeout, body.request.form),
            State::Chunks(chunks) => turn.fault_in_form(Fault::BodyTimeout, chunks.request.form),
            State::Discard(_) => turn.fault_after_answer(Fault::BodyTimeout),
            State::InFlight(form) => turn.fault_in_form(Fault::Expired, form),
        });
    }

    fn on_input_end(&mut self, shared: &mut Self::Shared, io: &mut Io<'_>) {
        self.draining = true;
        self.step(shared, io, |turn, state| match state {
            State::Idle { .. } | State::Closed => turn.close(),
            State::Head { head_only, .. } => turn.fault(Fault::Truncated, head_only),
            State::Body(body) => turn.fault_in_form(Fault::Truncated, body.request.form),
            State::Chunks(chunks) => turn.fault_in_form(Fault::Truncated, chunks.request.form),
            State::Discard(_) => turn.fault_after_answer(Fault::Truncated),
            State::InFlight(form) => State::InFlight(form),
        });
    }

    fn idle_since(&self, deadline: Option<Instant>, shared: &Self::Shared) -> Option<Instant> {
        match self.state {
            State::Idle { .. } => deadline?.checked_sub(shared.idle_time),
            _ => None,
        }
    }

    fn wake_at(shared: &Self::Shared) -> Option<Instant> {
        shared.handler.wake_at()
    }

    fn on_wake(shared: &mut Self::Shared, now: Instant) {
        shared.handler.on_wake(now);
    }

    fn on_turn_end(shared: &mut Self::Shared) {
        shared.handler.on_turn_end();
    }

    fn on_drain(shared: &mut Self::Shared) {
        shared.draining = true;
    }

    fn on_shutdown(&mut self, shared: &mut Self::Shared, io: &mut Io<'_>) {
        self.draining = true;
        self.step(shared, io, |turn, state| match state {
            // Whoever is in `Discard` has its answer.
            State::Idle { .. } | State::Discard(_) | State::Closed => turn.close(),
            arriving_or_in_work => arriving_or_in_work,
        });
    }
}

impl<H: Handler> Connection<H> {
    /// Consumes the state and puts the next one in its place; returns how many bytes of input that has
    /// taken. If `transition` panics, the connection is left closed.
    fn step(
        &mut self,
        shared: &mut Shared<H>,
        io: &mut Io<'_>,
        transition: impl FnOnce(&mut Turn<'_, '_, H>, State<H::Call>) -> State<H::Call>,
    ) -> usize {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let mut turn = Turn::new(shared, io, self.draining);
        match transition(&mut turn, state) {
            // Nearly every call ends here. A copy of the whole state would have to wait until its parts, which
            // were written a moment ago, have left the processor's store buffer.
            State::Idle { empty_lines } => self.replace_closed(State::Idle { empty_lines }),
            next => self.replace_closed(next),
        }
        turn.taken
    }

    /// Puts a state in the place of [`State::Closed`], which has nothing to drop; the compiler would look.
    #[inline(always)]
    fn replace_closed(&mut self, next: State<H::Call>) {
        debug_assert!(matches!(self.state, State::Closed));
        std::mem::forget(std::mem::replace(&mut self.state, next));
    }
}

/// The name of the state only: a call may hold a token.
impl<H: Handler> fmt::Debug for Connection<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle { .. } => "Idle",
            State::Head { .. } => "Head",
            State::Body(_) => "Body",
            State::Chunks(_) => "Chunks",
            State::Discard(_) => "Discard",
            State::InFlight(_) => "InFlight",
            State::Closed => "Closed",
        };
        f.debug_struct("Connection").field("state", &state).finish()
    }
}
