//! A password on its way to being hashed.
//!
//! NIST SP 800-63B-4, section 3.1.1.2, is followed: length is counted in Unicode code points, all
//! printing characters and the space are welcome, nothing is truncated, no mixture of kinds of
//! characters is demanded, and text is normalised to NFC, because keyboards and systems differ in how
//! they compose an accented letter. Beyond that it is untouched: case, width and spaces count.
//!
//! Control characters are refused, as RFC 8265, section 4.2, does (through RFC 8264, section 4.3.3).
//! They cannot be typed into a password field, so one means a broken client, such as one that sends
//! the line end along; hashing it would lock its user out of every other client. NUL also ends a
//! string in most C libraries, so a system that passwords are moved to or from could silently drop
//! what follows.
//!
//! What is left out:
//!
//! - Code points that Unicode has not assigned yet are let in, although the normalisation for
//!   stabilised strings (Unicode Standard Annex 15, section 12.1) refuses them. Refusing them would
//!   refuse new letters and emoji whenever this server's tables are older than the user's phone. The
//!   price: a later Unicode version may give one a composition, and that password then no longer
//!   matches.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use wipe::Expose;
use zeroize::Zeroizing;

use super::limits::{
    PASSWORD_CHARS_CEILING, PASSWORD_CHARS_MAX_DEFAULT, PASSWORD_CHARS_MAX_FLOOR,
    PASSWORD_CHARS_MIN_DEFAULT, PASSWORD_CHARS_MIN_FLOOR, PASSWORD_INPUT_BYTES_MAX,
    PASSWORD_NFC_BYTES_MAX,
};

/// A normalised password: wiped on drop, printed as `***`, never compared.
///
/// The text it was made from stays the caller's to wipe.
pub struct Password {
    nfc: Zeroizing<String>,
    /// The text as it was sent, where it is another and another system may have hashed that.
    as_typed: Option<Zeroizing<String>>,
}

/// How long a new password may be, in code points of its NFC form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordPolicy {
    chars_min: usize,
    chars_max: usize,
}

/// Why a text is not a password. The user is at fault. Never repeats any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing at all.
    #[error("the password is empty")]
    Empty,
    /// Fewer code points than allowed.
    #[error("the password is too short: it needs at least {chars_min} characters")]
    TooShort {
        /// The fewest that are allowed, in code points.
        chars_min: usize,
    },
    /// More code points than allowed, or a text too long to be worth counting.
    #[error("the password is too long: at most {chars_max} characters are allowed")]
    TooLong {
        /// The most that are allowed, in code points.
        chars_max: usize,
    },
    /// A control character (general category Cc: U+0000 to U+001F, U+007F to U+009F).
    #[error("the password contains a control character, such as a line end or NUL")]
    ControlCharacter,
    /// On the list of common passwords.
    #[error("the password is one of those that are guessed first: many people use it")]
    Common,
    /// Made of the username or a name of the service.
    #[error("the password is made of nothing but the username or the name of this service")]
    Contextual,
    /// In the file of breached passwords.
    #[error(
        "the password was stolen from some other service before, and is tried everywhere since"
    )]
    Breached,
    /// Nobody's fault but a disk's: whether it is in the file of breached passwords is not known. The
    /// log says more.
    #[error("the password could not be compared with those that were stolen before")]
    NotCompared,
}

impl Password {
    /// Reads a password that somebody offers to prove who they are.
    ///
    /// The policy does not apply: it may have become stricter since the password was chosen, or the
    /// password may come from another system with another policy, and its owner must still get in.
    /// What no registration could ever have taken (nothing at all, over
    /// [`PASSWORD_CHARS_CEILING`] code points, a control character) is an error here too, to be
    /// answered as a malformed request (400) rather than a wrong password (401); it is no secret
    /// that such a password is nobody's.
    ///
    /// # Errors
    ///
    /// [`PasswordError`] names the rule that it breaks.
    pub fn for_login(text: &str) -> Result<Self, PasswordError> {
        let bounds = PasswordPolicy { chars_min: 1, chars_max: PASSWORD_CHARS_CEILING };
        let mut password = normalise(text, bounds)?;
        if *password.nfc != text {
            password.as_typed = Some(Zeroizing::new(text.to_owned()));
        }
        Ok(password)
    }

