//! What the protocol itself refuses, gives up or answers, without the application.

use crate::chunked::ChunkError;
use crate::head::HeadError;
use crate::limits::{BODY_TIME_MAX, HEAD_TIME_MAX};
use crate::problem::Problem;
use crate::status::Status;

/// Why a connection answered by itself and was then closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The peer's fault: its head is refused.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The peer's fault: its chunked body is refused.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
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
    /// The answer that the peer gets. The connection is closed after it.
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
        match self {
            Self::Head(error) => error.status(),
            Self::Chunk(error) => error.status(),
            Self::HeadTimeout | Self::BodyTimeout => Status::RequestTimeout,
            Self::Truncated => Status::BadRequest,
            Self::Expired => Status::ServiceUnavailable,
        }
    }

    /// Whose fault it is decides little for a client; the status decides what it can do. So there
    /// is one code per status, and the detail says the rest.
    const fn code_and_title(self) -> (&'static str, &'static str) {
        match self.status() {
            Status::RequestTimeout => ("request_timeout", "The request took too long to arrive"),
            Status::ContentTooLarge => CONTENT_TOO_LARGE,
            Status::UriTooLong => ("request_line_too_long", "The request line is too long"),
            Status::ExpectationFailed => ("expectation_failed", "The expectation is not supported"),
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

const CONTENT_TOO_LARGE: (&str, &str) = ("content_too_large", "The content is too large");

/// The answer to a body that is longer than its handler accepts.
pub(crate) fn content_too_large(bytes_max: usize) -> Problem {
    let (code, title) = CONTENT_TOO_LARGE;
    let detail = match bytes_max {
        0 => "This request has to come without content.".to_owned(),
        _ => format!("The content is longer than {bytes_max} bytes."),
    };
    Problem::new(Status::ContentTooLarge, code, title, "").with_detail(detail)
}
