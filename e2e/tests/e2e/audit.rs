//! The audit log of real servers: what is in it, where it goes, how it is rotated.

use std::fs;
use std::path::Path;

use e2e::{Program, System, run_to_end, until};
use serde_json::{Value, json};

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
fn what_operators_do_is_told_too() {
    let scratch = tempfile::tempdir().unwrap();
    let data = format!("--data={}", scratch.path().display());
    let output = run_to_end(Program::AuthBack, &["migrate", &data], &[]);
    assert!(output.status.success(), "{output:?}");
    let lines = lines(&scratch.path().join("audit.log"));
    assert_eq!(told(&lines), [("command", "ok")]);
    assert_eq!(text(&lines[0], "command"), "migrate");
}
