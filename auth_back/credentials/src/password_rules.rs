//! What a new password has to be.

use std::sync::Arc;

use sparing::sparing;

use super::blocklist::Folded;
use super::breached::BreachedFile;
use super::password::{Password, PasswordError, PasswordPolicy, normalise};
use super::username::Username;

/// What a new password has to be: long enough, and none that is easily guessed.
#[derive(Debug, Clone, Default)]
pub struct PasswordRules {
    /// How long it may be.
    pub policy: PasswordPolicy,
    /// Names of the service, none of which a password may be made of.
    pub service_names: Vec<String>,
    /// Passwords that were stolen somewhere, none of which it may be.
    pub breached: Option<Arc<BreachedFile>>,
}

impl Password {
    /// Reads a password that somebody chooses: for a registration or a change. Blocks on a file where
    /// the rules have one.
    ///
    /// ```
    /// use credentials::{Password, PasswordError, PasswordRules, Username};
    ///
    /// let (ada, rules) = (Username::new("ada")?, PasswordRules::default());
    /// assert!(Password::for_registration("zwölf Boxkämpfer", &ada, &rules).is_ok());
    /// let refused = |text| Password::for_registration(text, &ada, &rules).unwrap_err();
    /// assert_eq!(refused("hunter2"), PasswordError::TooShort { chars_min: 8 });
    /// assert_eq!(refused("Password"), PasswordError::Common);
    /// assert_eq!(refused("ada12345"), PasswordError::Contextual);
    /// # Ok::<(), credentials::UsernameError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PasswordError`] names the rule that it breaks.
    pub fn for_registration(
        text: &str,
        username: &Username,
        rules: &PasswordRules,
    ) -> Result<Self, PasswordError> {
        let password = normalise(text, rules.policy)?;
        let folded = Folded::new(password.text());
        if folded.is_common() {
            return Err(PasswordError::Common);
        }
        let names = rules.service_names.iter().map(String::as_str);
        if names.chain([username.as_str()]).any(|word| folded.is_made_of(word)) {
            return Err(PasswordError::Contextual);
        }
        match rules.breached.as_ref().map(|file| file.contains(&password)) {
            None | Some(Ok(false)) => Ok(password),
            Some(Ok(true)) => Err(PasswordError::Breached),
            Some(Err(error)) => {
                sparing!(ERROR, %error, "a new password was refused for want of a list");
                Err(PasswordError::NotCompared)
            }
        }
    }
}
