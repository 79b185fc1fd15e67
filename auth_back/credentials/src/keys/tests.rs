//! Keys of every source, good and bad, and servers that start at once.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::directory::read_key;
use super::*;

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

fn place(directory: &Path, name: &str, content: &str, mode: u32) {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn load(directory: &Path, on_missing: OnMissing) -> Result<Loaded, KeysError> {
    KeySource::Directory(KeyDirectory::at(directory)).load(Purpose::Pepper, on_missing)
}

/// Reads a directory of one pepper with that content.
#[track_caller]
fn check_content(content: &str, expected: Result<[u8; 32], &str>) {
    let directory = directory();
    place(directory.path(), "pepper-1.key", content, 0o600);
    let found = load(directory.path(), OnMissing::Refuse);
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found.keys.active().1.expose(), &expected),
        (Err(error), Err(expected)) => {
            let error = error.to_string();
            assert!(error.contains("pepper-1.key") && error.contains(expected), "{error}");
            assert!(content.len() < 8 || !error.contains(content.trim_end()), "{error}");
        }
        (found, _) => panic!("{content:?}: {found:?}"),
    }
}

#[test]
fn contents() {
    let key = std::array::from_fn(|index| u8::try_from(index).unwrap());
    for good in [
        HEX.to_owned(),
        HEX.to_uppercase(),
        format!("{HEX}\n"),
        format!("{HEX}\r\n"),
        format!("{BASE64}\n"),
        BASE64.trim_end_matches('=').to_owned(),
    ] {
        check_content(&good, Ok(key));
    }
    for bad in [
        String::new(),
        "\n".to_owned(),
        HEX[1..].to_owned(),
        format!("{HEX}0"),
        format!("{HEX}\n\n"),
        format!(" {HEX}"),
        format!("{HEX}\n{HEX}\n"),
        HEX.replace('f', "g"),
        HEX.replace("1f", "é"),
        BASE64.replace("8=", "9="), // unused bits set
        BASE64.replace("AAEC", "AA-C"),
        "x".repeat(1 << 16),
    ] {
        check_content(&bad, Err("is not one line of 64 hexadecimal digits"));
    }
    check_content(&"0".repeat(64), Err("is a placeholder"));
    check_content(&"ab".repeat(32), Err("is a placeholder"));
}

/// Reads a directory of files (name, mode), each a good key, and compares the ids or the error.
#[track_caller]
fn check_files(files: &[(&str, u32)], expected: Result<&[u16], &str>) {
    let directory = directory();
    for (name, mode) in files {
        place(directory.path(), name, HEX, *mode);
    }
    match (load(directory.path(), OnMissing::Refuse), expected) {
        (Ok(found), Ok(expected)) => {
            let ids: Vec<_> = found.keys.ids().iter().map(|id| id.get()).collect();
            assert_eq!(ids, expected);
            assert_eq!(Some(&found.keys.active_id().get()), expected.last());
        }
        (Err(error), Err(expected)) => {
            let error = error.to_string();
            assert!(error.contains(expected), "{error}");
        }
        (found, _) => panic!("{files:?}: {found:?}"),
    }
}

#[test]
fn files() {
    check_files(&[("pepper-1.key", 0o600)], Ok(&[1]));
    check_files(&[("pepper-1.key", 0o400)], Ok(&[1]));
    check_files(&[("pepper-10.key", 0o600), ("pepper-9.key", 0o600)], Ok(&[9, 10]));
    let others = [("pepper-1.key", 0o600), ("token-2.key", 0o600), ("README", 0o644)];
    check_files(&others, Ok(&[1]));
    check_files(&[("pepper-1.key", 0o600), (".pepper-2.key", 0o600)], Ok(&[1]));
    for mode in [0o640, 0o604, 0o620, 0o610, 0o644] {
        let error = format!("pepper-1.key has mode {mode:04o}: others may read this key");
        check_files(&[("pepper-1.key", mode)], Err(&error));
    }
    check_files(&[("pepper-1.key", 0o600), ("pepper-2.key", 0o644)], Err("pepper-2.key has mode"));
    for name in ["peper-2.key", "pepper.key", "pepper-0.key", "pepper-01.key", "pepper-65536.key"] {
        let error = format!("{name} is not named like");
        check_files(&[("pepper-1.key", 0o600), (name, 0o600)], Err(&error));
    }
    check_files(&[("token-1.key", 0o600)], Err("there is no pepper key in"));
}

