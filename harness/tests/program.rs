//! The program, as a shell and Python use it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use harness::until;
use rustix::process::{Pid, Signal, kill_process};

/// A run of the program that is waited for.
struct Run {
    child: Child,
    /// Apart from the child, whose `wait` would close it.
    input: Option<ChildStdin>,
    told: Vec<(String, String)>,
    scratch: tempfile::TempDir,
}

impl Run {
    /// Starts it, its own scratch directories in one that the test can look into, and reads what it tells.
    fn start(words: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(words)
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // To the end of it: the program closes its output once all serves.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map(|line| {
            let line = line.unwrap();
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no key: {line}"));
            (key.to_owned(), value.to_owned())
        });
        Self { told: told.collect(), input: child.stdin.take(), child, scratch }
    }

    fn told(&self, key: &str) -> &str {
        let found = self.told.iter().find(|(known, _)| known == key);
        &found.unwrap_or_else(|| panic!("no {key} in {:?}", self.told)).1
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended, and what it has started, and its directory is gone.
    fn gone(mut self, pids: &[&str]) -> ExitStatus {
        drop(self.input.take());
        let status = self.child.wait().unwrap();
        for pid in pids {
            until("what was started to end", || has_ended(pid).then_some(()));
        }
        let is_empty = |directory: &Path| fs::read_dir(directory).unwrap().next().is_none();
        until("scratch directories to go", || is_empty(self.scratch.path()).then_some(()));
        status
    }
}

/// Whether there is no such process, or only its number until somebody asks how it ended.
fn has_ended(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z"))
}

fn redis() -> Run {
    let run = Run::start(&["redis"]);
    let address = run.told("url").strip_prefix("redis://").unwrap().strip_suffix("/0").unwrap();
    TcpStream::connect(address).unwrap();
    run
}

#[test]
fn closing_its_input_ends_it() {
    let run = redis();
    let pid = run.told("pid").to_owned();
    assert_eq!(run.gone(&[&pid]).code(), Some(0));
}

#[test]
fn a_signal_ends_it() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut run = redis();
        let pid = run.told("pid").to_owned();
        run.send(signal);
        // Before its input is closed.
        assert_eq!(run.child.wait().unwrap().code(), Some(0));
        assert_eq!(run.gone(&[&pid]).code(), Some(0));
    }
}

#[test]
fn what_it_has_started_ends_with_it_when_it_is_killed() {
    let run = redis();
    let pid = run.told("pid").to_owned();
    run.send(Signal::KILL);
    assert_eq!(run.gone(&[&pid]).code(), None);
}

#[test]
fn it_ends_when_what_it_has_started_does() {
    let mut run = redis();
    let pid = run.told("pid").to_owned();
    let number = Pid::from_raw(pid.parse().unwrap()).unwrap();
    kill_process(number, Signal::KILL).unwrap();
    // Before its input is closed.
    assert_eq!(run.child.wait().unwrap().code(), Some(1));
    assert_eq!(run.gone(&[&pid]).code(), Some(1));
}

#[test]
fn a_mariadb_has_the_flags_that_it_was_given_and_a_database() {
    let run = Run::start(&["mariadb", "--innodb-buffer-pool-size=32M"]);
    let pid = run.told("pid").to_owned();
    let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(words.contains("--innodb-buffer-pool-size=32M\0"), "{words}");
    let address = run.told("url").strip_prefix("mysql://root@").unwrap();
    let mut greeting = [0; 5];
    TcpStream::connect(address).unwrap().read_exact(&mut greeting).unwrap();
    assert_eq!(greeting[4], 10);
    assert_eq!(run.gone(&[&pid]).code(), Some(0));
}

#[test]
fn words_that_are_not_understood_are_refused_by_name() {
    fn check(words: &[&str], code: i32, expected: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        let output = command.args(words).stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {errors}");
        assert!(errors.contains(expected), "{words:?}: {errors}");
        assert!(output.stdout.is_empty());
    }
    check(&[], 2, "--help");
    check(&["postgres"], 2, "postgres");
    check(&["system", "--stroe", "mysql"], 2, "--stroe");
    check(&["system", "--store", "oracle"], 2, "oracle");
    check(&["system", "--sessions", "memory"], 2, "memory");
    check(&["server", "nginx"], 2, "nginx");
    check(&["run"], 2, "--data");
    check(&["redis", "--no-such-flag", "1"], 1, "no-such-flag");
}

/// A directory with this program in it, and with scripts in the place of both servers.
fn with_servers(scripts: [(&str, &str); 2]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(env!("CARGO_BIN_EXE_harness"), directory.path().join("harness")).unwrap();
    for (name, script) in scripts {
        let path = directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

/// Stops in order when it is asked to, and says so.
const ORDERLY: &str = r#"trap 'echo "${0##*/} stops" >&2; exit 0' TERM
echo starting >"$(dirname "$0")/${0##*/}.started"
while :; do sleep 0.01; done"#;

#[test]
fn a_start_can_be_given_up() {
    let directory = with_servers([("auth_back", ORDERLY), ("http_front", ORDERLY)]);
    for command in ["run", "system", "server"] {
        let started = directory.path().join("auth_back.started");
        let words: &[&str] = if command == "server" { &["auth_back"] } else { &["--data", "/tmp"] };
        let child = Command::new(directory.path().join("harness"))
            .arg(command)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("the server to be started", || started.exists().then_some(()));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.as_str()), (Some(0), "auth_back stops\n"));
        assert!(output.stdout.is_empty());
        fs::remove_file(started).unwrap();
    }
}

#[test]
fn a_server_that_does_not_start_is_told_and_stops_the_other() {
    fn check(auth_back: &str, http_front: &str, expected: &str) {
        let directory = with_servers([("auth_back", auth_back), ("http_front", http_front)]);
        let mut command = Command::new(directory.path().join("harness"));
        let output = command.args(["run", "--data", "/tmp"]).stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(expected), "{errors}");
        assert!(output.stdout.is_empty());
    }
    let listening = "trap 'echo auth_back stops >&2; exit 0' TERM
        echo listening auth_back rpc=127.0.0.1:1 ops=127.0.0.1:1
        while :; do sleep 0.01; done";
    check("exit 2", "", "run: auth_back does not start, exit status: 2; the log says why");
    check("echo hello", "", "run: auth_back does not say where it listens, but \"hello\"");
    check(listening, "exit 3", "run: http_front does not start, exit status: 3; the log says why");
    check(listening, "exit 3", "auth_back stops");
}
