//! Keys that change, go missing or come from elsewhere; and work factors that change.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{Program, Server, System, run_to_end, until};

use crate::PASSWORD;

fn place(path: &Path, content: &str, mode: u32) {
    fs::write(path, content).expect("a file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn key(digit: char) -> String {
    format!("0{}", digit.to_string().repeat(63))
}

fn database(system: &System) -> rusqlite::Connection {
    let path = system.store_url().strip_prefix("sqlite:").expect("a SQLite file");
    let database = rusqlite::Connection::open(path).expect("the database opens");
    database.busy_timeout(std::time::Duration::from_secs(30)).expect("it can wait");
    database
}

fn record(system: &System, username: &str) -> String {
    let query = "SELECT password_record FROM user WHERE username = ?";
    database(system).query_row(query, [username], |row| row.get(0)).expect("the user is there")
}

/// Whether what a server counts under a name and label has come to `least`.
fn counted(server: &Server, series: &str, least: u64) -> Option<()> {
    let metrics = server.ops().get("/metrics", None).assert_status(200);
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(series));
    let count = line.and_then(|count| count.trim().parse::<u64>().ok());
    (count.unwrap_or_else(|| panic!("no {series} in {}", metrics.text())) >= least).then_some(())
}

/// Has an auth_back start with the settings of this one, which it must refuse with these words.
#[track_caller]
fn check_refuses_to_start(system: &System, words: &str) {
    let any_port = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
    let told = system.operator(&any_port).run();
    assert!(told.code != Some(0) && told.errors.contains(words), "no {words:?} in {told:?}");
}

#[test]
fn keys_that_are_not_those_of_the_records_are_refused_at_start() {
    let mut system = System::start();
    system.client().register("ada", PASSWORD).assert_status(200);
    assert!(system.auth().stop().success());
    let first = system.keys().join("pepper-1.key");
    let right = fs::read_to_string(&first).expect("the key of the first start");

    fs::remove_file(&first).expect("it is ours");
    check_refuses_to_start(&system, "there is no pepper key in");
    assert!(!first.exists(), "no new key takes the place of a lost one");
    let second = system.keys().join("pepper-2.key");
    place(&second, &key('2'), 0o600);
    check_refuses_to_start(&system, "under pepper 1, which is not among the keys");
    place(&first, &key('1'), 0o600);
    check_refuses_to_start(&system, "pepper 1 is another key");

    place(&first, &right, 0o600);
    system.auth().start_again();
    system.until_ready();
    system.client().authenticate("ada", PASSWORD).assert_status(200);
}

#[test]
fn a_record_under_a_missing_key_fails_its_user_alone() {
    let system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    user.register("bob", PASSWORD).assert_status(200);
    let damaged = record(&system, "bob").replace("$k=1$", "$k=9$");
    let update = "UPDATE user SET password_record = ? WHERE username = 'bob'";
    database(&system).execute(update, [damaged]).expect("the statement is right");
    for password in [PASSWORD, "incorrect horse battery"] {
        user.authenticate("bob", password).assert_status(500);
    }
    user.authenticate("ada", PASSWORD).assert_status(200);
}

#[test]
fn a_reading_that_fails_leaves_the_keys_that_were_there() {
    let mut system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let path = system.keys().join("pepper-1.key");
    let right = fs::read_to_string(&path).expect("the key of the first start");
    let failures = "auth_back_key_reading_failures_total{keys=\"pepper\"}";
    for (nth, wrong) in (1..).zip(["not a key".to_owned(), key('1')]) {
        place(&path, &wrong, 0o600);
        system.auth().signal("HUP");
        until("the keys to be read", || counted(&system.auths()[0], failures, nth));
        user.authenticate("ada", PASSWORD).assert_status(200);
        user.register(&format!("bob{nth}"), PASSWORD).assert_status(200);
    }
    assert!(!system.auth().log().contains(right.trim()), "a key in the log");
    place(&path, &right, 0o600);
    system.auth().kill_and_start_again();
    system.until_ready();
    for name in ["ada", "bob1", "bob2"] {
        user.authenticate(name, PASSWORD).assert_status(200);
    }
}

/// The id of the key that signed a token.
pub(crate) fn token_key(token: &str) -> u16 {
    let body = URL_SAFE_NO_PAD.decode(token.strip_prefix("gate_").expect("a token"));
    let body = body.expect("base64");
    u16::from_be_bytes([body[1], body[2]])
}

