//! The command line, derived from the table of settings.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, builder::OsStringValueParser};

use super::{
    Program, Setting,
    setting::{CONFIG, Kind, PRINT_MARKDOWN, PRINT_SAMPLE},
};

impl Program {
    /// The command line of this program: a flag for each setting, `--config`, `--help`, `--version`
    /// and the two `--print-` flags.
    ///
    /// A program with subcommands adds them to what this returns. The flags of settings are allowed
    /// before and after the name of a subcommand.
    #[must_use]
    pub fn command(&'static self) -> Command {
        Command::new(self.name)
            .version(self.version)
            .long_version(self.build.lines())
            .about(self.about)
            .args(self.settings.iter().map(|setting| self.flag(setting)))
            .args(self.common_flags())
    }

    fn flag(&self, setting: &'static Setting) -> Arg {
        let arg = Arg::new(setting.name)
            .long(setting.name)
            .value_name(setting.value_name)
            .help(self.flag_help(setting))
            .action(ArgAction::Set)
            .value_parser(OsStringValueParser::new())
            .global(true);
        let arg = if setting.group.is_empty() { arg } else { arg.help_heading(setting.group) };
        match setting.kind {
            Kind::Value | Kind::List => arg,
            // Only `--name=false` and never `--name false`: the word after a bare `--name` may be
            // a subcommand.
            Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        }
    }

    /// clap could add the variable and the default itself, but would also read them; here they are
    /// read where their origin is remembered.
    fn flag_help(&self, setting: &Setting) -> String {
        let mut help = format!("{} [env: {}]", setting.help, self.variable(setting.name));
        if let Some(default) = setting.default {
            help.push_str(&format!(" [default: {default}]"));
        }
        help
    }

    fn common_flags(&self) -> [Arg; 3] {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .help(format!("Settings file in TOML [env: {}]", self.variable(CONFIG)))
            .action(ArgAction::Set)
            .value_parser(OsStringValueParser::new())
            .global(true);
        let print = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
        };
        [
            config,
            print(PRINT_SAMPLE, "Print a settings file that shows every default, and exit"),
            print(PRINT_MARKDOWN, "Print the reference of all settings as Markdown, and exit"),
        ]
    }
}

/// The text given to a flag of [`Program::command`].
pub(super) fn flag_value<'m>(matches: &'m clap::ArgMatches, name: &str) -> Option<&'m OsString> {
    matches.get_one::<OsString>(name)
}
