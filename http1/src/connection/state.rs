//! What a connection remembers from one call to the next.

use super::content::Content;
use crate::chunked::ChunkDecoder;
use crate::head::HeadScan;
use crate::response::Form;

/// Where a connection is between two calls. What only some requests need is boxed: each idle
/// connection pays for the largest variant.
pub(super) enum State<C> {
    /// Between requests. Empty lines before a request line are dropped and counted.
    Idle { empty_lines: u8 },
    /// The head has begun.
    Head {
        scan: HeadScan,
        /// The method is HEAD, so that a refusal has no content.
        head_only: bool,
    },
    /// The head was accepted; the body arrives, in the reactor's buffer.
    Body(Box<Body<C>>),
    /// The same, in chunks.
    Chunks(Box<Chunks<C>>),
    /// The request was refused and answered; its body is dropped.
    Discard(Discard),
    /// The application will answer.
    InFlight(Form),
    /// The last answer was written.
    Closed,
}

/// A request between its head and its body.
pub(super) struct Arriving<C> {
    pub(super) call: C,
    pub(super) form: Form,
}

/// A request whose body has a known length.
pub(super) struct Body<C> {
    pub(super) request: Arriving<C>,
    pub(super) length: usize,
}

/// A request whose body comes in chunks.
pub(super) struct Chunks<C> {
    pub(super) request: Arriving<C>,
    pub(super) decoder: ChunkDecoder,
    pub(super) content: Content,
    /// How much content the application takes.
    pub(super) bytes_max: usize,
}

pub(super) enum Discard {
    Exact { left: usize },
    Chunks(Box<ChunkDecoder>),
}