#[test]
fn a_new_token_key_logs_nobody_out_and_a_retired_one_does() {
    // Every check goes to one of the two servers, in turn.
    let mut system = System::builder().auths(2).auth_flags(&["--lease", "0ms"]).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let old = user.log_in("ada", PASSWORD);
    assert_eq!(token_key(&old), 1);

    system.operator(&["token-key", "rotate"]).succeed();
    // One server alone is told. The other learns of the key from the first token under it.
    system.auth().signal("HUP");
    let new = until("a token under the new key", || {
        let token = user.log_in("ada", PASSWORD);
        (token_key(&token) == 2).then_some(token)
    });
    for _ in 0..4 {
        user.session(&new).assert_status(200);
        user.session(&old).assert_status(200);
    }

    let refused = system.operator(&["token-key", "retire", "2"]).run();
    assert!(refused.errors.contains("is the active one"), "{refused:?}");
    // Its sessions live for hours yet.
    let retire = ["token-key", "retire", "1", "--end-sessions", "--yes"];
    let refused = system.operator(&[&retire[..3], &retire[4..]].concat()).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.errors.contains("--session-lifetime"), "{refused:?}");
    let refused = system.operator(&retire[..4]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.errors.contains("this logs out everybody who logged in before 2"),
        "{refused:?}"
    );
    user.session(&old).assert_status(200);
    system.operator(&retire).succeed();
    for auth in system.auths() {
        auth.signal("HUP");
    }
    until("the retired key to be forgotten by both", || {
        let statuses: Vec<_> = (0..4).map(|_| user.session(&old).status).collect();
        statuses.iter().all(|status| *status == 401).then_some(())
    });
    user.session(&new).assert_status(200);
}

#[test]
fn on_a_terminal_an_operator_is_asked_before_sessions_end() {
    let mut system = System::builder().auth_flags(&["--lease", "0ms"]).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let old = user.log_in("ada", PASSWORD);
    system.operator(&["token-key", "rotate"]).succeed();
    let status = system.operator(&["token-key", "status", "--json"]).succeed();
    let status: serde_json::Value = serde_json::from_str(&status).expect("it is JSON");
    let date = |key: usize, what: &str| status["keys"][key][what].as_u64();
    assert!(date(0, "since_ms") <= date(0, "replaced_ms") && date(0, "since_ms").is_some());
    assert_eq!(date(0, "replaced_ms"), date(1, "since_ms"));
    let until = date(0, "replaced_ms").map(|at| at + 12 * 3_600_000 + 12_000);
    assert_eq!((date(0, "needed_until_ms"), date(1, "needed_until_ms")), (until, None));

    let retire = || system.operator(&["token-key", "retire", "1", "--end-sessions"]).on_terminal();
    for answer in ["n\n", "\n", "what\n", "\u{4}"] {
        let told = retire().input(answer).run();
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.output.contains("this logs out everybody who logged in before"), "{told:?}");
        assert!(told.output.contains("Do it? [y/N]"), "{told:?}");
        assert!(told.output.contains("nothing was done"), "{told:?}");
    }
    assert!(system.keys().join("token-1.key").exists());
    let told = retire().input("y\n").run();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(system.keys().join("token-1.key.retired").exists(), "{told:?}");
    system.auth().signal("HUP");
    until_ended(&user, &old);
}

fn until_ended(user: &e2e::Client, token: &str) {
    until("the session to end", || (user.session(token).status == 401).then_some(()));
}

#[test]
fn a_new_key_stands_by_until_every_server_has_it() {
    // As if each of the two had a directory of its own: one has read the key's final name, one has not.
    let mut system = System::builder().auths(2).auth_flags(&["--lease", "0ms"]).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    for command in [["pepper", "rotate", "--standby"], ["token-key", "rotate", "--standby"]] {
        let told = system.operator(&command).succeed();
        assert!(told.contains("2 was made and stands by"), "{told}");
    }
    for auth in system.auths() {
        auth.signal("HUP");
        until("the keys to be read", || auth.log().contains("others: [2]").then_some(()));
    }
    for number in 0..4 {
        user.register(&format!("bob{number}"), PASSWORD).assert_status(200);
        assert!(record(&system, &format!("bob{number}")).contains("$k=1$"));
        assert_eq!(token_key(&user.log_in("ada", PASSWORD)), 1);
    }
    for command in [["pepper", "rotate"], ["token-key", "rotate"]] {
        let told = system.operator(&command).succeed();
        assert!(told.contains("2 is in use from now on"), "{told}");
    }
    system.auth().signal("HUP");
    // Through whichever server: a record under the new pepper is opened, and not sealed back.
    until("a login through the first server", || {
        user.authenticate("ada", PASSWORD).assert_status(200);
        record(&system, "ada").contains("$k=2$").then_some(())
    });
    for _ in 0..4 {
        user.authenticate("ada", PASSWORD).assert_status(200);
        assert!(record(&system, "ada").contains("$k=2$"));
    }
}

