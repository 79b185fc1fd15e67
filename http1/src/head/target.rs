//! The request target and its forms (RFC 9112 section 3.2).

use memchr::{memchr, memchr_iter};

use crate::head::host::is_host_and_port;
use crate::head::method::Method;

/// What a target says, not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// Of an absolute form.
    pub(super) authority: Option<&'a [u8]>,
    /// It is an absolute form with the scheme `https`.
    pub(super) is_https: bool,
}

impl<'a> Target<'a> {
    /// Takes a target apart. CONNECT's authority form never gets here.
    ///
    /// Inlined, and put together of parts that fit into registers: whatever is written to memory in parts and
    /// copied as a whole waits for the processor's store buffer.
    #[inline(always)]
    pub(super) fn parse(text: &'a str, method: Method) -> Option<Self> {
        let Bytes { sound, special } = look_at(text.as_bytes());
        if !sound || (special && !is_percent_encoding_sound(text.as_bytes())) {
            return None;
        }
        let is_origin_or_asterisk =
            text.starts_with('/') || (text == "*" && method == Method::Options);
        let (is_https, authority, rest) =
            if is_origin_or_asterisk { (false, None, text) } else { split_authority(text)? };
        let query_at = if special { memchr(b'?', rest.as_bytes()) } else { None };
        let (path, query) = match query_at {
            None => (rest, None),
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        };
        let path = match (path, query, method) {
            // The absolute form of `*` (RFC 9112 section 3.2.4).
            ("", None, Method::Options) => "*",
            // `http://host` and `http://host?query` name the root.
            ("", ..) => "/",
            _ => path,
        };
        Some(Self { path, query, authority, is_https })
    }
}

/// Takes an absolute form apart: whether its scheme is `https`, its authority, what follows.
#[inline(never)]
fn split_authority(text: &str) -> Option<(bool, Option<&[u8]>, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_https = scheme.eq_ignore_ascii_case("https");
    if !is_https && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    let authority = authority.as_bytes();
    is_host_and_port(authority).then_some((is_https, Some(authority), rest))
}

/// Whether each `%` has its two digits (RFC 3986 section 2.1). Nothing is decoded here, but what two parsers
/// would decode to different paths is better refused.
#[inline(never)]
fn is_percent_encoding_sound(target: &[u8]) -> bool {
    memchr_iter(b'%', target).all(|at| {
        matches!(&target[at + 1..], [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

/// What the bytes of a target tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bytes {
    /// There is nothing among them that never belongs there: a fragment; controls, blanks and bytes over 0x7F,
    /// which would mean different things to different parsers on the way.
    sound: bool,
    /// There is a `?` or a `%`.
    special: bool,
}

/// So many bytes are looked at together, whatever is found, that it is done in vectors; the last ones perhaps
/// twice.
fn look_at(target: &[u8]) -> Bytes {
    const LANES: usize = 16;
    let mut found = Bytes { sound: true, special: false };
    let mut look = |piece: &[u8]| {
        for &byte in piece {
            found.sound &= byte.is_ascii_graphic() & (byte != b'#');
            found.special |= (byte == b'?') | (byte == b'%');
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
        check(Method::Get, "/%41%2f", Some(("/%41%2f", None)));
        check(Method::Options, "*", Some(("*", None)));
        check(Method::Options, "http://example.com", Some(("*", None)));
        check(Method::Options, "http://example.com/", Some(("/", None)));
        check(Method::Options, "http://example.com?", Some(("/", Some(""))));
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
        let check = |target: &[u8], sound: bool, special: bool| {
            assert_eq!(look_at(target), Bytes { sound, special }, "{target:x?}");
        };
        for length in 0..60 {
            check(&vec![b'~'; length], true, false);
            for at in 0..length {
                let mut target = vec![b'~'; length];
                for byte in [b'#', b' ', b'\t', 0x7f, 0x80] {
                    target[at] = byte;
                    check(&target, false, false);
                }
                for byte in [b'?', b'%'] {
                    target[at] = byte;
                    check(&target, true, true);
                }
            }
        }
    }
}
