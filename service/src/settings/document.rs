//! Documents that are derived from the table of settings.

use std::fmt::Write as _;

use super::{
    Program, Setting,
    setting::{CONFIG, Kind},
};

/// A settings file that shows every setting, commented out, with its default.
///
/// It is valid TOML as it stands, and stays valid when any line of a setting is uncommented.
#[must_use]
pub fn sample_toml(program: &Program) -> String {
    let mut out = format!(
        "# Settings of {name}, for `{name} --config FILE`.\n\
         # Each can be given as a flag or a variable as well: a flag wins over a variable, and a\n\
         # variable over this file. A line that is commented out shows the default.\n",
        name = program.name
    );
    for (group, settings) in groups(program) {
        if !group.is_empty() {
            let _ = write!(out, "\n## {group}\n");
        }
        for setting in settings {
            let _ = write!(out, "\n# {}\n", setting.help);
            let _ = match setting.default {
                Some(default) => writeln!(out, "#{} = {}", setting.name, toml_value(default)),
                None => {
                    writeln!(out, "# No default.\n#{} = \"{}\"", setting.name, setting.value_name)
                }
            };
        }
    }
    out
}

/// The reference of all settings: a Markdown table for each group.
#[must_use]
pub fn markdown(program: &Program) -> String {
    let mut out = format!(
        "# Settings of `{name}`\n\n\
         A flag wins over a variable, a variable over the settings file, the file over the default.\n\
         `--config FILE` or `{variable}` names the file; its keys are the flags without the dashes in\n\
         front. `{name} --print-sample-config` prints one.\n",
        name = program.name,
        variable = program.variable(CONFIG),
    );
    for (group, settings) in groups(program) {
        let title = if group.is_empty() { "General" } else { group };
        let _ = write!(out, "\n## {title}\n\n");
        out.push_str("| flag | variable | default | what |\n|---|---|---|---|\n");
        for setting in settings {
            let _ = writeln!(
                out,
                "| `{}` | `{}` | {} | {}{} |",
                cell(&usage(setting)),
                program.variable(setting.name),
                setting
                    .default
                    .map_or_else(|| "none".to_owned(), |text| format!("`{}`", cell(text))),
                cell(setting.help),
                if setting.secret { " (secret: never logged)" } else { "" },
            );
        }
    }
    out
}

fn usage(setting: &Setting) -> String {
    match setting.kind {
        Kind::Switch => format!("--{}", setting.name),
        Kind::Value => format!("--{} {}", setting.name, setting.value_name),
        Kind::List => format!("--{} {},...", setting.name, setting.value_name),
    }
}

/// The groups in the order of their first setting, each with its settings in the table's order.
fn groups(program: &Program) -> Vec<(&'static str, Vec<&'static Setting>)> {
    let mut groups: Vec<(&'static str, Vec<&'static Setting>)> = Vec::new();
    for setting in program.settings {
        match groups.iter_mut().find(|(name, _)| *name == setting.group) {
            Some((_, settings)) => settings.push(setting),
            None => groups.push((setting.group, vec![setting])),
        }
    }
    groups
}

/// The default as TOML writes it: switches and whole numbers bare, everything else as a string.
fn toml_value(text: &str) -> String {
    let number = text.parse::<u32>().is_ok_and(|number| number.to_string() == text);
    if number || text == "true" || text == "false" {
        text.to_owned()
    } else {
        toml::Value::String(text.to_owned()).to_string()
    }
}

/// A text inside a cell of a Markdown table, where a bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
