//! What all servers on a database do alike: a start that was given something else, a change while they run, and that
//! whatever ends a session goes by what the servers do, not by what it was given itself.

use std::thread;
use std::time::{Duration, Instant};

use e2e::{
    Client, Database, Operator, Program, Redis, Scratch, Store, System, Told, run_to_end, until,
};
use serde_json::Value;

use crate::PASSWORD;

/// How often sessions are ended in each of the ways that there are.
const ROUNDS: usize = 3;

/// A lease long enough that a front surely answers from it when a command is done that did not wait.
const LONG_LEASE: Duration = Duration::from_secs(1);

/// How a start ended that was given these flags beside the servers of `system`.
fn start_beside(system: &System, flags: &[&str]) -> (Option<i32>, String) {
    let (store, data) = (system.store_url(), system.scratch().join("data"));
    let own = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--store", store];
    let cheap = ["--argon2", "m=8,t=1,p=1", "--allow-weak-argon2"];
    let data = ["--data", data.to_str().expect("UTF-8")];
    let ended = run_to_end(Program::AuthBack, &[&own[..], &cheap, &data, flags].concat(), &[]);
    (ended.status.code(), String::from_utf8(ended.stderr).expect("it writes UTF-8"))
}

#[track_caller]
fn assert_refused(system: &System, flags: &[&str], words: &[&str]) {
    let (code, errors) = start_beside(system, flags);
    assert_eq!(code, Some(2), "{flags:?}: {errors}");
    for words in words {
        assert!(errors.contains(words), "{flags:?}: {errors}");
    }
}

/// A server on the database of `system` and its keys, beside it.
fn server_beside(system: &System, flags: &[&str]) -> System {
    let store = Store::At(system.store_url().to_owned());
    let data = system.scratch().join("data");
    System::builder().data(data).store(store).fronts(0).auth_flags(flags).start()
}

fn shown(system: &System) -> Value {
    let shown = system.operator(&["deployment", "show", "--json"]).succeed();
    serde_json::from_str(&shown).expect("JSON")
}

fn value(shown: &Value, name: &str) -> String {
    shown["settings"][name]["value"].as_str().expect("every setting is shown").to_owned()
}

#[test]
fn a_server_with_other_settings_does_not_start_beside_others() {
    let (database, redis) = (Database::new(), Redis::start());
    let flags = ["--lease", "300ms", "--session-idle", "20m", "--session-lifetime", "10h"];
    let store = Store::At(database.url().to_owned());
    let system = System::builder().store(store).auth_flags(&flags).start();
    assert_eq!(redis.ask("CONFIG SET requirepass geheim"), "+OK");
    let redis_url = redis.url().replace("redis://", "redis://:geheim@");
    let [here, there] = ["is redis here and store in the database", "while no other server runs"];
    let changes_it = "auth_back deployment set";
    let cases: [(&[&str], &[&str]); 5] = [
        (&["--lease", "1s"], &["--lease is 1s here and 300ms in the database", changes_it]),
        (&["--session-idle", "10m"], &["--session-idle is 10m here and 20m in", changes_it]),
        (&["--session-lifetime", "9h"], &["--session-lifetime is 9h here and 10h in", changes_it]),
        (&["--lease", "1s", "--session-idle", "1h"], &["--lease is 1s", "--session-idle is 1h"]),
        (&["--sessions", &redis_url], &[here, there]),
    ];
    thread::scope(|scope| {
        for (flags, words) in cases {
            scope.spawn(|| assert_refused(&system, flags, words));
        }
    });
    let (_, errors) = start_beside(&system, &["--sessions", &redis_url]);
    assert!(!errors.contains("geheim"), "{errors}");

    // What was refused changed nothing, and the same settings or none are none but these.
    let (same, none) = (server_beside(&system, &flags), server_beside(&system, &[]));
    let shown = shown(&system);
    assert_eq!(shown["revision"], 1, "{shown}");
    assert_eq!(value(&shown, "session-idle"), "20m");
    let servers = shown["servers"].as_array().expect("a list");
    assert_eq!(servers.len(), 3, "{shown}");
    for server in servers {
        assert_eq!(server["lease_ms"], 300, "{shown}");
        assert_eq!((&server["revision"], &server["is_newest"]), (&1.into(), &true.into()));
        assert_eq!(server["redis_run"], "", "{shown}");
    }
    drop((same, none));
}

