//! The token in `Authorization` (RFC 6750 section 2.1).
//!
//! Left out on purpose: tokens in the query or in a form body (RFC 6750 sections 2.2 and 2.3), which
//! end up in logs and histories.

use http1::{Head, Problem};

use super::problems;
use crate::token::Token;

/// The token of a request that needs one.
///
/// # Errors
/// 401, in words that tell a missing token from one that cannot be a token.
pub(super) fn token(head: &Head<'_>) -> Result<Token, Problem> {
    let value = head.field("Authorization").map_err(|_| problems::TOKEN_MALFORMED)?;
    let value = value.ok_or(problems::TOKEN_MISSING)?;
    let credentials = strip_scheme(value).ok_or(problems::TOKEN_MISSING)?;
    Token::new(credentials).ok_or(problems::TOKEN_MALFORMED)
}

/// What follows `Bearer`, which compares without regard to case (RFC 9110 section 11.1), and one
/// blank or more.
fn strip_scheme(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"Bearer";
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let blanks = rest.iter().take_while(|&&byte| byte == b' ').count();
    (scheme.eq_ignore_ascii_case(SCHEME) && blanks > 0).then(|| &rest[blanks..])
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