    /// The text in NFC, to be compared with what is easily guessed.
    pub(crate) fn text(&self) -> &str {
        &self.nfc
    }

    /// The bytes that a system hashed which does not normalise, if they are others: UTF-8, at most
    /// [`PASSWORD_INPUT_BYTES_MAX`].
    pub(super) fn expose_as_typed(&self) -> Option<&[u8]> {
        self.as_typed.as_deref().map(String::as_bytes)
    }
}

/// Checks and normalises in one pass into a buffer that never grows, so that no reallocation leaves
/// an unwiped copy behind.
///
/// The normaliser itself keeps up to a few code points at a time in buffers of its own, which it
/// does not wipe; a run of many combining marks is the one thing that makes it keep more.
pub(crate) fn normalise(text: &str, bounds: PasswordPolicy) -> Result<Password, PasswordError> {
    let PasswordPolicy { chars_min, chars_max } = bounds;
    if text.is_empty() {
        return Err(PasswordError::Empty);
    }
    if text.len() > PASSWORD_INPUT_BYTES_MAX {
        return Err(PasswordError::TooLong { chars_max });
    }
    let mut normalised = Zeroizing::new(String::with_capacity(PASSWORD_NFC_BYTES_MAX));
    for (count, character) in text.nfc().enumerate() {
        if count == chars_max {
            return Err(PasswordError::TooLong { chars_max });
        }
        if character.is_control() {
            return Err(PasswordError::ControlCharacter);
        }
        normalised.push(character);
    }
    if normalised.chars().count() < chars_min {
        return Err(PasswordError::TooShort { chars_min });
    }
    Ok(Password { nfc: normalised, as_typed: None })
}

/// For those who hash it. Crates that have no business with its bytes do not name `wipe`.
impl Expose for Password {
    /// The bytes that are hashed: UTF-8 in NFC, at most [`PASSWORD_NFC_BYTES_MAX`].
    fn expose(&self) -> &[u8] {
        self.nfc.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// Why a pair of bounds is not a policy. The operator who set them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The lower bound is out of range.
    #[error(
        "the shortest password must be from {PASSWORD_CHARS_MIN_FLOOR} to \
         {PASSWORD_CHARS_MAX_FLOOR} characters, not {0}"
    )]
    Min(usize),
    /// The upper bound is out of range.
    #[error(
        "the longest password must be from {PASSWORD_CHARS_MAX_FLOOR} to \
         {PASSWORD_CHARS_CEILING} characters, not {0}"
    )]
    Max(usize),
}

impl PasswordPolicy {
    /// A policy from its bounds, both included: `chars_min` from [`PASSWORD_CHARS_MIN_FLOOR`] to
    /// [`PASSWORD_CHARS_MAX_FLOOR`], `chars_max` from there to [`PASSWORD_CHARS_CEILING`]. So no
    /// policy contradicts itself, and each lets through what NIST wants to be let through.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the bound that is out of range.
    pub const fn new(chars_min: usize, chars_max: usize) -> Result<Self, PolicyError> {
        if chars_min < PASSWORD_CHARS_MIN_FLOOR || chars_min > PASSWORD_CHARS_MAX_FLOOR {
            return Err(PolicyError::Min(chars_min));
        }
        if chars_max < PASSWORD_CHARS_MAX_FLOOR || chars_max > PASSWORD_CHARS_CEILING {
            return Err(PolicyError::Max(chars_max));
        }
        Ok(Self { chars_min, chars_max })
    }

    /// The fewest code points of a new password.
    #[must_use]
    pub const fn chars_min(self) -> usize {
        self.chars_min
    }

    /// The most code points of a new password.
    #[must_use]
    pub const fn chars_max(self) -> usize {
        self.chars_max
    }
}

