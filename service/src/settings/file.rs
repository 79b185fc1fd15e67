//! The settings file: flat TOML, the same names as the flags.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::{
    Origin, Program, Setting, SettingError, UnknownKey,
    given::{Content, Given},
    setting::Kind,
    suggest::nearest,
    text::shortened,
};
use crate::limits::SETTINGS_FILE_BYTES_MAX;

/// The texts that a settings file gives, and its keys that are no settings.
#[derive(Default)]
pub(super) struct SettingsFile {
    pub(super) values: BTreeMap<&'static str, Given>,
    pub(super) unknown: Vec<UnknownKey>,
}

impl SettingsFile {
    /// Reads the file. Blocks.
    pub(super) fn read(program: &Program, path: PathBuf) -> Result<Self, SettingError> {
        match read_bounded(&path) {
            Ok(text) => Self::parse(program, path, &text),
            Err(source) => Err(SettingError::Unreadable { path, source }),
        }
    }

    fn parse(program: &Program, path: PathBuf, text: &str) -> Result<Self, SettingError> {
        let table = DeTable::parse(text).map_err(|error| SettingError::Syntax {
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            message: error.message().to_owned(),
            path: path.clone(),
        })?;
        let path = Arc::new(path);
        let mut file = Self::default();
        for (key, value) in table.into_inner() {
            let line = line_of(text, key.span().start);
            let key = key.into_inner();
            match program.settings.iter().find(|setting| setting.name == key) {
                Some(setting) => {
                    let origin = Origin::File { path: Arc::clone(&path), line };
                    let content = content(setting, value.get_ref());
                    file.values.insert(setting.name, Given { origin, content });
                }
                None => file.unknown.push(UnknownKey {
                    path: Arc::clone(&path),
                    line,
                    key: shortened(&key),
                    nearest: nearest(&key, program.settings.iter().map(|setting| setting.name)),
                }),
            }
        }
        Ok(file)
    }
}

/// A TOML value as the text that a flag would have carried.
fn content(setting: &Setting, value: &DeValue<'_>) -> Content {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Integer(_) => return Content::Other("a number that is not decimal"),
        DeValue::Array(items) if setting.kind == Kind::List => {
            let items: Option<Vec<&str>> =
                items.iter().map(|item| item.get_ref().as_str()).collect();
            match items {
                // An item with a comma would turn into two.
                Some(items) if items.iter().all(|item| !item.contains(',')) => items.join(","),
                _ => return Content::Other("an array of other things than strings without commas"),
            }
        }
        DeValue::Array(_) => return Content::Other("an array"),
        DeValue::Float(_) => return Content::Other("a number with a fraction"),
        DeValue::Datetime(_) => return Content::Other("a date or time"),
        DeValue::Table(_) => return Content::Other("a table"),
    };
    Content::Text(Zeroizing::new(text))
}

fn read_bounded(path: &Path) -> io::Result<Zeroizing<String>> {
    // Room for the longest file at once: a buffer that grows leaves unwiped copies behind.
    let capacity = usize::try_from(SETTINGS_FILE_BYTES_MAX).unwrap_or(usize::MAX);
    let mut text = Zeroizing::new(String::with_capacity(capacity.saturating_add(1)));
    File::open(path)?.take(SETTINGS_FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() > capacity {
        let message = format!("longer than {SETTINGS_FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// The number of the line, from 1, that holds the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
