//! What input does in each state.

use super::turn::{Outline, Turn};
use super::{Arriving, Body, Chunks, Content, Discard, State};
use crate::chunked::ChunkDecoder;
use crate::fault::{Fault, content_too_large};
use crate::handler::{Accepted, Handler};
use crate::head::{BodyLength, FieldSlots, Head, HeadError, HeadScan, Method, Version};
use crate::limits::EMPTY_LINES_MAX;
use crate::response::{Form, Persistence};

impl<H: Handler> Turn<'_, '_, H> {
    /// Goes on with input in any state, and notes in [`Turn::taken`] how much of it is done with; nothing
    /// means that more must arrive.
    pub(super) fn receive(&mut self, input: &[u8], state: State<H::Call>) -> State<H::Call> {
        match state {
            State::Idle { empty_lines } => self.receive_first(input, empty_lines),
            State::Head(scan) => self.receive_head(input, scan),
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
            [b'\r', b'\n', ..] => self.refuse_head(HeadError::EmptyLines),
            [b'\n', ..] => self.refuse_head(HeadError::BareLineFeed),
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
        match scan.advance(input) {
            Ok(None) => State::Head(scan),
            Ok(Some(length)) => self.take_head(input, length),
            Err(error) => self.refuse_head(error),
        }
    }

    fn take_head(&mut self, input: &[u8], length: usize) -> State<H::Call> {
        let mut slots = FieldSlots::new();
        match Head::parse(&input[..length], &mut slots) {
            Ok(head) => self.decide(&head, input, length),
            Err(error) => self.refuse_head(error),
        }
    }

    /// Asks the application about a head, which is the first `length` bytes of the input.
    fn decide(&mut self, head: &Head<'_>, input: &[u8], length: usize) -> State<H::Call> {
        self.taken += length;
        let outline = Outline::of(head);
        match self.shared.handler.on_head(head, &self.exchange) {
            Ok(accepted) => self.accept(accepted, outline, &input[length..]),
            Err(problem) => self.refuse(&problem, outline),
        }
    }

    /// `rest` is what has come after the head.
    fn accept(
        &mut self,
        accepted: Accepted<H::Call>,
        outline: Outline,
        rest: &[u8],
    ) -> State<H::Call> {
        let Accepted { call, body_bytes_max: bytes_max } = accepted;
        let form = outline.form;
        let next = match outline.body_length {
            BodyLength::Exact(0) => return self.request(call, &[], form),
            BodyLength::Exact(length) => {
                let Some(length) = usize::try_from(length).ok().filter(|&n| n <= bytes_max) else {
                    return self.refuse(&content_too_large(bytes_max), outline);
                };
                // Most bodies come together with their heads, and nothing has to be kept for them.
                if let Some(body) = rest.get(..length) {
                    self.taken += length;
                    return self.request(call, body, form);
                }
                let request = Arriving { call, form };
                State::Body(Box::new(Body { request, length }))
            }
            BodyLength::Chunked => {
                let decoder = ChunkDecoder::new(bytes_max);
                let request = Arriving { call, form };
                State::Chunks(Box::new(Chunks { request, decoder, content: Content::default() }))
            }
        };
        // Whoever has begun to send the body does not wait.
        if outline.expects_continue && rest.is_empty() {
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
                self.fault_in_form(Fault::Chunk(error), chunks.request.form)
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
    fn refuse_head(&mut self, error: HeadError) -> State<H::Call> {
        self.fault(Fault::Head(error))
    }
}

impl Outline {
    fn of(head: &Head<'_>) -> Self {
        let persistence = match head.version() {
            _ if !head.persists() => Persistence::Close,
            Version::Http10 => Persistence::Announced,
            Version::Http11 => Persistence::Implied,
        };
        Self {
            form: Form { head_only: head.method() == Method::Head, persistence },
            body_length: head.body_length(),
            expects_continue: head.expects_continue(),
        }
    }
}
