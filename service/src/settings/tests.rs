//! The whole way, from arguments, variables and a file to checked values.

use std::{
    collections::BTreeSet, ffi::OsString, fs, io::Write as _, net::SocketAddr,
    os::unix::ffi::OsStringExt, time::Duration,
};

use zeroize::Zeroizing;

use super::*;
use crate::{gather, limits::SETTINGS_FILE_BYTES_MAX, log};

const HOUR: Duration = Duration::from_secs(3600);

static PROGRAM: Program = Program::new(
    "auth_back",
    "1.2.3",
    "Keeps accounts and sessions.",
    &[
        Setting::value("listen", "ADDRESS", "Where frames are accepted")
            .default("127.0.0.1:7051")
            .group("Network"),
        Setting::list("peers", "ADDRESS", "Other servers").default("127.0.0.1:1").group("Network"),
        Setting::value("lease", "DURATION", "How long a front may trust | keep an answer")
            .default("250ms"),
        Setting::value("workers", "COUNT", "Threads of the heavy lane").default("8"),
        Setting::value("body", "SIZE", "Longest body").default("16KiB"),
        Setting::switch("accept-v1", "Speak the first protocol too"),
        Setting::value("store", "URL", "Where accounts are kept").secret(),
        Setting::value("pepper-file", "FILE", "Where the peppers are"),
        log::LEVEL,
        log::FORMAT,
    ],
);

#[derive(Debug, PartialEq)]
struct Checked {
    listen: SocketAddr,
    peers: Vec<SocketAddr>,
    lease: Duration,
    workers: u8,
    body: u64,
    accept_v1: bool,
    store: Zeroizing<String>,
    pepper_file: Option<std::path::PathBuf>,
}

fn check_all(raw: &values::Values<'_>) -> Result<Checked, SettingErrors> {
    gather!(Checked {
        listen: raw.address("listen"),
        peers: raw.addresses("peers", 1..=3),
        lease: raw.duration("lease", Duration::ZERO..=HOUR),
        workers: raw.integer("workers", 1..=64),
        body: raw.bytes("body", 1..=65_536),
        accept_v1: raw.boolean("accept-v1"),
        store: raw.secret("store"),
        pepper_file: raw.if_given("pepper-file", |name| raw.path(name)),
    })
}

/// Arguments, variables and the text of a file, in one.
#[derive(Clone, Copy, Default)]
struct Given<'a> {
    flags: &'a [&'a str],
    variables: &'a [(&'a str, &'a str)],
    file: Option<&'a str>,
}

impl Given<'_> {
    /// What comes of it; the file's path reads `FILE` in errors.
    fn read<T>(
        &self,
        build: impl FnOnce(&values::Values<'_>) -> Result<T, SettingErrors>,
    ) -> Result<T, String> {
        let (raw, path) = self.raw()?;
        raw.check(build).map_err(|errors| errors.to_string().replace(&path, "FILE"))
    }

    fn raw(&self) -> Result<(Raw, String), String> {
        let file = self.file.map(|text| {
            let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
            file.write_all(text.as_bytes()).expect("a file of the test's own");
            file
        });
        let path =
            file.as_ref().map_or("no file".to_owned(), |file| file.path().display().to_string());
        let mut arguments = vec!["auth_back".to_owned()];
        arguments.extend(self.flags.iter().map(|flag| (*flag).to_owned()));
        if file.is_some() {
            arguments.push(format!("--config={path}"));
        }
        let variables = self.variables.iter().map(|(name, value)| (name.into(), value.into()));
        match PROGRAM.read(PROGRAM.command(), arguments.into_iter().map(Into::into), variables) {
            Ok(Invocation::Run(raw)) => Ok((*raw, path)),
            Ok(Invocation::Print(text)) => Err(text),
            Err(error) => Err(error.to_string().replace(&path, "FILE")),
        }
    }
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    fn check(given: Given<'_>, expected: Duration) {
        let lease = given.read(|raw| Ok(raw.duration("lease", Duration::ZERO..=HOUR)?));
        assert_eq!(lease, Ok(expected));
    }
    let (flags, variables) = (["--lease", "1s"], [("AUTH_BACK_LEASE", "2s")]);
    let file = Some("lease = \"3s\"");
    check(Given { flags: &flags, variables: &variables, file }, Duration::from_secs(1));
    check(Given { variables: &variables, file, ..Given::default() }, Duration::from_secs(2));
    check(Given { file, ..Given::default() }, Duration::from_secs(3));
    check(Given::default(), Duration::from_millis(250));
}

