//! Why a head is refused.

use crate::limits::{FIELDS_MAX, REQUEST_LINE_BYTES_MAX};
use crate::reason::Reason;
use crate::status::Status;

/// Why a head is refused. Every variant is the peer's fault, and after each of them the
/// connection has to be closed, because where the next request starts is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeadError {
    /// More empty lines before the request line than tolerated (RFC 9112 section 2.2).
    #[error("There are too many empty lines before the request line.")]
    EmptyLines,
    /// The request line is not `method SP target SP version CRLF` (RFC 9112 section 3).
    #[error("The request line is malformed.")]
    RequestLine,
    /// The handshake of TLS, on a port that does not speak it.
    #[error("This looks like TLS. This port speaks HTTP without it.")]
    Tls,
    /// The preface of HTTP/2 (RFC 9113 section 3.4).
    #[error("This looks like HTTP/2. This port speaks HTTP/1.1.")]
    Http2,
    /// The line, or the signature, with which a proxy announces the address of its client.
    #[error("This looks like the PROXY protocol, which this port does not take.")]
    ProxyProtocol,
    /// A request line longer than [`REQUEST_LINE_BYTES_MAX`] whose method alone is longer than any that is
    /// known (RFC 9112 section 3).
    #[error("The method is longer than any that is known.")]
    MethodTooLong,
    /// The request line is longer than [`REQUEST_LINE_BYTES_MAX`].
    #[error("The request line is longer than {REQUEST_LINE_BYTES_MAX} bytes.")]
    RequestLineTooLong,
    /// Another major version of HTTP.
    #[error("The version is not HTTP/1.0 or HTTP/1.1.")]
    Version,
    /// CONNECT, which would turn the connection into a tunnel.
    #[error("CONNECT is not supported.")]
    Connect,
    /// The target has none of the forms of RFC 9112 section 3.2.
    #[error("The request target is malformed.")]
    Target,
    /// A field line is malformed: folded, with blanks before its colon, or with control characters.
    #[error("A field line is malformed.")]
    FieldLine,
    /// A line ends in LF without CR.
    #[error("A line ends in LF without CR.")]
    BareLineFeed,
    /// More than [`FIELDS_MAX`] fields.
    #[error("There are more than {FIELDS_MAX} fields.")]
    TooManyFields,
    /// The head is longer than allowed here.
    #[error("The head is longer than {bytes_max} bytes.")]
    HeadTooLong {
        /// The bound, [`Shared::with_head_bytes_max`](crate::Shared::with_head_bytes_max).
        bytes_max: usize,
    },
    /// No `Host` in HTTP/1.1.
    #[error("Host is missing.")]
    HostMissing,
    /// More than one `Host`.
    #[error("Host is repeated.")]
    HostRepeated,
    /// `Host` is not a host with an optional port.
    #[error("Host is not a host with an optional port.")]
    HostInvalid,
    /// `Content-Length` is repeated, or not a number of bytes.
    #[error("Content-Length is repeated, or not a plain number of bytes.")]
    ContentLength,
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("Content-Length and Transfer-Encoding exclude each other.")]
    LengthAndCoding,
    /// `Transfer-Encoding` is no list of codings with at most one chunked, at its end.
    #[error("Transfer-Encoding is malformed, or chunked is not its last coding.")]
    TransferEncoding,
    /// `Transfer-Encoding` in HTTP/1.0, which does not know it (RFC 9112 section 6.1).
    #[error("HTTP/1.0 has no Transfer-Encoding.")]
    CodingInHttp10,
    /// A transfer coding other than chunked.
    #[error("The only transfer coding supported is chunked.")]
    UnknownCoding,
    /// An expectation other than `100-continue`.
    #[error("The only expectation supported is 100-continue.")]
    Expectation,
}

impl HeadError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> Status {
        self.reason().status()
    }

    /// The kind, for counting.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::EmptyLines | Self::RequestLine => Reason::RequestLine,
            Self::Tls => Reason::Tls,
            Self::Http2 => Reason::Http2,
            Self::ProxyProtocol => Reason::ProxyProtocol,
            Self::MethodTooLong | Self::Connect => Reason::Method,
            Self::RequestLineTooLong => Reason::RequestLineTooLong,
            Self::Version => Reason::Version,
            Self::Target => Reason::Target,
            Self::FieldLine | Self::BareLineFeed => Reason::HeaderLine,
            Self::TooManyFields | Self::HeadTooLong { .. } => Reason::HeadTooLarge,
            Self::HostMissing | Self::HostRepeated | Self::HostInvalid => Reason::Host,
            Self::ContentLength
            | Self::LengthAndCoding
            | Self::TransferEncoding
            | Self::CodingInHttp10 => Reason::Length,
            Self::UnknownCoding => Reason::TransferCoding,
            Self::Expectation => Reason::Expectation,
        }
    }

    pub(super) fn from_httparse(error: httparse::Error, head: &[u8]) -> Self {
        use httparse::Error;
        match error {
            Error::HeaderName | Error::HeaderValue => Self::FieldLine,
            Error::TooManyHeaders => Self::TooManyFields,
            Error::Version if head.starts_with(HTTP2_PREFACE_LINE) => Self::Http2,
            Error::Version if names_a_version(head) => Self::Version,
            // httparse reports a bad byte in method or target as `Token`, and others as `NewLine`.
            _ => Self::RequestLine,
        }
    }
}

/// The first line of the preface of HTTP/2 (RFC 9113 section 3.4), made to be refused by servers of HTTP/1.
const HTTP2_PREFACE_LINE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Whether the request line has its three parts and the last looks like `HTTP/2.0`, so that the
/// fault is the version's and not the line's.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or(head);
    let mut parts = line.split(|&byte| byte == b' ').skip(2);
    match (parts.next(), parts.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}
