//! Typed reading of settings: each method checks one text and says what would have been allowed.

use std::{
    fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration,
};

use zeroize::Zeroizing;

use super::{
    Origin, Raw, Setting, SettingError, SettingErrors,
    given::{Content, Given},
    text::{format_bytes, format_duration, parse_bytes, parse_duration},
};

/// The settings inside [`Raw::check`], read by type.
///
/// Every method takes the name of a setting of the program's table and panics on another name: the
/// table and the code that reads it are written by the same programmer. Nothing here blocks or does
/// I/O.
///
/// # Errors
///
/// Every method returns [`SettingError::NotAllowed`] for a text that it does not allow and
/// [`SettingError::Missing`] when there is neither a text nor a default.
#[derive(Clone, Copy, Debug)]
pub struct Values<'r> {
    raw: &'r Raw,
}

impl Raw {
    /// Turns texts into a checked struct; `build` is usually one [`gather!`](crate::gather).
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the configuration: what reading it found (keys of the file that
    /// are no settings) and what `build` found.
    pub fn check<T>(
        &self,
        build: impl FnOnce(&Values<'_>) -> Result<T, SettingErrors>,
    ) -> Result<T, SettingErrors> {
        let mut faults = SettingErrors::none();
        for key in &self.unknown {
            faults.push(SettingError::UnknownKey(key.clone()));
        }
        match faults.keep(build(&Values::new(self))) {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(faults),
        }
    }
}

impl<'r> Values<'r> {
    const fn new(raw: &'r Raw) -> Self {
        Self { raw }
    }

    /// Reads a text with a parser of the caller's own, which returns `None` for what is not allowed.
    ///
    /// `want` completes the sentence "want ...", for example "an address such as 127.0.0.1:8080".
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn parse<T>(
        &self,
        name: &str,
        want: &str,
        parser: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, SettingError> {
        self.parse_or_say(name, want, |text| parser(text).ok_or_else(|| format!("want {want}")))
    }

    /// The same with a parser that says itself what is wrong with a text. What it says is shown to whoever gave the
    /// text, so it must quote nothing of a secret.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn parse_or_say<T, E: Display>(
        &self,
        name: &str,
        want: &str,
        parser: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, SettingError> {
        let (setting, given) = self.look_up(name);
        let Some(given) = given else {
            return Err(SettingError::missing(self.raw.program, setting, want));
        };
        let parsed = match &given.content {
            Content::Text(text) => parser(text).map_err(|error| error.to_string()),
            Content::Other(_) => Err(format!("want {want}")),
        };
        parsed.map_err(|why| SettingError::NotAllowed {
            setting: setting.name,
            origin: given.origin.clone(),
            shown: given.shown(setting),
            why,
        })
    }

    /// Reads an optional setting: `None` when there is neither a text nor a default.
    ///
    /// For example `raw.if_given("pepper-file", |name| raw.path(name))`.
    ///
    /// # Errors
    ///
    /// Whatever `read` returns.
    pub fn if_given<T, E>(
        &self,
        name: &'static str,
        read: impl FnOnce(&'static str) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let (_, given) = self.look_up(name);
        given.as_ref().map(|_| read(name)).transpose()
    }

    /// Whether somebody gave a text; `false` when the default counts, or there is none.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        let (_, given) = self.look_up(name);
        given.as_ref().is_some_and(|given| given.origin != Origin::Default)
    }

    /// Reads an address and port. Names of hosts are not resolved.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn address(&self, name: &str) -> Result<SocketAddr, SettingError> {
        self.parse(name, "an address such as 127.0.0.1:8080", |text| text.parse().ok())
    }

    /// Reads addresses between commas, each at most once, as many as `count` allows.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn addresses(
        &self,
        name: &str,
        count: RangeInclusive<usize>,
    ) -> Result<Vec<SocketAddr>, SettingError> {
        let want = format!(
            "{} to {} different addresses such as 127.0.0.1:7051, separated by commas",
            count.start(),
            count.end()
        );
        self.list(name, &want, count, |text| text.parse().ok())
    }

    /// Reads items between commas, each different from the others, as many as `count` allows.
    ///
    /// Spaces around an item are not part of it. An empty text is a list of no items. `parser`
    /// returns `None` for an item that is not allowed.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn list<T: PartialEq>(
        &self,
        name: &str,
        want: &str,
        count: RangeInclusive<usize>,
        parser: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, SettingError> {
        self.parse(name, want, |text| {
            if text.is_empty() {
                return count.contains(&0).then(Vec::new);
            }
            let mut items = Vec::new();
            for part in text.split(',') {
                let item = parser(part.trim())?;
                if items.contains(&item) || items.len() == *count.end() {
                    return None;
                }
                items.push(item);
            }
            count.contains(&items.len()).then_some(items)
        })
    }

    /// Reads a duration within `range`: a whole number and one of `d h m s ms us`.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn duration(
        &self,
        name: &str,
        range: RangeInclusive<Duration>,
    ) -> Result<Duration, SettingError> {
        let (from, to) = (format_duration(*range.start()), format_duration(*range.end()));
        self.parse(name, &format!("a duration from {from} to {to}, such as 250ms"), |text| {
            parse_duration(text).filter(|duration| range.contains(duration))
        })
    }

