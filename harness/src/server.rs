//! One running server process.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use crate::{binaries::Program, client::Client, limits::HANG_GUARD};

/// A server that listens. Dropping it kills it; in a failing test its log is then shown.
#[derive(Debug)]
pub struct Server {
    recipe: Recipe,
    process: Option<Process>,
}

/// How to start the server, and to start it again where it was.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) program: Program,
    pub(crate) listen: SocketAddr,
    pub(crate) ops_listen: SocketAddr,
    pub(crate) flags: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    /// `RLIMIT_NOFILE`, soft and hard, when it is not to be inherited.
    pub(crate) open_files: Option<u32>,
    /// Standard error goes here; several starts append.
    pub(crate) log: PathBuf,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// Gets what the process wrote to standard output after its ready line, once that is closed,
    /// which the end of the process does.
    ended: Receiver<String>,
}

impl Server {
    /// Starts the process and waits for its ready line.
    pub(crate) fn start(recipe: Recipe) -> Self {
        let mut server = Self { recipe, process: None };
        server.spawn();
        server
    }

    /// Where it serves: HTTP or frames.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.recipe.listen
    }

    /// Where its `/healthz`, `/readyz` and `/metrics` are.
    #[must_use]
    pub fn ops_address(&self) -> SocketAddr {
        self.recipe.ops_listen
    }

    /// An HTTP client of its operations listener.
    #[must_use]
    pub fn ops(&self) -> Client {
        Client::new(self.ops_address())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server was stopped").child.id()
    }

    /// Everything it has logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.recipe.log).expect("the log file can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends it at once, as a power cut would: `kill -9`. Returns when it is gone.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the server was stopped");
        process.child.kill().expect("a child can be killed");
        process.child.wait().expect("a child can be waited for");
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        // The standard library sends no other signal than KILL; every shell has a `kill` built in.
        let pid = self.pid().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status();
        assert!(sent.expect("sh runs").success(), "kill -s {name} {pid}");
    }

    /// Waits until it has ended by itself.
    #[must_use]
    pub fn wait(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the server was stopped");
        let Ok(rest) = process.ended.recv_timeout(HANG_GUARD) else {
            let name = self.recipe.program.name();
            self.process = Some(process);
            panic!("{name} did not end by itself");
        };
        assert_eq!(rest, "", "standard output has one line");
        process.child.wait().expect("a child can be waited for")
    }

    /// Asks it to stop and waits until it has.
    #[must_use]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Starts it again, at the same addresses, after it was killed or has stopped.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        self.spawn();
    }

    /// [`kill`](Self::kill), then [`start_again`](Self::start_again).
    pub fn kill_and_start_again(&mut self) {
        self.kill();
        self.spawn();
    }

    /// Gives it another value for a flag that it was started with, from its next start on.
    pub fn set_flag(&mut self, flag: &str, value: &str) {
        let at = self.recipe.flags.iter().position(|given| given == flag);
        let at = at.unwrap_or_else(|| panic!("it was started without {flag}"));
        value.clone_into(&mut self.recipe.flags[at + 1]);
    }

    /// Gives it a variable of its environment, from its next start on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.recipe.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The program with the settings that this server was given, apart from its addresses.
    pub(crate) fn command_line(&self) -> Command {
        let mut command = clean_command(self.recipe.program);
        command
            .args(&self.recipe.flags)
            .envs(self.recipe.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn spawn(&mut self) {
        let mut child = self.recipe.command().spawn().expect("the server can be started");
        let stdout = child.stdout.take().expect("standard output is piped");
        let (ready, ended) = read_stdout(stdout);
        self.process = Some(Process { child, ended });
        let name = self.recipe.program.name();
        let line = ready.recv_timeout(HANG_GUARD);
        let line = line.unwrap_or_else(|_| panic!("{name} neither listens nor ends"));
        let place = |place: &str| {
            address_in(&line, name, place)
                .unwrap_or_else(|| panic!("{name} does not say where {place} is: {line:?}"))
        };
        self.recipe.listen = place(self.recipe.program.place());
        self.recipe.ops_listen = place("ops");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
        if thread::panicking() {
            let name = self.recipe.program.name();
            eprintln!("--- {name} at {} logged:\n{}---", self.recipe.listen, self.log());
        }
    }
}

impl Recipe {
    /// A start of `program` on ports of the system's choice.
    pub(crate) fn new(program: Program, log: PathBuf) -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            program,
            listen: any_port,
            ops_listen: any_port,
            flags: Vec::new(),
            variables: Vec::new(),
            open_files: None,
            log,
        }
    }

    fn command(&self) -> Command {
        let mut command = match self.open_files {
            None => clean_command(self.program),
            Some(files) => {
                let mut shell = clean(Command::new("sh"));
                shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()]);
                shell.arg(self.program.binary());
                shell
            }
        };
        let log = File::options().create(true).append(true).open(&self.log);
        command
            .args(["--listen", &self.listen.to_string()])
            .args(["--ops-listen", &self.ops_listen.to_string()])
            .args(&self.flags)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("the log file can be opened"));
        command
    }
}

