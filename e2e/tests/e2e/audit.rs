//! The audit log of real servers: what is in it, where it goes, how it is rotated.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;
use std::{fs, thread};

use e2e::{Program, System, run_to_end, until};
use serde_json::{Value, json};
use server::limits::{
    AUDIT_FAILURES_BURST_FOR_NOTHING, AUDIT_FAILURES_PER_SECOND, AUDIT_LINE_BYTES_MAX,
    AUDIT_SUMMARY_BYTES_MAX,
};

use crate::PASSWORD;

/// The lines of an audit log, by a parser that is not ours.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Event and outcome of each line.
fn told(lines: &[Value]) -> Vec<(&str, &str)> {
    lines.iter().map(|line| (text(line, "event"), text(line, "outcome"))).collect()
}

fn text<'l>(line: &'l Value, key: &str) -> &'l str {
    line[key].as_str().unwrap_or_else(|| panic!("no {key} in {line}"))
}

#[test]
fn every_outcome_is_one_line_and_no_secret_is_in_it() {
    let mut system = System::start();
    let user = system.client();
    let user_id = user.register("ada", PASSWORD).assert_status(200).text_at("user_id");
    user.register("ada", PASSWORD).assert_status(409);
    user.register("grace", "Password1").assert_status(400);
    user.authenticate("ada", "wrong horse battery").assert_status(401);
    user.authenticate("grace", PASSWORD).assert_status(404);
    user.authenticate("a\u{202e}\u{1b}[2Jb\n", PASSWORD).assert_status(400);
    let token = user.log_in("ada", PASSWORD);
    user.products(Some(&token)).assert_status(200);
    let guess =
        json!({"current_password": "wrong horse battery", "new_password": "new horse battery"});
    user.post_as("/open_api/v1/change_password", &guess, &token).assert_status(401);
    let nobodys = json!({"session_id": "1"});
    user.post_as("/open_api/v1/revoke_session", &nobodys, &token).assert_status(404);
    user.logout(&token).assert_status(200);
    assert!(system.auth().stop().success());

    let path = system.scratch().join("data/audit.log");
    let lines = lines(&path);
    assert_eq!(
        told(&lines),
        [
            ("register", "ok"),
            ("register", "username_taken"),
            ("register", "password_common"),
            ("authenticate", "password_wrong"),
            ("authenticate", "user_unknown"),
            ("authenticate", "username_invalid"),
            ("authenticate", "ok"),
            ("change_password", "password_wrong"),
            ("revoke_session", "session_unknown"),
            ("logout", "ok"),
        ]
    );
    assert_eq!(text(&lines[0], "user_id"), user_id);
    // Whoever has a session is known, whatever else is wrong.
    for line in &lines[6..] {
        assert_eq!(text(line, "user_id"), user_id, "{line}");
    }
    assert_eq!(text(&lines[5], "username"), "a\u{202e}\u{1b}[2Jb\n");
    for line in &lines[..7] {
        assert_eq!(text(line, "client"), "127.0.0.1");
        assert_eq!(text(line, "request_id").len(), 32);
    }
    assert!(!text(&lines[6], "session_id").is_empty());

    let raw = fs::read_to_string(&path).unwrap();
    for secret in [PASSWORD, "wrong horse battery", "new horse battery", "Password1", &token] {
        assert!(!raw.contains(secret));
    }
    assert!(raw.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
}

#[test]
fn a_file_that_was_moved_away_is_made_anew_at_sighup() {
    let mut system = System::start();
    let path = system.scratch().join("data/audit.log");
    let moved = system.scratch().join("data/audit.log.1");
    system.client().register("before", PASSWORD).assert_status(200);
    until("the first line", || (lines(&path).len() == 1).then_some(()));
    fs::rename(&path, &moved).unwrap();
    system.auth().signal("HUP");
    until("a new file", || path.exists().then_some(()));
    system.client().register("after", PASSWORD).assert_status(200);
    assert!(system.auth().stop().success());
    let names = |path| lines(path).iter().map(|line| text(line, "username").to_owned()).collect();
    let (old, new): (Vec<_>, Vec<_>) = (names(&moved), names(&path));
    assert_eq!((old, new), (vec!["before".to_owned()], vec!["after".to_owned()]));
}

#[test]
fn it_can_be_off_or_refused() {
    let mut system = System::builder().auth_flags(&["--audit=off"]).start();
    system.client().register("ada", PASSWORD).assert_status(200);
    assert!(system.auth().stop().success());
    assert!(!system.scratch().join("data/audit.log").exists());

    let scratch = system.scratch().display().to_string();
    let data = format!("--data={scratch}/data");
    let output = run_to_end(Program::AuthBack, &[&data, &format!("--audit={scratch}")], &[]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("is not a regular file"), "{error}");
}

#[test]
fn what_operators_do_is_told_in_a_file_of_their_own() {
    let scratch = tempfile::tempdir().unwrap();
    let data = format!("--data={}", scratch.path().display());
    let output = run_to_end(Program::AuthBack, &["migrate", &data], &[]);
    assert!(output.status.success(), "{output:?}");
    let lines = lines(&scratch.path().join("audit-operators.log"));
    assert_eq!(told(&lines), [("command", "begun"), ("command", "ok")]);
    assert_eq!(text(&lines[1], "command"), "migrate");
    assert!(!scratch.path().join("audit.log").exists(), "that one is the servers'");
}

#[test]
fn what_cannot_be_told_is_not_done() {
    let system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let file = system.scratch().join("data/audit-operators.log");
    assert_eq!(lines(&file).len(), 0, "the server has made it");
    let disable = ["user", "disable", "ada"];

    let refused = system.operator(&disable).without_room().run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.errors.contains("nothing was done, because the audit log"), "{refused:?}");
    assert!(refused.errors.contains("--audit -"), "it says what to do: {refused:?}");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let refused = system.operator(&disable).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.errors.contains("is not a regular file"), "{refused:?}");
    user.authenticate("ada", PASSWORD).assert_status(200);

    // What changes nothing is done all the same, and says so.
    let shown = system.operator(&["user", "show", "ada"]).run();
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.output.contains("ada") && shown.errors.contains("not told"), "{shown:?}");

    let told = system.operator(&[&["--audit", "-"], &disable[..]].concat()).run();
    assert_eq!(told.code, Some(0), "{told:?}");
    let lines: Vec<Value> =
        told.errors.lines().filter_map(|it| serde_json::from_str(it).ok()).collect();
    assert_eq!(self::told(&lines), [("command", "begun"), ("command", "ok")]);
    user.authenticate("ada", PASSWORD).assert_status(403);
    let told = system.operator(&["--audit", "off", "user", "enable", "ada"]).run();
    assert_eq!((told.code, &*told.errors), (Some(0), ""));
    user.authenticate("ada", PASSWORD).assert_status(200);
}