#[test]
fn keys_come_from_a_command_or_from_variables() {
    let scripts = tempfile::tempdir().expect("a scratch directory can be made");
    let script = scripts.path().join("vault");
    let print = |lines: &str| place(&script, &format!("#!/bin/sh\n{lines}\n"), 0o700);
    let source = format!("command:{} read", script.display());
    let keys = ["--pepper-keys", &source, "--token-keys", &source];
    print(&format!("echo 1 {}", key('1')));
    let mut system = System::builder().auth_flags(&keys).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    assert!(!system.keys().exists(), "no key is made where keys come from elsewhere");
    let refused = system.operator(&["pepper", "rotate"]).run();
    assert!(refused.errors.contains("add the key 2 there"), "{refused:?}");

    print(&format!("echo 1 {}; echo 2 {}", key('1'), key('2')));
    system.auth().signal("HUP");
    until("a login to bring its record up to date", || {
        user.authenticate("ada", PASSWORD).assert_status(200);
        record(&system, "ada").contains("$k=2$").then_some(())
    });
    user.session(&token).assert_status(200);

    // A command that fails is as good as none.
    print("exit 1");
    system.auth().signal("HUP");
    let failures = "auth_back_key_reading_failures_total{keys=\"pepper\"}";
    until("the keys to be read", || counted(&system.auths()[0], failures, 1));
    user.authenticate("ada", PASSWORD).assert_status(200);
    assert!(system.auth().stop().success());
    check_refuses_to_start(&system, "failed: exit status: 1");

    // The same keys, from variables.
    for flag in ["--pepper-keys", "--token-keys"] {
        system.auth().set_flag(flag, "environment:GATEHOUSE_E2E_KEY");
    }
    system.auth().set_variable("GATEHOUSE_E2E_KEY_1", &key('1'));
    check_refuses_to_start(&system, "under pepper 2, which is not among the keys");
    system.auth().set_variable("GATEHOUSE_E2E_KEY_2", &key('2'));
    system.auth().start_again();
    system.until_ready();
    user.authenticate("ada", PASSWORD).assert_status(200);
    user.session(&token).assert_status(200);
}

#[test]
fn a_changed_work_factor_comes_in_at_logins_and_within_its_budget() {
    let users: Vec<_> = (0..12).map(|number| format!("user{number}")).collect();
    let mut system = System::builder().auth_flags(&["--rehash-rate", "2"]).start();
    let user = system.client();
    for name in &users {
        user.register(name, PASSWORD).assert_status(200);
    }
    let records =
        |system: &System| -> Vec<_> { users.iter().map(|name| record(system, name)).collect() };
    let count = |system: &System, params: &str| {
        records(system).iter().filter(|record| record.contains(params)).count()
    };
    let restart = |system: &mut System, argon2, rate| {
        system.auth().set_flag("--argon2", argon2);
        system.auth().set_flag("--rehash-rate", rate);
        system.auth().kill_and_start_again();
        system.until_ready();
    };
    let log_in = |user: &e2e::Client| {
        for name in &users {
            user.authenticate(name, PASSWORD).assert_status(200);
            user.authenticate(name, "incorrect horse battery").assert_status(401);
        }
    };
    assert_eq!(count(&system, "$m=8,t=1,p=1$"), users.len());

    restart(&mut system, "m=8,t=2,p=1", "0");
    let before = records(&system);
    log_in(&user);
    assert_eq!(records(&system), before, "without a budget, nothing");

    restart(&mut system, "m=8,t=2,p=1", "2");
    let began = std::time::Instant::now();
    log_in(&user);
    // Two at once, and two for each second that has passed.
    let most = 2 + 2 * (usize::try_from(began.elapsed().as_secs()).expect("not so long") + 1);
    let upgraded = count(&system, "$m=8,t=2,p=1$");
    assert!((2..=most).contains(&upgraded), "{upgraded} of at most {most}");
    assert_eq!(upgraded + count(&system, "$m=8,t=1,p=1$"), users.len());
    let series = "auth_back_record_upgrades_total{outcome=\"postponed\"}";
    let postponed = u64::try_from(users.len() - upgraded).expect("not so many");
    assert!(counted(&system.auths()[0], series, postponed).is_some(), "they are counted");

    // Stronger or weaker: what is set is what is made. Memory that does not fit the arenas is found.
    for argon2 in ["m=64,t=1,p=1", "m=8,t=1,p=1"] {
        restart(&mut system, argon2, "10000");
        until("all to be upgraded", || {
            log_in(&user);
            (count(&system, &format!("${argon2}$")) == users.len()).then_some(())
        });
    }
    let before = records(&system);
    log_in(&user);
    assert_eq!(records(&system), before, "what is up to date stays");
}

