//! Why there are no keys.

use std::io;
use std::path::{Path, PathBuf};

use ownership::NotTheOwner;

use crate::keyring::KeyringError;
use crate::random::RandomError;

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

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    move |source| KeysError::Io { action, path: path.to_owned(), source }
}
