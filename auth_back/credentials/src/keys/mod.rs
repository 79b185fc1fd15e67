//! Where keys come from: never from the database.
//!
//! A [`KeySource`] is a directory of files, the environment, or the output of a command, such as a
//! vault's. Whatever the source, a key is 32 random bytes as 64 hexadecimal digits
//! (`openssl rand -hex 32`) or as base64 (`openssl rand -base64 32`), it has a number, and the key of
//! the highest number is the active one. The others still open what was made under them.
//!
//! | source | what it looks like |
//! |---|---|
//! | `directory:PATH` | files `pepper-1.key`, `token-1.key` and so on, see [`KeyDirectory`] |
//! | `environment:PREFIX` | variables `PREFIX_1`, `PREFIX_2` and so on |
//! | `command:PROGRAM ARG…` | a program that prints lines of an id, a space and a key |
//!
//! A key can stand by: it opens what others made under it, and nothing is made under it here, whatever its
//! number. That is for servers whose keys do not change in one moment, each with a directory or
//! variables of its own: first every server gets the new key standing by, then each may begin to use it.
//! Such a key is `pepper-2.standby.key`, `PREFIX_2_STANDBY`, or a line `2 KEY standby`.
//!
//! One bad key spoils the ring: to pass over it would make what was sealed under it unreadable.

mod command;
mod directory;
mod environment;
mod error;
mod found;
mod text;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use self::command::KeyCommand;
pub use self::directory::KeyDirectory;
pub use self::environment::KeyVariables;
pub use self::error::KeysError;
pub use self::found::OnMissing;

use super::keyring::{KeyId, Keyring, Purpose};

/// Where the keys of one purpose come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Files of a directory.
    Directory(KeyDirectory),
    /// Variables of this process.
    Environment(KeyVariables),
    /// What a program prints.
    Command(KeyCommand),
}

/// Keys that were read.
#[derive(Debug)]
pub struct Loaded {
    /// The keys.
    pub keys: Keyring,
    /// The file of a key that had to be made, to be mentioned in the log: it wants a backup.
    pub created: Option<PathBuf>,
}

impl KeySource {
    /// Reads the keys. Blocks: on the file system, or on a command for as long as
    /// [`KEY_COMMAND_TIME_MAX`](super::limits::KEY_COMMAND_TIME_MAX).
    ///
    /// # Errors
    ///
    /// [`KeysError`] when there are none, or when any of them is not as it should be.
    pub fn load(&self, purpose: Purpose, on_missing: OnMissing) -> Result<Loaded, KeysError> {
        let (keys, created) = match self {
            Self::Directory(directory) => directory.read(purpose, on_missing)?,
            Self::Environment(variables) => (variables.read()?, None),
            Self::Command(command) => (command.read()?, None),
        };
        let place = || self.to_string();
        let active = keys.iter().filter(|found| !found.stands_by).map(|found| found.id).max();
        let active =
            active.ok_or_else(|| KeysError::Missing { purpose: purpose.name(), place: place() })?;
        let keys = keys.into_iter().map(|found| (found.id, found.key)).collect();
        let keys = Keyring::new(active, keys).map_err(|source| KeysError::Ring {
            purpose: purpose.name(),
            place: place(),
            source,
        })?;
        Ok(Loaded { keys, created })
    }

    /// Whether a key that was not there at the last reading may be there now, as far as that can be
    /// told without reading. `None` when it cannot.
    #[must_use]
    pub fn may_have(&self, purpose: Purpose, id: KeyId) -> Option<bool> {
        match self {
            Self::Directory(directory) => Some(directory.has(purpose, id)),
            // The environment of a process stays as it was at its start.
            Self::Environment(_) => Some(false),
            Self::Command(_) => None,
        }
    }
}

impl fmt::Display for KeySource {
    /// The place, for a message. Arguments of a command are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.path().display().fmt(f),
            Self::Environment(variables) => variables.fmt(f),
            Self::Command(command) => command.fmt(f),
        }
    }
}

/// Text that names no source of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a source of keys")]
pub struct KeySourceError;

impl FromStr for KeySource {
    type Err = KeySourceError;

    /// Reads `directory:PATH`, `environment:PREFIX` or `command:PROGRAM ARG…`. The words of a command
    /// are between spaces, without quoting; its program is an absolute path, so that no search path
    /// decides what is run.
    fn from_str(text: &str) -> Result<Self, KeySourceError> {
        let (kind, rest) = text.split_once(':').ok_or(KeySourceError)?;
        let source = match kind {
            "directory" if !rest.is_empty() => Some(Self::Directory(KeyDirectory::at(rest))),
            "environment" => KeyVariables::new(rest).map(Self::Environment),
            "command" => KeyCommand::new(rest).map(Self::Command),
            _ => None,
        };
        source.ok_or(KeySourceError)
    }
}

#[cfg(test)]
mod tests;
