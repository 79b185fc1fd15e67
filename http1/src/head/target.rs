//! The request target and its forms (RFC 9112 section 3.2).

use memchr::memchr;

use crate::head::Method;
use crate::head::host::is_host_and_port;

/// Path and query of a target, not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Takes a target apart. The authority of an absolute form is checked and dropped: there are
    /// no virtual hosts here. CONNECT's authority form never gets here.
    #[inline]
    pub(super) fn parse(text: &'a str, method: Method) -> Option<Self> {
        if !is_sound(text.as_bytes()) {
            return None;
        }
        if text.starts_with('/') {
            return Some(Self::split(text));
        }
        if text == "*" && method == Method::Options {
            return Some(Self { path: text, query: None });
        }
        Self::parse_absolute(text)
    }

    #[inline(never)]
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

/// Whether there is nothing in a target that never belongs there: a fragment; controls, blanks and bytes over
/// 0x7F, which would mean different things to different parsers on the way. So many bytes are looked at
/// together, whatever is found, that it is done in vectors; the last ones perhaps twice.
fn is_sound(target: &[u8]) -> bool {
    const LANES: usize = 16;
    let and = |sound, &byte: &u8| sound & byte.is_ascii_graphic() & (byte != b'#');
    match target.last_chunk::<LANES>() {
        None => target.iter().fold(true, and),
        Some(last) => {
            let pieces = target.as_chunks::<LANES>().0.iter().chain([last]);
            pieces.fold(true, |sound, piece| piece.iter().fold(sound, and))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart_by_their_form() {
        let check = |method, text: &str, expected: Option<(&str, Option<&str>)>| {
            let parsed = Target::parse(text, method).map(|target| (target.path, target.query));
            assert_eq!(parsed, expected, "{text:?}");
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

    #[test]
    fn what_never_belongs_there_is_found_wherever_it_stands() {
        for length in 0..60 {
            assert!(is_sound(&vec![b'~'; length]), "{length}");
            for at in 0..length {
                for byte in [b'#', b' ', b'\t', 0x7f, 0x80] {
                    let mut target = vec![b'~'; length];
                    target[at] = byte;
                    assert!(!is_sound(&target), "{byte:#x} at {at} of {length}");
                }
            }
        }
    }
}
