//! Kinds of faults.

use crate::status::Status;

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal $status:ident;)*) => {
        /// Kinds of faults, for counting: a closed set, each with the one status that it is answered with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$reason),*];

            /// A name of `a-z`, `0-9` and `_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> Status {
                match self {
                    $(Self::$reason => Status::$status,)*
                }
            }
        }
    };
}

reasons! {
    /// TLS on a port without it.
    Tls = "tls" BadRequest;
    /// HTTP/2 with prior knowledge.
    Http2 = "http2" HttpVersionNotSupported;
    /// The PROXY protocol.
    ProxyProtocol = "proxy_protocol" BadRequest;
    /// What is no request line.
    RequestLine = "request_line" BadRequest;
    /// A request line over its bound.
    RequestLineTooLong = "request_line_too_long" UriTooLong;
    /// A method that nobody knows, or CONNECT.
    Method = "method" NotImplemented;
    /// Another major version of HTTP.
    Version = "version" HttpVersionNotSupported;
    /// A target in none of the forms.
    Target = "target" BadRequest;
    /// A target that says https on a connection without TLS.
    Misdirected = "misdirected" MisdirectedRequest;
    /// A malformed line of a head.
    HeaderLine = "header_line" BadRequest;
    /// A head over one of its bounds.
    HeadTooLarge = "head_too_large" RequestHeaderFieldsTooLarge;
    /// No `Host`, two, or a malformed one.
    Host = "host" BadRequest;
    /// A body whose length can be read in two ways.
    Length = "length" BadRequest;
    /// A transfer coding other than chunked.
    TransferCoding = "transfer_coding" NotImplemented;
    /// An expectation other than `100-continue`.
    Expectation = "expectation" ExpectationFailed;
    /// A malformed chunked body.
    Chunk = "chunk" BadRequest;
    /// Content where none is taken.
    UnwantedContent = "unwanted_content" BadRequest;
    /// Content over its bound.
    ContentTooLarge = "content_too_large" ContentTooLarge;
    /// A head that was too slow.
    HeadTimeout = "head_timeout" RequestTimeout;
    /// A body that was too slow.
    BodyTimeout = "body_timeout" RequestTimeout;
    /// A request that was cut off.
    Truncated = "truncated" BadRequest;
    /// A request that the application did not answer in time.
    Expired = "expired" ServiceUnavailable;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_names_of_their_own_that_can_be_labels() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            let name = reason.name();
            assert!(
                name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')),
                "{name}"
            );
            assert!(Reason::ALL[..index].iter().all(|other| other.name() != name), "{name}");
        }
    }
}
