//! The name that somebody logs in with.

use std::fmt;

use super::limits::{USERNAME_LEN_MAX, USERNAME_LEN_MIN};

/// A username: 3 to 32 of `a-z 0-9 . _ -`, the first a letter.
///
/// Upper-case ASCII letters are folded on the way in, so `Ada` and `ada` are one user. Nothing
/// beyond ASCII is let in, so no two names look alike but differ in their bytes (Unicode Technical
/// Standard 39 calls those confusables), and no normalisation is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(Box<str>);

/// Why a text is not a username. The user is at fault.
///
/// Never repeats the text: at most one code point of it, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// Fewer than [`USERNAME_LEN_MIN`] characters.
    #[error("a username has at least {USERNAME_LEN_MIN} characters")]
    TooShort,
    /// More than [`USERNAME_LEN_MAX`] characters.
    #[error("a username has at most {USERNAME_LEN_MAX} characters")]
    TooLong,
    /// The first character is not a letter.
    #[error("a username starts with a letter from a to z")]
    FirstNotLetter,
    /// A character outside the convention.
    #[error(
        "a username is made of the letters a to z, digits, '.', '_' and '-'; \
         character {position} is U+{:04X}", u32::from(*.character)
    )]
    Character {
        /// The first such character.
        character: char,
        /// Where it stands, counted in characters from 1.
        position: usize,
    },
}

impl Username {
    /// Reads a username as a user typed it.
    ///
    /// Looks at no more than [`USERNAME_LEN_MAX`] + 1 characters, however long the text is.
    ///
    /// ```
    /// use credentials::Username;
    ///
    /// assert_eq!(Username::new("Ada.Lovelace")?.as_str(), "ada.lovelace");
    /// assert!(Username::new("1337").is_err());
    /// # Ok::<(), credentials::UsernameError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UsernameError`] names the rule that the text breaks.
    pub fn new(text: &str) -> Result<Self, UsernameError> {
        for (index, character) in text.chars().enumerate() {
            if index == USERNAME_LEN_MAX {
                return Err(UsernameError::TooLong);
            }
            if !is_allowed(character) {
                return Err(UsernameError::Character { character, position: index + 1 });
            }
        }
        // Every character is ASCII from here on: bytes and characters are the same count.
        if text.len() < USERNAME_LEN_MIN {
            return Err(UsernameError::TooShort);
        }
        if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(UsernameError::FirstNotLetter);
        }
        Ok(Self(text.to_ascii_lowercase().into_boxed_str()))
    }

    /// The folded name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, UsernameError>) {
        let found = Username::new(text);
        assert_eq!(found.as_ref().map(Username::as_str).map_err(|error| *error), expected);
    }

    fn character(character: char, position: usize) -> Result<&'static str, UsernameError> {
        Err(UsernameError::Character { character, position })
    }

    #[test]
    fn lengths() {
        check("", Err(UsernameError::TooShort));
        check("ab", Err(UsernameError::TooShort));
        check("abc", Ok("abc"));
        check(&"a".repeat(32), Ok(&"a".repeat(32)));
        check(&"a".repeat(33), Err(UsernameError::TooLong));
        check(&"a".repeat(1 << 20), Err(UsernameError::TooLong));
    }

    #[test]
    fn first_is_a_letter() {
        for text in ["1abc", ".abc", "_abc", "-abc"] {
            check(text, Err(UsernameError::FirstNotLetter));
        }
        check("a1._-", Ok("a1._-"));
    }

    #[test]
    fn folds_case() {
        check("ADA.Lovelace", Ok("ada.lovelace"));
    }

    #[test]
    fn refuses_everything_else() {
        check("ab c", character(' ', 3));
        check("abc\n", character('\n', 4));
        check("abc\0", character('\0', 4));
        check("ab/c", character('/', 3));
        check("аda", character('а', 1)); // Cyrillic a
        check("ada\u{202e}", character('\u{202e}', 4));
        check("Kelvin\u{212a}", character('\u{212a}', 7)); // folds to k outside ASCII rules
    }

    #[test]
    fn the_error_shows_one_character_by_number() {
        let error = Username::new("ab\u{202e}\u{7}").unwrap_err();
        assert!(error.to_string().ends_with("character 3 is U+202E"), "{error}");
    }

    proptest! {
        /// Whatever gets in keeps to the convention, and reading it again changes nothing.
        #[test]
        fn accepted_names_keep_to_the_convention(text in "[a-zA-Z0-9._-]{0,40}|\\PC{0,40}") {
            if let Ok(name) = Username::new(&text) {
                let name = name.as_str();
                prop_assert!((3..=32).contains(&name.len()));
                prop_assert!(name.starts_with(|c: char| c.is_ascii_lowercase()));
                prop_assert!(name.bytes().all(|b| b"abcdefghijklmnopqrstuvwxyz0123456789._-".contains(&b)));
                let again = Username::new(name).unwrap();
                prop_assert_eq!(again.as_str(), name);
            }
        }
    }
}
