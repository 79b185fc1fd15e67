//! What input does in each state.

use super::content::Content;
use super::state::{Arriving, Body, Chunks, Discard, State};
use super::turn::{Outline, Turn};
use crate::chunked::{ChunkDecoder, ChunkError};
use crate::fault::Fault;
use crate::grammar::is_token_byte;
use crate::handler::{Accepted, Handler};
use crate::head::{
    BodyLength, FieldSlots, Head, HeadError, HeadScan, Method, Version, as_http_1_1,
};
use crate::limits::{EMPTY_LINES_MAX, PROXY_V2_EMPTY_LINES};
use crate::precondition::Conditions;
use crate::response::{Form, PRECONDITION_FAILED, Persistence};

impl<H: Handler> Turn<'_, '_, H> {
    /// Goes on with input in any state, and notes in [`Turn::taken`] how much of it is done with; nothing
    /// means that more must arrive.
    pub(super) fn receive(&mut self, input: &[u8], state: State<H::Call>) -> State<H::Call> {
        match state {
            State::Idle { empty_lines } => self.receive_first(input, empty_lines),
            State::Head { scan, .. } => self.receive_head(input, scan),
            State::Body(body) => self.receive_body(input, body),
            State::Chunks(chunks) => self.receive_chunks(input, chunks),
            State::Discard(Discard::Exact { left }) => self.discard_exact(input, left),
            State::Discard(Discard::Chunks(decoder)) => self.discard_chunks(input, decoder),
            // Input is paused, or the connection is finishing.
            waiting @ (State::InFlight(_) | State::Closed) => waiting,
        }
    }

    /// Before a head: drops empty lines (RFC 9112 section 2.2). They are no head yet, so the time
    /// for the head does not run.
    fn receive_first(&mut self, input: &[u8], empty_lines: u8) -> State<H::Call> {
        match input {
            [] | [b'\r'] => State::Idle { empty_lines },
            [b'\r', b'\n', ..] if empty_lines < EMPTY_LINES_MAX => {
                self.taken += 2;
                State::Idle { empty_lines: empty_lines + 1 }
            }
            [b'\r', b'\n', ..] => self.refuse_head(input, HeadError::EmptyLines),
            [b'\n', ..] => self.refuse_head(input, HeadError::BareLineFeed),
            // The signature of version 2 of the PROXY protocol: two empty lines, then this.
            [0, ..] if empty_lines == PROXY_V2_EMPTY_LINES => {
                self.refuse_head(input, HeadError::ProxyProtocol)
            }
            _ => {
                let mut slots = FieldSlots::new();
                match Head::parse_whole(input, &mut slots) {
                    // Borrowed: it stays where it was written.
                    Ok(Some((ref head, length))) => self.decide(head, input, length),
                    Ok(None) | Err(_) => {
                        self.limit_head_time();
                        self.receive_head(input, HeadScan::default())
                    }
                }
            }
        }
    }

    fn receive_head(&mut self, input: &[u8], mut scan: HeadScan) -> State<H::Call> {
        match scan.advance(input, self.shared.head_bytes_max) {
            Ok(None) => State::Head { scan, head_only: is_head(input) },
            Ok(Some(length)) => self.take_head(input, length),
            Err(error) => self.refuse_head(input, error),
        }
    }

    fn take_head(&mut self, input: &[u8], length: usize) -> State<H::Call> {
        let head = &input[..length];
        let copy = as_http_1_1(head);
        let mut slots = FieldSlots::new();
        match Head::parse(copy.as_ref().map_or(head, |copy| copy), &mut slots) {
            Ok(head) => self.decide(&head, input, length),
            Err(error) => self.refuse_head(input, error),
        }
    }

    /// Asks the application about a head, which is the first `length` bytes of the input.
    fn decide(&mut self, head: &Head<'_>, input: &[u8], length: usize) -> State<H::Call> {
        self.taken += length;
        let mut outline = Outline::of(head);
        match head.method() {
            _ if head.names_https() && !self.shared.handler.is_gateway(self.exchange.peer) => {
                self.give_id(head, &mut outline);
                return self.refuse_by_protocol(Fault::Misdirected, outline);
            }
            Method::Other => {
                self.give_id(head, &mut outline);
                return self.refuse_by_protocol(Fault::Method, outline);
            }
            Method::Options if head.path() == "*" => return self.tell_methods(outline),
            _ => {}
        }
        match self.shared.handler.on_head(head, &self.exchange) {
            Ok(accepted) => {
                if accepted.has_id {
                    self.give_id(head, &mut outline);
                }
                self.accept(accepted, outline, &input[length..])
            }
            Err(problem) => {
                self.give_id(head, &mut outline);
                self.refuse(&problem, outline)
            }
        }
    }

    #[inline(never)]
    fn give_id(&mut self, head: &Head<'_>, outline: &mut Outline) {
        outline.form.request_id = self.shared.handler.request_id(Some(head), &self.exchange);
    }

