//! Text that never shows in logs: borrowed, and owned.

use std::fmt;

use zeroize::Zeroize;

/// A password or token, borrowed from a frame or from the caller. `Debug` prints `***`; there is no
/// `Display`. Whoever owns the bytes wipes them.
///
/// It has no `==`: comparing secrets in a way that does not leak their content through time is the
/// business of the code that checks them.
///
/// # Examples
///
/// ```
/// let password = wipe::Secret::new("correct horse");
/// assert_eq!(format!("{password:?}"), "***");
/// assert_eq!(password.expose(), "correct horse");
/// ```
#[derive(Clone, Copy)]
pub struct Secret<'a>(&'a str);

impl<'a> Secret<'a> {
    /// Marks `text` as secret.
    #[inline]
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The text itself. Every call is a place to look at in a review.
    #[inline]
    #[must_use]
    pub const fn expose(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

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

    const BYTES_MAX: usize = 256;

    type Text = SecretText<BYTES_MAX>;

    fn check(text: &[u8], taken: bool) {
        assert_eq!(Text::new(text).is_some(), taken, "{text:?}");
    }

    #[test]
    fn only_what_could_be_a_token_is_taken() {
        check(b"ghs_AbZ-09._~+/==", true);
        check(&[b'a'; BYTES_MAX], true);
        check(&[b'a'; BYTES_MAX + 1], false);
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
        assert_eq!(format!("{:?}", Text::new(b"secret").unwrap()), "***");
    }
}
