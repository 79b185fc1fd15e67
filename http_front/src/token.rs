//! What proves something for a client: text that this server cannot judge, only pass on.

use std::fmt;

use zeroize::Zeroize;

use crate::limits::{DEVICE_BYTES_MAX, TOKEN_BYTES_MAX};

/// A session token as it came from a client, or goes to one.
pub type Token = SecretText<TOKEN_BYTES_MAX>;

/// A known-device marker, likewise.
pub type Device = SecretText<DEVICE_BYTES_MAX>;

/// 1 to `BYTES_MAX` bytes of what a bearer token is made of (RFC 6750 section 2.1), wiped when
/// dropped. `Debug` shows nothing of it.
///
/// The text is on the heap although it is short: a value that holds its bytes in place leaves a copy
/// behind wherever it is moved from, on stacks and in queues, and dropping wipes the last one only.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText<const BYTES_MAX: usize>(Box<[u8]>);

impl<const BYTES_MAX: usize> SecretText<BYTES_MAX> {
    /// Takes a text. `None` when it is empty, too long, or has characters that no token has.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= BYTES_MAX;
        (fits && text.iter().all(|byte| TOKEN_BYTES[usize::from(*byte)])).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        // Every byte was checked to be ASCII, so the empty text never comes.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// b64token: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`, and the prefix of our
/// own tokens is within it. Where `=` may stand is left to whoever judges the token. All of these
/// may stand in a cookie's value too (RFC 6265 section 4.1.1).
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = is_token_byte(byte);
        byte += 1;
    }
    table
};

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

impl<const BYTES_MAX: usize> Drop for SecretText<BYTES_MAX> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const BYTES_MAX: usize> fmt::Debug for SecretText<BYTES_MAX> {
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
        check(b"a;b", false);
        check(b"\"quoted\"", false);
        check("caf\u{e9}".as_bytes(), false);
        check(&[b'a'; 300], false);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Token::new(b"secret").unwrap()), "***");
    }
}
