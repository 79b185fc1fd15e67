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
    ///
    /// Inlined, and put together of parts that fit into registers: whatever is written to memory in parts and
    /// copied as a whole waits for the processor's store buffer.
    #[inline(always)]
    pub(super) fn parse(text: &'a str, method: Method) -> Option<Self> {
        let Bytes { sound, query } = look_at(text.as_bytes());
        if !sound {
            return None;
        }
        let is_origin_or_asterisk =
            text.starts_with('/') || (text == "*" && method == Method::Options);
        let rest = if is_origin_or_asterisk { text } else { after_authority(text)? };
        let query_at = if query { memchr(b'?', rest.as_bytes()) } else { None };
        let (path, query) = match query_at {
            None => (rest, None),
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        };
        // `http://host` and `http://host?query` name the root.
        Some(Self { path: if path.is_empty() { "/" } else { path }, query })
    }
}

/// What follows the authority of an absolute form.
#[inline(never)]
fn after_authority(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    is_host_and_port(authority.as_bytes()).then_some(rest)
}

/// What the bytes of a target tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bytes {
    /// There is nothing among them that never belongs there: a fragment; controls, blanks and bytes over 0x7F,
    /// which would mean different things to different parsers on the way.
    sound: bool,
    /// There is a `?`.
    query: bool,
}

/// So many bytes are looked at together, whatever is found, that it is done in vectors; the last ones perhaps
/// twice.
fn look_at(target: &[u8]) -> Bytes {
    const LANES: usize = 16;
    let mut found = Bytes { sound: true, query: false };
    let mut look = |piece: &[u8]| {
        for &byte in piece {
            found.sound &= byte.is_ascii_graphic() & (byte != b'#');
            found.query |= byte == b'?';
        }
    };
    match target.last_chunk::<LANES>() {
        None => look(target),
        Some(last) => {
            for piece in target.as_chunks::<LANES>().0.iter().chain([last]) {
                look(piece);
            }
        }
    }
    found
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
    fn a_byte_is_found_wherever_it_stands() {
        let check = |target: &[u8], sound: bool, query: bool| {
            assert_eq!(look_at(target), Bytes { sound, query }, "{target:x?}");
        };
        for length in 0..60 {
            check(&vec![b'~'; length], true, false);
            for at in 0..length {
                let mut target = vec![b'~'; length];
                for byte in [b'#', b' ', b'\t', 0x7f, 0x80] {
                    target[at] = byte;
                    check(&target, false, false);
                }
                target[at] = b'?';
                check(&target, true, true);
            }
        }
    }
}
