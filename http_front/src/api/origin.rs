//! Whether a request was made by a page of this site (against cross-site request forgery).
//!
//! Browsers say it themselves in `Sec-Fetch-Site` (Fetch Metadata), which no script can set. Those
//! that do not send it send `Origin` with every POST, which is compared with whom the request is for; so a
//! proxy in front has to pass `Host` on as it came.
//!
//! The scheme is part of an origin: whoever is on the way between a user and this site can be `http://` of its
//! host, and cannot be `https://` of it. So an `http` origin is ours only if users do come by plain HTTP:
//!
//! | who says so | `https` origin | `http` origin |
//! |---|---|---|
//! | a trusted proxy: `X-Forwarded-Proto: http` | ours | ours |
//! | a trusted proxy: `X-Forwarded-Proto: https` | ours | not ours |
//! | nobody, and the host is this machine (`localhost`, 127.0.0.1) | ours | ours: nobody is on that way |
//! | nobody, for any other host | ours | not ours |
//!
//! An `https` origin is ours whatever a proxy says: of two proxies in a row, the inner one calls `http` what came
//! to the outer one by TLS.

use std::net::{IpAddr, Ipv4Addr};

use http1::Head;

use crate::proxies::TrustedProxies;

/// Whether the request, which came from `peer`, is one of this site's own pages or of the user directly. Without
/// either field it is not known where it comes from, and the answer is no.
pub(super) fn is_ours(head: &Head<'_>, peer: IpAddr, proxies: &TrustedProxies) -> bool {
    match head.field("Sec-Fetch-Site") {
        Ok(Some(site)) => site == b"same-origin" || site == b"none",
        Ok(None) => match (head.field("Origin"), head.authority()) {
            (Ok(Some(origin)), Some(authority)) => {
                is_same_origin(origin, authority, || forwarded_scheme(head, peer, proxies))
            }
            _ => false,
        },
        Err(_) => false,
    }
}

/// How a user came to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// What a trusted proxy says of the scheme. Of several values it is not known who wrote which, so none counts.
fn forwarded_scheme(head: &Head<'_>, peer: IpAddr, proxies: &TrustedProxies) -> Option<Scheme> {
    if !proxies.contains(peer) {
        return None;
    }
    match head.field("X-Forwarded-Proto") {
        Ok(Some(value)) if value.eq_ignore_ascii_case(b"http") => Some(Scheme::Http),
        Ok(Some(value)) if value.eq_ignore_ascii_case(b"https") => Some(Scheme::Https),
        _ => None,
    }
}

/// Whether an origin (RFC 6454 section 6.2) is that of a request for `authority`.
fn is_same_origin(
    origin: &[u8],
    authority: &[u8],
    forwarded_scheme: impl FnOnce() -> Option<Scheme>,
) -> bool {
    let is_same = |origin: &[u8], port: u32| {
        let (origin, authority) = (HostAndPort::of(origin, port), HostAndPort::of(authority, port));
        origin.is_some() && origin == authority
    };
    if let Some(origin) = origin.strip_prefix(b"https://") {
        return is_same(origin, 443);
    }
    if let Some(origin) = origin.strip_prefix(b"http://") {
        let is_plain = || match forwarded_scheme() {
            Some(scheme) => scheme == Scheme::Http,
            None => HostAndPort::of(authority, 80).is_some_and(|it| it.is_this_machine()),
        };
        return is_same(origin, 80) && is_plain();
    }
    // `null` is the origin of a sandbox, and another scheme has no host of this kind.
    false
}

/// An authority by what makes it another one (RFC 9110 section 4.2.3): its host in lower case, and the number of
/// its port.
#[derive(PartialEq, Eq)]
struct HostAndPort {
    host: Vec<u8>,
    port: u32,
}

