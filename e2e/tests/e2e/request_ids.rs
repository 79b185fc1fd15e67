//! A user's complaint can be followed: what the answer says, the audit log and the logs of both servers say too.

use std::fs;

use e2e::{Answer, MariaDb, RawConnection, Store, System, until};
use serde_json::{Value, json};

use crate::PASSWORD;

/// A login as a proxy sends it.
fn log_in(connection: &mut RawConnection, username: &str, fields: &str) -> Answer {
    let body = json!({"username": username, "password": PASSWORD}).to_string();
    let head = format!(
        "POST /open_api/v1/authenticate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         X-Forwarded-For: 192.0.2.7\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    connection.send((head + &body).as_bytes());
    connection.answer()
}

/// The id of an answer, which its problem document, if it has one, says too.
#[track_caller]
fn id(answer: &Answer) -> String {
    let id = answer.field("X-Request-Id").expect("an id").to_owned();
    if answer.status >= 400 {
        assert_eq!(answer.text_at("request_id"), id);
    }
    id
}

/// Events and outcomes of the lines of the audit log that are found by an id.
fn audited(system: &System, id: &str) -> Vec<(String, String)> {
    let path = system.scratch().join("data/audit.log");
    let lines = fs::read_to_string(path).expect("an audit log");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let text = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    lines
        .filter(|line: &Value| line["request_id"] == id)
        .map(|line| (text(&line, "event"), text(&line, "outcome")))
        .collect()
}

#[track_caller]
fn assert_audited(system: &System, id: &str, event: &str, outcome: &str) {
    let expected = vec![(event.to_owned(), outcome.to_owned())];
    until("the line", || (!audited(system, id).is_empty()).then_some(()));
    assert_eq!(audited(system, id), expected, "{id}");
}

#[test]
fn what_an_answer_says_is_found_in_the_audit_log() {
    let system = System::start();
    let user = system.client();
    let registered = user.register("ada", PASSWORD).assert_status(200);
    assert_audited(&system, &id(&registered), "register", "ok");
    let refused = user.authenticate("ada", "wrong horse battery").assert_status(401);
    assert_audited(&system, &id(&refused), "authenticate", "password_wrong");
    let token = user.log_in("ada", PASSWORD);
    let passwords = json!({"current_password": "wrong horse", "new_password": "new horse battery"});
    let refused = user.post_as("/open_api/v1/change_password", &passwords, &token);
    assert_audited(&system, &id(&refused), "change_password", "password_wrong");
    let unknown = user.revoke_session(&token, "1").assert_status(404);
    assert_audited(&system, &id(&unknown), "revoke_session", "session_unknown");
    let ended = user.logout(&token).assert_status(200);
    assert_audited(&system, &id(&ended), "logout", "ok");
}

#[test]
fn a_trusted_proxy_gives_the_id_and_nobody_else() {
    const GIVEN: &str = "4f1c2d3e-0a9b-4c8d-8e7f-123456789abc";
    let fields = format!("X-Request-Id: {GIVEN}\r\n");
    let system = System::builder().front_flags(&["--trusted-proxies", "127.0.0.1"]).start();
    let answer = log_in(&mut system.raw_http(), "nobody", &fields);
    assert_eq!((answer.status, &*id(&answer)), (404, GIVEN));
    assert_audited(&system, GIVEN, "authenticate", "user_unknown");

    let system = System::start();
    let answer = log_in(&mut system.raw_http(), "nobody", &fields);
    assert_ne!(id(&answer), GIVEN);
    assert_audited(&system, &id(&answer), "authenticate", "user_unknown");
    assert!(audited(&system, GIVEN).is_empty());
}

/// Not from a trusted proxy either: it would stand in logs as it came.
#[test]
fn what_could_forge_a_line_is_no_id() {
    let system = System::builder().front_flags(&["--trusted-proxies", "127.0.0.1"]).start();
    for bad in ["a\"b", "a b", "{}", "a\u{202e}b", &"x".repeat(65)] {
        let answer = log_in(&mut system.raw_http(), "nobody", &format!("X-Request-Id: {bad}\r\n"));
        assert_eq!((answer.status, id(&answer).len()), (404, 32), "{bad}");
    }
}

/// What an operator looks for at night: both servers name a request that failed.
#[test]
fn both_logs_name_a_request_that_failed() {
    let mariadb = MariaDb::start();
    let store = Store::MariaDb(mariadb.database_of_account());
    let mut system = System::builder().store(store).start();
    let user = system.client();
    mariadb.read_only(true);
    let register = || user.register("ada", PASSWORD);
    until_named("both logs", register, || vec![system.front().log(), system.auth().log()]);
    system.auth().kill();
    let view = || user.products(Some("gate_t1"));
    until_named("the front's log", view, || vec![system.front().log()]);
}

/// Fails requests until each of the logs names one of them: lines are thinned out, and what they say of a request
/// depends on how it failed.
fn until_named(which: &str, request: impl Fn() -> Answer, mut logs: impl FnMut() -> Vec<String>) {
    let mut ids = Vec::new();
    until(&format!("{which} to name a request that failed"), || {
        ids.push(format!("\"request_id\":\"{}\"", id(&request().assert_status(503))));
        let names_one = |log: &String| ids.iter().any(|id| log.contains(id));
        logs().iter().all(names_one).then_some(())
    });
}
