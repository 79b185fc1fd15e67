//! The table of settings, and what is refused.

use std::ffi::OsString;

use hashing::Params;
use service::settings::{Invocation, Raw, markdown};
use sessions::limits::PER_USER_DEFAULT;
use store::limits::CONNECTIONS_DEFAULT;

use super::*;

fn raw(flags: &[&str]) -> Raw {
    let arguments = std::iter::once("auth_back").chain(flags.iter().copied()).map(OsString::from);
    match PROGRAM.read(PROGRAM.command(), arguments, []) {
        Ok(Invocation::Run(raw)) => *raw,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn read(flags: &[&str]) -> Result<Settings, String> {
    raw(flags).check(Settings::read).map_err(|errors| errors.to_string())
}

#[track_caller]
fn check_refused(flag: &str, want: &str) {
    let (name, value) = flag.split_once('=').unwrap();
    let expected = format!("{name} (from the command line): {value:?} is not allowed: want {want}");
    assert_eq!(read(&[flag]).unwrap_err(), expected);
}

#[test]
fn defaults_are_valid() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.rules.params, Params::DEFAULT);
    assert_eq!(settings.passwords.policy, PasswordPolicy::default());
    assert_eq!(settings.passwords.service_names, ["gatehouse"]);
    assert_eq!(settings.store_connections, CONNECTIONS_DEFAULT);
    assert_eq!(settings.hash_threads, available_cores());
    assert_eq!(settings.hashes_per_thread, None);
    assert_eq!(settings.store.to_string(), "sqlite:./data/users.sqlite");
    assert!(!settings.accept_v1);
    assert!(!settings.uniform_auth_errors);
    assert_eq!(
        settings.guard,
        GuardRules {
            exempt: ["127.0.0.1", "::1"].map(|text| text.parse().unwrap()).into(),
            memory: 32 << 20,
            ..crate::accounts::testing::guard_rules()
        }
    );
}

#[test]
fn every_setting_is_read() {
    let read_all = |values: &Values<'_>| {
        let settings = Settings::read(values);
        assert_eq!(values.unread().collect::<Vec<_>>(), [""; 0]);
        settings
    };
    raw(&[]).check(read_all).unwrap();
    raw(&["--allow-weak-argon2", "--store=sqlite:x"]).check(read_all).unwrap();
}

#[test]
fn the_store_is_in_the_data_directory_unless_it_is_elsewhere() {
    let check = |flags: &[&str], expected: &str| {
        assert_eq!(read(flags).unwrap().store.to_string(), expected);
    };
    check(&["--data=/var/lib/gate"], "sqlite:/var/lib/gate/users.sqlite");
    check(&["--data=/var/lib/gate", "--store=sqlite:here.db"], "sqlite:here.db");
    check(&["--store=mysql://u@h/d"], "mysql://u@h:3306/d");
}

#[test]
fn a_session_may_idle_for_several_leases() {
    read(&["--lease=5s", "--session-idle=20s"]).unwrap();
    let error = read(&["--lease=5s", "--session-idle=19s"]).unwrap_err();
    assert!(error.contains("want a duration from 20s to 366d"), "{error}");
    let sessions = read(&[]).unwrap().rules.sessions;
    assert_eq!(sessions.per_user, PER_USER_DEFAULT);
    assert_eq!(sessions.idle, Duration::from_secs(30 * 60));
}