#[test]
fn arenas_that_do_not_fit_are_refused_at_start() {
    let mut system = System::start();
    assert!(system.auth().stop().success());
    system.auth().set_flag("--argon2", "m=1048576,t=1,p=1");
    for (threads, words) in
        [("256", "256GiB for 256 arenas of 1GiB"), ("200", "lower --hash-threads")]
    {
        let flags =
            ["--hash-threads", threads, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
        let told = system.operator(&flags).run();
        assert!(told.code != Some(0) && told.errors.contains(words), "no {words:?} in {told:?}");
    }
}

#[test]
fn calibration_names_what_serves_most_logins() {
    let system = System::start();
    let told = system.operator(&["calibrate", "--json"]).succeed();
    let report: serde_json::Value = serde_json::from_str(&told).expect("it is JSON");
    let measured = report["measured"].as_array().expect("a list");
    assert_eq!(measured.len(), 10, "{report}");
    let rate = |row: &serde_json::Value| row["hashes_per_second"].as_f64().expect("a number");
    let best = usize::try_from(report["best"].as_u64().expect("something fits")).expect("a place");
    assert!(measured.iter().all(|row| rate(row) > 0.0 && rate(row) <= rate(&measured[best])));
    let table = system.operator(&["calibrate"]).succeed();
    assert!(table.contains("most logins here: --argon2 m="), "{table}");
}

/// Each of two servers with a directory of its own makes its first token key, and calls the other's tokens forged.
#[test]
fn a_server_with_another_token_key_does_not_start() {
    let database = e2e::Database::new();
    let url = database.url().to_owned();
    let mut system = System::builder().store(e2e::Store::MariaDb(database)).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let other = tempfile::tempdir().expect("a directory");
    let keys = other.path().join("keys");
    fs::create_dir(&keys).expect("it can be made");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let copy = |name: &str| {
        fs::copy(system.keys().join(name), keys.join(name)).expect("a key can be copied");
    };
    copy("pepper-1.key");
    let start = || {
        let data = format!("--data={}", other.path().display());
        let flags = ["--listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0", &data];
        let output = run_to_end(Program::AuthBack, &flags, &[("AUTH_BACK_STORE", &url)]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // None: it makes no other.
    let errors = start();
    assert!(errors.contains("token key 1, which is not among the keys"), "{errors}");
    place(&keys.join("token-1.key"), &key('7'), 0o600);
    let errors = start();
    assert!(
        errors.contains("token key 1 is another key than the one that sessions are signed under"),
        "{errors}"
    );
    // The right one, and a newer one that only the running server has.
    copy("token-1.key");
    system.operator(&["token-key", "rotate"]).succeed();
    let errors = start();
    assert!(errors.contains("token key 2, which is not among the keys"), "{errors}");
    user.session(&token).assert_status(200);
    assert!(system.auth().stop().success());
}

/// A token under a key that is another server's may be good: nobody is told that it is dead.
#[test]
fn a_token_under_a_listed_key_that_is_not_here_is_not_called_dead() {
    let mut system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    // As another server lists it, before it signs under it.
    let list = "INSERT INTO token_key (id, since_ms, check_value) VALUES (9, 0, zeroblob(16))";
    database(&system).execute(list, []).expect("it can be listed");
    user.session(&under_key(&token, 9)).assert_status(503);
    // One that nobody lists, once the list was read after it came.
    let forged = under_key(&token, 8);
    until("a definite no", || match user.session(&forged).status {
        401 => Some(()),
        503 => None,
        other => panic!("{other}"),
    });
    user.session(&token).assert_status(200);
    assert!(system.auth().stop().success());
}

/// The token as if that key had signed it.
fn under_key(token: &str, id: u16) -> String {
    let body = URL_SAFE_NO_PAD.decode(token.strip_prefix("gate_").expect("a token"));
    let mut body = body.expect("base64");
    body[1..3].copy_from_slice(&id.to_be_bytes());
    format!("gate_{}", URL_SAFE_NO_PAD.encode(body))
}

/// All token keys are gone: everybody has to log in again, and the operator is told how to get there.
#[test]
fn lost_token_keys_have_a_way_out() {
    let mut system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    assert!(system.auth().stop().success());
    fs::remove_file(system.keys().join("token-1.key")).expect("it is ours");
    check_refuses_to_start(&system, "`auth_back token-key retire 1 --end-sessions`");
    let retire = ["token-key", "retire", "1", "--yes"];
    let refused = system.operator(&retire).run();
    assert!(refused.code == Some(1) && refused.errors.contains("put it back"), "{refused:?}");
    system.operator(&[&retire[..], &["--end-sessions"]].concat()).succeed();
    check_refuses_to_start(&system, "`auth_back token-key rotate` makes another");
    system.operator(&["token-key", "rotate"]).succeed();
    system.auth().start_again();
    system.until_ready();
    user.session(&token).assert_status(401);
    let token = user.log_in("ada", PASSWORD);
    user.session(&token).assert_status(200);
}
