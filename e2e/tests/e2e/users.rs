//! `auth_back user`: operators and single users, while servers run.

use std::time::{Duration, Instant};

use e2e::{Database, Redis, Store, System};
use serde_json::Value;
use store::limits::PROFILES_PAGE_MAX;

use crate::PASSWORD;

const OTHER: &str = "staple battery horse";

fn json(text: &str) -> Value {
    assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text:?}");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn an_operator_looks_after_a_user_on_sqlite() {
    an_operator_looks_after_a_user(&System::builder().fronts(2).start());
}

#[test]
fn an_operator_looks_after_a_user_on_mariadb() {
    let store = Store::MariaDb(Database::new());
    an_operator_looks_after_a_user(&System::builder().store(store).fronts(2).start());
}

/// The command tells Redis, or else a server would still find there what has ended.
#[test]
fn an_operator_looks_after_a_user_with_sessions_in_redis() {
    let redis = Redis::start();
    let flags = ["--sessions", &redis.url()];
    an_operator_looks_after_a_user(&System::builder().fronts(2).auth_flags(&flags).start());
}

pub(crate) fn an_operator_looks_after_a_user(system: &System) {
    let operator = |words: &[&str]| system.operator(&[&["user"], words].concat());
    let (user, elsewhere) = (system.client(), system.client_of(1));
    let bearer = |token: &str| {
        let statuses = [&user, &elsewhere].map(|user| user.products(Some(token)).status);
        assert_eq!(statuses[0], statuses[1]);
        statuses[0]
    };

    let add = ["add", "Ada", "--name", "Ådá \u{202e}", "--age", "36", "--password-stdin", "--json"];
    let added = json(&operator(&add).input(&format!("{PASSWORD}\n")).succeed());
    assert_eq!(added["username"], "ada");
    let shown = json(&operator(&["show", "ada", "--json"]).succeed());
    assert_eq!(shown["user_id"], added["user_id"]);
    assert_eq!((&shown["name"], &shown["age"]), (&"Ådá \u{202e}".into(), &36.into()));
    assert_eq!(shown["password_function"], "argon2id$v=19$m=8,t=1,p=1");
    assert_eq!(shown["disabled_at"], Value::Null);
    assert!(!operator(&["show", "ada"]).succeed().contains('\u{202e}'));

    // Sessions: seen, one ended, all ended.
    let tokens: Vec<String> = (0..3).map(|_| user.log_in("ada", PASSWORD)).collect();
    let listed = json(&operator(&["sessions", "ada", "--json"]).succeed());
    let listed = listed.as_array().expect("a list").clone();
    assert_eq!(listed.len(), 3);
    assert_eq!(operator(&["sessions", "ada"]).succeed().lines().count(), 3);
    assert_eq!(tokens.iter().map(|token| bearer(token)).collect::<Vec<_>>(), [200; 3]);
    let newest = listed[0]["session_id"].as_str().expect("a text");
    let ended = json(&operator(&["revoke", "ada", newest, "--json"]).succeed());
    assert!(ended["settled_ms"].as_u64().is_some_and(|ms| ms >= 250), "{ended}");
    assert_eq!(tokens.iter().map(|token| bearer(token)).collect::<Vec<_>>(), [200, 200, 401]);
    let again = operator(&["revoke", "ada", newest]).run();
    assert_eq!(again.code, Some(1));
    assert!(again.errors.contains("has no session"), "{again:?}");
    let told = json(&operator(&["revoke", "ada", "--all", "--json"]).succeed());
    assert_eq!(told["ended_sessions"], 2, "{told}");
    assert_eq!(tokens.iter().map(|token| bearer(token)).collect::<Vec<_>>(), [401; 3]);

    // A new password: sessions end, the old one does not let in.
    let token = user.log_in("ada", PASSWORD);
    assert_eq!(bearer(&token), 200);
    let told = operator(&["set-password", "ada", "--password-stdin"]).input(OTHER).succeed();
    assert!(told.contains("has the new password; 1 session ended, on every front"), "{told}");
    assert_eq!(bearer(&token), 401);
    user.authenticate("ada", PASSWORD).assert_status(401);

    // Out, and in again. What was ended stays ended.
    let token = user.log_in("ada", OTHER);
    assert_eq!(bearer(&token), 200);
    let began = Instant::now();
    let told = operator(&["disable", "ada"]).succeed();
    assert!(told.contains("is kept out; 1 session ended, on every front"), "{told}");
    assert!(began.elapsed() >= Duration::from_millis(250), "leases were not waited for");
    assert_eq!(bearer(&token), 401);
    user.authenticate("ada", OTHER).assert_status(403);
    user.authenticate("ada", PASSWORD).assert_status(401);
    let shown = json(&operator(&["show", "ada", "--json"]).succeed());
    assert!(shown["disabled_at"].is_string(), "{shown}");
    operator(&["disable", "ada"]).succeed();
    operator(&["enable", "ada"]).succeed();
    assert_eq!(bearer(&token), 401);
    user.authenticate("ada", OTHER).assert_status(200);
}

