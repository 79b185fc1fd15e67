//! `./run`, as somebody at a terminal and as a supervisor use it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::{Binaries, Client, Port, Process, Scratch, Signal, limits::HANG_GUARD, until};
use rustix::process::{Pid, kill_process_group};

use crate::PASSWORD;

/// `./run` on ports of the system's choice, its data in a directory of the test's.
struct Run {
    process: Process,
    scratch: Scratch,
}

impl Run {
    /// Starts it and waits for the line that says that it is ready.
    fn start(data: &Path) -> (Self, Client) {
        let mut run = Self::begin(data, &[]);
        let line = until("./run to be ready", || {
            assert_eq!(run.process.has_ended(), None, "{}", run.log());
            run.output().split_once('\n').map(|(line, _)| line.to_owned())
        });
        let address = line.strip_prefix("ready http://").expect("the line says where");
        let address: SocketAddr = address.parse().expect("an address");
        (run, Client::new(address))
    }

    /// Starts it with these variables.
    fn begin(data: &Path, variables: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new("run").expect("a scratch directory can be made");
        let file = |name| File::create(scratch.path().join(name)).expect("a file can be made");
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../run"));
        command
            .env("GATEHOUSE_BINARIES", Binaries::of_tests().directory())
            .env("GATEHOUSE_DATA_DIR", data)
            .env("AUTH_BACK_ARGON2", "m=8,t=1,p=1")
            .env("AUTH_BACK_ALLOW_WEAK_ARGON2", "true")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("output"))
            .stderr(file("log"));
        for place in ["HTTP_LISTEN", "OPS_LISTEN", "AUTH_LISTEN", "AUTH_OPS_LISTEN"] {
            command.env(format!("GATEHOUSE_{place}"), "127.0.0.1:0");
        }
        let process = Process::start(&mut command).expect("./run starts");
        Self { process, scratch }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.scratch.path().join("output")).expect("a file can be read")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).expect("a file can be read")
    }

    /// The process ids of both servers, by name.
    fn server(&self, name: &str) -> String {
        let pid = self.process.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("it runs");
        let mut children = children.split_ascii_whitespace();
        let is_called = |pid: &&str| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        };
        children.find(is_called).unwrap_or_else(|| panic!("no {name} runs")).to_owned()
    }

    /// Waits for its end, after which neither server runs. The exit code, if there is one.
    fn ended(&mut self, servers: &[String]) -> Option<i32> {
        let status = self.process.wait(Some(HANG_GUARD)).expect("./run ends");
        for pid in servers {
            until("a server to be gone", || {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.map_or(true, |stat| stat.contains(") Z")).then_some(())
            });
        }
        assert_eq!(self.output().lines().count(), 1, "standard output has one line");
        status.code()
    }

    fn servers(&self) -> [String; 2] {
        ["http_front", "auth_back"].map(|name| self.server(name))
    }
}

#[test]
fn ctrl_c_stops_it_cleanly_and_the_next_run_knows_the_users() {
    let data = Scratch::new("run-data").expect("a scratch directory can be made");
    let (mut run, user) = Run::start(data.path());
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let servers = run.servers();
    // What a terminal does: the signal goes to the whole group.
    let group = Pid::from_raw(run.process.pid().cast_signed()).expect("a process id");
    kill_process_group(group, Signal::INT).expect("it runs");
    assert_eq!(run.ended(&servers), Some(0), "{}", run.log());
    // The front finishes what it has begun with auth_back's help.
    let log = run.log();
    let line = |message: &str, target: &str| {
        let words = format!("\"message\":\"{message}\",\"target\":\"{target}\"");
        log.find(&words).unwrap_or_else(|| panic!("{target} does not say {message}:\n{log}"))
    };
    assert!(line("stopped", "http_front::server") < line("stopping", "server::run"), "{log}");

    let (mut run, user) = Run::start(data.path());
    user.session(&token).assert_status(200);
    user.authenticate("ada", PASSWORD).assert_status(200);
    let servers = run.servers();
    // What a supervisor does, twice: an impatient one changes nothing.
    run.process.signal(Signal::TERM);
    run.process.signal(Signal::HUP);
    assert_eq!(run.ended(&servers), Some(0), "{}", run.log());
}

