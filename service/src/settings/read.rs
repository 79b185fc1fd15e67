//! Reading: from flags, variables, file and defaults to the text of each setting.

use std::{cell::Cell, collections::BTreeMap, ffi::OsString, path::PathBuf};

use clap::Command;

use super::{
    Origin, Program, Raw, Setting, SettingErrors,
    command::flag_value,
    document::{markdown, sample_toml},
    file::SettingsFile,
    given::{Content, Given},
    setting::{CONFIG, PRINT_MARKDOWN, PRINT_SAMPLE},
    suggest::nearest,
};

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Print this text on standard output and exit with 0.
    Print(String),
    /// Run with these settings.
    Run(Box<Raw>),
}

/// Why there are no settings to run with. The operator is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The command line does not fit: an unknown flag, a flag without its value.
    #[error(transparent)]
    Usage(clap::Error),
    /// The settings file cannot be used at all.
    #[error(transparent)]
    File(SettingErrors),
}

impl Program {
    /// Finds the text of every setting: a flag wins over a variable, a variable over the settings
    /// file, the file over the default.
    ///
    /// `command` is [`Program::command`], with subcommands where the program has them; `arguments`
    /// start with the name of the program ([`std::env::args_os`]); `variables` are those of the
    /// process ([`std::env::vars_os`]). Reads the settings file, so it may block.
    ///
    /// # Errors
    ///
    /// [`ReadError`] for a command line that does not fit and for a file that is not there, not TOML
    /// or far too long. Everything else that is wrong is found by [`Raw::check`], all at once.
    pub fn read(
        &'static self,
        command: Command,
        arguments: impl IntoIterator<Item = OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Invocation, ReadError> {
        let mut matches = match command.try_get_matches_from(arguments) {
            Ok(matches) => matches,
            Err(answer) if !answer.use_stderr() => {
                return Ok(Invocation::Print(answer.to_string()));
            }
            Err(error) => return Err(ReadError::Usage(error)),
        };
        if matches.get_flag(PRINT_SAMPLE) {
            return Ok(Invocation::Print(sample_toml(self)));
        }
        if matches.get_flag(PRINT_MARKDOWN) {
            return Ok(Invocation::Print(markdown(self)));
        }
        let mut variables = self.own_variables(variables);
        let path = flag_value(&matches, CONFIG).cloned();
        let path = path.or_else(|| variables.remove(&self.variable(CONFIG)));
        let mut file = match path {
            Some(path) => SettingsFile::read(self, PathBuf::from(path))
                .map_err(|error| ReadError::File(error.into()))?,
            None => SettingsFile::default(),
        };
        let given = self.settings.iter().map(|setting| {
            // A variable that a flag outranks is known all the same: it must not count as misspelt.
            let variable = self.take_variable(setting, &mut variables);
            let in_file = file.values.remove(setting.name);
            let flag = flag_value(&matches, setting.name);
            flag.map(|value| from_os(Origin::Flag, value.clone()))
                .or(variable)
                .or(in_file)
                .or_else(|| setting.default.map(|text| Given::text(Origin::Default, text)))
        });
        Ok(Invocation::Run(Box::new(Raw {
            program: self,
            given: given.collect(),
            unknown: file.unknown,
            misspelt: self.misspelt(&variables),
            subcommand: matches.remove_subcommand(),
            asked: vec![Cell::new(false); self.settings.len()],
        })))
    }

    /// The variables that start with this program's prefix.
    fn own_variables(
        &self,
        all: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> BTreeMap<String, OsString> {
        let prefix = self.variable_prefix();
        all.into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(&prefix))
            .collect()
    }

    fn take_variable(
        &self,
        setting: &Setting,
        variables: &mut BTreeMap<String, OsString>,
    ) -> Option<Given> {
        let name = self.variable(setting.name);
        let value = variables.remove(&name)?;
        Some(from_os(Origin::Variable(name), value))
    }

    /// Those of the variables left over that are near to one of this program's.
    fn misspelt(&self, left_over: &BTreeMap<String, OsString>) -> BTreeMap<String, String> {
        let known: Vec<String> = self.settings.iter().map(|s| self.variable(s.name)).collect();
        let meant = |name: &str| nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        left_over.keys().filter_map(|name| Some((name.clone(), meant(name)?))).collect()
    }
}

fn from_os(origin: Origin, value: OsString) -> Given {
    match value.into_string() {
        Ok(text) => Given::text(origin, text),
        Err(_) => Given { origin, content: Content::Other("a value that is not UTF-8") },
    }
}