#[test]
fn sessions_are_in_the_store_alone_unless_a_redis_is_named() {
    let check = |flags: &[&str], expected: Option<&str>| {
        let redis = read(flags).unwrap().redis.map(|url| url.to_string());
        assert_eq!(redis.as_deref(), expected);
    };
    check(&[], None);
    check(&["--sessions=store"], None);
    check(&["--sessions=redis://:p@cache/2"], Some("redis://:***@cache:6379/2"));
    for bad in ["redis", "rediss://:hunter2@cache", "Store", ""] {
        let error = read(&[&format!("--sessions={bad}")]).unwrap_err();
        assert!(error.contains("want store or redis://"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_ends_of_ranges_are_allowed() {
    read(&[
        "--store-connections=128",
        "--hash-threads=256",
        "--hashes-per-thread=2",
        "--rehash-rate=10000",
        "--password-chars-min=64",
        "--password-chars-max=64",
        "--session-lifetime=366d",
        "--lease=5s",
        "--node=31.31",
        "--connections-max=1000000",
        "--heavy-queue=65536",
        "--light-threads=256",
        "--light-queue=65536",
        "--drain=600s",
        "--grace=600s",
    ])
    .unwrap();
    read(&[
        "--store-connections=1",
        "--hash-threads=1",
        "--hashes-per-thread=1",
        "--rehash-rate=0",
        "--password-chars-min=8",
        "--password-chars-max=256",
        "--session-lifetime=1s",
        "--lease=0ms",
        "--node=0.0",
        "--connections-max=1",
        "--heavy-queue=1",
        "--light-threads=1",
        "--light-queue=1",
        "--drain=0ms",
        "--grace=0ms",
    ])
    .unwrap();
}

#[test]
fn bad_values_are_refused_with_what_is_allowed() {
    let address = "an address such as 127.0.0.1:8080";
    check_refused("--listen=localhost", address);
    check_refused("--ops-listen=:9051", address);
    check_refused("--accept-v1=yes", "true or false");
    check_refused("--data=", "a path");
    check_refused("--store-connections=0", "a whole number from 1 to 128");
    check_refused("--store-connections=129", "a whole number from 1 to 128");
    check_refused("--password-chars-min=7", "a whole number from 8 to 64");
    check_refused("--password-chars-max=63", "a whole number from 64 to 256");
    check_refused("--service-names=a,a", "up to 16 different words");
    check_refused("--service-names=a,,b", "up to 16 different words");
    check_refused("--session-lifetime=999ms", "a duration from 1s to 366d, such as 250ms");
    check_refused("--session-lifetime=367d", "a duration from 1s to 366d, such as 250ms");
    check_refused("--session-idle=999ms", "a duration from 1s to 366d, such as 250ms");
    check_refused("--sessions-per-user=0", "a whole number from 1 to 1000");
    check_refused("--sessions-per-user=1001", "a whole number from 1 to 1000");
    check_refused("--lease=5001ms", "a duration from 0ms to 5s, such as 250ms");
    check_refused("--connections-max=0", "a whole number from 1 to 1000000");
    check_refused("--rehash-rate=10001", "a whole number from 0 to 10000");
    let source = "directory:PATH, environment:PREFIX of A-Z, 0-9 and _, or command:/PATH ARG…";
    check_refused("--pepper-keys=keys", source);
    check_refused("--token-keys=command:vault", source);
    check_refused("--heavy-queue=65537", "a whole number from 1 to 65536");
    check_refused("--light-threads=0", "a whole number from 1 to 256");
    check_refused("--light-queue=-1", "a whole number from 1 to 65536");
    check_refused("--drain=11m", "a duration from 0ms to 10m, such as 250ms");
    check_refused("--grace=11m", "a duration from 0ms to 10m, such as 250ms");
    check_refused("--throttle-free=0", "a whole number from 1 to 100");
    check_refused("--throttle-delay-max=59s", "a duration from 1m to 1d, such as 250ms");
    check_refused("--throttle-account=101", "a whole number from 20 to 100");
    check_refused("--throttle-network=601", "a whole number from 1 to 600");
    check_refused("--throttle-memory=1023KiB", "a size from 1MiB to 64GiB, such as 64KiB");
    for exempt in ["localhost", "10.0.0.1/8", "::1,::1"] {
        let want =
            "up to 64 different addresses or networks such as 10.0.0.0/8, separated by commas";
        check_refused(&format!("--throttle-exempt={exempt}"), want);
    }
    for threads in ["0", "257", "+1", "all", ""] {
        let want = "auto or a whole number from 1 to 256";
        check_refused(&format!("--hash-threads={threads}"), want);
    }
    for count in ["0", "3", "+1", "all", ""] {
        let want = "auto or a whole number from 1 to 2";
        check_refused(&format!("--hashes-per-thread={count}"), want);
    }
    for node in ["0", "0.32", "32.0", "0.0.0", "+1.0", "1.", "a.b"] {
        let want = "DATACENTER.MACHINE, each from 0 to 31, such as 0.7";
        check_refused(&format!("--node={node}"), want);
    }
}

#[test]
fn a_weak_work_factor_has_to_be_asked_for_twice() {
    #[track_caller]
    fn check(flags: &[&str], why: &str) {
        let error = read(flags).unwrap_err();
        assert!(error.contains(&format!(" is not allowed: {why}")), "{error}");
    }
    check(&["--argon2=m=8,t=1,p=1"], "m=8,t=1,p=1 is too weak: for each lane, use at least ");
    check(&["--argon2=19456"], "argon2 parameters are written like m=19456,t=2,p=1");
    let too_strong = "m=1048576,t=8,p=1 costs too much: m times t is at most 4194304";
    check(&["--argon2=m=1048576,t=8,p=1"], too_strong);
    check(&["--argon2=m=1048576,t=8,p=1", "--allow-weak-argon2"], too_strong);
    check_refused("--allow-weak-argon2=maybe", "true or false");
    let settings = read(&["--argon2=m=8,t=1,p=1", "--allow-weak-argon2"]).unwrap();
    assert_eq!(settings.rules.params, Params::in_record(8, 1, 1).unwrap());
    check(&["--argon2=m=7,t=1,p=1", "--allow-weak-argon2"], "m=7 is out of range: from 8 KiB");
}

#[test]
fn all_faults_are_told_at_once_and_each_once() {
    let errors = read(&["--data=", "--lease=x", "--password-chars-min=x", "--argon2=x"]);
    let errors = errors.unwrap_err();
    let mut keys: Vec<_> = errors.lines().filter_map(|line| line.split(' ').next()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["--argon2", "--data", "--lease", "--password-chars-min"]);
}

#[test]
fn the_password_of_the_store_is_never_shown() {
    let shows_nothing = |text: String| assert!(!text.contains("s3cret"), "{text}");
    let flags = ["--store=mysql://gate:s3cret@db.example/gate"];
    shows_nothing(format!("{:?}", raw(&flags)));
    let settings = read(&flags).unwrap();
    shows_nothing(format!("{settings:?}"));
    shows_nothing(settings.store.to_string());

    let error = read(&["--store=mysql://gate:s3cret@db.example"]).unwrap_err();
    assert_eq!(
        error,
        "--store (from the command line): *** is not allowed: the URL names no database"
    );
    for (flag, why) in [
        ("--store=mysql://gate:s3#cret@db/gate", "# in the password must be percent-encoded"),
        ("--store=mysql://gate:s3cret@db/gate?ssl=1", "may not have a query or a fragment"),
        ("--store=postgres://gate:s3cret@db/gate", "want sqlite:PATH or mysql://"),
        ("--sessions=redis://:s3/cret@db:6379/0", "must be percent-encoded"),
        ("--sessions=redis://:s3cret@db:6379/77777", "the database is a number from 0 to"),
    ] {
        let error = read(&[flag]).unwrap_err();
        assert!(error.contains(why) && !error.contains("s3"), "{error}");
    }
}

#[test]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../SETTINGS.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == markdown(&PROGRAM),
        "write it again: cargo run -p auth_back -- --print-settings-markdown > auth_back/SETTINGS.md"
    );
}