impl Default for PasswordPolicy {
    /// 8 to 128 code points.
    fn default() -> Self {
        Self { chars_min: PASSWORD_CHARS_MIN_DEFAULT, chars_max: PASSWORD_CHARS_MAX_DEFAULT }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::breached::Builder;
    use crate::{BreachedFile, PasswordRules, Username};

    const TOO_SHORT: Result<&str, PasswordError> = Err(PasswordError::TooShort { chars_min: 8 });
    const TOO_LONG: Result<&str, PasswordError> = Err(PasswordError::TooLong { chars_max: 128 });
    const CONTROL: Result<&str, PasswordError> = Err(PasswordError::ControlCharacter);

    fn choose(text: &str, rules: &PasswordRules) -> Result<Password, PasswordError> {
        Password::for_registration(text, &Username::new("ada.lovelace").unwrap(), rules)
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, PasswordError>) {
        let found = choose(text, &PasswordRules::default());
        let found = found.as_ref().map(Password::expose).map_err(|error| *error);
        assert_eq!(found, expected.map(str::as_bytes), "{text:?}");
    }

    #[track_caller]
    fn check_login(text: &str, expected: Result<&str, PasswordError>) {
        let found = Password::for_login(text);
        let found = found.as_ref().map(Password::expose).map_err(|error| *error);
        assert_eq!(found, expected.map(str::as_bytes), "{text:?}");
    }

    #[test]
    fn counts_code_points() {
        check("", Err(PasswordError::Empty));
        check("1234567", TOO_SHORT);
        check("24681357", Ok("24681357"));
        check("ååååååå", TOO_SHORT); // 14 bytes
        check("☕☕☕☕☕☕☕☕", Ok("☕☕☕☕☕☕☕☕"));
        check(&"🔑".repeat(128), Ok(&"🔑".repeat(128))); // 512 bytes
        check(&"🔑".repeat(129), TOO_LONG);
        check(&"a".repeat(129), TOO_LONG);
        check(&"a".repeat(PASSWORD_INPUT_BYTES_MAX + 1), TOO_LONG);
    }

    #[test]
    fn counts_after_composing() {
        let seven_composed = "e\u{301}".repeat(7); // 14 code points as sent
        check(&seven_composed, TOO_SHORT);
        let most = "e\u{301}".repeat(128);
        check(&most, Ok(&"é".repeat(128)));
        // Four code points that compose into one, the most there is, at the highest bound.
        let greek = "\u{3b1}\u{313}\u{300}\u{345}".repeat(PASSWORD_CHARS_CEILING);
        assert!(greek.len() <= PASSWORD_INPUT_BYTES_MAX);
        check_login(&greek, Ok(&"\u{1f82}".repeat(PASSWORD_CHARS_CEILING)));
    }

    #[test]
    fn normalises_to_nfc_and_touches_nothing_else() {
        check("Zu\u{308}rich 2024", Ok("Zürich 2024"));
        check("\u{212b}ngstrom", Ok("\u{c5}ngstrom")); // a singleton decomposition
        check("  two  spaces  ", Ok("  two  spaces  "));
        check("ﬁlename\u{a0}1", Ok("ﬁlename\u{a0}1")); // NFKC would change both
        check("KeepCase", Ok("KeepCase"));
    }

    #[test]
    fn refuses_what_is_guessed_first() {
        const COMMON: Result<&str, PasswordError> = Err(PasswordError::Common);
        const CONTEXTUAL: Result<&str, PasswordError> = Err(PasswordError::Contextual);
        check("password1", COMMON);
        check("PassWord", COMMON);
        check("Ada Lovelace", CONTEXTUAL);
        check("adalovelace1815", CONTEXTUAL);
        check("gatehouse", Ok("gatehouse"));
        let service_names = vec!["Gatehouse".to_owned()];
        let rules = PasswordRules { service_names, ..PasswordRules::default() };
        assert_eq!(choose("gatehouse!", &rules).unwrap_err(), PasswordError::Contextual);
        // It may have been chosen before it was on the list; its owner still gets in.
        check_login("password1", Ok("password1"));
    }

    #[test]
    fn refuses_control_characters() {
        for text in ["12345678\0", "\0", "1234\n5678", "12345678\r\n", "tab\there", "\u{85}2345678"]
        {
            check(text, CONTROL);
            check_login(text, CONTROL);
        }
        check("\u{7f}2345678", CONTROL);
    }

    #[test]
    fn login_takes_what_any_policy_could_have_taken() {
        check_login("", Err(PasswordError::Empty));
        check_login("a", Ok("a"));
        check_login(&"a".repeat(256), Ok(&"a".repeat(256)));
        check_login(&"a".repeat(257), Err(PasswordError::TooLong { chars_max: 256 }));
    }

    #[test]
    fn refuses_what_was_stolen_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("breached");
        let mut builder = Builder::new(&path, 1).unwrap();
        // SHA-1 of "zwölf Boxkämpfer".
        builder
            .read(&b"fdfd48f1f2dc40f12083543794f6dd0870624ea1"[..], |_| {
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        builder.finish(|_| std::ops::ControlFlow::Continue(())).unwrap();
        let breached = Some(Arc::new(BreachedFile::open(&path).unwrap()));
        let rules = PasswordRules { breached, ..PasswordRules::default() };
        // Typed with combining marks: it is the normalised password that is looked up.
        for text in ["zwölf Boxkämpfer", "zwo\u{308}lf Boxka\u{308}mpfer"] {
            assert_eq!(choose(text, &rules).unwrap_err(), PasswordError::Breached);
        }
        assert!(choose("zwölf Boxkämpfer jagen", &rules).is_ok());
        std::fs::write(&path, b"").unwrap();
        let error = choose("zwölf Boxkämpfer jagen", &rules).unwrap_err();
        assert_eq!(error, PasswordError::NotCompared);
    }

    #[test]
    fn policies() {
        for (min, max, expected) in [
            (8, 128, Ok(PasswordPolicy::default())),
            (15, 64, Ok(PasswordPolicy { chars_min: 15, chars_max: 64 })),
            (64, 256, Ok(PasswordPolicy { chars_min: 64, chars_max: 256 })),
            (7, 128, Err(PolicyError::Min(7))),
            (65, 128, Err(PolicyError::Min(65))),
            (8, 63, Err(PolicyError::Max(63))),
            (8, 257, Err(PolicyError::Max(257))),
        ] {
            assert_eq!(PasswordPolicy::new(min, max), expected, "{min} {max}");
        }
    }

    #[test]
    fn a_stricter_policy_is_enforced() {
        let policy = PasswordPolicy::new(15, 64).unwrap();
        let rules = PasswordRules { policy, ..PasswordRules::default() };
        let error = choose("fourteen chars", &rules).unwrap_err();
        assert_eq!(error, PasswordError::TooShort { chars_min: 15 });
        assert!(choose("fifteen  chars!", &rules).is_ok());
    }

    #[test]
    fn shows_nothing() {
        let password = Password::for_login("hunter2").unwrap();
        assert_eq!(format!("{password:?}"), "Password(***)");
    }

    proptest! {
        /// Composed or decomposed, one password is one password; and its buffer never grew.
        #[test]
        fn form_of_the_text_does_not_matter(text in "\\PC{1,60}") {
            let decomposed: String = text.nfd().collect();
            let (Ok(first), Ok(second)) = (Password::for_login(&text), Password::for_login(&decomposed))
            else {
                return Err(TestCaseError::fail("a printing text was refused"));
            };
            prop_assert_eq!(first.expose(), second.expose());
            prop_assert_eq!(first.nfc.capacity(), PASSWORD_NFC_BYTES_MAX);
            for (password, sent) in [(&first, &text), (&second, &decomposed)] {
                let sent = sent.as_bytes();
                let typed = password.expose_as_typed();
                prop_assert_eq!(typed.unwrap_or(password.expose()), sent);
                prop_assert_eq!(typed.is_some(), password.expose() != sent);
            }
        }
    }
}
