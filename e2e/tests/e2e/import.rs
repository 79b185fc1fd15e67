//! Users of other systems come over with the passwords they have, and go again.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use e2e::{Client, Database, Store, System, Told, until};
use serde_json::{Value, json};

use crate::PASSWORD;

/// By other implementations: the file says which.
const HASHES: &str = include_str!("../../../auth_back/credentials/testdata/foreign_hashes.tsv");

/// By bcrypt, of [`PASSWORD`], at the lowest cost.
const BCRYPT: &str = "$2b$04$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri";

/// What a record starts with that was hashed with the parameters of these tests.
const OURS: &str = "$gh1$argon2id$v=19$m=8,t=1,p=1$";

/// Every old record is converted at once, and slow hashes on a busy machine are in time.
fn system(store: Store) -> System {
    System::builder()
        .store(store)
        .auth_flags(&["--rehash-rate", "10000"])
        .front_flags(&["--request-timeout", "60s"])
        .start()
}

fn write(system: &System, name: &str, text: &str) -> PathBuf {
    let path = system.scratch().join(name);
    fs::write(&path, text).expect("a file can be written");
    path
}

fn import(system: &System, path: &Path, flags: &[&str]) -> Told {
    let path = path.to_str().expect("the path is UTF-8");
    system.operator(&[&["import", path], flags].concat()).run()
}

/// The first line that an import tells, without what follows on costs.
fn summary(told: &Told) -> &str {
    told.output.lines().next().unwrap_or_default()
}

/// What is stored, by username.
fn stored(system: &System) -> Vec<Value> {
    let lines = system.operator(&["export", "-", "--format", "jsonl"]).succeed();
    lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn record(system: &System, username: &str) -> String {
    let users = stored(system);
    let user = users.iter().find(|user| user["username"] == username);
    let record = user.and_then(|user| user["password_hash"].as_str());
    record.unwrap_or_else(|| panic!("no {username} in {users:?}")).to_owned()
}

/// Password and hash.
fn hashes() -> Vec<(String, &'static str)> {
    let lines = HASHES.lines().filter(|line| !line.starts_with('#'));
    let hash = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let byte = |at| u8::from_str_radix(&fields[2][at..at + 2], 16).expect("hexadecimal");
        let password: Vec<u8> = (0..fields[2].len()).step_by(2).map(byte).collect();
        (String::from_utf8(password).expect("UTF-8"), fields[3])
    };
    lines.map(hash).collect()
}

#[test]
fn hashes_of_other_systems_log_in_and_become_ours_on_sqlite() {
    hashes_become_ours(system(Store::Sqlite), hashes());
}

#[test]
fn hashes_of_other_systems_log_in_and_become_ours_on_mariadb() {
    // The computing is the same; those that are quick to compute do.
    let slow = ["$12$", "131000", "000000$", "m=102400"];
    let quick = |(_, hash): &(String, &str)| !slow.iter().any(|slow| hash.contains(slow));
    let hashes = hashes().into_iter().filter(quick).collect();
    hashes_become_ours(system(Store::MariaDb(Database::new())), hashes);
}

fn hashes_become_ours(mut system: System, hashes: Vec<(String, &str)>) {
    assert!(hashes.len() > 25, "{}", hashes.len());
    let (mut csv, mut lines) = ("username,password_hash\n".to_owned(), String::new());
    for (number, (_, hash)) in hashes.iter().enumerate() {
        if number % 2 == 0 {
            writeln!(csv, "user{number},\"{hash}\"").expect("a string takes all");
        } else {
            let line = json!({ "username": format!("user{number}"), "password_hash": hash });
            writeln!(lines, "{line}").expect("a string takes all");
        }
    }
    for (name, text) in [("users.csv", csv), ("users.jsonl", lines)] {
        let told = import(&system, &write(&system, name, &text), &[]);
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.output.contains(" 0 refused"), "{told:?}");
    }
    let user = system.client();
    for (number, (password, hash)) in hashes.iter().enumerate() {
        let name = format!("user{number}");
        let wrong = format!("{password}x");
        // bcrypt looks at 72 bytes; its owner gets in, and no record is made of what was not looked at.
        let is_cut = password.len() > 72 && hash.starts_with("$2");
        if !is_cut {
            user.authenticate(&name, &wrong).assert_status(401);
        }
        user.authenticate(&name, password).assert_status(200);
        let is_ours = record(&system, &name).starts_with(OURS);
        assert_eq!(is_ours, !is_cut, "{hash}");
        user.authenticate(&name, password).assert_status(200);
        user.authenticate(&name, "incorrect horse battery").assert_status(401);
    }
    // Nothing that is as good as a password was told to anybody.
    let log = system.auth().log();
    for (_, hash) in hashes {
        assert!(!log.contains(&hash[hash.len() - 12..]), "{hash}");
    }
}

