//! Problem documents (RFC 9457): the one form of every error answer.

use std::borrow::Cow;

use crate::status::Status;

/// An error answer: `application/problem+json` with a stable code.
///
/// The document is `{"type":"/problems/<code>","title":…,"status":…,"detail":…,"request_id":…}`; the last member is
/// there when the request has an id. The code is what programs may rely on; title and detail are for people and
/// may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(crate) status: Status,
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) retry_after_seconds: Option<u32>,
    /// By reference, so that a problem stays small: a handler returns either a call or a problem.
    pub(crate) fields: [Option<&'static (&'static str, &'static str)>; FIELDS_MAX],
}

/// Further fields of one problem: a 401 to a logout has a challenge and ends a cookie.
pub(crate) const FIELDS_MAX: usize = 2;

impl Problem {
    /// A problem whose `code` ends its type: lower-case letters, digits and `_`. `title` names the
    /// kind of problem, `detail` says what was wrong and what would be right.
    ///
    /// # Panics
    ///
    /// When `code` has other characters. In a `const` the build fails instead.
    ///
    /// ```
    /// use http1::{Problem, Status};
    /// const NAME_TAKEN: Problem = Problem::new(
    ///     Status::Conflict,
    ///     "username_taken",
    ///     "Username is taken",
    ///     "Somebody has registered this username before.",
    /// );
    /// ```
    #[must_use]
    pub const fn new(
        status: Status,
        code: &'static str,
        title: &'static str,
        detail: &'static str,
    ) -> Self {
        assert!(is_code(code), "a problem code is made of a-z, 0-9 and _");
        Self {
            status,
            code,
            title,
            detail: Cow::Borrowed(detail),
            retry_after_seconds: None,
            fields: [None; FIELDS_MAX],
        }
    }

    /// Replaces the detail. Never put a secret in it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds `Retry-After` in whole seconds (RFC 9110 section 10.2.3).
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds a field, as a pair of name and value: `Allow`, which a 405 must carry (RFC 9110 section 15.5.6), or
    /// `WWW-Authenticate`, which a 401 must (section 15.5.2).
    ///
    /// # Panics
    ///
    /// When there are two already. In a `const` the build fails instead.
    #[must_use]
    pub const fn with_field(mut self, field: &'static (&'static str, &'static str)) -> Self {
        let mut place = 0;
        while place < FIELDS_MAX && self.fields[place].is_some() {
            place += 1;
        }
        assert!(place < FIELDS_MAX, "a problem has so many further fields at the most");
        self.fields[place] = Some(field);
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }
}

const fn is_code(code: &str) -> bool {
    let bytes = code.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if !matches!(bytes[i], b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        i += 1;
    }
    !bytes.is_empty()
}