impl HostAndPort {
    /// `None` when it has no host, or a port that is no number. A port that is missing or empty is `default_port`.
    fn of(authority: &[u8], default_port: u32) -> Option<Self> {
        // The colons of an IPv6 address are within its brackets.
        let port_at = authority.iter().rposition(|&byte| byte == b':' || byte == b']');
        let (host, port) = match port_at {
            Some(at) if authority[at] == b':' => (&authority[..at], &authority[at + 1..]),
            _ => (authority, &[][..]),
        };
        let port = if port.is_empty() { default_port } else { number(port)? };
        (!host.is_empty()).then(|| Self { host: host.to_ascii_lowercase(), port })
    }

    /// Whether a browser reaches this host without a network, so that nobody can be on the way (Secure Contexts,
    /// section 3.1).
    fn is_this_machine(&self) -> bool {
        let is_loopback = |text: &[u8]| {
            str::from_utf8(text).ok()?.parse().ok().map(|ip: Ipv4Addr| ip.is_loopback())
        };
        matches!(&self.host[..], b"localhost" | b"[::1]")
            || self.host.ends_with(b".localhost")
            || is_loopback(&self.host) == Some(true)
    }
}

/// A port in decimal digits, perhaps with zeros before it.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::FieldSlots;

    const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    /// A request to `target`, such as `/` with `Host: a`.
    #[track_caller]
    fn check_request(peer: IpAddr, target: &str, fields: &str, expected: bool) {
        let head = format!("POST {target} HTTP/1.1\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        let head = Head::parse(head.as_bytes(), &mut slots).expect("a head of the test's own");
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().expect("a network")]);
        assert_eq!(is_ours(&head, peer, &proxies), expected, "{peer} {target} {fields:?}");
    }

    #[track_caller]
    fn check(host: &str, fields: &str, expected: bool) {
        check_request(STRANGER, "/", &format!("Host: {host}\r\n{fields}"), expected);
    }

    #[test]
    fn the_browser_says_where_a_request_comes_from() {
        for (site, expected) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("Same-Origin", false),
            ("", false),
        ] {
            check("a", &format!("Sec-Fetch-Site: {site}\r\n"), expected);
            // `Origin` does not count then, whatever it says.
            check("a", &format!("Origin: https://a\r\nSec-Fetch-Site: {site}\r\n"), expected);
            check("a", &format!("Origin: https://b\r\nSec-Fetch-Site: {site}\r\n"), expected);
        }
        check("a", "Sec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n", false);
    }

    #[test]
    fn or_else_its_origin_does() {
        for (host, origin, expected) in [
            ("example.com", "https://example.com", true),
            ("Example.com", "https://example.COM", true),
            ("example.com:443", "https://example.com", true),
            ("example.com", "https://example.com:443", true),
            ("example.com:8443", "https://example.com:8443", true),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443", true),
            ("[2001:db8::1]", "https://[2001:DB8::1]", true),
            // An empty port is the usual one, and zeros before it change nothing.
            ("shop.example:", "https://shop.example", true),
            ("shop.example:0443", "https://shop.example", true),
            ("shop.example:00008443", "https://shop.example:8443", true),
            ("[::1]:", "https://[::1]", true),
            ("shop.example:0", "https://shop.example", false),
            ("shop.example:4430", "https://shop.example", false),
            ("example.com:80", "https://example.com", false),
            ("example.com:443", "https://example.com:4430", false),
            ("example.com", "https://example.com:8443", false),
            ("example.com", "https://example.com.evil.example", false),
            ("example.com", "https://evil.example", false),
            ("example.com", "https://sub.example.com", false),
            ("example.com", "https://example.com/", false),
            ("example.com", "https://user@example.com", false),
            ("example.com", "https://example.com:443:443", false),
            ("example.com", "https://example.com:+443", false),
            ("[2001:db8::1]", "https://[2001:db8::1", false),
            ("example.com", "null", false),
            ("example.com", "example.com", false),
            ("example.com", "HTTPS://example.com", false),
            ("example.com", "https://", false),
            ("example.com", "https://:443", false),
            ("example.com", "", false),
        ] {
            check(host, &format!("Origin: {origin}\r\n"), expected);
        }
        check("a", "Origin: https://a\r\nOrigin: https://a\r\n", false);
    }

    #[test]
    fn the_scheme_is_part_of_an_origin() {
        // Whoever is on the way can be http://shop.example.
        check("shop.example", "Origin: http://shop.example\r\n", false);
        check("shop.example:8080", "Origin: http://shop.example:8080\r\n", false);
        check("192.168.0.1:8080", "Origin: http://192.168.0.1:8080\r\n", false);
        // Nobody is on the way to this machine, which is how `./run` is used.
        for host in [
            "127.0.0.1:8080",
            "127.1.2.3",
            "localhost:8080",
            "LocalHost",
            "shop.localhost",
            "[::1]:8080",
        ] {
            check(host, &format!("Origin: http://{host}\r\n"), true);
            check(host, &format!("Origin: https://{host}\r\n"), true);
            check(host, "Origin: http://evil.example\r\n", false);
            check(host, "Origin: http://localhost:9999\r\n", false);
        }
        for host in ["localhost.example", "notlocalhost", "127.0.0.1.example", "128.0.0.1", "[::2]"]
        {
            check(host, &format!("Origin: http://{host}\r\n"), false);
        }
    }

    #[test]
    fn a_trusted_proxy_says_how_users_came() {
        let check = |peer, forwarded: &str, origin: &str, expected| {
            let fields = format!("Host: shop.example\r\n{forwarded}Origin: {origin}\r\n");
            check_request(peer, "/", &fields, expected);
        };
        let (http, https) = ("http://shop.example", "https://shop.example");
        let said = |scheme: &str| format!("X-Forwarded-Proto: {scheme}\r\n");
        // An https origin is ours whoever ended TLS, named or not, and whatever an inner proxy calls it.
        for forwarded in ["", &said("https"), &said("http"), &said("https, http"), &said("wss")] {
            check(PROXY, forwarded, https, true);
            check(STRANGER, forwarded, https, true);
        }
        check(PROXY, &said("http"), http, true);
        check(PROXY, &said("HTTP"), http, true);
        for forwarded in [
            "",
            &said("https"),
            &said(""),
            &said("http, http"),
            &said("http, https"),
            &said("http").repeat(2),
        ] {
            check(PROXY, forwarded, http, false);
        }
        // Anybody can write it.
        check(STRANGER, &said("http"), http, false);
        // A proxy on this machine that says https means it.
        let fields =
            |scheme| format!("Host: localhost\r\n{}Origin: http://localhost\r\n", said(scheme));
        check_request(PROXY, "/", &fields("https"), false);
        check_request(PROXY, "/", &fields("http"), true);
        check_request(STRANGER, "/", &fields("https"), true);
    }

    #[test]
    fn the_authority_of_the_target_is_the_one_that_counts() {
        let check = |target: &str, origin: &str, expected| {
            check_request(
                STRANGER,
                target,
                &format!("Host: inner.example\r\nOrigin: {origin}\r\n"),
                expected,
            );
        };
        for target in [
            "https://shop.example/",
            "http://shop.example/open_api/v1/logout?a",
            "https://shop.example:443",
        ] {
            check(target, "https://shop.example", true);
            check(target, "https://inner.example", false);
            check(target, "http://shop.example", false);
        }
        check("/", "https://inner.example", true);
        check("/https://shop.example/", "https://shop.example", false);
        check("https://shop.example:8443/", "https://shop.example", false);
        // HTTP/1.0 without either.
        let head = "POST / HTTP/1.0\r\nOrigin: https://a\r\n\r\n";
        let mut slots = FieldSlots::new();
        let head = Head::parse(head.as_bytes(), &mut slots).expect("a head of the test's own");
        assert!(!is_ours(&head, STRANGER, &TrustedProxies::default()));
    }

    #[test]
    fn without_either_nobody_knows() {
        check("a", "", false);
        check("a", "Referer: https://a/\r\n", false);
    }
}
