//! Whatever a start waits for, a signal that asks to stop ends it at once: exit code 143 or 130, which ./run and a service
//! manager take for a clean stop.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::shutdown::in_directory;
use e2e::{MariaDb, Port, Process, Program, Scratch, Signal, limits::HANG_GUARD, until};

/// What counts as at once, also on a machine that is busy with other things. A start that did not look at signals went on
/// for a minute, or for as long as its store was away.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Signals that ask to stop, and the exit codes that they end a start with.
const ASKING: [(Signal, i32); 2] = [(Signal::TERM, 143), (Signal::INT, 130)];

/// An auth_back that starts and does not listen.
struct Starting {
    process: Process,
    scratch: Scratch,
}

impl Starting {
    /// Begins a start with these flags. Returns once the process handles signals.
    fn begin(flags: &[&str]) -> Self {
        let scratch = Scratch::new("starting").expect("a scratch directory can be made");
        let file = |name| File::create(in_directory(&scratch, name)).expect("a file can be made");
        let mut command = Command::new(Program::AuthBack.binary());
        command
            .args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"])
            .args(["--argon2", "m=8,t=1,p=1", "--allow-weak-argon2"])
            .args([
                "--data",
                &in_directory(&scratch, "data"),
                "--pid-file",
                &in_directory(&scratch, "pid"),
            ])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(file("output"))
            .stderr(file("log"));
        let process = Process::start(&mut command).expect("it starts");
        let mut starting = Self { process, scratch };
        until("the pid file", || {
            starting.assert_runs();
            fs::exists(in_directory(&starting.scratch, "pid")).ok().filter(|there| *there)
        });
        starting
    }

    fn until_log_says(&mut self, what: &str) {
        until(what, || {
            self.assert_runs();
            self.log().contains(what).then_some(())
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(in_directory(&self.scratch, "log")).expect("a file can be read")
    }

    fn assert_runs(&mut self) {
        assert_eq!(self.process.has_ended(), None, "{}", self.log());
    }

    #[track_caller]
    fn assert_ends_at_once(mut self, signal: Signal, exit_code: i32) {
        let asked_at = Instant::now();
        self.process.signal(signal);
        let status = self.process.wait(Some(HANG_GUARD)).expect("it ends");
        assert_eq!(status.code(), Some(exit_code), "{}", self.log());
        assert!(asked_at.elapsed() < AT_ONCE, "{:?}", asked_at.elapsed());
        assert!(self.log().contains("stopped while it started"), "{}", self.log());
        let output =
            fs::read_to_string(in_directory(&self.scratch, "output")).expect("a file can be read");
        assert_eq!(output, "", "it never listened");
        assert!(
            !fs::exists(in_directory(&self.scratch, "pid")).expect("a look"),
            "no pid file stays"
        );
    }
}

#[test]
fn a_start_that_waits_for_a_store_that_is_away_is_ended() {
    // Nobody else gets this port, and nobody listens there.
    let port = Port::free().expect("there is a free port");
    let store = format!("mysql://root@{}/gatehouse", port.address());
    for (signal, exit_code) in ASKING {
        let mut starting = Starting::begin(&["--store", &store]);
        starting.until_log_says("waits for the store");
        starting.assert_ends_at_once(signal, exit_code);
    }
}

#[test]
fn a_start_whose_store_hangs_is_ended() {
    let mariadb = MariaDb::start();
    mariadb.pause();
    let store = format!("{}/gatehouse", mariadb.url());
    for (signal, exit_code) in ASKING {
        let starting = Starting::begin(&["--store", &store]);
        starting.assert_ends_at_once(signal, exit_code);
    }
    mariadb.resume();
}

#[test]
fn a_start_whose_key_command_hangs_is_ended() {
    let scripts = Scratch::new("scripts").expect("a scratch directory can be made");
    for (signal, exit_code) in ASKING {
        let (script, runs) = (in_directory(&scripts, "vault"), in_directory(&scripts, "runs"));
        // For as long as somebody waits for it.
        let lines = format!("#!/bin/sh\ntouch {runs}\nwhile kill -0 $PPID; do sleep 0.1; done\n");
        fs::write(&script, lines).expect("a file can be written");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("it is ours");
        let mut starting = Starting::begin(&["--pepper-keys", &format!("command:{script}")]);
        until("the command to run", || {
            starting.assert_runs();
            fs::remove_file(&runs).ok()
        });
        starting.assert_ends_at_once(signal, exit_code);
    }
}