    /// `rest` is what has come after the head.
    fn accept(
        &mut self,
        accepted: Accepted<H::Call>,
        mut outline: Outline,
        rest: &[u8],
    ) -> State<H::Call> {
        let Accepted { call, body_bytes_max: bytes_max, is_without_effect, .. } = accepted;
        if outline.requires_match {
            if !is_without_effect {
                return self.refuse(&PRECONDITION_FAILED, outline);
            }
            outline.form.conditions = Some(Box::new(Conditions::never_met()));
        }
        let expects_continue = outline.expects_continue;
        let next = match outline.body_length {
            BodyLength::Exact(0) => return self.request(call, &[], outline.form),
            BodyLength::Exact(length) => {
                let Some(length) = usize::try_from(length).ok().filter(|&n| n <= bytes_max) else {
                    return self.refuse_by_protocol(too_much_content(bytes_max), outline);
                };
                // Most bodies come together with their heads, and nothing has to be kept for them.
                if let Some(body) = rest.get(..length) {
                    self.taken += length;
                    return self.request(call, body, outline.form);
                }
                let request = Arriving { call, form: outline.form };
                State::Body(Box::new(Body { request, length }))
            }
            BodyLength::Chunked => {
                let decoder = ChunkDecoder::new(bytes_max);
                let request = Arriving { call, form: outline.form };
                let content = Content::default();
                State::Chunks(Box::new(Chunks { request, decoder, content, bytes_max }))
            }
        };
        // Whoever has begun to send the body does not wait.
        if expects_continue && rest.is_empty() {
            self.io.output().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.limit_body_time();
        next
    }

    /// Waits in the reactor's buffer for the whole body, so that it is never copied.
    fn receive_body(&mut self, input: &[u8], body: Box<Body<H::Call>>) -> State<H::Call> {
        let length = body.length;
        match input.get(..length) {
            None => State::Body(body),
            Some(content) => {
                self.taken += length;
                let Arriving { call, form } = body.request;
                self.request(call, content, form)
            }
        }
    }

    fn receive_chunks(&mut self, input: &[u8], mut chunks: Box<Chunks<H::Call>>) -> State<H::Call> {
        let Chunks { decoder, content, .. } = &mut *chunks;
        match decoder.decode(input, |piece| content.push(piece)) {
            Ok(decoded) if decoded.done => {
                self.taken += decoded.consumed;
                let Chunks { request, content, .. } = *chunks;
                self.io.hold(0);
                self.request(request.call, &content, request.form)
            }
            Ok(decoded) => {
                self.taken += decoded.consumed;
                self.io.hold(content.held_bytes());
                State::Chunks(chunks)
            }
            Err(error) => {
                self.taken += input.len();
                let fault = match error {
                    ChunkError::ContentTooLong => too_much_content(chunks.bytes_max),
                    error => Fault::Chunk(error),
                };
                self.fault_in_form(fault, chunks.request.form)
            }
        }
    }

    fn discard_exact(&mut self, input: &[u8], left: usize) -> State<H::Call> {
        let taken = left.min(input.len());
        self.taken += taken;
        match left - taken {
            0 => self.idle(),
            left => State::Discard(Discard::Exact { left }),
        }
    }

    fn discard_chunks(&mut self, input: &[u8], mut decoder: Box<ChunkDecoder>) -> State<H::Call> {
        match decoder.decode(input, |_dropped| ()) {
            Ok(decoded) => {
                self.taken += decoded.consumed;
                match decoded.done {
                    true => self.idle(),
                    false => State::Discard(Discard::Chunks(decoder)),
                }
            }
            Err(error) => {
                self.taken += input.len();
                self.fault_after_answer(Fault::Chunk(error))
            }
        }
    }

    /// Where the next request starts is not known, so the rest of the input goes with the head.
    fn refuse_head(&mut self, input: &[u8], error: HeadError) -> State<H::Call> {
        self.fault(Fault::Head(error), is_head(input))
    }
}

/// The refusal of content that is longer than an application takes.
fn too_much_content(bytes_max: usize) -> Fault {
    match bytes_max {
        0 => Fault::UnwantedContent,
        bytes_max => Fault::ContentTooLarge { bytes_max },
    }
}

/// Whether a head that cannot be parsed, or is not complete, is one of HEAD. Whatever else is wrong with
/// it, its client takes content for the next answer (RFC 9110 section 9.3.2).
fn is_head(input: &[u8]) -> bool {
    matches!(input, [b'H', b'E', b'A', b'D', next, ..] if !is_token_byte(*next))
}

impl Outline {
    fn of(head: &Head<'_>) -> Self {
        let persistence = match head.version() {
            _ if !head.persists() => Persistence::Close,
            Version::Http10 => Persistence::Announced,
            Version::Http11 => Persistence::Implied,
        };
        let is_read = matches!(head.method(), Method::Get | Method::Head);
        let conditions = (head.is_conditional() && is_read).then(|| Box::new(Conditions::of(head)));
        Self {
            form: Form {
                head_only: head.method() == Method::Head,
                persistence,
                conditions,
                request_id: None,
            },
            body_length: head.body_length(),
            expects_continue: head.expects_continue(),
            requires_match: head.requires_match() && !is_read,
        }
    }
}