/// Names that cannot be, as long as they may be in the log, from a client that does nothing else.
#[test]
fn a_flood_leaves_no_more_than_its_share() {
    const CONNECTIONS: u64 = 32;
    const EACH: u64 = 250;
    let mut system = System::start();
    let body = json!({"username": "\u{1f600}".repeat(64), "password": "xxxxxxxxxx"}).to_string();
    let agent = "\u{e9}".repeat(127);
    let request = format!(
        "POST /open_api/v1/authenticate HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            let (mut connection, request) = (system.raw_http(), &request);
            scope.spawn(move || {
                for _ in 0..EACH {
                    connection.send(request.as_bytes());
                    assert_eq!(connection.answer().status, 400);
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs() + 1;
    // Somebody who can log in meanwhile is in the log.
    system.client().register("ada", PASSWORD).assert_status(200);
    assert!(system.auth().stop().success());

    let path = system.scratch().join("data/audit.log");
    let lines = lines(&path);
    let summaries: Vec<_> = lines.iter().filter(|line| line.get("suppressed").is_some()).collect();
    let suppressed: u64 = summaries
        .iter()
        .map(|line| line["suppressed"]["authenticate"]["username_invalid"].as_u64().unwrap())
        .sum();
    let written = lines.iter().filter(|line| line["outcome"] == "username_invalid").count() as u64;
    assert_eq!(written + suppressed, CONNECTIONS * EACH, "each is written or counted");
    assert_eq!(lines.iter().filter(|line| line["username"] == "ada").count(), 1);
    let lines_max = u64::from(AUDIT_FAILURES_BURST_FOR_NOTHING)
        + u64::from(AUDIT_FAILURES_PER_SECOND) * seconds;
    assert!(written <= lines_max, "{written} in {seconds} s");
    let bytes = path.metadata().unwrap().len();
    let bytes_max = (lines_max + 1) * AUDIT_LINE_BYTES_MAX as u64
        + summaries.len() as u64 * AUDIT_SUMMARY_BYTES_MAX as u64;
    assert!(bytes <= bytes_max, "{bytes} in {seconds} s");
}

#[test]
fn a_full_file_is_turned_over() {
    let flags = ["--audit-file-size", "128KiB", "--audit-files", "2"];
    let mut system = System::builder().auths(2).auth_flags(&flags).start();
    let path = system.scratch().join("data/audit.log");
    let turned = system.scratch().join("data/audit.log.1");
    system.client().register("before", PASSWORD).assert_status(200);
    until("the first line", || (lines(&path).len() == 1).then_some(()));
    let filler = format!("{}\n", json!({"filler": "x".repeat(127 << 10)}));
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    file.write_all(filler.as_bytes()).unwrap();
    drop(file);
    // Both servers write to it, and both go on in the new one.
    for number in 0..20 {
        system.client().register(&format!("user{number}"), PASSWORD).assert_status(200);
    }
    assert!(system.auths().iter_mut().all(|auth| auth.stop().success()));
    let (old, new) = (lines(&turned), lines(&path));
    assert_eq!(text(&old[0], "username"), "before");
    assert!(old[1].get("filler").is_some());
    assert_eq!(old.len() + new.len(), 22, "none is lost");
    assert!(!new.is_empty());
    assert!(turned.metadata().unwrap().len() <= 128 << 10);
    assert!(!system.scratch().join("data/audit.log.2").exists());
}

#[test]
fn half_a_line_of_a_server_that_was_killed_spoils_no_other() {
    let mut system = System::start();
    let path = system.scratch().join("data/audit.log");
    system.auth().kill();
    fs::write(&path, "{\"time\":\"2026-11-24T15:13:08.042Z\",\"outc").unwrap();
    system.auth().start_again();
    let user = system.client();
    until("the server", || (user.register("ada", PASSWORD).status == 200).then_some(()));
    assert!(system.auth().stop().success());
    let text = fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap();
    let line: Value = serde_json::from_str(last).expect("a line of its own");
    assert_eq!(line["username"], "ada");
}

#[test]
fn a_pid_file_names_the_process_while_it_lives() {
    let scratch = tempfile::tempdir().unwrap();
    let [auth, front] = ["auth.pid", "front.pid"].map(|name| scratch.path().join(name));
    let flag = |path: &Path| format!("--pid-file={}", path.display());
    let mut system =
        System::builder().auth_flags(&[&flag(&auth)]).front_flags(&[&flag(&front)]).start();
    let pid = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(pid(&auth), format!("{}\n", system.auth().pid()));
    assert_eq!(pid(&front), format!("{}\n", system.front().pid()));
    for (program, path) in [(Program::AuthBack, &auth), (Program::HttpFront, &front)] {
        let output = run_to_end(program, &["--listen=127.0.0.1:0", &flag(path)], &[]);
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            error.contains(&format!("is in use by the process {}", pid(path).trim())),
            "{error}"
        );
    }
    // One that was left behind is no hindrance.
    system.auth().kill_and_start_again();
    assert_eq!(pid(&auth), format!("{}\n", system.auth().pid()));
    assert!(system.front().stop().success() && system.auth().stop().success());
    assert!(!auth.exists() && !front.exists());
}
