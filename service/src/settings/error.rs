//! What is wrong with a configuration. All of it is the operator's to correct.

use std::{fmt, io, path::PathBuf, sync::Arc};

use super::{Program, Setting, given::Origin};

/// One thing that is wrong with a configuration.
///
/// The operator is at fault in every case. No variant holds the value of a secret setting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// The text is not one of those that the setting allows.
    #[error("--{setting} (from {origin}): {shown} is not allowed: {why}")]
    NotAllowed {
        /// The setting's name.
        setting: &'static str,
        /// Where the text came from.
        origin: Origin,
        /// The text in quotes; `***` for a secret; a description of what is not text.
        shown: String,
        /// What is wrong with it, or what is allowed.
        why: String,
    },
    /// A setting without a default was not given.
    #[error("--{setting} (or {variable}) is missing: want {want}")]
    Missing {
        /// The setting's name.
        setting: &'static str,
        /// The variable that could carry it.
        variable: String,
        /// What is allowed.
        want: String,
    },
    /// The settings file has a key that is no setting.
    #[error(transparent)]
    UnknownKey(UnknownKey),
    /// The settings file cannot be read.
    #[error("--config: cannot read {}: {source}", path.display())]
    Unreadable {
        /// The settings file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The settings file is not TOML.
    #[error("{}:{line}: not TOML: {message}", path.display())]
    Syntax {
        /// The settings file.
        path: PathBuf,
        /// Line of the first fault, from 1.
        line: usize,
        /// What the parser expected. It does not repeat the line, which may hold a secret.
        message: String,
    },
    /// Two settings, each allowed alone, do not go together.
    #[error("--{first} and --{second}: {reason}")]
    Conflict {
        /// One setting's name.
        first: &'static str,
        /// The other setting's name.
        second: &'static str,
        /// The relation that does not hold, without the value of a secret.
        reason: String,
    },
}

impl SettingError {
    pub(super) fn missing(program: &Program, setting: &Setting, want: &str) -> Self {
        Self::Missing {
            setting: setting.name,
            variable: program.variable(setting.name),
            want: want.to_owned(),
        }
    }
}

/// A key of the settings file that is no setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: unknown setting {key:?}{}", path.display(), suggestion(*nearest))]
pub struct UnknownKey {
    /// The settings file.
    pub path: Arc<PathBuf>,
    /// Line of the key, from 1.
    pub line: usize,
    /// The key, cut to a readable length.
    pub key: String,
    /// The setting that was probably meant.
    pub nearest: Option<&'static str>,
}

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug, Default)]
pub struct SettingErrors(Vec<SettingError>);

impl SettingErrors {
    /// Nothing wrong so far.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Keeps the value of `result`, or remembers what is wrong with it. See [`gather!`](crate::gather).
    pub fn keep<T>(&mut self, result: Result<T, impl Into<Self>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                self.0.append(&mut errors.into().0);
                None
            }
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, SettingError> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, error: SettingError) {
        self.0.push(error);
    }
}

impl<'a> IntoIterator for &'a SettingErrors {
    type Item = &'a SettingError;
    type IntoIter = std::slice::Iter<'a, SettingError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<SettingError> for SettingErrors {
    fn from(error: SettingError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingErrors {}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean {name:?}?"))
}
