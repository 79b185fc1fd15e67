//! What an account says about its owner beyond the username; all of it optional.

use crate::limits::{AGE_MAX, NAME_CHARS_MAX};

/// Why a display name is not taken. The user is at fault. Never repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing but blanks.
    #[error("a name, if there is one, has at least one visible character")]
    Empty,
    /// More code points than are stored.
    #[error("a name has at most {NAME_CHARS_MAX} characters")]
    TooLong,
    /// A control character (general category Cc), which could garble a terminal or a list.
    #[error("a name has no control characters, such as a line end or NUL")]
    ControlCharacter,
}

/// An age that nobody has. The user is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an age is from 0 to {AGE_MAX} years, not {0}")]
pub struct AgeError(u8);

/// Checks a display name; none is one too.
///
/// # Errors
///
/// [`NameError`] says why it cannot be shown.
pub fn name(text: Option<&str>) -> Result<Option<&str>, NameError> {
    let Some(text) = text else { return Ok(None) };
    if text.trim().is_empty() {
        return Err(NameError::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::ControlCharacter);
    }
    if text.chars().count() > NAME_CHARS_MAX {
        return Err(NameError::TooLong);
    }
    Ok(Some(text))
}

/// Checks an age in years; none is one too.
///
/// # Errors
///
/// [`AgeError`] when nobody is that old.
pub fn age(years: Option<u8>) -> Result<Option<u8>, AgeError> {
    match years {
        Some(years) if years > AGE_MAX => Err(AgeError(years)),
        years => Ok(years),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), NameError>) {
        assert_eq!(name(Some(text)).map(drop), expected, "{text:?}");
    }

    #[test]
    fn names() {
        check("Ada Lovelace", Ok(()));
        check("Ådá 李", Ok(()));
        check(&"x".repeat(NAME_CHARS_MAX), Ok(()));
        check(&"é".repeat(NAME_CHARS_MAX), Ok(()));
        check(&"x".repeat(NAME_CHARS_MAX + 1), Err(NameError::TooLong));
        check("", Err(NameError::Empty));
        check(" \u{a0}", Err(NameError::Empty));
        check("a\0b", Err(NameError::ControlCharacter));
        check("a\nb", Err(NameError::ControlCharacter));
        assert_eq!(name(None), Ok(None));
    }

    #[test]
    fn ages() {
        assert_eq!(age(Some(0)), Ok(Some(0)));
        assert_eq!(age(Some(AGE_MAX)), Ok(Some(AGE_MAX)));
        assert_eq!(age(Some(AGE_MAX + 1)), Err(AgeError(AGE_MAX + 1)));
        assert_eq!(age(None), Ok(None));
    }
}