#[test]
fn it_is_stopped_cleanly_while_it_waits_for_a_store() {
    let data = Scratch::new("run-data").expect("a scratch directory can be made");
    // Nobody else gets this port, and nobody listens there.
    let port = Port::free().expect("there is a free port");
    let store = format!("mysql://root@{}/gatehouse", port.address());
    let send = |pid: &str, signal: &str| {
        let sent = Command::new("kill").args(["-s", signal, pid]).status();
        assert!(sent.expect("kill runs").success());
    };
    let stops: [&dyn Fn(&Run); 3] = [
        &|run| send(&run.process.pid().to_string(), "TERM"),
        &|run| send(&run.process.pid().to_string(), "INT"),
        // As a supervisor does that signals every process of a service, and that reaches this one first.
        &|run| send(&run.server("auth_back"), "TERM"),
    ];
    for stop in stops {
        let mut run = Run::begin(data.path(), &[("AUTH_BACK_STORE", &store)]);
        until("auth_back to wait for its store", || {
            assert_eq!(run.process.has_ended(), None, "{}", run.log());
            run.log().contains("waits for the store").then_some(())
        });
        stop(&run);
        let status = run.process.wait(Some(HANG_GUARD)).expect("./run ends");
        assert_eq!(status.code(), Some(0), "{}", run.log());
    }
}

#[test]
fn a_server_that_ends_by_itself_ends_the_other() {
    let data = Scratch::new("run-data").expect("a scratch directory can be made");
    for name in ["auth_back", "http_front"] {
        let (mut run, _) = Run::start(data.path());
        let servers = run.servers();
        let killed = Command::new("kill").args(["-s", "KILL", &run.server(name)]).status();
        assert!(killed.expect("kill runs").success());
        assert_eq!(run.ended(&servers), Some(1));
        assert!(run.log().contains(&format!("run: {name} has ended by itself")), "{}", run.log());
    }
}

/// A cargo that says its version, and remembers what else it was asked for.
fn old_cargo(directory: &Path, says: &str) -> String {
    let (cargo, asked) = (directory.join("cargo"), directory.join("asked"));
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then {says}; exit; fi\necho \"$@\" >>'{}'\nexit 1\n",
        asked.display()
    );
    fs::write(&cargo, script).expect("a file can be written");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("a file of ours");
    // No rustup, wherever the tests find theirs.
    format!("{}:/usr/bin:/bin", directory.display())
}

#[test]
fn an_old_rust_is_told_before_anything_is_done() {
    let scratch = Scratch::new("cargo").expect("a scratch directory can be made");
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for (says, found) in
        [("echo cargo 1.63.0", "is of 1.63.0"), ("exit 1", "there is no cargo of it")]
    {
        let path = old_cargo(scratch.path(), says);
        for script in ["run", "test"] {
            let output = Command::new(root.join(script))
                .env_clear()
                .envs([
                    ("PATH", path.as_str()),
                    ("HOME", "/nonexistent"),
                    ("TMPDIR", "/nonexistent"),
                ])
                .stdin(Stdio::null())
                .output()
                .expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            for words in
                ["Rust 1.95 or later is needed", found, "https://sh.rustup.rs", "gcc libc6-dev"]
            {
                assert!(said.contains(words), "no {words:?} in {said}");
            }
            assert!(!scratch.path().join("asked").exists(), "nothing is built");
        }
    }
}

#[test]
fn which_rust_will_do() {
    let scratch = Scratch::new("cargo").expect("a scratch directory can be made");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let check = |version: &str, expected: bool| {
        let path = old_cargo(scratch.path(), &format!("echo '{version}'"));
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", "source perf/packages.sh; need_rust"])
            .current_dir(root)
            .env("PATH", path)
            .env("HOME", "/nonexistent")
            .output()
            .expect("bash runs");
        assert_eq!(output.status.success(), expected, "{version}: {output:?}");
    };
    check("cargo 0.66.0", false);
    check("cargo 1.63.0", false);
    check("cargo 1.94.1 (abcdef012 2026-01-01)", false);
    check("cargo 1.95.0 (f2d3ce0bd 2026-03-21)", true);
    check("cargo 1.96.0-nightly (f2d3ce0bd 2026-03-21)", true);
    check("cargo 1.100.0", true);
    check("cargo 2.0.0", true);
    check("error: no override and no default toolchain set", false);
}

#[test]
fn nothing_outlives_a_run_that_is_killed() {
    let data = Scratch::new("run-data").expect("a scratch directory can be made");
    let (mut run, _) = Run::start(data.path());
    let servers = run.servers();
    run.process.signal(Signal::KILL);
    assert_eq!(run.ended(&servers), None);
}
