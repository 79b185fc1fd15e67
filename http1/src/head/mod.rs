//! Request heads (RFC 9112 sections 2 to 6).
//!
//! httparse takes a head apart; it does not judge framing, so that is done here, on the strict
//! side: of everything that could make this server and a proxy before it disagree about where a
//! request ends, nothing is repaired and everything is refused.
//!
//! Left out on purpose: CONNECT (501), upgrades (ignored, as RFC 9110 section 7.8 allows), obsolete
//! line folding (400), decoding of percent-encoded paths (routes are plain).

mod body_length;
mod error;
mod fields;
mod host;
mod later;
mod method;
mod scan;
mod target;
mod version;

#[cfg(test)]
mod tests;

use std::fmt;
use std::mem::MaybeUninit;

use httparse::Header;

pub use body_length::BodyLength;
pub use error::HeadError;
pub(crate) use later::as_http_1_1;
pub use method::Method;
pub use scan::HeadScan;
pub use version::Version;

use crate::grammar::{elements, is_token_byte, trim_blanks};
use crate::limits::{FIELDS_MAX, REQUEST_LINE_BYTES_MAX};
use fields::{NameLengths, Seen};
use target::Target;

/// A request head that is well formed and whose framing is sound.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    method: Method,
    version: Version,
    target: Target<'a>,
    host: Option<&'a [u8]>,
    body_length: BodyLength,
    persists: bool,
    expects_continue: bool,
    conditional: bool,
    requires_match: bool,
    fields: &'a [Header<'a>],
    name_lengths: NameLengths,
}

/// Room for the fields of one head, on the stack of whoever parses it.
pub struct FieldSlots<'a>([MaybeUninit<Header<'a>>; FIELDS_MAX]);

impl FieldSlots<'_> {
    /// Room for [`FIELDS_MAX`] fields; costs nothing, since it is not initialised.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; FIELDS_MAX])
    }
}

impl Default for FieldSlots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FieldSlots<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldSlots")
    }
}

impl<'a> Head<'a> {
    /// Parses one whole head, of the length that [`HeadScan`] found. Nothing is allocated. A later minor
    /// version of HTTP/1 is not known here ([`Connection`](crate::Connection) takes it for 1.1).
    ///
    /// # Errors
    ///
    /// All variants are the peer's fault. The bytes after such a head mean nothing: the connection
    /// has to be closed.
    ///
    /// ```
    /// use http1::{FieldSlots, Head, Method};
    /// let mut slots = FieldSlots::new();
    /// let head = Head::parse(b"GET /a?b HTTP/1.1\r\nHost: c\r\n\r\n", &mut slots)?;
    /// assert_eq!((head.method(), head.path(), head.query()), (Method::Get, "/a", Some("b")));
    /// # Ok::<(), http1::HeadError>(())
    /// ```
    pub fn parse(bytes: &'a [u8], slots: &'a mut FieldSlots<'a>) -> Result<Self, HeadError> {
        match Self::take_apart(bytes, slots)? {
            Some((head, length)) if length == bytes.len() => Ok(head),
            // Another end of the head than the scan has found, or none.
            _ => Err(HeadError::RequestLine),
        }
    }

    /// Parses the head that `input` starts with, if it has come whole, and tells how long it is. Nearly all
    /// have, and are gone through once instead of twice.
    ///
    /// # Errors
    ///
    /// There is something to say against it. What that is, or that more must arrive, is for [`HeadScan`] and
    /// [`Head::parse`] to tell, which look at limits first.
    pub fn parse_whole(
        input: &'a [u8],
        slots: &'a mut FieldSlots<'a>,
    ) -> Result<Option<(Self, usize)>, HeadError> {
        // A request line in so much is never too long.
        Self::take_apart(&input[..input.len().min(REQUEST_LINE_BYTES_MAX)], slots)
    }

