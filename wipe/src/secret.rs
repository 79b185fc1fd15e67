//! A borrowed text that never shows in logs.

use std::fmt;

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
