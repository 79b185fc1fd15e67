//! A start whose store is away, or does not let the server in.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::{Client, MariaDb, Port, Process, Program, run_to_end, until};
use tempfile::TempDir;

/// An auth_back that may not have come to listen yet.
struct Starting {
    process: Process,
    ops: SocketAddr,
    directory: TempDir,
    /// So that nobody else gets the port before it does.
    _held: Port,
}

impl Starting {
    fn on(store: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let held = Port::free().expect("a port is free");
        let file = |name: &str| File::create(directory.path().join(name)).expect("a file");
        let mut command = Command::new(Program::AuthBack.binary());
        command
            .args(["--listen=127.0.0.1:0", "--argon2=m=8,t=1,p=1", "--allow-weak-argon2"])
            .arg(format!("--ops-listen={}", held.address()))
            .arg(format!("--data={}", directory.path().join("data").display()))
            .arg(format!("--store={store}"))
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("log"));
        let process = Process::start(&mut command).expect("it starts");
        Self { process, ops: held.address(), directory, _held: held }
    }

    fn wrote(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).expect("it is UTF-8")
    }

    fn until_listening(&self) {
        until("it to listen", || self.wrote("stdout").starts_with("listening ").then_some(()));
    }

    /// What `/readyz` says while it does not serve.
    fn until_waits(&self) -> String {
        let ops = Client::new(self.ops);
        until("it to say for what it waits", || {
            let answer = ops.try_get("/readyz", None).ok()?;
            answer.text().contains("waits for the store").then(|| {
                ops.get("/healthz", None).assert_status(200);
                answer.assert_status(503).text().to_owned()
            })
        })
    }
}

#[test]
fn a_start_waits_for_its_store_and_says_so_meanwhile() {
    let mariadb = MariaDb::start();
    let database = mariadb.database();
    mariadb.kill();
    let starting = Starting::on(database.url());
    let reason = starting.until_waits();
    assert!(reason.contains("the server is starting"), "{reason}");
    Client::new(starting.ops).get("/metrics", None).assert_status(200);
    mariadb.start_again();
    starting.until_listening();
    let lines = starting.wrote("log").matches("waits for the store, as long as it takes").count();
    assert_eq!(lines, 1, "one line a minute: {}", starting.wrote("log"));
}

#[test]
fn a_start_waits_for_a_store_that_hangs() {
    let mariadb = MariaDb::start();
    let database = mariadb.database();
    mariadb.pause();
    let mut starting = Starting::on(database.url());
    let _reason = starting.until_waits();
    assert!(starting.process.has_ended().is_none(), "{}", starting.wrote("log"));
    mariadb.resume();
    starting.until_listening();
}

/// What waiting cannot change ends a start at once, in the words of the database.
#[test]
fn a_start_that_only_an_operator_can_help_ends_at_once() {
    let mariadb = MariaDb::start();
    let database = mariadb.database();
    let (server, name) = database.url().rsplit_once('/').expect("a URL has a path");
    for statement in [
        "CREATE USER nobody@'127.0.0.1' IDENTIFIED BY 'secret'",
        "CREATE USER locked@'127.0.0.1' IDENTIFIED BY 'secret' ACCOUNT LOCK",
        "CREATE USER expired@'127.0.0.1' IDENTIFIED BY 'secret' PASSWORD EXPIRE",
        &format!("GRANT ALL ON {name}.* TO expired@'127.0.0.1'"),
    ] {
        mariadb.run(statement);
    }
    let place = server.rsplit_once('@').expect("a URL has an account").1;
    let directory = tempfile::tempdir().expect("a directory");
    let check = |url: &str, expected: &str| check_refused(url, directory.path(), expected);
    check(&format!("mysql://nobody:wrong@{place}/{name}"), "error 1045 ER_ACCESS_DENIED_ERROR");
    check(&format!("mysql://nobody:secret@{place}/{name}"), "error 1044 ER_DBACCESS_DENIED_ERROR");
    check(&format!("mysql://root@{place}/no_such_database"), "error 1049 ER_BAD_DB_ERROR");
    check(
        &format!("mysql://locked:secret@{place}/{name}"),
        "error 4151 ER_ACCOUNT_HAS_BEEN_LOCKED",
    );
    check(&format!("mysql://expired:secret@{place}/{name}"), "error 1820 ER_MUST_CHANGE_PASSWORD");
    drop(mariadb);
}

#[track_caller]
fn check_refused(store: &str, directory: &Path, expected: &str) {
    let data = format!("--data={}", directory.display());
    let flags = ["--listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0", &data];
    let output = run_to_end(Program::AuthBack, &flags, &[("AUTH_BACK_STORE", store)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains(expected), "{expected}: {errors}");
    assert!(errors.contains("AUTH_BACK_STORE"), "it says what to change: {errors}");
    assert!(!errors.contains("secret") && !errors.contains("wrong"), "{errors}");
}
