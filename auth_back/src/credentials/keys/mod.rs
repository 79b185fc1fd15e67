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
mod text;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use self::command::KeyCommand;
pub use self::directory::KeyDirectory;
pub use self::environment::KeyVariables;
use ownership::NotTheOwner;

use super::keyring::{KeyId, Keyring, KeyringError};
use super::limits::KEY_LEN;
use super::random::RandomError;
use super::secret::SecretKey;

/// What a ring of keys is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sealing password records.
    Pepper,
    /// Signing session tokens.
    Token,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Pepper, Self::Token];

    /// As it stands in file names and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Token => "token",
        }
    }
}

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

/// A key as it was found.
struct Found {
    id: KeyId,
    key: SecretKey,
    stands_by: bool,
}

/// Keys in no order.
type Keys = Vec<Found>;

/// What to do when there is no key at all for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// Make one, where keys are files: right for a first start, when nothing was made under a key yet.
    Create,
    /// Refuse: right when records refer to keys, since a new key would not open them.
    Refuse,
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

/// Why keys could not be had. Whoever placed them, or runs the machine, is at fault. Names the place,
/// never a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file, directory or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could replace the keys.
    #[error(
        "{} has mode {mode:04o}: others may write to it; use: chmod 0700 {}",
        path.display(),
        path.display()
    )]
    DirectoryWritable {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others can read a key.
    #[error(
        "{} has mode {mode:04o}: others may read this key; use: chmod 0600 {}",
        path.display(),
        path.display()
    )]
    FileReadable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory, a pipe or a device where a key was expected.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A file that ends in `.key` and is not named like a key.
    #[error("{} is not named like pepper-1.key, token-1.key or pepper-2.standby.key", .0.display())]
    Name(PathBuf),
    /// A variable that goes on after the prefix like a number, and is not one.
    #[error(
        "the variable {0} is not named like the variables of keys, which end in _1, _2 and so on, or in _2_STANDBY"
    )]
    Variable(String),
    /// The content is not a key.
    #[error("{0} is not one line of 64 hexadecimal digits or base64 of 32 bytes")]
    Content(String),
    /// The content is a key that was not drawn at random, such as all zeros.
    #[error("{0} repeats one byte: it is a placeholder, not a key")]
    Placeholder(String),
    /// A command did not do what it should.
    #[error("{} {what}", program.display())]
    Command {
        /// The program.
        program: PathBuf,
        /// What it did instead.
        what: String,
    },
    /// There is none to make anything under, and none was to be made.
    #[error("there is no {purpose} key in {place}")]
    Missing {
        /// `pepper` or `token`.
        purpose: &'static str,
        /// Where one was looked for.
        place: String,
    },
    /// The keys do not make a ring.
    #[error("the {purpose} keys in {place}: {source}")]
    Ring {
        /// `pepper` or `token`.
        purpose: &'static str,
        /// Where they are.
        place: String,
        /// What is wrong with them.
        source: KeyringError,
    },
    /// Every number up to the highest has been used.
    #[error("there is no number left for a new {0} key")]
    NoIdLeft(&'static str),
    /// A file that was retired stands where this one would go.
    #[error("{} exists already", .0.display())]
    RetiredBefore(PathBuf),
    /// Whoever runs this program cannot make a key that the server could read.
    #[error(transparent)]
    Owner(#[from] NotTheOwner),
    /// No random bytes to make a key of.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The key that `text` is. `place` names it in an error.
fn key_of(text: &[u8], place: impl Fn() -> String) -> Result<SecretKey, KeysError> {
    let key = text::parse(text).ok_or_else(|| KeysError::Content(place()))?;
    if *key.expose() == [key.expose()[0]; KEY_LEN] {
        return Err(KeysError::Placeholder(place()));
    }
    Ok(key)
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    move |source| KeysError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