#[test]
fn a_server_without_the_redis_of_the_others_does_not_start() {
    let (database, redis) = (Database::new(), Redis::start());
    let store = Store::At(database.url().to_owned());
    let system = System::builder().store(store).auth_flags(&["--sessions", &redis.url()]).start();
    assert_refused(&system, &[], &["have a copy in Redis, and this server was given none"]);
    let stored = "--sessions is store here and redis in the database";
    assert_refused(&system, &["--sessions", "store"], &[stored]);
    let same = server_beside(&system, &["--sessions", &redis.url()]);
    until("both servers to say which Redis they have", || {
        let shown = shown(&system);
        let servers = shown["servers"].as_array().expect("a list");
        let is_said =
            |server: &Value| server["redis_run"].as_str().is_some_and(|it| !it.is_empty());
        (servers.len() == 2 && servers.iter().all(is_said)).then_some(())
    });
    let text = system.operator(&["deployment", "show"]).succeed();
    assert!(text.contains("sessions = redis\n"), "{text}");
    assert!(text.contains("; Redis "), "{text}");
    drop(same);
}

#[test]
fn a_server_alone_writes_what_it_was_given_on_mariadb() {
    alone_it_writes(Store::MariaDb(Database::new()));
}

#[test]
fn a_server_alone_writes_what_it_was_given_on_sqlite() {
    alone_it_writes(Store::Sqlite);
}

fn alone_it_writes(store: Store) {
    const CHANGED: &str = "a setting in the database was changed for all servers";
    let mut system = System::builder().store(store).auth_flags(&["--lease", "300ms"]).start();
    let changes = |system: &mut System| system.auth().log().matches(CHANGED).count();
    assert_eq!(changes(&mut system), 0, "the first one has nothing to change");

    assert!(system.auth().stop().success());
    system.auth().set_flag("--lease", "400ms");
    system.auth().start_again();
    assert_eq!(changes(&mut system), 1, "{}", system.auth().log());
    assert_eq!(value(&shown(&system), "lease"), "400ms");

    // Killed, it has nobody to wait for but itself.
    system.auth().kill();
    system.auth().set_flag("--lease", "500ms");
    system.auth().start_again();
    assert_eq!(changes(&mut system), 2, "{}", system.auth().log());

    // For all that another one knows, the one that was killed may live, until it has not said so for a while.
    system.auth().kill();
    let elsewhere = system.scratch().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a directory can be made");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([system.keys(), elsewhere.join("keys")])
        .status();
    assert!(copied.expect("cp runs").success());
    let mut other = System::builder()
        .data(elsewhere)
        .store(Store::At(system.store_url().to_owned()))
        .fronts(0)
        .auth_flags(&["--lease", "600ms"])
        .start();
    assert_eq!(changes(&mut other), 1, "{}", other.auth().log());
    assert_eq!(value(&shown(&other), "lease"), "600ms");
}

#[test]
fn settings_change_while_servers_run() {
    let database = Database::new();
    let store = Store::At(database.url().to_owned());
    let mut system = System::builder().store(store).fronts(2).auths(2).start();
    let set = |words: &[&str]| system.operator(&[&["deployment", "set"], words].concat()).run();
    let told = set(&["lease=1000ms"]);
    assert_eq!(told.output, "lease: 250ms -> 1s\n2 servers go by it\n", "{told:?}");
    assert_eq!(told.code, Some(0), "{told:?}");
    let said = shown(&system);
    assert_eq!((&said["revision"], value(&said, "lease")), (&2.into(), "1s".to_owned()));
    for server in said["servers"].as_array().expect("a list") {
        assert_eq!(server["is_newest"], true, "{said}");
    }
    // A logout waits as long as the longer lease.
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let began = Instant::now();
    user.logout(&token).assert_status(200);
    assert!(began.elapsed() >= LONG_LEASE, "{:?}", began.elapsed());

    let again = set(&["lease=1s"]);
    assert!(again.output.contains("nothing is changed"), "{again:?}");
    assert!(again.output.contains("2 servers go by it"), "{again:?}");
    assert_eq!(shown(&system)["revision"], 2);
    let shorter = set(&["session-lifetime=1h", "throttle-free=9"]);
    for words in [
        "session-lifetime: 12h -> 1h\n",
        "throttle-free: 20 -> 9\n",
        "holds for sessions that begin from now on",
    ] {
        assert!(shorter.output.contains(words), "{shorter:?}");
    }
    let check = |words: &[&str], code: i32, expected: &str| {
        let told = set(words);
        assert_eq!(told.code, Some(code), "{told:?}");
        assert!(told.errors.contains(expected), "{told:?}");
    };
    check(&["leese=1s"], 2, "those are lease, session-idle, session-lifetime, throttle-account");
    check(&["lease=6s"], 2, "--lease");
    check(&["session-idle=3s"], 2, "--session-idle");
    check(&["sessions=store"], 2, "while no other server runs");
    check(&["lease"], 2, "NAME=VALUE");
    assert_eq!(shown(&system)["revision"], 3);

    // Who does not answer is named. It holds its node for as long as the command waits, or is gone.
    system.auths()[1].pause();
    let begun = system.operator(&["deployment", "set", "lease=250ms"]).begin();
    until("it to be written", || (shown(&system)["revision"] == 4).then_some(()));
    let pid = rustix::process::Pid::from_child(&begun);
    rustix::process::kill_process(pid, e2e::Signal::INT).expect("it runs");
    let ended = begun.wait_with_output().expect("it can be waited for");
    let errors = String::from_utf8(ended.stderr).expect("it writes UTF-8");
    assert_eq!(ended.status.code(), Some(130), "{errors}");
    assert!(errors.contains("revision 4 is in the database; these servers did not go"), "{errors}");
    assert!(errors.contains("(31.30)"), "{errors}");
    system.auths()[1].resume();
    let told = system.operator(&["deployment", "set", "lease=250ms"]).run();
    assert_eq!(told.code, Some(0), "{told:?}");
}