#[test]
fn only_regular_files() {
    let directory = directory();
    fs::create_dir(directory.path().join("pepper-1.key")).unwrap();
    let error = load(directory.path(), OnMissing::Create).unwrap_err();
    assert!(matches!(error, KeysError::NotAFile(_)), "{error}");
}

#[test]
fn links_are_followed() {
    let directory = directory();
    place(directory.path(), "data", HEX, 0o600);
    symlink("data", directory.path().join("pepper-1.key")).unwrap();
    assert!(load(directory.path(), OnMissing::Refuse).is_ok());
    fs::set_permissions(directory.path().join("data"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = load(directory.path(), OnMissing::Refuse).unwrap_err();
    assert!(matches!(error, KeysError::FileReadable { mode: 0o644, .. }), "{error}");
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let directory = directory();
    for (mode, refused) in [(0o700, false), (0o755, false), (0o770, true), (0o1777, true)] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = load(directory.path(), OnMissing::Create).err();
        let is_refused = matches!(error, Some(KeysError::DirectoryWritable { .. }));
        assert_eq!(is_refused, refused, "{mode:o} {error:?}");
    }
}

#[test]
fn a_first_start_makes_what_it_needs() {
    let root = directory();
    let path = root.path().join("data").join("keys");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert!(matches!(load(&path, OnMissing::Refuse), Err(KeysError::Missing { .. })));
    assert_eq!(mode(&path), 0o700);

    let created = load(&path, OnMissing::Create).unwrap().created.unwrap();
    assert_eq!(created, path.join("pepper-1.key"));
    assert_eq!(mode(&created), 0o600);
    let source = KeySource::Directory(KeyDirectory::at(&path));
    source.load(Purpose::Token, OnMissing::Create).unwrap();
    let (pepper, token) = (read_key(&created).unwrap(), path.join("token-1.key"));
    assert_ne!(pepper.expose(), read_key(&token).unwrap().expose());
    let names = || fs::read_dir(&path).unwrap().count();
    assert_eq!(names(), 2, "no temporary file is left");

    let again = load(&path, OnMissing::Create).unwrap();
    assert_eq!(again.created, None);
    assert_eq!(again.keys.active().1.expose(), pepper.expose());
}

#[test]
fn a_key_is_never_overwritten() {
    let directory = directory();
    place(directory.path(), "pepper-1.key", HEX, 0o600);
    let keys = KeyDirectory::at(directory.path());
    assert_eq!(keys.create(directory.path().join("pepper-1.key")).unwrap(), None);
    assert_eq!(fs::read_to_string(directory.path().join("pepper-1.key")).unwrap(), HEX);
}

#[test]
fn servers_that_start_at_once_agree() {
    const SERVERS: usize = 8;
    let directory = directory();
    let path = &directory.path().join("keys");
    let start = &Barrier::new(SERVERS);
    let loaded = thread::scope(|scope| {
        let server = || {
            start.wait();
            load(path, OnMissing::Create).unwrap()
        };
        let servers: Vec<_> = (0..SERVERS).map(|_| scope.spawn(server)).collect();
        servers.into_iter().map(|server| server.join().unwrap()).collect::<Vec<_>>()
    });
    let first = loaded[0].keys.active().1.expose();
    assert!(loaded.iter().all(|loaded| loaded.keys.active().1.expose() == first));
    assert_eq!(loaded.iter().filter(|loaded| loaded.created.is_some()).count(), 1);
}

fn id(id: u16) -> KeyId {
    KeyId::new(id).unwrap()
}

#[test]
fn a_rotation_makes_the_next_key_and_uses_no_number_twice() {
    let directory = directory();
    let keys = KeyDirectory::at(directory.path());
    let check = |used, expected: u16| {
        let (made, path) = keys.rotate(Purpose::Pepper, used).unwrap();
        assert_eq!(made, id(expected));
        let name = format!("pepper-{expected}.key");
        assert_eq!(path, directory.path().join(name));
        let loaded = load(directory.path(), OnMissing::Refuse).unwrap();
        assert_eq!(loaded.keys.active_id(), made);
    };
    check(0, 1);
    check(1, 2);
    // Retired, it stays used.
    keys.retire(Purpose::Pepper, id(2)).unwrap().unwrap();
    check(0, 3);
    // The store knows of more.
    check(6, 7);
    // Keys of another purpose do not count.
    assert_eq!(keys.rotate(Purpose::Token, 0).unwrap().0, id(1));
    let full = keys.rotate(Purpose::Token, u16::MAX);
    assert!(matches!(full, Err(KeysError::NoIdLeft("token"))), "{full:?}");
}

#[test]
fn a_retired_key_is_passed_over_and_never_overwritten() {
    let directory = directory();
    let path = directory.path();
    place(path, "pepper-1.key", HEX, 0o600);
    place(path, "pepper-2.key", BASE64, 0o600);
    let keys = KeyDirectory::at(path);
    let retired = keys.retire(Purpose::Pepper, id(1)).unwrap();
    assert_eq!(retired, Some(path.join("pepper-1.key.retired")));
    assert_eq!(fs::read_to_string(path.join("pepper-1.key.retired")).unwrap(), HEX);
    assert_eq!(load(path, OnMissing::Refuse).unwrap().keys.ids(), [id(2)]);
    assert_eq!(keys.retire(Purpose::Pepper, id(1)).unwrap(), None);

    place(path, "pepper-1.key", BASE64, 0o600);
    let again = keys.retire(Purpose::Pepper, id(1));
    assert!(matches!(again, Err(KeysError::RetiredBefore(_))), "{again:?}");
    assert_eq!(fs::read_to_string(path.join("pepper-1.key.retired")).unwrap(), HEX);
    assert_eq!(load(path, OnMissing::Refuse).unwrap().keys.ids(), [id(1), id(2)]);
}

#[test]
fn a_directory_says_which_keys_may_be_new() {
    let directory = directory();
    let source = KeySource::Directory(KeyDirectory::at(directory.path()));
    place(directory.path(), "pepper-2.key", HEX, 0o600);
    assert_eq!(source.may_have(Purpose::Pepper, id(2)), Some(true));
    assert_eq!(source.may_have(Purpose::Pepper, id(1)), Some(false));
    assert_eq!(source.may_have(Purpose::Token, id(2)), Some(false));
}

#[test]
fn sources_have_one_text_each() {
    let check = |text: &str, expected: Option<&str>| {
        let found = text.parse::<KeySource>().ok().map(|source| source.to_string());
        assert_eq!(found.as_deref(), expected, "{text:?}");
    };
    check("directory:/etc/gatehouse/keys", Some("/etc/gatehouse/keys"));
    check("environment:PEPPER", Some("the variables PEPPER_1, PEPPER_2 and so on"));
    check("command:/usr/bin/vault read s3cret", Some("what /usr/bin/vault prints"));
    for text in [
        "",
        "directory",
        "directory:",
        "environment:",
        "environment:pepper",
        "environment:1P",
        "environment:A-B",
        "command:",
        "command: ",
        "command:vault",
        "file:/etc",
        "/etc",
    ] {
        check(text, None);
    }
    let command: KeySource = "command:/usr/bin/vault s3cret".parse().unwrap();
    assert!(!format!("{command:?}").contains("s3cret"));
}

#[test]
fn keys_in_variables() {
    let check = |variables: &[(&str, &str)], expected: Result<&[u16], &str>| {
        let keys = KeyVariables::new("PEPPER").unwrap();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let variables: Vec<(OsString, OsString)> = variables.collect();
        let found = keys.read_from(variables.into_iter());
        let ids = found.map(|keys| keys.iter().map(|found| found.id.get()).collect::<Vec<_>>());
        let ids = ids.map_err(|error| error.to_string());
        assert_eq!(ids.as_deref().map_err(String::as_str), expected);
    };
    check(&[], Ok(&[]));
    check(&[("PEPPER_1", HEX), ("PEPPER_22", BASE64)], Ok(&[1, 22]));
    check(
        &[("PEPPER_1", HEX), ("PEPPER_FILE", "x"), ("PEPPER1", "x"), ("XPEPPER_1", "x")],
        Ok(&[1]),
    );
    let named =
        "is not named like the variables of keys, which end in _1, _2 and so on, or in _2_STANDBY";
    check(&[("PEPPER_01", HEX)], Err(&format!("the variable PEPPER_01 {named}")));
    check(&[("PEPPER_65536", HEX)], Err(&format!("the variable PEPPER_65536 {named}")));
    let content = "is not one line of 64 hexadecimal digits or base64 of 32 bytes";
    check(&[("PEPPER_1", "")], Err(&format!("the variable PEPPER_1 {content}")));
    check(
        &[("PEPPER_1", &"0".repeat(64))],
        Err("the variable PEPPER_1 repeats one byte: it is a placeholder, not a key"),
    );
}

/// Runs a script that is to print keys, and compares the ids or the error without the program's name.
#[track_caller]
fn check_command(script: &str, expected: Result<&[u16], &str>) {
    let directory = directory();
    place(directory.path(), "keys", &format!("#!/bin/sh\n{script}\n"), 0o700);
    let program = directory.path().join("keys").display().to_string();
    let source: KeySource = format!("command:{program} 1 2").parse().unwrap();
    let found = source.load(Purpose::Pepper, OnMissing::Create);
    let ids = found.map(|found| found.keys.ids().iter().map(|id| id.get()).collect::<Vec<_>>());
    let ids = ids.map_err(|error| {
        let error = error.to_string();
        assert!(error.contains(&program) && !error.contains(HEX), "{error}");
        error.replace(&program, "it")
    });
    assert_eq!(ids.as_deref().map_err(String::as_str), expected, "{script}");
}

#[test]
fn keys_that_a_command_prints() {
    check_command(&format!("echo 1 {HEX}"), Ok(&[1]));
    check_command(&format!("echo 2 {BASE64}; echo 11 {HEX}"), Ok(&[2, 11]));
    check_command(&format!("printf '7 {HEX}'"), Ok(&[7]));
    check_command(&format!("echo $2 {HEX}"), Ok(&[2]));
    check_command("", Err("there is no pepper key in what it prints"));
    check_command(&format!("echo 1 {HEX}; exit 3"), Err("it failed: exit status: 3"));
    let malformed = "it prints a line 2 that is not: ID KEY";
    check_command(&format!("echo 1 {HEX}; echo {HEX}"), Err(malformed));
    check_command(&format!("echo 1 {HEX}; echo 02 {HEX}"), Err(malformed));
    check_command(&format!("echo 1 {HEX}; echo"), Err(malformed));
    check_command(
        "echo 1 xyz",
        Err(
            "the key in line 1 that it prints is not one line of 64 hexadecimal digits or base64 of 32 bytes",
        ),
    );
    let twice = "the pepper keys in what it prints: two keys have the id 1";
    check_command(&format!("echo 1 {HEX}; echo 1 {HEX}"), Err(twice));
    check_command("while :; do echo 1; done", Err("it prints more than 8192 bytes"));
}

#[test]
fn a_command_that_does_not_end_is_killed_with_all_that_it_started() {
    let directory = directory();
    // The grandchild holds the pipe open, and would hold up whoever waits for its end.
    place(directory.path(), "keys", "#!/bin/sh\nsleep 600 &\necho $! >$0.pid\nwait\n", 0o700);
    let command = KeyCommand::new(&directory.path().join("keys").display().to_string()).unwrap();
    let pid = directory.path().join("keys.pid");
    thread::scope(|scope| {
        // Long enough for the script to have started its child, whatever else the machine does.
        let run = scope.spawn(|| command.run(clock::now() + Duration::from_secs(2)));
        let error = run.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("did not end within"), "{error}");
    });
    let pid = fs::read_to_string(pid).unwrap();
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        // Gone, or dead and not yet collected.
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    // A signal has been sent when kill(2) returns, and not yet obeyed.
    let give_up = clock::now() + Duration::from_secs(60);
    while !gone() {
        assert!(clock::now() < give_up, "it runs on");
        thread::yield_now();
    }
}

