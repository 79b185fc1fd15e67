//! Writing answers: what they say ([`Response`]), and the right to write one ([`Reply`]).
//!
//! Everything is appended to the connection's output; nothing else is allocated, and what the output
//! grows out of is wiped, because answers carry tokens. Informational
//! answers, chunked answers and trailers are left out: all answers of this system fit in memory.

mod reply;

#[cfg(test)]
mod tests;

use std::fmt;

pub use reply::{Answered, ContentWriter, Progress, Reply};
pub(crate) use reply::{Form, PRECONDITION_FAILED, Persistence, Step};

use wipe::append;

use crate::grammar::{is_field_value, is_token};
use crate::precondition::is_entity_tag;
use crate::status::Status;

/// What an answer says besides its content.
///
/// `Date`, `Content-Length`, `Connection` and `X-Request-Id` are written by [`Reply`]; they are no business of
/// whoever answers. To a GET or HEAD whose preconditions an answer of 2xx does not meet, 304 or 412 is sent in
/// its place.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    status: Status,
    content_type: Option<&'a str>,
    entity_tag: Option<&'a str>,
    fields: &'a [(&'a str, &'a str)],
}

/// What every answer says to browsers: content is of the type that is named and of no other, and no other site
/// may show or run it (Fetch standard, headers of these names).
const FOR_BROWSERS: &[u8] =
    b"X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n";

impl<'a> Response<'a> {
    /// An answer without content type and further fields.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        Self { status, content_type: None, entity_tag: None, fields: &[] }
    }

    /// An answer with `application/json` content.
    #[must_use]
    pub const fn json(status: Status) -> Self {
        Self::new(status).content_type("application/json")
    }

    /// Sets `Content-Type`.
    #[must_use]
    pub const fn content_type(mut self, media_type: &'a str) -> Self {
        self.content_type = Some(media_type);
        self
    }

    /// Sets `ETag`, a strong one with its quotes: other content has another one (RFC 9110 section 8.8.3).
    /// Requests with preconditions are then judged by it.
    #[must_use]
    pub const fn entity_tag(mut self, entity_tag: &'a str) -> Self {
        self.entity_tag = Some(entity_tag);
        self
    }

    /// Sets the further fields, as pairs of name and value.
    #[must_use]
    pub const fn fields(mut self, fields: &'a [(&'a str, &'a str)]) -> Self {
        self.fields = fields;
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Appends everything that does not depend on the request: the head up to `Content-Length`.
    ///
    /// # Panics
    ///
    /// When a field cannot stand in a head. Fields are made by programmers only.
    fn append_head(&self, out: &mut Vec<u8>, content_bytes: usize) {
        assert!(
            self.status.has_content() || content_bytes == 0,
            "content in a {} answer",
            self.status.code()
        );
        append(out, self.status.line().as_bytes());
        append(out, FOR_BROWSERS);
        if let Some(media_type) = self.content_type {
            append_field(out, "Content-Type", media_type);
        }
        if let Some(entity_tag) = self.entity_tag {
            assert!(is_entity_tag(entity_tag), "{entity_tag} is no strong entity tag");
            append_field(out, "ETag", entity_tag);
        }
        for (name, value) in self.fields {
            assert!(!is_own_field(name), "{name} is written by Reply");
            append_field(out, name, value);
        }
        if self.status.has_content() {
            append(out, b"Content-Length: ");
            append_decimal(out, content_bytes as u64);
            append(out, b"\r\n");
        }
    }
}

impl Response<'_> {
    /// Appends the same for a 304 that is sent in its place: of the headers that the answer would have had,
    /// those that RFC 9110 section 15.4.5 lists.
    fn append_unchanged_head(&self, out: &mut Vec<u8>) {
        let stays = |name: &str| {
            ["Cache-Control", "Content-Location", "Expires", "Vary"]
                .iter()
                .any(|listed| listed.eq_ignore_ascii_case(name))
        };
        append(out, Status::NotModified.line().as_bytes());
        append(out, FOR_BROWSERS);
        if let Some(entity_tag) = self.entity_tag {
            append_field(out, "ETag", entity_tag);
        }
        for (name, value) in self.fields.iter().filter(|(name, _)| stays(name)) {
            append_field(out, name, value);
        }
    }
}

/// An answer whose bytes are known beforehand: all of it but `Date` and `Connection`.
#[derive(Clone, PartialEq, Eq)]
pub struct PreparedResponse {
    status: Status,
    head: Box<[u8]>,
    content: Box<[u8]>,
    entity_tag: Option<Box<str>>,
    /// The head of a 304 in its place.
    unchanged: Box<[u8]>,
}

impl PreparedResponse {
    /// Prepares an answer that is sent often, such as a page or a health report.
    ///
    /// # Panics
    ///
    /// When a field cannot stand in a head, or there is content where the status allows none.
    ///
    /// ```
    /// use http1::{PreparedResponse, Response, Status};
    /// let healthy = PreparedResponse::new(&Response::json(Status::Ok), b"{}");
    /// ```
    #[must_use]
    pub fn new(response: &Response<'_>, content: &[u8]) -> Self {
        let (mut head, mut unchanged) = (Vec::new(), Vec::new());
        response.append_head(&mut head, content.len());
        response.append_unchanged_head(&mut unchanged);
        Self {
            status: response.status,
            head: head.into(),
            content: content.into(),
            entity_tag: response.entity_tag.map(Into::into),
            unchanged: unchanged.into(),
        }
    }
}

/// Sizes only: the content may carry what a log should not.
impl fmt::Debug for PreparedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedResponse({} + {} bytes)", self.head.len(), self.content.len())
    }
}

fn append_field(out: &mut Vec<u8>, name: &str, value: &str) {
    assert!(is_token(name.as_bytes()), "field name {name:?} is no token");
    assert!(is_field_value(value.as_bytes()), "the value of {name} has a control character");
    for part in [name, ": ", value, "\r\n"] {
        append(out, part.as_bytes());
    }
}

fn append_decimal(out: &mut Vec<u8>, mut number: u64) {
    // 20 digits hold every u64.
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    append(out, &digits[start..]);
}

fn is_own_field(name: &str) -> bool {
    [
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Date",
        "ETag",
        "X-Request-Id",
        "X-Content-Type-Options",
        "Cross-Origin-Resource-Policy",
    ]
    .iter()
    .any(|own| own.eq_ignore_ascii_case(name))
}
