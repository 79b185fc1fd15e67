//! The definition of a setting, and of a program by its settings.

use crate::build::{Build, Part};

/// A program by its name and the table of its settings: the one place where they are defined.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) about: &'static str,
    pub(super) settings: &'static [Setting],
    pub(super) build: Build,
}

impl Program {
    /// Describes a program.
    ///
    /// `name` is the name of the binary, such as `auth_back`; in capitals and with a `_` it is the
    /// prefix of the program's variables (`AUTH_BACK_`). `about` is one sentence for `--help`.
    ///
    /// # Panics
    ///
    /// When the table cannot be right: a name that is not made of `a-z 0-9 -`, that is given twice,
    /// or that every program has already (`config`, `help`, `version` and the two `print-` flags).
    /// In a `static` this is an error of compilation.
    pub const fn new(
        name: &'static str,
        version: &'static str,
        about: &'static str,
        settings: &'static [Setting],
    ) -> Self {
        let mut i = 0;
        while i < settings.len() {
            assert!(is_kebab_case(settings[i].name), "a setting's name is made of a-z, 0-9 and -");
            let mut reserved = 0;
            while reserved < RESERVED.len() {
                assert!(!same(settings[i].name, RESERVED[reserved]), "this name is reserved");
                reserved += 1;
            }
            let mut other = 0;
            while other < i {
                assert!(
                    !same(settings[i].name, settings[other].name),
                    "a setting is defined twice"
                );
                other += 1;
            }
            i += 1;
        }
        Self { name, version, about, settings, build: Build { parts: &[] } }
    }

    /// The same program, made with these parts: `--version` says which releases of them.
    #[must_use]
    pub const fn made_with(self, parts: &'static [Part]) -> Self {
        Self { build: Build { parts }, ..self }
    }

    /// Which build it is.
    #[must_use]
    pub const fn build(&self) -> Build {
        self.build
    }

    /// The name of the binary.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The program's own settings, in the order of their definition.
    #[must_use]
    pub const fn settings(&self) -> &'static [Setting] {
        self.settings
    }

    /// What the names of the program's variables start with, such as `AUTH_BACK_`.
    #[must_use]
    pub fn variable_prefix(&self) -> String {
        format!("{}_", shout(self.name))
    }

    /// The variable that carries a setting, such as `AUTH_BACK_OPS_LISTEN` for `ops-listen`.
    #[must_use]
    pub fn variable(&self, setting: &str) -> String {
        format!("{}{}", self.variable_prefix(), shout(setting))
    }
}

/// One setting: built with [`Setting::value`], [`Setting::list`] or [`Setting::switch`].
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub(super) name: &'static str,
    pub(super) value_name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Option<&'static str>,
    pub(super) group: &'static str,
    pub(super) secret: bool,
}

/// How a setting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One text: `--name VALUE`.
    Value,
    /// Texts between commas; in the file an array of strings as well.
    List,
    /// `--name` alone means `true`; `--name=false` overrides a variable or the file.
    Switch,
}

impl Setting {
    /// A setting of one value. It is required unless it has a [`default`](Self::default) or the
    /// server asks for it with [`if_given`](super::values::Values::if_given).
    ///
    /// `value_name` stands for the value in `--help`, such as `ADDRESS`; `help` is a phrase without
    /// a final stop.
    #[must_use]
    pub const fn value(name: &'static str, value_name: &'static str, help: &'static str) -> Self {
        Self { name, value_name, help, kind: Kind::Value, default: None, group: "", secret: false }
    }

    /// A setting of several values, separated by commas.
    #[must_use]
    pub const fn list(name: &'static str, value_name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::List, ..Self::value(name, value_name, help) }
    }

    /// A setting that is `true` or `false`, and `false` unless it is given.
    #[must_use]
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Switch, default: Some("false"), ..Self::value(name, "true|false", help) }
    }

    /// The text that counts when nobody gives one. It passes the same checks as a given text.
    #[must_use]
    pub const fn default(self, text: &'static str) -> Self {
        Self { default: Some(text), ..self }
    }

    /// Takes the default away: what counts when nobody gives a text, the program decides, and the help says.
    #[must_use]
    pub const fn without_default(self) -> Self {
        Self { default: None, ..self }
    }

    /// The heading under which `--help` and the documentation show the setting.
    #[must_use]
    pub const fn group(self, heading: &'static str) -> Self {
        Self { group: heading, ..self }
    }

    /// Marks a value that must never be shown: in errors, logs and summaries it reads `***`.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The name, as in `--name` and in the file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The flag and variable that name the settings file.
pub(super) const CONFIG: &str = "config";
/// The flag that prints the sample file.
pub(super) const PRINT_SAMPLE: &str = "print-sample-config";
/// The flag that prints the reference page.
pub(super) const PRINT_MARKDOWN: &str = "print-settings-markdown";

/// Names that every program has already.
const RESERVED: [&str; 5] = [CONFIG, PRINT_SAMPLE, PRINT_MARKDOWN, "help", "version"];

fn shout(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

const fn is_kebab_case(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || !bytes[0].is_ascii_lowercase() || bytes[bytes.len() - 1] == b'-' {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        if !(bytes[i].is_ascii_lowercase() || bytes[i].is_ascii_digit() || bytes[i] == b'-') {
            return false;
        }
        i += 1;
    }
    true
}

/// `==` of `str` is not const.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut i = 0;
    while i < one.len() {
        if one[i] != other[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &'static [&'static str], allowed: bool) {
        let settings: Vec<Setting> =
            names.iter().map(|name| Setting::value(name, "X", "")).collect();
        let built = std::panic::catch_unwind(|| Program::new("p", "1", "", settings.leak()));
        assert_eq!(built.is_ok(), allowed, "{names:?}");
    }

    #[test]
    fn a_table_that_cannot_be_right_is_refused() {
        check(&["listen", "ops-listen", "argon2"], true);
        check(&["listen", "lease", "listen"], false);
        check(&["Listen"], false);
        check(&["ops_listen"], false);
        check(&["2fa"], false);
        check(&["ops-"], false);
        check(&[""], false);
        check(&["config"], false);
        check(&["help"], false);
        check(&["print-sample-config"], false);
    }

    #[test]
    fn variables_are_named_after_program_and_setting() {
        let program = Program::new("auth_back", "1", "", &[]);
        assert_eq!(program.variable("ops-listen"), "AUTH_BACK_OPS_LISTEN");
    }
}