    /// The head that `input` starts with, and its length; `None` if it does not end there.
    ///
    /// The one place that calls httparse, which is compiled into it for that: what it returns step by step stays
    /// in registers. For the same reason both callers get the same type: a head that becomes part of another
    /// result is copied right after it was written, and the copy waits for the processor's store buffer.
    fn take_apart(
        input: &'a [u8],
        slots: &'a mut FieldSlots<'a>,
    ) -> Result<Option<(Self, usize)>, HeadError> {
        // httparse would skip empty lines.
        if !input.first().is_some_and(|&first| is_token_byte(first)) {
            return Err(HeadError::RequestLine);
        }
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(input, &mut slots.0) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(HeadError::from_httparse(error, input)),
        };
        if !lines_end_in_crlf(&input[..length], request.headers) {
            return Err(HeadError::BareLineFeed);
        }
        let head = Self::judge(request.method, request.path, request.version, request.headers)?;
        Ok(Some((head, length)))
    }

    /// Judges what httparse has taken apart. Inlined, since a head is so large that it would be copied from
    /// where it was returned, right after it was written, and so wait for the processor's store buffer.
    #[inline(always)]
    fn judge(
        method: Option<&'a str>,
        target: Option<&'a str>,
        minor_version: Option<u8>,
        fields: &'a [Header<'a>],
    ) -> Result<Self, HeadError> {
        let (Some(method), Some(target), Some(minor)) = (method, target, minor_version) else {
            return Err(HeadError::RequestLine);
        };
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        if method == "CONNECT" {
            return Err(HeadError::Connect);
        }
        let method = Method::from_token(method);
        let seen = Seen::collect(fields);
        seen.check_host(version)?;
        // A target within a `Result` would be copied, as said above.
        let Some(target) = Target::parse(target, method) else {
            return Err(HeadError::Target);
        };
        Ok(Self {
            method,
            version,
            target,
            host: seen.host(),
            body_length: seen.body_length(version)?,
            persists: seen.persists(version),
            expects_continue: seen.expects_continue(version)?,
            conditional: seen.is_conditional(),
            requires_match: seen.requires_match(),
            fields,
            name_lengths: seen.name_lengths(),
        })
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The path as it was sent: visible ASCII, not decoded, not normalised; percent-encoding has two digits.
    /// It starts with `/`, except for OPTIONS of the server as a whole, whose path is `*`.
    #[must_use]
    pub const fn path(&self) -> &'a str {
        self.target.path
    }

    /// What follows the first `?` of the target, not decoded.
    #[must_use]
    pub const fn query(&self) -> Option<&'a str> {
        self.target.query
    }

    /// Whom the request is for, a host with an optional port, as it was sent: the authority of the target if
    /// it has one, which then is the only one that counts, or else `Host` (RFC 9112 section 3.3). `None` for
    /// HTTP/1.0 without either. Nobody has to look at `Host` beside it.
    #[must_use]
    pub fn authority(&self) -> Option<&'a [u8]> {
        self.target.authority.or(self.host)
    }

    /// Whether the target itself says `https`. No request says so that came over a connection without TLS,
    /// unless a gateway that ended TLS sent it on (RFC 9110 section 7.4).
    #[must_use]
    pub const fn names_https(&self) -> bool {
        self.target.is_https
    }

    /// How the end of the body is known.
    #[must_use]
    pub const fn body_length(&self) -> BodyLength {
        self.body_length
    }

    /// Whether the client wants to use the connection again.
    #[must_use]
    pub const fn persists(&self) -> bool {
        self.persists
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether there is a precondition that is looked at: `If-Match` or `If-None-Match`.
    #[must_use]
    pub const fn is_conditional(&self) -> bool {
        self.conditional
    }

    /// Whether there is `If-Match`, so that the method must not be performed unless what it names is there (RFC
    /// 9110 section 13.1.1). For GET and HEAD that is seen to; whatever else is asked of a resource that has no
    /// representation is refused with 412 (see [`Accepted::without_effect`](crate::Accepted::without_effect)).
    #[must_use]
    pub const fn requires_match(&self) -> bool {
        self.requires_match
    }

    /// All values of the fields called `name`, in order, without blanks around them. Names compare
    /// without regard to case. Whoever wants `Host` wants [`Head::authority`].
    #[inline]
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        debug_assert!(
            !name.eq_ignore_ascii_case("Host"),
            "the target's authority may count instead"
        );
        let fields = if self.name_lengths.may_have(name) { self.fields } else { &[] };
        fields.iter().filter(move |field| fields::is_called(field, name)).map(|field| field.value)
    }

    /// The value of the field called `name`, of which there must not be two.
    ///
    /// # Errors
    ///
    /// When it is repeated. Taking the first or the last would be a guess, and a dangerous one for
    /// credentials.
    // Inlined, since a name that is known is compared in a few instructions.
    #[inline(always)]
    pub fn field(&self, name: &str) -> Result<Option<&'a [u8]>, RepeatedField> {
        debug_assert!(
            !name.eq_ignore_ascii_case("Host"),
            "the target's authority may count instead"
        );
        let mut found = None;
        if self.name_lengths.may_have(name) {
            for field in self.fields {
                if fields::is_called(field, name) && found.replace(field.value).is_some() {
                    return Err(RepeatedField);
                }
            }
        }
        Ok(found)
    }

    /// Whether the content is coded, which a receiver has to undo first: `Content-Encoding` names something other
    /// than `identity` (RFC 9110 section 8.4).
    #[must_use]
    pub fn has_content_coding(&self) -> bool {
        let mut codings = self.fields("Content-Encoding").flat_map(elements);
        codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
    }

    /// Whether the content is of the type `media_type`, such as `application/json`; parameters do
    /// not count. False without `Content-Type`, and with more than one.
    #[must_use]
    pub fn has_media_type(&self, media_type: &str) -> bool {
        let Ok(Some(value)) = self.field("Content-Type") else {
            return false;
        };
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        trim_blanks(&value[..end]).eq_ignore_ascii_case(media_type.as_bytes())
    }
}

/// Whether each line ends in CRLF; httparse takes LF alone. It takes neither within a line, so they have to be
/// looked for in two places only: before each name, and at the end.
fn lines_end_in_crlf(head: &[u8], fields: &[Header<'_>]) -> bool {
    let starts_line = |field: &Header<'_>| {
        let first = field.name.as_bytes().first().and_then(|first| head.element_offset(first));
        first.is_some_and(|at| head[..at].ends_with(b"\r\n"))
    };
    head.ends_with(b"\r\n\r\n") && fields.iter().all(starts_line)
}

/// Fields and query are left out: they carry tokens.
impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("version", &self.version)
            .field("path", &self.target.path)
            .field("body_length", &self.body_length)
            .finish_non_exhaustive()
    }
}

/// A field that may stand once stands there more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a field that may stand once is repeated")]
pub struct RepeatedField;
