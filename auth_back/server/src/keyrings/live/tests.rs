//! A ring that changes: by files, by a command, and by what must not be taken.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use credentials::{KeyDirectory, Purpose, TokenKeyring};
use store::{Cause, StoreError};
use tempfile::TempDir;

use super::*;

fn id(id: u16) -> KeyId {
    KeyId::new(id).unwrap()
}

fn directory() -> TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

fn place(directory: &Path, name: &str, content: &str, mode: u32) {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn key(digit: char) -> String {
    format!("0{}", digit.to_string().repeat(63))
}

/// A live ring of token keys, whose bell nobody hears.
fn live(source: &KeySource) -> LiveRing<TokenKeyring> {
    live_if(source, |_| Ok(()))
}

fn live_if(
    source: &KeySource,
    admit: impl Fn(&TokenKeyring) -> Result<(), RingFault> + Send + Sync + 'static,
) -> LiveRing<TokenKeyring> {
    let ring = source.load(Purpose::Token, OnMissing::Create).unwrap().keys.into();
    LiveRing::new(ring, source.clone(), Bell::new().0, admit)
}

#[track_caller]
fn check(ring: &LiveRing<TokenKeyring>, expected: &[u16]) {
    let current = ring.current();
    assert_eq!(current.keys().ids(), expected.iter().map(|n| id(*n)).collect::<Vec<_>>());
    assert_eq!(Some(&current.active_id().get()), expected.last());
}

#[test]
fn a_new_file_is_found_when_its_id_is_met() {
    let directory = directory();
    let source = KeySource::Directory(KeyDirectory::at(directory.path()));
    let ring = live(&source);
    check(&ring, &[1]);
    assert!(matches!(ring.look_up(id(1)), Lookup::Has(_)));
    assert!(matches!(ring.look_up(id(2)), Lookup::Lacks(_)));
    // At once, however soon after the last reading.
    place(directory.path(), "token-2.key", &key('2'), 0o600);
    let Lookup::Has(found) = ring.look_up(id(2)) else { panic!("it is there") };
    assert!(found.keys().has(id(2)));
    check(&ring, &[1, 2]);
    // One that goes is no longer known after the next reading.
    fs::remove_file(directory.path().join("token-1.key")).unwrap();
    check(&ring, &[1, 2]);
    assert!(ring.reread());
    check(&ring, &[2]);
    assert!(matches!(ring.look_up(id(1)), Lookup::Lacks(_)));
    assert_eq!(ring.failures(), 0);
}

#[test]
fn what_cannot_be_read_leaves_the_old_ring() {
    let directory = directory();
    let path = directory.path();
    place(path, "token-1.key", &key('1'), 0o600);
    let ring = live(&KeySource::Directory(KeyDirectory::at(path)));
    let check_refused = |failures| {
        assert!(!ring.reread());
        check(&ring, &[1]);
        assert_eq!(ring.failures(), failures);
    };
    place(path, "token-2.key", "not a key", 0o600);
    check_refused(1);
    // Whether there is such a key is not known, and is not looked for again at once.
    assert!(matches!(ring.look_up(id(2)), Lookup::Unsure));
    assert_eq!(ring.failures(), 1);
    place(path, "token-2.key", &key('2'), 0o644);
    check_refused(2);
    fs::remove_file(path.join("token-2.key")).unwrap();
    place(path, "token-1.key", &key('3'), 0o600);
    check_refused(3); // a key never changes
    fs::remove_file(path.join("token-1.key")).unwrap();
    check_refused(4);
    place(path, "token-1.key", &key('1'), 0o600);
    place(path, "token-2.key", &key('2'), 0o600);
    assert!(ring.reread());
    check(&ring, &[1, 2]);
}

#[test]
fn a_ring_that_is_not_admitted_is_not_used() {
    let directory = directory();
    let path = directory.path();
    let fault = || RingFault::Listed(KeyFault::Missing(Purpose::Pepper, id(9)));
    let admit = move |ring: &TokenKeyring| {
        if ring.keys().has(id(3)) || !ring.keys().has(id(2)) { Ok(()) } else { Err(fault()) }
    };
    let ring = live_if(&KeySource::Directory(KeyDirectory::at(path)), admit);
    place(path, "token-2.key", &key('2'), 0o600);
    assert!(!ring.reread());
    check(&ring, &[1]);
    place(path, "token-3.key", &key('3'), 0o600);
    assert!(ring.reread());
    check(&ring, &[1, 2, 3]);
}

#[test]
fn a_command_is_run_by_whoever_hears_the_bell() {
    let directory = directory();
    let path = directory.path();
    let script = |keys: &str| {
        place(path, "keys", &format!("#!/bin/sh\necho >>$0.runs\n{keys}\n"), 0o700);
    };
    let runs = || fs::read_to_string(path.join("keys.runs")).unwrap().lines().count();
    script(&format!("echo 1 {}", key('1')));
    let source: KeySource = format!("command:{}", path.join("keys").display()).parse().unwrap();
    let ring = live(&source);
    assert_eq!(runs(), 1);
    // Read just now: there is no such key. The request does not run the command.
    assert!(matches!(ring.look_up(id(2)), Lookup::Lacks(_)));
    script(&format!("echo 1 {}; echo 2 {}", key('1'), key('2')));
    ring.reading.lock().succeeded = clock::now().checked_sub(KEY_ABSENT_FOR);
    assert!(matches!(ring.look_up(id(2)), Lookup::Unsure));
    assert_eq!(runs(), 1);
    assert!(ring.reread());
    assert_eq!(runs(), 2);
    assert!(matches!(ring.look_up(id(2)), Lookup::Has(_)));
    // Not due again.
    ring.reread_if_due();
    assert_eq!(runs(), 2);
}

#[test]
fn a_server_whose_keys_a_restart_would_not_find_says_so() {
    let directory = directory();
    let path = directory.path();
    let ring = live(&KeySource::Directory(KeyDirectory::at(path)));
    assert_eq!(ring.check(), Ok(()));
    place(path, "token-2.key", "not a key", 0o600);
    ring.reread();
    let why = ring.check().unwrap_err();
    assert!(why.contains("token-2.key"), "{why}");
    place(path, "token-2.key", &key('2'), 0o600);
    ring.reread();
    assert_eq!(ring.check(), Ok(()));
}

/// A vault that is away takes no server out of use; a key that the others use already does.
#[test]
fn a_command_that_fails_says_nothing_of_keys_that_the_store_knows() {
    let directory = directory();
    let path = directory.path();
    let script = |line: &str| place(path, "keys", &format!("#!/bin/sh\n{line}\n"), 0o700);
    script(&format!("echo 1 {}", key('1')));
    let source: KeySource = format!("command:{}", path.join("keys").display()).parse().unwrap();
    let answers = [
        Ok(()),
        Err(RingFault::Listed(KeyFault::Missing(Purpose::Pepper, id(2)))),
        Err(RingFault::Listed(KeyFault::Store(StoreError::Unavailable(Cause::Closed)))),
        Ok(()),
    ];
    let answers = Mutex::new(answers.into_iter());
    let ring = live_if(&source, move |_| answers.lock().next().unwrap_or(Ok(())));
    script("exit 1");
    // Missing stays so while the store cannot be asked.
    for is_well in [true, false, false, true] {
        assert!(!ring.reread());
        assert_eq!(ring.check().is_ok(), is_well);
    }
}

#[test]
fn a_ring_is_read_again_when_it_is_time() {
    let directory = directory();
    let ring = live(&KeySource::Directory(KeyDirectory::at(directory.path())));
    place(directory.path(), "token-2.key", &key('2'), 0o600);
    ring.reread_if_due();
    check(&ring, &[1]);
    let Some(began) = clock::now().checked_sub(KEY_REREAD_INTERVAL) else { return };
    ring.reading.lock().began = began;
    ring.reread_if_due();
    check(&ring, &[1, 2]);
}

#[test]
fn a_fixed_ring_stays() {
    let directory = directory();
    let source = KeySource::Directory(KeyDirectory::at(directory.path()));
    let ring: TokenKeyring = source.load(Purpose::Token, OnMissing::Create).unwrap().keys.into();
    let ring = LiveRing::fixed(ring);
    place(directory.path(), "token-2.key", &key('2'), 0o600);
    assert!(ring.reread());
    assert!(matches!(ring.look_up(id(2)), Lookup::Lacks(_)));
    check(&ring, &[1]);
}

#[test]
fn a_reading_that_panics_is_not_the_last() {
    use crate::keyrings::{Bell, Refresher};
    let keys = directory();
    place(keys.path(), "token-1.key", &key('1'), 0o600);
    place(keys.path(), "pepper-1.key", &key('1'), 0o600);
    let source = KeySource::Directory(KeyDirectory::at(keys.path()));
    let (read, was_read) = std::sync::mpsc::channel();
    let readings = std::sync::atomic::AtomicU32::new(0);
    let tokens = live_if(&source, move |_| {
        // An error means that the test is over.
        let _ = read.send(());
        assert_ne!(readings.fetch_add(1, Ordering::Relaxed), 0, "of the test's making");
        Ok(())
    });
    let ring = source.load(Purpose::Pepper, OnMissing::Refuse).unwrap().keys.into();
    let (bell, ear) = Bell::new();
    let peppers = LiveRing::new(ring, source, bell.clone(), |_| Ok(()));
    let refresher = Refresher::start(ear, Arc::new(peppers), Arc::new(tokens), || ()).unwrap();
    for _ in 0..2 {
        bell.ring();
        was_read.recv().expect("the thread goes on");
    }
    assert!(refresher.end_by(clock::now() + Duration::from_secs(60)));
}