#[test]
fn users_are_listed_on_sqlite() {
    users_are_listed(&System::start());
}

#[test]
fn users_are_listed_on_mariadb() {
    users_are_listed(&System::builder().store(Store::MariaDb(Database::new())).start());
}

fn users_are_listed(system: &System) {
    // More than two pages of one prefix, one user before and one behind.
    let many = 2 * usize::try_from(PROFILES_PAGE_MAX).expect("not so many") + 1;
    let mut names: Vec<_> = (0..many).map(|number| format!("user{number:05}")).collect();
    names.extend(["ada", "zoe"].map(ToOwned::to_owned));
    let hash = "$2b$04$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri";
    let lines: String = names.iter().rev().map(|name| format!("{name},{hash}\n")).collect();
    let csv = format!("username,password_hash\n{lines}");
    system.operator(&["import", "-", "--format", "csv"]).input(&csv).succeed();
    for name in ["user00007", "zoe"] {
        system.operator(&["user", "disable", name]).succeed();
    }
    let list = |words: &[&str]| -> Vec<String> {
        let words = [&["user", "list", "--json"], words].concat();
        let text = system.operator(&words).succeed();
        let name = |line| json(line)["username"].as_str().expect("a text").to_owned();
        text.lines().map(name).collect()
    };
    names.sort();
    assert_eq!(list(&[]), names);
    assert_eq!(list(&["USER"]), names[1..=many]);
    assert_eq!(list(&["user0000", "--state", "enabled"]).len(), 9);
    assert_eq!(list(&["--state", "disabled"]), ["user00007", "zoe"]);
    assert_eq!(list(&["nobody"]), [""; 0]);
    let shown = system.operator(&["user", "list", "zoe"]).succeed();
    assert!(shown.starts_with("zoe  ") && shown.contains(", disabled since 2"), "{shown}");
    assert!(!shown.contains("cP11"), "{shown}");
}

#[test]
fn what_a_user_may_not_choose_an_operator_may_not_either() {
    let system = System::start();
    system.client().register("ada", PASSWORD).assert_status(200);
    let check = |words: &[&str], input: &str, expected: &str| {
        let told = system.operator(&[&["user"], words].concat()).input(input).run();
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.errors.contains(expected), "{words:?}: no {expected:?} in {told:?}");
        assert_eq!(told.output, "");
        assert!(input.is_empty() || !told.errors.contains(input.trim()), "{told:?}");
    };
    let stdin = "--password-stdin";
    check(&["add", "ada", stdin], PASSWORD, "taken");
    check(&["add", "4da", stdin], PASSWORD, "username");
    check(&["add", "bob", stdin], "tiny", "too short");
    check(&["add", "bob", stdin], "password1\n", "guessed first");
    check(&["add", "bob", stdin], "robert bob bob\nrobert", "control character");
    check(&["add", "bob", stdin, "--name", "\u{1b}[2J"], PASSWORD, "control characters");
    check(&["set-password", "ada", stdin], "Password1", "guessed first");
    check(&["set-password", "bob", stdin], PASSWORD, "no user bob");
    for what in ["show", "disable", "enable", "sessions"] {
        check(&[what, "bob"], "", "no user bob");
    }
    check(&["revoke", "bob", "--all"], "", "no user bob");
    check(&["revoke", "ada", "1"], "", "has no session 1");
    // Nothing of all this changed anything.
    system.client().authenticate("ada", PASSWORD).assert_status(200);
    system.client().authenticate("bob", PASSWORD).assert_status(404);
}
