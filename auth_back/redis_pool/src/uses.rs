//! What Redis is used for, and what each use needs of it.

/// What Redis is used for. Each has connections of its own: sessions must not wait for guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The copy of sessions.
    Sessions,
    /// Guesses that servers count together.
    Guesses,
}

/// What is done to a key of its own on each new connection: everything that the use needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) key: &'static str,
    pub(super) commands: &'static [&'static [&'static str]],
    pub(super) script: &'static str,
}

impl Use {
    /// As metrics and the log call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Guesses => "guesses",
        }
    }

    /// What is done without Redis.
    pub(super) const fn without(self) -> &'static str {
        match self {
            Self::Sessions => "sessions are looked up in the store",
            Self::Guesses => "each server counts guesses by itself",
        }
    }

    pub(super) const fn trial(self) -> Trial {
        match self {
            Self::Sessions => Trial {
                key: "gh2:trial:sessions",
                commands: &[&["TIME"], &["MGET", "gh2:trial:sessions"]],
                script: include_str!("scripts/sessions.lua"),
            },
            Self::Guesses => Trial {
                key: "gh2:trial:guesses",
                commands: &[
                    &["GET", "gh2:trial:guesses"],
                    &["SET", "gh2:trial:guesses", "", "PX", "1000"],
                ],
                script: include_str!("scripts/guesses.lua"),
            },
        }
    }
}
