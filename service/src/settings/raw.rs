//! The texts of all settings, each with where it came from, before they are checked.

use std::{cell::Cell, collections::BTreeMap, fmt};

use super::{
    Program, UnknownKey,
    given::{Content, Given, Origin},
};

/// The texts of all settings as they were given, to be turned into a checked struct by
/// [`Raw::check`].
///
/// Secrets among them are wiped when this is dropped: keep it no longer than the log of the start
/// needs it.
pub struct Raw {
    pub(super) program: &'static Program,
    /// One for each setting of the table, in its order.
    pub(super) given: Vec<Option<Given>>,
    /// Keys of the file that are no settings.
    pub(super) unknown: Vec<UnknownKey>,
    pub(super) misspelt: BTreeMap<String, String>,
    pub(super) subcommand: Option<(String, clap::ArgMatches)>,
    /// Which settings [`Values`](super::values::Values) was asked for, in the order of the table.
    pub(super) asked: Vec<Cell<bool>>,
}

impl Raw {
    /// The subcommand that was asked for and its own arguments.
    #[must_use]
    pub fn subcommand(&self) -> Option<(&str, &clap::ArgMatches)> {
        self.subcommand.as_ref().map(|(name, matches)| (name.as_str(), matches))
    }

    /// Variables that look like a misspelt setting of this program, each with the name that was
    /// probably meant: for a warning.
    ///
    /// They are not refused, because the environment is not the program's own: Kubernetes puts
    /// variables such as `AUTH_BACK_SERVICE_HOST` there for every service of that name.
    #[must_use]
    pub fn misspelt_variables(&self) -> &BTreeMap<String, String> {
        &self.misspelt
    }

    /// The settings that were given as flags and hold a password, as URLs do before an `@`: whoever may list processes
    /// reads it there.
    pub fn passwords_in_flags(&self) -> impl Iterator<Item = &'static str> {
        self.program.settings.iter().zip(&self.given).filter_map(|(setting, given)| {
            let Given { origin: Origin::Flag, content: Content::Text(text) } = given.as_ref()?
            else {
                return None;
            };
            (setting.secret && has_password(text)).then_some(setting.name)
        })
    }

    /// Every setting with its text as it may be shown and where it came from, for a line of the log.
    pub fn summary(&self) -> impl Iterator<Item = (&'static str, String, Origin)> {
        self.program.settings.iter().zip(&self.given).filter_map(|(setting, given)| {
            let given = given.as_ref()?;
            Some((setting.name, given.shown(setting), given.origin.clone()))
        })
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.summary().map(|(name, shown, _)| (name, shown))).finish()
    }
}

fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}
