//! Later minor versions of HTTP/1: there is none, and who says one speaks 1.1 as well (RFC 9110 section 2.5).

use zeroize::Zeroizing;

/// The head of a later minor version as one of HTTP/1.1, which is the highest that this server knows; `None`
/// for all others. httparse knows no later ones, so such a head is parsed from this copy.
pub(crate) fn as_http_1_1(head: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let line_end = head.iter().position(|&byte| byte == b'\r')?;
    let [before @ .., minor] = &head[..line_end] else { return None };
    if !(matches!(minor, b'2'..=b'9') && before.ends_with(b" HTTP/1.")) {
        return None;
    }
    let mut copy = Zeroizing::new(head.to_vec());
    copy[line_end - 1] = b'1';
    Some(copy)
}
