//! Keys in variables of the environment.
//!
//! The environment of a process cannot be wiped, is inherited by what it starts, and is read by root
//! in `/proc/PID/environ`. Files are the better place; this one is for platforms that hand secrets
//! out in no other way.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::{env, fmt};

use zeroize::Zeroizing;

use super::error::KeysError;
use super::found::{Found, Keys, key_of};

/// The variables `PREFIX_1`, `PREFIX_2` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVariables {
    prefix: String,
}

impl KeyVariables {
    /// The variables of that prefix, which is made of `A-Z`, `0-9` and `_`.
    #[must_use]
    pub fn new(prefix: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = prefix.starts_with(|first: char| first.is_ascii_uppercase() || first == '_');
        (begins && prefix.bytes().all(plain)).then(|| Self { prefix: prefix.to_owned() })
    }

    /// Every key that there is.
    pub(super) fn read(&self) -> Result<Keys, KeysError> {
        self.read_from(env::vars_os())
    }

    pub(super) fn read_from(
        &self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Keys, KeysError> {
        let mut keys = Vec::new();
        for (name, value) in variables {
            // A copy of the variable's text; wiped, though the original stays.
            let value = Zeroizing::new(value.into_encoded_bytes());
            let Some(id) = self.suffix(&name) else { continue };
            // `PREFIX_FILE` is somebody else's; `PREFIX_01` is a misspelt key.
            if !id.starts_with(|first: char| first.is_ascii_digit()) {
                continue;
            }
            let shown = || name.to_string_lossy().into_owned();
            let (id, stands_by) = match id.strip_suffix("_STANDBY") {
                Some(id) => (id, true),
                None => (id, false),
            };
            let id = id.parse().map_err(|_| KeysError::Variable(shown()))?;
            let key = key_of(&value, || format!("the variable {}", shown()))?;
            keys.push(Found { id, key, stands_by });
        }
        Ok(keys)
    }

    fn suffix<'n>(&self, name: &'n OsStr) -> Option<&'n str> {
        let rest = name.as_bytes().strip_prefix(self.prefix.as_bytes())?.strip_prefix(b"_")?;
        str::from_utf8(rest).ok()
    }
}

impl fmt::Display for KeyVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variables {}_1, {}_2 and so on", self.prefix, self.prefix)
    }
}