const LINES: usize = 20_000;

#[test]
fn a_killed_import_is_run_again_on_sqlite() {
    a_killed_import_is_run_again(&system(Store::Sqlite));
}

#[test]
fn a_killed_import_is_run_again_on_mariadb() {
    a_killed_import_is_run_again(&system(Store::MariaDb(Database::new())));
}

fn a_killed_import_is_run_again(system: &System) {
    let mut lines = String::new();
    for number in 0..LINES {
        let name = format!("Number {number}");
        let line = json!({
            "username": format!("user{number}"), "password_hash": BCRYPT, "name": name, "age": 36,
            "created_at": "2020-02-29T12:00:00.5Z",
        });
        writeln!(lines, "{line}").expect("a string takes all");
    }
    let path = write(system, "users.jsonl", &lines);
    let words = ["import", path.to_str().expect("the path is UTF-8")];
    let user = system.client();
    // Not by guessing: guesses are counted.
    let is_there = |number: usize| {
        let told = system.operator(&["user", "show", &format!("user{number}")]).run();
        assert!(told.code == Some(0) || told.errors.contains("there is no user"), "{told:?}");
        told.code == Some(0)
    };
    // Twice in the middle, with the servers running.
    for reached in [2_000, 6_000] {
        let mut child = system.operator(&words).begin();
        until("progress", || is_there(reached).then_some(()));
        child.kill().expect("a child can be killed");
        assert!(!child.wait().expect("a child can be waited for").success());
        assert!(!is_there(LINES - 1), "it was done before it was killed");
    }
    // Whoever was imported may log in meanwhile, and is converted.
    user.authenticate("user7", PASSWORD).assert_status(200);
    assert!(record(system, "user7").starts_with(OURS));

    let told = import(system, &path, &[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let there_already =
        told.output.split(", ").find_map(|part| part.strip_suffix(" there already"));
    let there_already: usize = there_already.expect("it says so").parse().expect("a number");
    assert!((6_000..LINES).contains(&there_already), "{told:?}");
    let sums = format!("{LINES} lines: {} imported", LINES - there_already);
    assert!(told.output.starts_with(&sums), "{told:?}");

    let mut users = stored(system);
    assert_eq!(users.len(), LINES);
    for user in &users {
        let number = user["username"].as_str().and_then(|name| name.strip_prefix("user"));
        let name = format!("Number {}", number.expect("they are all called so"));
        let is_whole = user["name"] == name
            && user["age"] == 36
            && user["created_at"] == "2020-02-29T12:00:00.500Z"
            && user["password_hash"].as_str().is_some_and(|hash| hash.starts_with("$gh1$"));
        assert!(is_whole, "{user}");
    }
    users.dedup_by(|a, b| a["user_id"] == b["user_id"]);
    assert_eq!(users.len(), LINES);
    for number in [0, 1_999, 7, LINES - 1] {
        user.authenticate(&format!("user{number}"), PASSWORD).assert_status(200);
    }
}

#[test]
fn hostile_lines_are_told_and_do_no_harm() {
    let system = system(Store::Sqlite);
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let csv = format!(
        "\u{feff}username,password_hash,name,age\r\n\
         ada,{BCRYPT},Somebody else,\r\n\
         eve,plaintext-secret,,\r\n\
         eve,$2b$31$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri,,\r\n\
         '; DROP TABLE user; --,{BCRYPT},,\r\n\
         eve,{BCRYPT},\"no end,\r\n\
         eve,{BCRYPT},\u{1b}[2J,\r\n\
         mal,{BCRYPT},\"=HYPERLINK(\"\"http://evil.example\"\")\",\r\n\
         bob,{BCRYPT},Robert'); DROP TABLE user;--,36\r\n"
    );
    let path = write(&system, "users.csv", &csv);
    let told = import(&system, &path, &["--report", "report.jsonl"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert_eq!(summary(&told), "8 lines: 2 imported, 0 there already, 0 skipped, 6 refused");
    for (line, why) in [
        (2, "taken"),
        (3, "known form"),
        (4, "cost"),
        (5, "username"),
        (6, "quote"),
        (7, "control"),
    ] {
        let said = format!("line {line}: ");
        let found = told.errors.lines().find(|told| told.starts_with(&said));
        assert!(found.is_some_and(|told| told.contains(why)), "{line} {why}: {told:?}");
    }
    let report = system.scratch().join("report.jsonl");
    let mode = fs::metadata(&report).expect("there is a report").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let report = fs::read_to_string(report).expect("it can be read");
    assert_eq!(report.lines().count(), 6);
    for text in [&told.errors, &report] {
        assert!(!text.contains("secret") && !text.contains("cP11OS"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    user.authenticate("ada", PASSWORD).assert_status(200);
    user.authenticate("bob", PASSWORD).assert_status(200);
    user.authenticate("eve", PASSWORD).assert_status(404);

    // Out again: for a spreadsheet, for ourselves, and for another system.
    let succeed = |words: &[&str]| system.operator(words).succeed();
    succeed(&["export", "out.csv"]);
    let out = system.scratch().join("out.csv");
    let mode = fs::metadata(&out).expect("there is a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let exported = fs::read_to_string(&out).expect("it can be read");
    assert!(exported.contains("\"'=HYPERLINK(\"\"http://evil.example\"\")\""), "{exported}");
    assert!(!exported.contains("cP11OS"), "{exported}");
    let told = import(&system, &out, &[]);
    assert_eq!(summary(&told), "3 lines: 0 imported, 3 there already, 0 skipped, 0 refused");

    let unsealed = system.operator(&["export", "-", "--format", "csv", "--unsealed"]).run();
    assert!(unsealed.errors.contains("not under the pepper"), "{unsealed:?}");
    let elsewhere = System::start();
    let told =
        elsewhere.operator(&["import", "-", "--format", "csv"]).input(&unsealed.output).run();
    assert_eq!(summary(&told), "3 lines: 3 imported, 0 there already, 0 skipped, 0 refused");
    for name in ["ada", "bob", "mal"] {
        log_in_and_not(&elsewhere.client(), name);
    }
}

fn log_in_and_not(user: &Client, name: &str) {
    user.authenticate(name, PASSWORD).assert_status(200);
    user.authenticate(name, "incorrect horse battery").assert_status(401);
}

#[test]
fn a_rehearsal_and_a_file_that_is_none() {
    let system = system(Store::Sqlite);
    let path = write(&system, "users.csv", &format!("username,password_hash\nada,{BCRYPT}\n"));
    let told = import(&system, &path, &["--dry-run"]);
    let expected = "1 lines: 1 could be imported, 0 there already, 0 skipped, 0 refused";
    assert_eq!(summary(&told), expected);
    system.client().authenticate("ada", PASSWORD).assert_status(404);
    for (name, text) in [("empty.csv", ""), ("other.csv", "a;b\n1;2\n"), ("users.txt", "x")] {
        let told = import(&system, &write(&system, name, text), &[]);
        assert_eq!((told.code, &*told.output), (Some(1), ""), "{told:?}");
        assert!(told.errors.starts_with("auth_back import: "), "{told:?}");
    }
}

#[test]
fn hashes_that_take_longer_than_a_login_may_are_named() {
    let system = system(Store::Sqlite);
    // Two to three seconds of a core, and twice that in two forms: too long for the default on any machine of today.
    let slow = BCRYPT.replace("$04$", "$15$");
    let csv = format!("username,password_hash\nada,{BCRYPT}\nbob,{slow}\n");
    let path = write(&system, "users.csv", &csv);
    for flags in [&["--dry-run"][..], &[], &["--report", "report.jsonl"]] {
        let told = import(&system, &path, flags);
        assert_eq!(told.code, Some(0), "{told:?}");
        let [_, counts, slow] = told.output.lines().collect::<Vec<_>>()[..] else {
            panic!("{told:?}");
        };
        assert!(counts.contains("more: ") && counts.contains("two forms"), "{counts}");
        assert!(slow.starts_with("too slow to log in: 1 (") && slow.contains(" 2 s "), "{slow}");
        assert!(slow.contains("--request-timeout") && slow.contains("set-password"), "{slow}");
        assert!(told.errors.contains("line 3: warning: a login with this hash takes"), "{told:?}");
        assert!(!told.errors.contains("line 2: "), "{told:?}");
    }
    let report = fs::read_to_string(system.scratch().join("report.jsonl")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("it has one line");
    assert_eq!((report["line"].as_u64(), report["username"].as_str()), (Some(3), Some("bob")));
    assert!(report["warning"].as_str().is_some_and(|why| why.contains("http_front waits 2 s")));
    let help = system.operator(&["import", "--help"]).succeed();
    for words in ["cannot log in", "set-password", "--request-timeout", "twice as long"] {
        assert!(help.contains(words), "{help}");
    }
    // The time that is spoken of is http_front's default.
    let settings = include_str!("../../../http_front/SETTINGS.md");
    let default = settings.lines().find(|line| line.contains("--request-timeout"));
    assert!(default.expect("it is a setting").contains("| `2s` |"));
    assert_eq!(server::limits::FRONT_TIME_DEFAULT.as_secs(), 2);
}