#[test]
fn every_setting_of_a_valid_configuration_is_read() {
    let file = "store = \"mysql://u:p@db/accounts\"\npeers = [\"10.0.0.1:1\", \"10.0.0.2:1\"]\n\
                workers = 1_6\naccept-v1 = true\npepper-file = '/etc/peppers'\n";
    let checked = Given { file: Some(file), ..Given::default() }.read(|raw| {
        let checked = check_all(raw)?;
        log::LogSettings::read(raw)?;
        assert_eq!(raw.unread().count(), 0, "{:?}", raw.unread().collect::<Vec<_>>());
        Ok(checked)
    });
    let expected = Checked {
        listen: ([127, 0, 0, 1], 7051).into(),
        peers: vec![([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 1).into()],
        lease: Duration::from_millis(250),
        workers: 16,
        body: 16 * 1024,
        accept_v1: true,
        store: "mysql://u:p@db/accounts".to_owned().into(),
        pepper_file: Some("/etc/peppers".into()),
    };
    assert_eq!(checked, Ok(expected));
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let given = Given {
        flags: &["--workers=200", "--store="],
        variables: &[("AUTH_BACK_LEASE", "12 parsecs"), ("AUTH_BACK_PEERS", "1.2.3.4:5,1.2.3.4:5")],
        file: Some("# settings\nlisten = 5\nlogs-level = \"info\"\n[body]\nsize = 1\n"),
    };
    let expected = "\
FILE:3: unknown setting \"logs-level\", did you mean \"log-level\"?
--listen (from FILE:2): \"5\" is not allowed: want an address such as 127.0.0.1:8080
--peers (from AUTH_BACK_PEERS): \"1.2.3.4:5,1.2.3.4:5\" is not allowed: want 1 to 3 different addresses such as 127.0.0.1:7051, separated by commas
--lease (from AUTH_BACK_LEASE): \"12 parsecs\" is not allowed: want a duration from 0ms to 1h, such as 250ms
--workers (from the command line): \"200\" is not allowed: want a whole number from 1 to 64
--body (from FILE:4): a table is not allowed: want a size from 1B to 64KiB, such as 64KiB
--store (from the command line): *** is not allowed: want a text that is not empty";
    assert_eq!(given.read(check_all), Err(expected.to_owned()));
}

#[test]
fn a_setting_without_a_default_is_required() {
    let expected = "--store (or AUTH_BACK_STORE) is missing: want a text that is not empty";
    assert_eq!(Given::default().read(check_all), Err(expected.to_owned()));
}

#[test]
fn texts_are_checked_by_type() {
    fn check<T: std::fmt::Debug + PartialEq>(
        flag: &str,
        read: impl Fn(&values::Values<'_>) -> Result<T, SettingError>,
        expected: impl Into<Option<T>>,
    ) {
        let value = Given { flags: &[flag], ..Given::default() }.read(|raw| Ok(read(raw)?));
        assert_eq!(value.ok(), expected.into(), "{flag}");
    }
    check("--accept-v1", |raw| raw.boolean("accept-v1"), Some(true));
    check("--accept-v1=false", |raw| raw.boolean("accept-v1"), Some(false));
    check("--accept-v1=1", |raw| raw.boolean("accept-v1"), None);
    check("--workers=7", |raw| raw.integer("workers", 1..=8), Some(7));
    check("--workers=+7", |raw| raw.integer("workers", 1..=8), None);
    check("--workers=-7", |raw| raw.integer("workers", -8..=8), Some(-7));
    check("--workers=9", |raw| raw.integer("workers", 1..=8), None);
    check("--workers=256", |raw| raw.integer::<u8>("workers", 0..=255), None);
    check("--workers=", |raw| raw.integer("workers", 1..=8), None);
    check("--body=65KiB", |raw| raw.bytes("body", 0..=65_536), None);
    check("--pepper-file=", |raw| raw.path("pepper-file"), None);
    check("--listen=localhost:80", |raw| raw.address("listen"), None);
    check("--peers=", |raw| raw.addresses("peers", 1..=2), None);
    check("--peers=", |raw| raw.addresses("peers", 0..=2), Some(vec![]));
    check("--peers=1.1.1.1:1, 1.1.1.2:1", |raw| Ok(raw.addresses("peers", 0..=2)?.len()), Some(2));
    check("--peers=1.1.1.1:1,1.1.1.2:1", |raw| raw.addresses("peers", 0..=1), None);
    check("--peers=1.1.1.1:1,", |raw| raw.addresses("peers", 0..=2), None);
    check("--log-format=xml", |raw| raw.choice("log-format", &[("json", 1), ("text", 2)]), None);
}

#[test]
fn a_value_that_is_not_text_is_refused() {
    let arguments = [OsString::from("auth_back"), OsString::from_vec(b"--lease=\xff".to_vec())];
    let Ok(Invocation::Run(raw)) = PROGRAM.read(PROGRAM.command(), arguments, []) else {
        panic!("the flag is known");
    };
    let read = raw.check(|raw| Ok(raw.duration("lease", Duration::ZERO..=HOUR)?));
    assert_eq!(
        read.map_err(|errors| errors.to_string()),
        Err("--lease (from the command line): a value that is not UTF-8 is not allowed: \
             want a duration from 0ms to 1h, such as 250ms"
            .to_owned())
    );
}

#[test]
fn a_file_that_cannot_be_used_is_refused() {
    fn check(file: &str, expected: &str) {
        let read = Given { file: Some(file), ..Given::default() }.read(check_all);
        let error = read.expect_err("the file cannot be used");
        assert!(error.starts_with(expected), "{error}");
    }
    check("lease = 1s\n", "FILE:1: not TOML: ");
    check("lease = \"1s\"\nlease = \"2s\"\n", "FILE:2: not TOML: ");
    let long = "#".repeat(usize::try_from(SETTINGS_FILE_BYTES_MAX).expect("fits") + 1);
    check(&long, "--config: cannot read FILE: longer than 262144 bytes");
    let missing = Given { flags: &["--config=/no/such/file"], ..Given::default() }.read(check_all);
    let error = missing.expect_err("there is no such file");
    assert!(error.starts_with("--config: cannot read /no/such/file: No such file"), "{error}");
}

#[test]
fn values_of_the_file_have_to_be_texts() {
    fn check(line: &str, expected: &str) {
        let error = Given { file: Some(line), ..Given::default() }.read(check_all);
        let error = error.expect_err("the line is not allowed");
        assert!(error.contains(expected), "{line}: {error}");
    }
    check("workers = 0x10", "a number that is not decimal is not allowed");
    check("workers = 1.5", "a number with a fraction is not allowed");
    check("lease = 2020-01-01", "a date or time is not allowed");
    check("lease = [\"1s\"]", "an array is not allowed");
    check("peers = [1]", "an array of other things than strings without commas is not allowed");
    check("peers = [\"1.1.1.1:1,1.1.1.2:1\"]", "an array of other things");
    check("config = \"other.toml\"", "FILE:1: unknown setting \"config\"");
    check("\"a\\nb\" = 1", "FILE:1: unknown setting \"a\\nb\"");
}

#[test]
fn a_secret_is_never_shown() {
    fn check(given: Given<'_>) {
        let shown = match given.raw() {
            Ok((raw, _)) => {
                let summary: Vec<_> = raw.summary().collect();
                let debug = format!("{raw:?} {summary:?}");
                let refused = raw.check(|raw| Ok(raw.parse("store", "another", |_| None::<()>)?));
                format!("{debug} {0} {0:?}", refused.expect_err("every text is refused"))
            }
            Err(error) => error,
        };
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    check(Given { flags: &["--store=hunter2"], ..Given::default() });
    check(Given { variables: &[("AUTH_BACK_STORE", "hunter2")], ..Given::default() });
    check(Given { file: Some("store = \"hunter2\""), ..Given::default() });
    check(Given { file: Some("store = \"hunter2"), ..Given::default() });
    check(Given { file: Some("store = hunter2"), ..Given::default() });
    check(Given { file: Some("store = \"hunter2\"\nstore = \"hunter2\""), ..Given::default() });
    check(Given { file: Some("store = [\"hunter2\"]"), ..Given::default() });
    check(Given { flags: &["--stroe=hunter2"], ..Given::default() });
    check(Given { flags: &["--store=hunter2", "--store=hunter2"], ..Given::default() });
}

#[test]
fn misspelt_variables_are_found_and_foreign_ones_left_alone() {
    let variables = [
        ("AUTH_BACK_LAESE", "1s"),
        ("AUTH_BACK_LEASE", "1s"),
        ("AUTH_BACK_SERVICE_HOST", "10.0.0.1"),
        ("AUTH_BACK_PORT_7051_TCP", "tcp://10.0.0.1:7051"),
        ("HTTP_FRONT_LISTEN", "x"),
    ];
    let given = Given { flags: &["--lease=2s"], variables: &variables, file: None };
    let (raw, _) = given.raw().expect("a flag that fits");
    let expected = [("AUTH_BACK_LAESE".to_owned(), "AUTH_BACK_LEASE".to_owned())];
    assert_eq!(*raw.misspelt_variables(), expected.into());
}

#[test]
fn a_long_value_is_cut_and_its_controls_are_escaped() {
    let flag = format!("--lease=\u{1b}[2J{}", "ä".repeat(1000));
    let error = Given { flags: &[&flag], ..Given::default() }
        .read(|raw| Ok(raw.duration("lease", Duration::ZERO..=HOUR)?))
        .expect_err("not a duration");
    assert!(error.starts_with("--lease (from the command line): \"\\u{1b}[2Jä"), "{error}");
    assert!(error.chars().count() < 300, "{error}");
}

#[test]
fn a_password_in_a_flag_is_noticed() {
    let check = |flag: &str, variable: &str, expected: &[&str]| {
        let flags = format!("--store={flag}");
        let flags: &[&str] = if flag.is_empty() { &[] } else { &[&flags] };
        let variables: &[_] =
            if variable.is_empty() { &[] } else { &[("AUTH_BACK_STORE", variable)] };
        let raw = Given { flags, variables, file: None }.raw().expect("settings").0;
        assert_eq!(raw.passwords_in_flags().collect::<Vec<_>>(), expected, "{flag} {variable}");
    };
    check("mysql://gate:secret@db/gate", "", &["store"]);
    check("redis://:secret@cache", "", &["store"]);
    check("", "mysql://gate:secret@db/gate", &[]);
    for harmless in ["mysql://root@db:3306/gate", "redis://cache:6379/0", "sqlite:/a:b@c", "x"] {
        check(harmless, "", &[]);
    }
}

#[test]
fn help_shows_variable_and_default_and_no_secret() {
    let help =
        Given { flags: &["--help"], variables: &[("AUTH_BACK_STORE", "hunter2")], file: None }
            .raw()
            .expect_err("help is printed");
    for part in [
        "--listen <ADDRESS>",
        "[env: AUTH_BACK_LISTEN] [default: 127.0.0.1:7051]",
        "Network:",
        "--accept-v1[=<true|false>]",
        "--config <FILE>",
        "--print-sample-config",
    ] {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
    assert!(!help.contains("hunter2"), "{help}");
}

#[test]
fn the_sample_is_valid_and_says_what_the_defaults_are() {
    let sample = Given { flags: &["--print-sample-config"], ..Given::default() }.raw();
    let sample = sample.expect_err("the sample is printed");
    let set =
        |raw: &Raw| raw.summary().map(|(name, shown, _)| (name, shown)).collect::<BTreeSet<_>>();
    let bare = Given::default().raw().expect("no settings at all").0;
    let commented = Given { file: Some(&sample), ..Given::default() }.raw().expect("the sample").0;
    assert_eq!(set(&commented), set(&bare));

    // A setting's line has no space after the #, as a comment has.
    let lines = sample.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with([' ', '#']) => setting,
        _ => line,
    });
    let uncommented = lines.collect::<Vec<_>>().join("\n");
    let file = Given { file: Some(&uncommented), ..Given::default() }.raw().expect("still valid").0;
    let required = ["store", "pepper-file"];
    let without = |mut all: BTreeSet<(&'static str, String)>| {
        all.retain(|(name, _)| !required.contains(name));
        all
    };
    assert_eq!(without(set(&file)), set(&bare));
    assert!(file.summary().all(|(_, _, origin)| matches!(origin, Origin::File { .. })));
}

#[test]
fn the_reference_has_a_row_for_each_setting() {
    let page = Given { flags: &["--print-settings-markdown"], ..Given::default() }.raw();
    let page = page.expect_err("the reference is printed");
    for row in [
        "| `--listen ADDRESS` | `AUTH_BACK_LISTEN` | `127.0.0.1:7051` | Where frames are accepted |",
        "| `--peers ADDRESS,...` | `AUTH_BACK_PEERS` | `127.0.0.1:1` | Other servers |",
        "| `--lease DURATION` | `AUTH_BACK_LEASE` | `250ms` | How long a front may trust \\| keep an answer |",
        "| `--accept-v1` | `AUTH_BACK_ACCEPT_V1` | `false` | Speak the first protocol too |",
        "| `--store URL` | `AUTH_BACK_STORE` | none | Where accounts are kept (secret: never logged) |",
    ] {
        assert!(page.contains(row), "{row} is not in\n{page}");
    }
}

#[test]
fn settings_are_allowed_on_both_sides_of_a_subcommand() {
    fn check(arguments: &[&str]) {
        let command = PROGRAM.command().subcommand(clap::Command::new("rotate"));
        let read = PROGRAM.read(command, arguments.iter().map(Into::into), []);
        let Ok(Invocation::Run(raw)) = read else { panic!("{read:?}") };
        assert_eq!(raw.subcommand().map(|(name, _)| name), Some("rotate"));
        let lease = raw.check(|raw| Ok(raw.duration("lease", Duration::ZERO..=HOUR)?));
        assert_eq!(lease.ok(), Some(Duration::from_secs(9)), "{arguments:?}");
    }
    check(&["auth_back", "--lease=9s", "rotate"]);
    check(&["auth_back", "rotate", "--lease=9s"]);
    check(&["auth_back", "--accept-v1", "rotate", "--lease=9s"]);
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), "lease = \"4s\"").expect("a file of the test's own");
    let variables = [("AUTH_BACK_CONFIG".into(), file.path().into())];
    let read = PROGRAM.read(PROGRAM.command(), ["auth_back".into()], variables);
    let Ok(Invocation::Run(raw)) = read else { panic!("{read:?}") };
    let lease = raw.check(|raw| Ok(raw.duration("lease", Duration::ZERO..=HOUR)?));
    assert_eq!(lease.ok(), Some(Duration::from_secs(4)));
}
