//! The cookies of browsers (RFC 6265, and the prefixes of its successor): reading and setting.
//!
//! The prefix `__Host-` makes a browser refuse the cookie unless it is `Secure`, has `Path=/` and no
//! `Domain`, so that no other host, not even a subdomain, and nobody on the way can plant one.

use http1::Head;
use memchr::{memchr, memchr_iter};
use zeroize::Zeroizing;

use crate::limits::DEVICE_COOKIE_SECONDS;
use crate::token::{Device, Token};

/// Carries the session's token.
pub(super) const SESSION: &str = "__Host-session";

/// Carries the known-device marker. It outlives sessions, and goes with requests of this site alone.
pub(super) const DEVICE: &str = "__Host-device";

const SESSION_ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=";
const DEVICE_ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=";

/// A cookie that stands in a request twice. One of the two is not ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RepeatedCookie;

/// The value of the one cookie called `name`. Names compare by their bytes.
// Inlined, since most requests have no cookie.
#[inline(always)]
pub(super) fn only<'a>(head: &Head<'a>, name: &str) -> Result<Option<&'a [u8]>, RepeatedCookie> {
    let mut found = None;
    for value in head.fields("Cookie") {
        let mut start = 0;
        for end in memchr_iter(b';', value).chain([value.len()]) {
            let pair = &value[start..end];
            start = end + 1;
            let Some(equals) = memchr(b'=', pair) else { continue };
            if pair[..equals].trim_ascii() == name.as_bytes()
                && found.replace(pair[equals + 1..].trim_ascii()).is_some()
            {
                return Err(RepeatedCookie);
            }
        }
    }
    Ok(found)
}

/// `Set-Cookie` of a session.
pub(super) fn session(token: &Token, seconds: u64) -> Zeroizing<String> {
    set(SESSION, token.expose(), SESSION_ATTRIBUTES, seconds)
}

/// `Set-Cookie` that ends the cookie of a session.
pub(super) const NO_SESSION: &str =
    "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";

/// `Set-Cookie` of a known-device marker.
pub(super) fn device(device: &Device) -> Zeroizing<String> {
    set(DEVICE, device.expose(), DEVICE_ATTRIBUTES, DEVICE_COOKIE_SECONDS)
}

fn set(name: &str, value: &str, attributes: &str, seconds: u64) -> Zeroizing<String> {
    let seconds = seconds.to_string();
    let parts = [name, "=", value, attributes, &seconds];
    // All of it fits from the start, so no copy is left where the text has grown out of.
    let mut cookie =
        Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        cookie.push_str(part);
    }
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::FieldSlots;

    fn check(fields: &str, expected: Result<Option<&str>, RepeatedCookie>) {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        let head = Head::parse(head.as_bytes(), &mut slots).expect("a head of the test's own");
        assert_eq!(
            only(&head, "sid"),
            expected.map(|value| value.map(str::as_bytes)),
            "{fields:?}"
        );
    }

    #[test]
    fn a_cookie_is_found_by_its_name() {
        check("", Ok(None));
        check("Cookie: a=b\r\n", Ok(None));
        check("Cookie: sid=x\r\n", Ok(Some("x")));
        check("cookie: a=b; sid=x=y; c=d\r\n", Ok(Some("x=y")));
        check("Cookie: a=b;sid=x;c=d\r\n", Ok(Some("x")));
        check("Cookie:  sid = x \r\n", Ok(Some("x")));
        check("Cookie: a=b\r\nCookie: sid=x\r\n", Ok(Some("x")));
        check("Cookie: sid=\r\n", Ok(Some("")));
        check("Cookie: sid=\"x\"\r\n", Ok(Some("\"x\"")));
        // Not ours: another case, a longer name, no value, a value that looks like one.
        check("Cookie: SID=x; xsid=x; sidx=x; sid; a=sid=x\r\n", Ok(None));
        check("Cookie: ;;=;\r\n", Ok(None));
    }

    #[test]
    fn a_cookie_is_ended_with_the_attributes_that_it_was_set_with() {
        assert_eq!(NO_SESSION, &*set(SESSION, "", SESSION_ATTRIBUTES, 0));
    }

    #[test]
    fn of_two_cookies_none_is_taken() {
        check("Cookie: sid=x; sid=y\r\n", Err(RepeatedCookie));
        check("Cookie: sid=x; sid=x\r\n", Err(RepeatedCookie));
        check("Cookie: sid=x\r\nCookie: sid=x\r\n", Err(RepeatedCookie));
    }
}
