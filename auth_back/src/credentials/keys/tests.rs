//! Key files of every kind, good and bad, and servers that start at once.

use super::*;
use std::os::unix::fs::symlink;
use std::sync::Barrier;
use std::thread;

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

fn load(directory: &Path, on_missing: OnMissing) -> Result<Loaded<Keyring>, KeysError> {
    KeyDirectory::open(directory)?.load(Purpose::Pepper, on_missing)
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
        assert_eq!(KeyDirectory::open(directory.path()).is_err(), refused, "{mode:o}");
    }
}

#[test]
fn a_first_start_makes_what_it_needs() {
    let root = directory();
    let path = root.path().join("data").join("keys");
    let keys = KeyDirectory::open(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o700);
    assert!(matches!(keys.peppers(OnMissing::Refuse), Err(KeysError::Missing { .. })));

    let created = keys.peppers(OnMissing::Create).unwrap().created.unwrap();
    assert_eq!(created, path.join("pepper-1.key"));
    assert_eq!(mode(&created), 0o600);
    keys.token_keys(OnMissing::Create).unwrap();
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
    let keys = KeyDirectory::open(directory.path()).unwrap();
    assert_eq!(keys.create(Purpose::Pepper, KeyId::FIRST).unwrap(), None);
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
