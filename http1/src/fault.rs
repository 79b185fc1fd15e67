//! What the protocol itself refuses, gives up or answers, without the application.

use crate::chunked::ChunkError;
use crate::head::HeadError;
use crate::limits::{BODY_TIME_MAX, HEAD_TIME_MAX};
use crate::problem::Problem;
use crate::reason::Reason;
use crate::status::Status;

/// Why the protocol answered by itself, or gave a connection up.
///
/// After most of them the connection is closed; it goes on where the end of the request is known and near
/// ([`Method`](Self::Method), [`Misdirected`](Self::Misdirected), [`UnwantedContent`](Self::UnwantedContent),
/// [`ContentTooLarge`](Self::ContentTooLarge)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The peer's fault: its head is refused.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The peer's fault: its chunked body is refused.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The peer's fault: nobody here knows the method (RFC 9110 section 9.1).
    #[error("The method is not one that this server knows. Methods are case-sensitive.")]
    Method,
    /// The peer's fault, or that of a proxy's settings: the target says `https`, but the request came over a
    /// connection without TLS, and not from a gateway (RFC 9110 section 7.4).
    #[error("The target says https, and this connection has no TLS.")]
    Misdirected,
    /// The peer's fault: the request has content where none is taken (RFC 9110 section 9.3.1).
    #[error("This request has to come without content.")]
    UnwantedContent,
    /// The peer's fault: the content is longer than the application takes.
    #[error("The content is longer than {bytes_max} bytes.")]
    ContentTooLarge {
        /// What the application takes.
        bytes_max: usize,
    },
    /// The peer's fault, or its network's: the head was not complete in time.
    #[error("The head was not complete within {} seconds.", HEAD_TIME_MAX.as_secs())]
    HeadTimeout,
    /// The peer's fault, or its network's: the body was not complete in time.
    #[error("The body was not complete within {} seconds.", BODY_TIME_MAX.as_secs())]
    BodyTimeout,
    /// The peer's fault: it ended its side in the middle of a request.
    #[error("The connection ended before the request was complete.")]
    Truncated,
    /// The server's fault: the application did not answer within the time that it gave itself.
    #[error("The request was not answered in time; whether it took effect is not known.")]
    Expired,
}

impl Fault {
    /// The answer that the peer gets, if it has none yet.
    #[must_use]
    pub fn problem(self) -> Problem {
        let (code, title) = self.code_and_title();
        let problem = Problem::new(self.status(), code, title, "").with_detail(self.to_string());
        match self {
            Self::Expired => problem.with_retry_after(1),
            _ => problem,
        }
    }

    /// The status of that answer.
    #[must_use]
    pub const fn status(self) -> Status {
        self.reason().status()
    }

    /// Whether the peer, or its network, is at fault, and not this server.
    #[must_use]
    pub const fn is_peers(self) -> bool {
        !matches!(self, Self::Expired)
    }

    /// The kind, for counting.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Head(error) => error.reason(),
            Self::Chunk(ChunkError::ContentTooLong) => Reason::ContentTooLarge,
            Self::Chunk(_) => Reason::Chunk,
            Self::Method => Reason::Method,
            Self::Misdirected => Reason::Misdirected,
            Self::UnwantedContent => Reason::UnwantedContent,
            Self::ContentTooLarge { .. } => Reason::ContentTooLarge,
            Self::HeadTimeout => Reason::HeadTimeout,
            Self::BodyTimeout => Reason::BodyTimeout,
            Self::Truncated => Reason::Truncated,
            Self::Expired => Reason::Expired,
        }
    }

    /// The status decides what a client can do. So there is one code per status, and the detail says the
    /// rest.
    const fn code_and_title(self) -> (&'static str, &'static str) {
        match self.status() {
            Status::RequestTimeout => ("request_timeout", "The request took too long to arrive"),
            Status::ContentTooLarge => ("content_too_large", "The content is too large"),
            Status::UriTooLong => ("request_line_too_long", "The request line is too long"),
            Status::ExpectationFailed => ("expectation_failed", "The expectation is not supported"),
            Status::MisdirectedRequest => {
                ("misdirected_request", "The request came over the wrong connection")
            }
            Status::RequestHeaderFieldsTooLarge => ("head_too_large", "The head is too large"),
            Status::NotImplemented => {
                ("not_implemented", "The request needs what is not supported")
            }
            Status::ServiceUnavailable => ("not_answered_in_time", "The request was not answered"),
            Status::HttpVersionNotSupported => {
                ("version_not_supported", "The version of HTTP is not supported")
            }
            _ => ("malformed_request", "The request is malformed"),
        }
    }
}
