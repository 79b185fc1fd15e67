//! The token of a request: in `Authorization` (RFC 6750 section 2.1), or in a cookie.
//!
//! Left out on purpose: tokens in the query or in a form body (RFC 6750 sections 2.2 and 2.3), which
//! end up in logs and histories.

use std::net::IpAddr;

use http1::{Head, Problem};

use super::{cookies, origin, problems};
use crate::proxies::TrustedProxies;
use crate::token::Token;
use crate::work::Delivery;

/// A token, and where it was.
pub struct Credentials {
    /// The token.
    pub token: Token,
    /// Where the client keeps it.
    pub delivery: Delivery,
}

/// The credentials of a request that needs a session and changes nothing.
///
/// # Errors
/// 401, in words that tell a missing token from one that cannot be a token. So is whatever leaves a
/// choice between two tokens: taking one of them would be a guess.
pub(super) fn of(head: &Head<'_>) -> Result<Credentials, Problem> {
    let (text, delivery) = text_of(head)?;
    let token = Token::new(text).ok_or(problems::TOKEN_MALFORMED)?;
    Ok(Credentials { token, delivery })
}

/// The same, where it lies in the head and not yet looked at.
///
/// # Errors
/// As [`of`], except that any text is taken.
pub(super) fn text_of<'a>(head: &Head<'a>) -> Result<(&'a [u8], Delivery), Problem> {
    let header = head.field("Authorization").map_err(|_| problems::TOKEN_MALFORMED)?;
    let cookie = cookies::only(head, cookies::SESSION).map_err(|_| problems::TOKEN_MALFORMED)?;
    // Another scheme is somebody else's, such as that of a proxy.
    match (header.and_then(strip_scheme), cookie) {
        (Some(header), Some(cookie)) if header == cookie => Ok((header, Delivery::Both)),
        (Some(_), Some(_)) => Err(problems::TOKEN_MALFORMED),
        (Some(header), None) => Ok((header, Delivery::Content)),
        (None, Some(cookie)) => Ok((cookie, Delivery::Cookie)),
        (None, None) => Err(problems::TOKEN_MISSING),
    }
}

/// The credentials of a request that changes something. Browsers send cookies with requests that
/// another site has made them send, but never `Authorization`; so a request that has its token from
/// a cookie alone has to show that it comes from this site.
///
/// # Errors
/// As [`of`]; 403 for a request of another site.
pub(super) fn for_change(
    head: &Head<'_>,
    peer: IpAddr,
    proxies: &TrustedProxies,
) -> Result<Credentials, Problem> {
    let credentials = of(head)?;
    if credentials.delivery == Delivery::Cookie && !origin::is_ours(head, peer, proxies) {
        return Err(problems::CROSS_SITE);
    }
    Ok(credentials)
}

/// Whether there is a token, or something in its place, in `Authorization`.
pub(super) fn is_in_header(head: &Head<'_>) -> bool {
    head.fields("Authorization").any(|value| strip_scheme(value).is_some())
}

/// What follows `Bearer`, which compares without regard to case (RFC 9110 section 11.1), and one
/// blank or more.
fn strip_scheme(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"Bearer";
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let blanks = rest.iter().take_while(|&&byte| byte == b' ').count();
    // Most clients spell it as we do, and that is quicker to see.
    let is_ours = scheme == SCHEME || scheme.eq_ignore_ascii_case(SCHEME);
    (is_ours && blanks > 0).then(|| &rest[blanks..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<&str>) {
        let stripped = strip_scheme(value.as_bytes());
        assert_eq!(stripped, expected.map(str::as_bytes), "{value:?}");
    }

    #[test]
    fn the_scheme_is_bearer_and_a_blank() {
        check("Bearer abc", Some("abc"));
        check("bearer  abc", Some("abc"));
        check("BEARER abc def", Some("abc def"));
        check("Bearer ", Some(""));
        check("Bearer", None);
        check("Bearerabc", None);
        check("Basic YWRhOnB3", None);
        check("", None);
    }
}
