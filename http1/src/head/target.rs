//! The request target and its forms (RFC 9112 section 3.2).

use memchr::memchr;

use crate::head::host::is_host_and_port;
use crate::head::{HeadError, Method};

/// Path and query of a target, not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Takes a target apart. The authority of an absolute form is checked and dropped: there are
    /// no virtual hosts here. CONNECT's authority form never gets here.
    pub(super) fn parse(text: &'a str, method: Method) -> Result<Self, HeadError> {
        // A fragment never belongs to a target; controls, blanks and bytes over 0x7F would mean
        // different things to different parsers on the way.
        // All bytes are looked at, whatever is found: without a way out the loop is done in vectors.
        let is_sound =
            text.bytes().fold(true, |sound, byte| sound & byte.is_ascii_graphic() & (byte != b'#'));
        if !is_sound {
            return Err(HeadError::Target);
        }
        if text.starts_with('/') {
            return Ok(Self::split(text));
        }
        if text == "*" && method == Method::Options {
            return Ok(Self { path: text, query: None });
        }
        Self::parse_absolute(text).ok_or(HeadError::Target)
    }

    fn parse_absolute(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(authority_end);
        is_host_and_port(authority.as_bytes()).then(|| Self::split(rest))
    }

    fn split(text: &'a str) -> Self {
        let (path, query) = match memchr(b'?', text.as_bytes()) {
            None => (text, None),
            Some(at) => (&text[..at], Some(&text[at + 1..])),
        };
        // `http://host` and `http://host?query` name the root.
        Self { path: if path.is_empty() { "/" } else { path }, query }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart_by_their_form() {
        let check = |method, text: &str, expected: Option<(&str, Option<&str>)>| {
            let parsed = Target::parse(text, method).map(|target| (target.path, target.query));
            assert_eq!(parsed, expected.ok_or(HeadError::Target), "{text:?}");
        };
        check(Method::Get, "/", Some(("/", None)));
        check(Method::Get, "/a/b?c=d?e", Some(("/a/b", Some("c=d?e"))));
        check(Method::Get, "/a?", Some(("/a", Some(""))));
        check(Method::Get, "//a", Some(("//a", None)));
        check(Method::Options, "*", Some(("*", None)));
        check(Method::Get, "http://example.com", Some(("/", None)));
        check(Method::Get, "HTTP://example.com:80/a?b", Some(("/a", Some("b"))));
        check(Method::Get, "https://[::1]?b", Some(("/", Some("b"))));

        for wrong in [
            "*",
            "a",
            "a/b",
            "/a#b",
            "/a\u{7f}",
            "/caf\u{e9}",
            "/a\tb",
            "ftp://example.com/",
            "http:///a",
            "http://user@example.com/",
            "http://a:b/",
            "http:/a",
            "example.com:80",
        ] {
            check(Method::Get, wrong, None);
        }
    }
}
