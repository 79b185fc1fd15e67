//! A session token as it came from a client: text that this server cannot judge, only pass on.

use std::fmt;
use std::hash::{Hash, Hasher};

use zeroize::Zeroize;

use crate::limits::TOKEN_BYTES_MAX;

/// 1 to [`TOKEN_BYTES_MAX`] bytes of what a bearer token is made of (RFC 6750 section 2.1), held in
/// place and wiped when dropped. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Token {
    bytes: [u8; TOKEN_BYTES_MAX],
    len: u8,
}

const _: () = assert!(TOKEN_BYTES_MAX <= u8::MAX as usize);

impl Token {
    /// Takes a token. `None` when it is empty, too long, or has characters that no token has.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let len = u8::try_from(text.len()).ok().filter(|&len| len > 0)?;
        if text.len() > TOKEN_BYTES_MAX || !text.iter().all(is_token_byte) {
            return None;
        }
        let mut bytes = [0; TOKEN_BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text);
        Some(Self { bytes, len })
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        // Every byte was checked to be ASCII, so the empty text never comes.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// b64token: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`, and the prefix of our
/// own tokens is within it. Where `=` may stand is left to whoever judges the token.
fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)
}

/// Not constant in time: it compares a token with those that hash alike under a random seed, so
/// there is nothing that an attacker could bring close to a live token byte by byte.
impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Token {}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], taken: bool) {
        assert_eq!(Token::new(text).is_some(), taken, "{text:?}");
    }

    #[test]
    fn only_what_could_be_a_token_is_taken() {
        check(b"ghs_AbZ-09._~+/==", true);
        check(&[b'a'; TOKEN_BYTES_MAX], true);
        check(&[b'a'; TOKEN_BYTES_MAX + 1], false);
        check(b"", false);
        check(b"two words", false);
        check(b"nul\0", false);
        check("caf\u{e9}".as_bytes(), false);
        check(&[b'a'; 300], false);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Token::new(b"secret").unwrap()), "***");
    }
}
