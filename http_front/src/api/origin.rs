//! Whether a request was made by a page of this site (against cross-site request forgery).
//!
//! Browsers say it themselves in `Sec-Fetch-Site` (Fetch Metadata), which no script can set. Those
//! that do not send it send `Origin` with every POST, which is compared with `Host`; so a proxy in
//! front has to pass `Host` on as it came.

use http1::Head;

/// Whether the request comes from this site's own pages or from the user directly. Without either
/// field it is not known where it comes from, and the answer is no.
pub(super) fn is_ours(head: &Head<'_>) -> bool {
    match head.field("Sec-Fetch-Site") {
        Ok(Some(site)) => site == b"same-origin" || site == b"none",
        Ok(None) => match (head.field("Origin"), head.field("Host")) {
            (Ok(Some(origin)), Ok(Some(host))) => is_same_host(origin, host),
            _ => false,
        },
        Err(_) => false,
    }
}

/// Whether an origin (RFC 6454 section 6.2) is of this host. The scheme only says what port is meant
/// when none is named: TLS ends before this server, so it cannot know its own.
fn is_same_host(origin: &[u8], host: &[u8]) -> bool {
    for (scheme, port) in [(&b"https://"[..], &b":443"[..]), (b"http://", b":80")] {
        if let Some(authority) = origin.strip_prefix(scheme) {
            let bare =
                |host: &'_ [u8]| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
            return !authority.is_empty() && bare(authority) == bare(host);
        }
    }
    // `null` is the origin of a sandbox, and another scheme has no host of this kind.
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::FieldSlots;

    #[track_caller]
    fn check(host: &str, fields: &str, expected: bool) {
        let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        let head = Head::parse(head.as_bytes(), &mut slots).expect("a head of the test's own");
        assert_eq!(is_ours(&head), expected, "{host} {fields:?}");
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
            ("example.com", "http://example.com", true),
            ("Example.com", "https://example.COM", true),
            ("example.com:443", "https://example.com", true),
            ("example.com", "https://example.com:443", true),
            ("example.com:8443", "https://example.com:8443", true),
            ("127.0.0.1:8080", "http://127.0.0.1:8080", true),
            ("[::1]:8080", "http://[::1]:8080", true),
            ("example.com:80", "https://example.com", false),
            ("example.com", "https://example.com:8443", false),
            ("example.com", "https://example.com.evil.example", false),
            ("example.com", "https://evil.example", false),
            ("example.com", "https://sub.example.com", false),
            ("example.com", "https://example.com/", false),
            ("example.com", "null", false),
            ("example.com", "example.com", false),
            ("example.com", "https://", false),
            ("example.com", "", false),
        ] {
            check(host, &format!("Origin: {origin}\r\n"), expected);
        }
        check("a", "Origin: https://a\r\nOrigin: https://a\r\n", false);
    }

    #[test]
    fn without_either_nobody_knows() {
        check("a", "", false);
        check("a", "Referer: https://a/\r\n", false);
    }
}
