//! One call into a connection: answering, closing, and the deadline of each state.

use reactor::Io;

use super::state::{Discard, State};
use crate::chunked::ChunkDecoder;
use crate::fault::Fault;
use crate::handler::{Answerer, Exchange, Handler, Shared};
use crate::head::BodyLength;
use crate::limits::{BODY_TIME_MAX, DISCARD_BYTES_MAX, HEAD_TIME_MAX};
use crate::problem::Problem;
use crate::response::{Answered, Form, Persistence, Reply, Response, Step};
use crate::status::Status;

/// What of a head is needed after it: the answer's form, and how the body comes.
pub(super) struct Outline {
    pub(super) form: Form,
    pub(super) body_length: BodyLength,
    pub(super) expects_continue: bool,
    /// `If-Match` is there, and there is no representation that it could name.
    pub(super) requires_match: bool,
}

/// What a state transition works with.
pub(super) struct Turn<'t, 'io, H: Handler> {
    pub(super) shared: &'t mut Shared<H>,
    pub(super) io: &'t mut Io<'io>,
    pub(super) exchange: Exchange,
    draining: bool,
    /// Bytes from the front of the input that are done with.
    pub(super) taken: usize,
}

impl<'t, 'io, H: Handler> Turn<'t, 'io, H> {
    pub(super) fn new(shared: &'t mut Shared<H>, io: &'t mut Io<'io>, draining: bool) -> Self {
        let draining = draining || shared.draining;
        let exchange = Exchange { connection: io.id(), peer: io.peer(), now: io.now() };
        Self { shared, io, exchange, draining, taken: 0 }
    }

    /// Hands a complete request to the application.
    pub(super) fn request(&mut self, call: H::Call, body: &[u8], form: Form) -> State<H::Call> {
        let (handler, exchange, reply) = self.answering(form);
        match handler.on_request(call, body, exchange, reply).0 {
            Step::Answered(answered) => self.after_answer(&answered, Answerer::Application),
            Step::Pending { deadline, form } => {
                self.io.pause_input();
                self.io.set_deadline(Some(deadline));
                State::InFlight(form)
            }
        }
    }

    /// Hands a worker's answer to the application.
    pub(super) fn complete(&mut self, completion: H::Completion, form: Form) -> State<H::Call> {
        let (handler, exchange, reply) = self.answering(form);
        let answered = handler.on_completion(completion, exchange, reply);
        self.io.resume_input();
        self.after_answer(&answered, Answerer::Application)
    }

    /// Refuses a request for the application, before its body has arrived.
    pub(super) fn refuse(&mut self, problem: &Problem, outline: Outline) -> State<H::Call> {
        self.answer_early(outline, Answerer::Application, |reply| reply.problem(problem))
    }

    /// Refuses a request whose end is known, before its body has arrived.
    pub(super) fn refuse_by_protocol(&mut self, fault: Fault, outline: Outline) -> State<H::Call> {
        self.shared.handler.on_fault(fault, &self.exchange);
        self.answer_early(outline, Answerer::Protocol, |reply| reply.problem(&fault.problem()))
    }

    /// Answers `OPTIONS *` (RFC 9110 section 9.3.7).
    pub(super) fn tell_methods(&mut self, outline: Outline) -> State<H::Call> {
        let allow = [("Allow", H::METHODS)];
        let response = Response::new(Status::NoContent).fields(&allow);
        self.answer_early(outline, Answerer::Application, |reply| reply.send(&response, b""))
    }

    /// Answers a request before its body has arrived. A short body is dropped as it arrives; for a
    /// longer one the connection is closed. It is closed too when the client waits for
    /// `100 Continue`: after another answer it may send the body or leave it, and nobody can tell
    /// which (RFC 9110 section 10.1.1).
    fn answer_early(
        &mut self,
        outline: Outline,
        by: Answerer,
        answer: impl FnOnce(Reply<'_>) -> Answered,
    ) -> State<H::Call> {
        let Outline { mut form, body_length, expects_continue, .. } = outline;
        let discard = match body_length {
            _ if expects_continue => None,
            BodyLength::Exact(length) => usize::try_from(length)
                .ok()
                .filter(|&length| length <= DISCARD_BYTES_MAX)
                .map(|left| Discard::Exact { left }),
            BodyLength::Chunked => {
                Some(Discard::Chunks(Box::new(ChunkDecoder::new(DISCARD_BYTES_MAX))))
            }
        };
        let has_body = body_length != BodyLength::Exact(0);
        if has_body && discard.is_none() {
            form.persistence = Persistence::Close;
        }
        let answered = answer(self.answering(form).2);
        match discard {
            Some(discard) if has_body && answered.persists => {
                self.note(&answered, by);
                self.limit_body_time();
                State::Discard(discard)
            }
            _ => self.after_answer(&answered, by),
        }
    }

    /// Refuses what is no request, and closes. `head_only` says whether it would have been one of HEAD.
    pub(super) fn fault(&mut self, fault: Fault, head_only: bool) -> State<H::Call> {
        let request_id = self.shared.handler.request_id(None, &self.exchange);
        let form =
            Form { head_only, persistence: Persistence::Close, conditions: None, request_id };
        self.fault_in_form(fault, form)
    }

    /// Gives a request up, with an answer in its form, and closes.
    pub(super) fn fault_in_form(&mut self, fault: Fault, form: Form) -> State<H::Call> {
        self.shared.handler.on_fault(fault, &self.exchange);
        // The content of a body in chunks goes with the request.
        self.io.hold(0);
        let (.., reply) = self.answering(form);
        let answered = reply.closing().problem(&fault.problem());
        let by = if fault.is_peers() { Answerer::Protocol } else { Answerer::Application };
        self.after_answer(&answered, by)
    }

    /// Gives a connection up whose request has its answer already.
    pub(super) fn fault_after_answer(&mut self, fault: Fault) -> State<H::Call> {
        self.shared.handler.on_fault(fault, &self.exchange);
        self.close()
    }

    /// Waits for a request.
    pub(super) fn idle(&mut self) -> State<H::Call> {
        self.io.set_deadline(Some(self.exchange.now + self.shared.idle_time));
        State::Idle { empty_lines: 0 }
    }

    /// Closes a connection that has idled out: nothing is expected over it.
    pub(super) fn leave(&mut self) -> State<H::Call> {
        self.io.leave();
        State::Closed
    }

    /// Closes after what was written.
    pub(super) fn close(&mut self) -> State<H::Call> {
        self.io.set_deadline(None);
        self.io.finish();
        State::Closed
    }

    pub(super) fn limit_head_time(&mut self) {
        self.io.set_deadline(Some(self.exchange.now + HEAD_TIME_MAX));
    }

    pub(super) fn limit_body_time(&mut self) {
        self.io.set_deadline(Some(self.exchange.now + BODY_TIME_MAX));
    }

    fn after_answer(&mut self, answered: &Answered, by: Answerer) -> State<H::Call> {
        self.note(answered, by);
        if answered.persists { self.idle() } else { self.close() }
    }

    fn note(&mut self, answered: &Answered, by: Answerer) {
        self.shared.handler.on_answered(answered.status, by, &self.exchange);
    }

    /// What an answer takes: who knows it, what it is about, and the right to write it.
    fn answering(&mut self, mut form: Form) -> (&mut H, &Exchange, Reply<'_>) {
        if self.draining {
            form.persistence = Persistence::Close;
        }
        let Self { shared: Shared { handler, dates, .. }, io, exchange, .. } = self;
        (handler, exchange, Reply::new(io.output(), dates, exchange.now, form))
    }
}
