//! Currencies, as fields carry them.

use std::fmt;

use crate::limits::CURRENCY_BYTES;

/// A currency's alphabetic code in the form of ISO 4217, such as `EUR`. Which codes are in use is
/// not checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency<'a>(&'a str);

impl<'a> Currency<'a> {
    /// A code; `None` unless it is three upper-case ASCII letters.
    ///
    /// # Examples
    ///
    /// ```
    /// use framing::v2::Currency;
    /// assert!(Currency::new("EUR").is_some());
    /// assert!(Currency::new("eur").is_none());
    /// ```
    #[must_use]
    pub fn new(code: &'a str) -> Option<Self> {
        let well_formed =
            code.len() == CURRENCY_BYTES && code.bytes().all(|byte| byte.is_ascii_uppercase());
        well_formed.then_some(Self(code))
    }

    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Currency<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
