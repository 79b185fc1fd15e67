//! The outcome of a request, as a number of HTTP.

use std::fmt;

/// The outcome of a request, 100 to 599, with the meaning that RFC 9110 section 15 gives it.
///
/// The set is open, as in HTTP: a newer peer may answer with a status that has no name here, and a
/// reader treats it as the `x00` of its class.
///
/// # Examples
///
/// ```
/// use framing::Status;
/// assert_eq!(Status::new(404), Some(Status::NOT_FOUND));
/// assert_eq!(Status::new(99), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(u16);

impl Status {
    /// Done; the reply's own fields are there.
    pub const OK: Self = Self(200);
    /// The request is malformed, or a value does not follow its convention.
    pub const BAD_REQUEST: Self = Self(400);
    /// A definite no: wrong password, or a token that is not alive.
    pub const UNAUTHORIZED: Self = Self(401);
    /// The requester is known and may not: the account is disabled.
    pub const FORBIDDEN: Self = Self(403);
    /// There is no such user, or no such session.
    pub const NOT_FOUND: Self = Self(404);
    /// The username is taken.
    pub const CONFLICT: Self = Self(409);
    /// Too many attempts; when to come back is said beside it.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// A defect of the server.
    pub const INTERNAL: Self = Self(500);
    /// Not known at present: overload, a deadline that has passed, a store that is away.
    pub const UNAVAILABLE: Self = Self(503);

    /// A status of HTTP; `None` outside 100 to 599.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 599 { Some(Self(code)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({})", self.0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
