//! Problem documents (RFC 9457): the one form of every error answer.

use std::borrow::Cow;

use crate::grammar::is_token_byte;
use crate::response::{Answered, Reply, Response};
use crate::status::Status;

/// An error answer: `application/problem+json` with a stable code.
///
/// The document is `{"type":"/problems/<code>","title":…,"status":…,"detail":…}`. The code is what
/// programs may rely on; title and detail are for people and may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: Status,
    code: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
    retry_after_seconds: Option<u32>,
    allow: Option<&'static str>,
    authenticate: Option<&'static str>,
}

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
            allow: None,
            authenticate: None,
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

    /// Adds `Allow`, which a 405 must carry (RFC 9110 section 15.5.6), such as `"GET, HEAD"`.
    ///
    /// # Panics
    ///
    /// When it is no list of methods. In a `const` the build fails instead.
    #[must_use]
    pub const fn with_allow(mut self, methods: &'static str) -> Self {
        assert!(is_method_list(methods), "Allow is a list of methods");
        self.allow = Some(methods);
        self
    }

    /// Adds `WWW-Authenticate`, which a 401 must carry (RFC 9110 section 15.5.2), such as
    /// `"Bearer"`.
    #[must_use]
    pub const fn with_authenticate(mut self, challenge: &'static str) -> Self {
        self.authenticate = Some(challenge);
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

    pub(crate) fn send(&self, reply: Reply<'_>) -> Answered {
        // Ten digits hold every u32.
        let mut digits = [0; 10];
        let mut fields = [("", ""); 4];
        // Errors pass, and some statuses may be cached by default (RFC 9110 section 15.1).
        fields[0] = ("Cache-Control", "no-store");
        let mut count = 1;
        let further = [
            ("Retry-After", self.retry_after_seconds.map(|seconds| decimal(seconds, &mut digits))),
            ("Allow", self.allow),
            ("WWW-Authenticate", self.authenticate),
        ];
        for (name, value) in further {
            if let Some(value) = value {
                fields[count] = (name, value);
                count += 1;
            }
        }
        let response = Response::new(self.status)
            .content_type("application/problem+json")
            .fields(&fields[..count]);
        reply.send_with(&response, |content| {
            content.push(b"{\"type\":\"/problems/");
            content.push(self.code.as_bytes());
            content.push(b"\",\"title\":");
            content.push_json_string(self.title);
            content.push(b",\"status\":");
            content.push_decimal(u64::from(self.status.code()));
            content.push(b",\"detail\":");
            content.push_json_string(&self.detail);
            content.push(b"}");
        })
    }
}

fn decimal(number: u32, digits: &mut [u8; 10]) -> &str {
    let mut rest = &mut digits[..];
    std::io::Write::write_fmt(&mut rest, format_args!("{number}")).expect("ten digits hold a u32");
    let unused = rest.len();
    let used = digits.len() - unused;
    std::str::from_utf8(&digits[..used]).expect("digits are ASCII")
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

const fn is_method_list(methods: &str) -> bool {
    let bytes = methods.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if !is_token_byte(bytes[i]) && !matches!(bytes[i], b',' | b' ') {
            return false;
        }
        i += 1;
    }
    true
}
