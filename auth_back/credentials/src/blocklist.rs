//! What NIST SP 800-63B-4, section 3.1.1.2, has a new password compared with: passwords that are
//! commonly used, and words of the context such as the username and the name of the service.
//!
//! Compared is the *folded* password: NFKC, then lower case, so `PassWord`, and `ｐａｓｓｗｏｒｄ` typed
//! at full width, are as common as `password`. The list is folded likewise
//! (`data/common_passwords/README.md` says where it comes from) and stands in the program as a finite
//! automaton, which is smaller than the list and is searched where it lies, without copying anything.
//!
//! Left out on purpose: rules that take a common password apart (`p@ssw0rd` for `password`). What
//! people do with such rules is in the lists of breached passwords ([`super::breached`]), and a rule
//! that a user cannot guess only teaches the next trick.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::limits::{CONTEXT_LETTERS_MIN, FOLDED_BYTES_MAX};

/// The automaton, made by `build.rs`.
static BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/common_passwords.fst"));

static COMMON: LazyLock<fst::Set<&'static [u8]>> =
    LazyLock::new(|| fst::Set::new(BYTES).expect("build.rs made it with the same library"));

/// A password, folded for comparison. Wiped on drop.
pub struct Folded(Zeroizing<String>);

impl Folded {
    /// Folds a text: NFKC, then lower case. Cut off at [`FOLDED_BYTES_MAX`]: what is longer is on no
    /// list and made of no word.
    #[must_use]
    pub fn new(text: &str) -> Self {
        // Never grows, so no reallocation leaves a copy.
        let mut folded = Zeroizing::new(String::with_capacity(FOLDED_BYTES_MAX));
        for character in text.nfkc().flat_map(char::to_lowercase) {
            if folded.len() + character.len_utf8() > FOLDED_BYTES_MAX {
                break;
            }
            folded.push(character);
        }
        Self(folded)
    }

    /// Whether it is one of the common passwords.
    #[must_use]
    pub fn is_common(&self) -> bool {
        COMMON.contains(self.0.as_bytes())
    }

    /// Whether it is made of `word` alone: the word itself, or its letters, once or several times,
    /// with digits and signs put anywhere. So `Ada.Lovelace` is kept from `ada-lovelace-1815!`.
    ///
    /// Words of fewer than [`CONTEXT_LETTERS_MIN`] letters are compared as they stand: of a username
    /// such as `x1` every password with a single x would be made.
    #[must_use]
    pub fn is_made_of(&self, word: &str) -> bool {
        let word = Self::new(word);
        if *self.0 == *word.0 {
            return true;
        }
        if word.letters().count() < CONTEXT_LETTERS_MIN {
            return false;
        }
        let mut rest = self.letters().peekable();
        if rest.peek().is_none() {
            return false;
        }
        // As often as it fits, to the last letter.
        while rest.peek().is_some() {
            if !word.letters().all(|letter| rest.next() == Some(letter)) {
                return false;
            }
        }
        true
    }

    fn letters(&self) -> impl Iterator<Item = char> {
        self.0.chars().filter(|character| character.is_alphabetic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{COMMON_PASSWORDS_MIN, PASSWORD_CHARS_MIN_FLOOR};

    const WORDS: &str = include_str!("../data/common_passwords/common_passwords.txt");

    #[test]
    fn the_list_is_long_folded_and_found() {
        let mut count = 0;
        for word in WORDS.lines() {
            assert!(word.chars().count() >= PASSWORD_CHARS_MIN_FLOOR, "{word:?} is never chosen");
            let folded = Folded::new(word);
            assert_eq!(*folded.0, word, "the list has to be folded as passwords are");
            assert!(folded.is_common(), "{word:?}");
            count += 1;
        }
        assert!(count >= COMMON_PASSWORDS_MIN, "{count}");
    }

    #[test]
    fn common_passwords() {
        let check = |text: &str, expected: bool| {
            assert_eq!(Folded::new(text).is_common(), expected, "{text:?}");
        };
        check("password", true);
        check("PassWord", true);
        check("ｐａｓｓｗｏｒｄ", true);
        check("Qwertyuiop", true);
        check("1234567890", true);
        check("password ", false);
        check("passwor", false);
        check("correct horse battery", false);
        check("", false);
        check(&"a".repeat(5000), false);
    }

    #[test]
    fn words_of_the_context() {
        let check = |text: &str, word: &str, expected: bool| {
            assert_eq!(Folded::new(text).is_made_of(word), expected, "{text:?} of {word:?}");
        };
        check("lovelace", "lovelace", true);
        check("LoveLace", "lovelace", true);
        check("lovelace1815!", "lovelace", true);
        check("1815-love-lace", "lovelace", true);
        check("ada-ADA-ada", "ada", true);
        check("adalovelace", "ada.lovelace", true);
        check("gatehousegatehouse", "gatehouse", true);
        check("ada lovelace", "ada", false);
        check("adaad", "ada", false);
        check("ad", "ada", false);
        check("12345678", "ada", false);
        check("", "ada", false);
        // Too few letters to tell anything: only the word itself.
        check("7x!9$2-55", "x12345678", false);
        check("x12345678", "x12345678", true);
    }

    #[test]
    fn folding_takes_no_more_than_it_may() {
        // One code point that NFKC makes 18 of.
        let folded = Folded::new(&"\u{fdfa}".repeat(256));
        assert!(folded.0.len() <= FOLDED_BYTES_MAX);
        assert_eq!(folded.0.capacity(), FOLDED_BYTES_MAX);
    }
}