#[test]
fn whoever_ends_a_session_waits_for_the_servers_leases() {
    let database = Database::new();
    what_ends_sessions_holds(Some(&database), &[], &|operator| operator);
}

#[test]
fn whoever_ends_a_session_waits_for_the_servers_leases_on_sqlite() {
    what_ends_sessions_holds(None, &[], &|operator| operator);
}

/// The command has no Redis, and servers answer from theirs.
#[test]
fn a_command_without_redis_ends_what_is_there() {
    let (database, redis) = (Database::new(), Redis::start());
    let without = |operator: Operator| operator.without_flag("--sessions");
    what_ends_sessions_holds(Some(&database), &["--sessions", &redis.url()], &without);
    assert!(redis.info("keyspace_hits") > 0, "it was asked");
}

/// The command has a Redis that is none of the servers'.
#[test]
fn a_command_with_another_redis_ends_what_is_there() {
    let (database, redis, other) = (Database::new(), Redis::start(), Redis::start());
    let url = other.url();
    let with_other = |operator: Operator| {
        operator.without_flag("--sessions").behind(&["env", &format!("AUTH_BACK_SESSIONS={url}")])
    };
    what_ends_sessions_holds(Some(&database), &["--sessions", &redis.url()], &with_other);
    assert!(redis.info("keyspace_hits") > 0, "it was asked");
}

/// Sessions that both fronts have leases for are ended in each way. As soon as that is said to be done, they are.
fn what_ends_sessions_holds(
    database: Option<&Database>,
    flags: &[&str],
    changed: &dyn Fn(Operator) -> Operator,
) {
    let scratch = Scratch::new("deployment").expect("a directory can be made");
    let builder = |flags: &[&str]| {
        let builder = System::builder().data(scratch.path().join("data")).auth_flags(flags);
        match database {
            Some(database) => builder.store(Store::At(database.url().to_owned())),
            None => builder,
        }
    };
    // One server has said how long leases are, and is gone. Those that serve have it from the database.
    let mut first = builder(&[&["--lease", "1s"], flags].concat()).fronts(0).start();
    assert!(first.auth().stop().success());
    let auths = if database.is_some() { 2 } else { 1 };
    let system = &builder(flags).fronts(2).auths(auths).start();
    for server in shown(system)["servers"].as_array().expect("a list") {
        assert_eq!(server["lease_ms"], 1_000);
    }
    let fronts = [system.client_of(0), system.client_of(1)];
    fronts[0].register("ada", PASSWORD).assert_status(200);
    // What the command itself is given counts for nothing.
    let by = |lease: &'static [&str], words: &[&str], input: &str| -> Told {
        let operator = system.operator(&[lease, &["user"], words].concat());
        let told = changed(operator).input(input).run();
        assert_eq!(told.code, Some(0), "{told:?}");
        told
    };
    let password = |round: usize| format!("{PASSWORD} {round}");
    let mut now = PASSWORD.to_owned();
    for round in 0..ROUNDS {
        for lease in [&[][..], &["--lease", "0ms"], &["--lease", "20ms"]] {
            holds(&fronts, &now, "user revoke", |_| {
                by(lease, &["revoke", "ada", "--all"], "");
            });
            holds(&fronts, &now, "user disable", |_| {
                by(lease, &["disable", "ada"], "");
            });
            by(lease, &["enable", "ada"], "");
            let new = if now == password(round) { PASSWORD.to_owned() } else { password(round) };
            holds(&fronts, &now, "user set-password", |_| {
                by(lease, &["set-password", "ada", "--password-stdin"], &new);
            });
            now = new;
        }
        holds(&fronts, &now, "logout", |token| {
            fronts[round % 2].logout(token).assert_status(200);
        });
        holds(&fronts, &now, "logout of all", |token| {
            fronts[round % 2].logout_everywhere(token).assert_status(200);
        });
    }
}

#[track_caller]
fn holds(fronts: &[Client; 2], password: &str, what: &str, end: impl FnOnce(&str)) {
    let token = fronts[0].log_in("ada", password);
    // Twice: the second is answered from Redis, where there is one and a lease has run.
    for front in fronts.iter().chain(fronts) {
        front.products(Some(&token)).assert_status(200);
    }
    end(&token);
    for front in fronts {
        assert_eq!(front.products(Some(&token)).status, 401, "{what}");
    }
}
