//! How a server of Gatehouse is started: which program, with which settings, seeing what of this process.

use std::env;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use crate::error::Error;
use crate::process::{Lines, Process};
use crate::program::{Binaries, Program};
use crate::scratch::Scratch;
use crate::wait::until;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Which one.
    pub program: Program,
    /// Where it lies.
    pub binaries: Binaries,
    /// Words before its command line, such as `taskset 1`.
    pub wrapper: Vec<String>,
    /// Where it serves; where it does by default, if not given.
    pub listen: Option<String>,
    /// Where its operations listener is; where it is by default, if not given.
    pub ops_listen: Option<String>,
    /// Flags beside those.
    pub flags: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Which variables of this process it sees beside those.
    pub environment: Environment,
    /// `RLIMIT_NOFILE`, soft and hard, when it is not to be inherited.
    pub open_files: Option<u32>,
    /// Whether a write beyond [`Server::limit_files`](crate::Server::limit_files) is an error, as on a full disk; else
    /// the system ends the process.
    pub outlives_file_limit: bool,
    /// Where its standard error goes.
    pub log: Log,
    /// Its end becomes readable when somebody asks to stop: a start is given up then.
    pub interrupt: Option<Arc<UnixStream>>,
}

/// Which variables of this process a server sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// All.
    Inherited,
    /// All but those that are settings of a server, so that no test depends on who runs it.
    WithoutSettings,
}

/// Where the standard error of a server goes.
#[derive(Clone, Debug)]
pub enum Log {
    /// To that of this process.
    Inherited,
    /// To this file; several starts append.
    File(PathBuf),
}

impl Recipe {
    /// As an operator starts it: where it serves by default, with the settings that the environment has,
    /// its log on standard error.
    #[must_use]
    pub fn plain(program: Program, binaries: Binaries) -> Self {
        Self {
            program,
            binaries,
            wrapper: Vec::new(),
            listen: None,
            ops_listen: None,
            flags: Vec::new(),
            variables: Vec::new(),
            environment: Environment::Inherited,
            open_files: None,
            outlives_file_limit: false,
            log: Log::Inherited,
            interrupt: None,
        }
    }

    /// For a test: on ports of the system's choice, with no settings but those that it is given, its log in
    /// a file.
    #[must_use]
    pub fn for_test(program: Program, log: PathBuf) -> Self {
        let any_port = Some("127.0.0.1:0".to_owned());
        Self {
            listen: any_port.clone(),
            ops_listen: any_port,
            environment: Environment::WithoutSettings,
            log: Log::File(log),
            ..Self::plain(program, Binaries::of_tests())
        }
    }

    /// Starts the process, its standard output piped.
    pub(crate) fn launch(&self) -> Result<(Process, Lines), Error> {
        let program = self.program.name();
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        if let Log::File(path) = &self.log {
            let log = File::options().create(true).append(true).open(path);
            command.stderr(log.map_err(Error::system("open a log file"))?);
        }
        let mut process =
            Process::start(&mut command).map_err(Error::system(format!("run {program}")))?;
        let lines = process.take_stdout().expect("standard output is piped");
        Ok((process, lines))
    }

    /// The program with its settings, apart from its addresses.
    pub(crate) fn command_line(&self) -> Command {
        let mut command = Command::new(self.binaries.of(self.program));
        self.give_settings(&mut command);
        command
    }

    fn command(&self) -> Command {
        let mut script = String::new();
        if let Some(files) = self.open_files {
            script += &format!("ulimit -n {files} && ");
        }
        if self.outlives_file_limit {
            script += "trap '' XFSZ && ";
        }
        let shell = ["sh", "-c", &(script.clone() + "exec \"$0\" \"$@\"")].map(str::to_owned);
        let shell = (!script.is_empty()).then_some(shell);
        let mut before = shell.into_iter().flatten().chain(self.wrapper.iter().cloned());
        let binary = self.binaries.of(self.program);
        let mut command = match before.next() {
            None => Command::new(binary),
            Some(first) => {
                let mut command = Command::new(first);
                command.args(before).arg(binary);
                command
            }
        };
        for (flag, address) in [("--listen", &self.listen), ("--ops-listen", &self.ops_listen)] {
            if let Some(address) = address {
                command.args([flag, address]);
            }
        }
        self.give_settings(&mut command);
        command
    }

    fn give_settings(&self, command: &mut Command) {
        if self.environment == Environment::WithoutSettings {
            without_settings(command);
        }
        let drain = self.program.variable_prefix().to_owned() + "DRAIN";
        if self.environment == Environment::WithoutSettings || env::var_os(&drain).is_none() {
            // Whoever starts a server here also waits for its end, and no balancer is to notice anything.
            command.env(drain, "0s");
        }
        command.args(&self.flags).envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}

/// Takes away what the environment of this process may hold of settings of the servers.
fn without_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let prefixes = Program::ALL.map(Program::variable_prefix);
        if prefixes.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
            command.env_remove(name);
        }
    }
}

/// Runs a program that is expected to end at once, such as with `--help` or a refused setting.
#[must_use]
pub fn run_to_end(program: Program, flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program.binary());
    without_settings(&mut command);
    command.args(flags).envs(variables.iter().copied()).stdin(Stdio::null());
    // Files, because nobody reads while it runs.
    let scratch = Scratch::new("output").unwrap_or_else(|error| panic!("{error}"));
    let paths = ["stdout", "stderr"].map(|name| scratch.path().join(name));
    let [stdout, stderr] =
        paths.each_ref().map(|path| File::create(path).expect("a file can be made"));
    let mut process = Process::start(command.stdout(stdout).stderr(stderr)).expect("it starts");
    let wrote = |path| fs::read(path).expect("a file can be read");
    let status = until("a program to end", || {
        let ended = process.has_ended();
        // A program that starts to serve instead would keep the test waiting.
        let serves = wrote(&paths[0]).starts_with(b"listening ");
        assert!(!serves, "it serves instead of ending, given {flags:?} {variables:?}");
        ended
    });
    Output { status, stdout: wrote(&paths[0]), stderr: wrote(&paths[1]) }
}
