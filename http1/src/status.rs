//! The status codes that this system sends (RFC 9110 section 15).

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal $reason:literal;)*) => {
        /// A status code, from the closed set that this system sends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Status {
            $($(#[$doc])* $name = $code,)*
        }

        impl Status {
            /// Every status, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The reason phrase, as registered with IANA.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                }
            }

            /// The whole status line, with its CRLF.
            pub(crate) const fn line(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n"),)*
                }
            }
        }
    };
}

statuses! {
    /// The request succeeded.
    Ok = 200 "OK";
    /// Something was created.
    Created = 201 "Created";
    /// Taken in, not yet acted upon.
    Accepted = 202 "Accepted";
    /// Succeeded, and there is nothing to say.
    NoContent = 204 "No Content";
    /// The answer is at another address, to be fetched with GET.
    SeeOther = 303 "See Other";
    /// What the client has is still current.
    NotModified = 304 "Not Modified";
    /// Moved for now; the method stays.
    TemporaryRedirect = 307 "Temporary Redirect";
    /// Moved for good; the method stays.
    PermanentRedirect = 308 "Permanent Redirect";
    /// The request is wrong in itself.
    BadRequest = 400 "Bad Request";
    /// A definite no to the credentials.
    Unauthorized = 401 "Unauthorized";
    /// Understood and refused.
    Forbidden = 403 "Forbidden";
    /// No such thing.
    NotFound = 404 "Not Found";
    /// The resource does not know this method; carries `Allow`.
    MethodNotAllowed = 405 "Method Not Allowed";
    /// No acceptable representation.
    NotAcceptable = 406 "Not Acceptable";
    /// The request did not arrive in time.
    RequestTimeout = 408 "Request Timeout";
    /// The state of the resource stands against it.
    Conflict = 409 "Conflict";
    /// What the request was made to depend on is not so.
    PreconditionFailed = 412 "Precondition Failed";
    /// The body is longer than allowed.
    ContentTooLarge = 413 "Content Too Large";
    /// The request line is longer than allowed.
    UriTooLong = 414 "URI Too Long";
    /// The body's media type is not the wanted one.
    UnsupportedMediaType = 415 "Unsupported Media Type";
    /// An `Expect` other than `100-continue`.
    ExpectationFailed = 417 "Expectation Failed";
    /// The connection is not one over which this may be asked.
    MisdirectedRequest = 421 "Misdirected Request";
    /// Well formed, but its meaning is not acceptable.
    UnprocessableContent = 422 "Unprocessable Content";
    /// The client sends more than its share.
    TooManyRequests = 429 "Too Many Requests";
    /// The head is longer than allowed, or has too many fields.
    RequestHeaderFieldsTooLarge = 431 "Request Header Fields Too Large";
    /// The server's own fault.
    InternalServerError = 500 "Internal Server Error";
    /// A feature that this server does not have.
    NotImplemented = 501 "Not Implemented";
    /// A server behind this one gave an unusable answer.
    BadGateway = 502 "Bad Gateway";
    /// Not now; later it may work.
    ServiceUnavailable = 503 "Service Unavailable";
    /// A server behind this one did not answer in time.
    GatewayTimeout = 504 "Gateway Timeout";
    /// Another major version of HTTP.
    HttpVersionNotSupported = 505 "HTTP Version Not Supported";
}

impl Status {
    /// The three digits as a number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Whether it is one of 2xx.
    pub(crate) const fn is_success(self) -> bool {
        self.code() / 100 == 2
    }

    /// Whether an answer with this status has content at all (RFC 9110 sections 15.3.5, 15.4.5).
    pub(crate) const fn has_content(self) -> bool {
        !matches!(self, Self::NoContent | Self::NotModified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_carries_its_own_code_and_reason() {
        for status in Status::ALL {
            let expected = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
            assert_eq!(status.line(), expected);
        }
    }
}