    /// Reads a whole number within `range`, in decimal digits.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn integer<T>(&self, name: &str, range: RangeInclusive<T>) -> Result<T, SettingError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let want = format!("a whole number from {} to {}", range.start(), range.end());
        self.parse(name, &want, |text| {
            // `FromStr` of integers takes a plus sign too; one spelling of a number is enough.
            let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            text.parse().ok().filter(|number| plain && range.contains(number))
        })
    }

    /// Reads a size in bytes within `range`: a whole number and one of `B KiB MiB GiB`, or bytes.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn bytes(&self, name: &str, range: RangeInclusive<u64>) -> Result<u64, SettingError> {
        let (from, to) = (format_bytes(*range.start()), format_bytes(*range.end()));
        self.parse(name, &format!("a size from {from} to {to}, such as 64KiB"), |text| {
            parse_bytes(text).filter(|bytes| range.contains(bytes))
        })
    }

    /// Reads `auto`, which is `None`, or a size in bytes within `range`, as [`bytes`](Self::bytes) does.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn bytes_or_auto(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, SettingError> {
        let (from, to) = (format_bytes(*range.start()), format_bytes(*range.end()));
        self.parse(name, &format!("auto or a size from {from} to {to}, such as 64MiB"), |text| {
            match text {
                "auto" => Some(None),
                _ => parse_bytes(text).filter(|bytes| range.contains(bytes)).map(Some),
            }
        })
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn boolean(&self, name: &str) -> Result<bool, SettingError> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    /// Reads one of several words and returns what it stands for.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn choice<T: Clone>(&self, name: &str, words: &[(&str, T)]) -> Result<T, SettingError> {
        let spelt: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.parse(name, &spelt.join(" or "), |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone())
        })
    }

    /// Reads the path of a file or directory; it need not exist. A relative one counts from the
    /// working directory.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn path(&self, name: &str) -> Result<PathBuf, SettingError> {
        self.parse(name, "a path", |text| {
            (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
        })
    }

    /// Reads any text but an empty one.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn text(&self, name: &str) -> Result<String, SettingError> {
        self.parse(name, "a text that is not empty", |text| {
            (!text.is_empty()).then(|| text.to_owned())
        })
    }

    /// Reads any text but an empty one into memory that is wiped when it is dropped.
    ///
    /// # Errors
    ///
    /// As described at [`Values`].
    pub fn secret(&self, name: &str) -> Result<Zeroizing<String>, SettingError> {
        self.text(name).map(Zeroizing::new)
    }

    /// Settings of the table that nothing has read so far: for a test that none is forgotten.
    pub fn unread(&self) -> impl Iterator<Item = &'static str> {
        let settings = self.raw.program.settings.iter();
        settings.zip(&self.raw.asked).filter(|(_, asked)| !asked.get()).map(|(s, _)| s.name)
    }

    fn look_up(&self, name: &str) -> (&'static Setting, &'r Option<Given>) {
        let settings = self.raw.program.settings;
        let index = settings
            .iter()
            .position(|setting| setting.name == name)
            .expect("a setting is read under the name that the program's table gives it");
        self.raw.asked[index].set(true);
        (&settings[index], &self.raw.given[index])
    }
}