/// Reads a source of the keys 1 to 3, of which 2 and 3 stand by: all are there, and the first is active.
#[track_caller]
fn check_standby(source: &KeySource) {
    let keys = source.load(Purpose::Pepper, OnMissing::Refuse).unwrap().keys;
    assert_eq!(keys.ids(), [id(1), id(2), id(3)]);
    assert_eq!(keys.active_id(), id(1));
}

#[test]
fn a_key_that_stands_by_is_there_and_not_active() {
    let directory = directory();
    let path = directory.path();
    let keys = KeyDirectory::at(path);
    let source = KeySource::Directory(keys.clone());
    keys.rotate(Purpose::Pepper, 0).unwrap();
    assert_eq!(keys.activate(Purpose::Pepper).unwrap(), None);
    for (number, name) in [(2, "pepper-2.standby.key"), (3, "pepper-3.standby.key")] {
        assert_eq!(keys.stand_by(Purpose::Pepper, 0).unwrap(), (id(number), path.join(name)));
    }
    check_standby(&source);
    assert_eq!(source.may_have(Purpose::Pepper, id(3)), Some(true));
    let third = path.join("pepper-3.key");
    assert_eq!(keys.activate(Purpose::Pepper).unwrap(), Some((id(3), third.clone())));
    assert_eq!(load(path, OnMissing::Refuse).unwrap().keys.active_id(), id(3));
    assert_eq!(keys.rotate(Purpose::Pepper, 0).unwrap().0, id(4));
    // Two names of one number are a mistake.
    fs::copy(third, path.join("pepper-3.standby.key")).unwrap();
    let error = load(path, OnMissing::Refuse).unwrap_err();
    assert!(matches!(error, KeysError::Ring { .. }), "{error}");

    let script =
        format!("#!/bin/sh\necho 1 {HEX}; echo 2 {BASE64} standby; echo 3 {HEX} standby\n");
    place(path, "print", &script, 0o700);
    check_standby(&format!("command:{}", path.join("print").display()).parse().unwrap());

    let variables = [("P_1", HEX), ("P_2_STANDBY", BASE64), ("P_3_STANDBY", HEX)];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let found = KeyVariables::new("P").unwrap().read_from(variables.into_iter()).unwrap();
    let found: Vec<_> = found.iter().map(|found| (found.id.get(), found.stands_by)).collect();
    assert_eq!(found, [(1, false), (2, true), (3, true)]);
}

#[test]
fn keys_that_all_stand_by_are_none() {
    let directory = directory();
    place(directory.path(), "pepper-1.standby.key", HEX, 0o600);
    // Nor is one made: somebody is in the middle of something.
    let error = load(directory.path(), OnMissing::Create).unwrap_err();
    assert!(matches!(error, KeysError::Missing { .. }), "{error}");
}
