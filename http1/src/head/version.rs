//! The version of a request.

/// The protocol version. Another major version is refused with 505.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, and whatever later minor version of HTTP/1 somebody says.
    Http11,
}