/// Runs a program that is expected to end at once, such as with `--help` or a refused setting.
#[must_use]
pub fn run_to_end(program: Program, flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = clean_command(program);
    command.args(flags).envs(variables.iter().copied()).stdin(Stdio::null());
    // A program that starts to serve instead would keep the test waiting for ever.
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let stdout = child.stdout.take().expect("standard output is piped");
    let (first_line, ended) = read_stdout(stdout);
    let first = first_line.recv_timeout(HANG_GUARD).unwrap_or_default();
    if first.starts_with("listening ") {
        child.kill().expect("a child can be killed");
        panic!("it serves instead of ending, given {flags:?} {variables:?}");
    }
    let rest = ended.recv_timeout(HANG_GUARD).expect("it neither serves nor ends");
    let mut output = child.wait_with_output().expect("a child can be waited for");
    output.stdout = [first, rest].concat().into_bytes();
    output
}

/// The program without settings that the environment of the tests may hold.
fn clean_command(program: Program) -> Command {
    clean(Command::new(program.binary()))
}

fn clean(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        let prefixes = Program::ALL.map(Program::variable_prefix);
        if prefixes.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
            command.env_remove(name);
        }
    }
    command
}

/// Reads standard output on a thread: first gets one line, then all the rest once it has ended.
fn read_stdout(stdout: ChildStdout) -> (Receiver<String>, Receiver<String>) {
    let (ready, ready_receiver) = mpsc::channel();
    let (ended, ended_receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let mut rest = String::new();
        // What is no UTF-8 shows up as a line that is not understood. Nobody may be waiting any more.
        let _ = stdout.read_line(&mut line);
        let _ = ready.send(line);
        let _ = stdout.read_to_string(&mut rest);
        let _ = ended.send(rest);
    });
    (ready_receiver, ended_receiver)
}

/// The address of `place` in `listening NAME PLACE=ADDRESS ...`.
fn address_in(line: &str, name: &str, place: &str) -> Option<SocketAddr> {
    let places = line.trim_end().strip_prefix("listening ")?.strip_prefix(name)?;
    let mut places = places.split(' ').filter_map(|word| word.split_once('='));
    places.find_map(|(known, address)| (known == place).then(|| address.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_where() {
        fn check(line: &str, place: &str, expected: Option<&str>) {
            let expected = expected.map(|address| address.parse().expect("an address"));
            assert_eq!(address_in(line, "http_front", place), expected, "{line:?} {place}");
        }
        let line = "listening http_front http=127.0.0.1:1234 ops=[::1]:5\n";
        check(line, "http", Some("127.0.0.1:1234"));
        check(line, "ops", Some("[::1]:5"));
        check(line, "rpc", None);
        check("listening auth_back rpc=127.0.0.1:1", "rpc", None);
        check("error", "http", None);
        check("", "http", None);
    }
}
