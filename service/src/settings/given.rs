//! The text of one setting as it was given, and where it came from.

use std::{fmt, path::PathBuf, sync::Arc};

use zeroize::Zeroizing;

use super::{Setting, text::quoted};

/// Where the text of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// The environment variable of this name.
    Variable(String),
    /// The settings file.
    File {
        /// The file, as `--config` named it.
        path: Arc<PathBuf>,
        /// Line of the key, from 1.
        line: usize,
    },
    /// Nobody gave one: the text stands in the table of settings.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("the command line"),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("its default"),
        }
    }
}

/// The text of one setting. No `Debug`: it may be a secret.
pub(super) struct Given {
    pub(super) origin: Origin,
    pub(super) content: Content,
}

pub(super) enum Content {
    /// Wiped when dropped, secret or not: which of them hold a secret is not this type's business.
    Text(Zeroizing<String>),
    /// What was given instead of a text, such as "a table".
    Other(&'static str),
}

impl Given {
    pub(super) fn text(origin: Origin, text: impl Into<String>) -> Self {
        Self { origin, content: Content::Text(Zeroizing::new(text.into())) }
    }

    /// The value as an error or a log line may show it.
    pub(super) fn shown(&self, setting: &Setting) -> String {
        match &self.content {
            _ if setting.secret => "***".to_owned(),
            Content::Text(text) => quoted(text),
            Content::Other(what) => (*what).to_owned(),
        }
    }
}
