//! The settings that all servers of an installation have alike. They stand in the database, where a server that was
//! given none takes them from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;

use guard::GuardNumbers;
use service::settings::values::Values;
use service::settings::{Invocation, SettingErrors, format_duration};
use sessions::SessionRules;

use super::program::PROGRAM;
use super::rules::{guard_rules, session_rules};

/// Their names, but for [`SESSIONS`].
pub const SHARED: [&str; 7] = [
    "lease",
    "session-idle",
    "session-lifetime",
    "throttle-account",
    "throttle-delay-max",
    "throttle-free",
    "throttle-network",
];

/// Whether sessions have a copy in Redis. A server cannot take that from the database, which has no password.
pub const SESSIONS: &str = "sessions";

/// Values by name, as text. Two that mean the same are the same text. Names of a later release are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedValues(BTreeMap<String, String>);

/// What a server was given, and what it would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What somebody said.
    pub given: SharedValues,
    /// The same, and the defaults of the rest.
    pub own: SharedValues,
}

/// What the values come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedRules {
    /// Of `sessions`, all but how many a user may have.
    pub sessions: SessionRules,
    /// How many guesses there may be.
    pub guesses: GuardNumbers,
    /// Whether sessions have a copy in Redis.
    pub in_redis: bool,
}

impl Shared {
    /// What is wrong with a value is told by whoever reads it for its own sake.
    pub(super) fn read(values: &Values<'_>) -> Result<Self, SettingErrors> {
        let own = SharedValues::read(values).map_err(|_| SettingErrors::none())?;
        let is_given = |name: &String| values.is_given(name);
        let given = own.0.iter().filter(|(name, _)| is_given(name));
        let given = SharedValues(given.map(|(name, text)| (name.clone(), text.clone())).collect());
        Ok(Self { given, own })
    }
}

impl SharedValues {
    fn read(values: &Values<'_>) -> Result<Self, SettingErrors> {
        let (sessions, guard) = (session_rules(values)?, guard_rules(values)?);
        let numbers = guard.numbers();
        let is_redis = values.parse(SESSIONS, "store or redis", |text| Some(text != "store"));
        let place = if is_redis? { "redis" } else { "store" };
        let texts = [
            ("lease", format_duration(sessions.lease)),
            ("session-idle", format_duration(sessions.idle)),
            ("session-lifetime", format_duration(sessions.lifetime)),
            ("throttle-account", numbers.account_failures.to_string()),
            ("throttle-delay-max", format_duration(numbers.delay_max)),
            ("throttle-free", numbers.free.to_string()),
            ("throttle-network", numbers.network_per_minute.to_string()),
            (SESSIONS, place.to_owned()),
        ];
        Ok(Self(texts.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()))
    }

    /// The values in the text that [`SharedValues::to_text`] makes. Lines that are none are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A line for each, by name.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (name, value)| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}={value}");
            text
        })
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// These, and of `others` those whose names are not among them.
    #[must_use]
    pub fn over(&self, others: &Self) -> Self {
        let mut all = others.0.clone();
        all.extend(self.0.clone());
        Self(all)
    }

    /// The same with another value.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self([(name.to_owned(), value.to_owned())].into()).over(self)
    }

    /// What they come to, and the same values in the texts that are used for them. Names that are missing have their
    /// defaults, and names that are not known are passed over.
    ///
    /// # Errors
    /// What is wrong with which value.
    pub fn check(&self, per_user: u32) -> Result<(SharedRules, Self), SettingErrors> {
        let known = SHARED.iter().filter_map(|name| Some(format!("--{name}={}", self.get(name)?)));
        let in_redis = self.get(SESSIONS) == Some("redis");
        let arguments = ["auth_back".to_owned()].into_iter().chain(known).map(OsString::from);
        let Ok(Invocation::Run(raw)) = PROGRAM.read(PROGRAM.command(), arguments, []) else {
            unreachable!("each is a value of a flag of the table");
        };
        raw.check(|values| {
            let (sessions, guard) = (session_rules(values)?, guard_rules(values)?);
            let sessions = SessionRules { per_user, ..sessions };
            let place = if in_redis { "redis" } else { "store" };
            let texts = Self::read(values)?.with(SESSIONS, place).over(self);
            Ok((SharedRules { sessions, guesses: guard.numbers(), in_redis }, texts))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    fn values(text: &str) -> SharedValues {
        SharedValues::parse(text)
    }

    #[test]
    fn what_was_given_is_told_from_defaults() {
        let shared = read(&["--lease=1000ms", "--throttle-free=20"]).unwrap().shared;
        assert_eq!(shared.given, values("lease=1s\nthrottle-free=20\n"));
        assert_eq!(
            shared.own.to_text(),
            "lease=1s\nsession-idle=30m\nsession-lifetime=12h\nsessions=store\nthrottle-account=100\n\
             throttle-delay-max=15m\nthrottle-free=20\nthrottle-network=10\n"
        );
        let redis = read(&["--sessions=redis://:secret@127.0.0.1:6379/0"]).unwrap().shared;
        assert_eq!(redis.given, values("sessions=redis\n"));
    }

    #[test]
    fn every_shared_name_is_a_setting_and_is_written() {
        let own = read(&[]).unwrap().shared.own;
        for name in SHARED.iter().chain([&SESSIONS]) {
            let flag = format!("--{name}={}", own.get(name).unwrap());
            let given = read(&[&flag]).unwrap().shared.given;
            assert_eq!(given.iter().map(|(name, _)| name).collect::<Vec<_>>(), [*name]);
        }
        assert_eq!(own.iter().count(), SHARED.len() + 1);
    }

    #[test]
    fn values_come_to_rules() {
        let text =
            "lease=2000ms\nsession-idle=60s\nsessions=redis\nthrottle-free=7\nusernames=any\n";
        let (rules, texts) = values(text).check(5).unwrap();
        assert_eq!(rules.sessions.lease.as_secs(), 2);
        assert_eq!(rules.sessions.per_user, 5);
        assert_eq!(rules.guesses.free, 7);
        assert!(rules.in_redis);
        let lines: Vec<_> = texts.to_text().lines().map(ToOwned::to_owned).collect();
        for line in ["lease=2s", "session-idle=1m", "sessions=redis", "usernames=any"] {
            assert!(lines.iter().any(|found| found == line), "{line}: {lines:?}");
        }
        // Again, they are the same.
        assert_eq!(texts.check(5).unwrap(), (rules, texts.clone()));
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        let check = |text: &str, expected: &str| {
            let error = values(text).check(5).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("lease=6s", "lease");
        check("lease=soon", "lease");
        check("lease=5s\nsession-idle=10s", "session-idle");
        check("throttle-free=0", "throttle-free");
        check("throttle-free=--help", "throttle-free");
    }
}
