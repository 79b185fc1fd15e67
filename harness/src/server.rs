//! One running server of Gatehouse.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::error::Error;
use crate::last_lines;
use crate::limits::{HANG_GUARD, LOG_QUIET, LOG_READS_MAX, START_MAX};
use crate::port::Port;
use crate::process::{FirstLine, Lines, Process};
use crate::program::{Binaries, Program};
use crate::recipe::{Log, Recipe};

/// A server that listens. Dropping it kills it; in a failing test its log is then shown.
#[derive(Debug)]
pub struct Server {
    recipe: Recipe,
    address: SocketAddr,
    ops_address: SocketAddr,
    running: Option<Running>,
    /// Its ports while it does not run, so that it finds them free when it is started again.
    held: Vec<Port>,
}

#[derive(Debug)]
struct Running {
    process: Process,
    stdout: Lines,
}

impl Server {
    /// Starts the process and waits for the line that says where it listens.
    ///
    /// # Errors
    ///
    /// When it ends instead, says something else or nothing, or its start is interrupted: then it is asked
    /// to end and has ended.
    pub fn start(recipe: Recipe) -> Result<Self, Error> {
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut server = Self {
            recipe,
            address: nowhere,
            ops_address: nowhere,
            running: None,
            held: Vec::new(),
        };
        server.spawn()?;
        Ok(server)
    }

    /// Where it serves: HTTP or frames.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its `/healthz`, `/readyz` and `/metrics` are.
    #[must_use]
    pub fn ops_address(&self) -> SocketAddr {
        self.ops_address
    }

    /// Which one it is.
    #[must_use]
    pub fn program(&self) -> Program {
        self.recipe.program
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// Everything it has logged, over all its starts. Nothing where that went to this process's own log.
    ///
    /// A thread of the server's own writes its lines, so what it logged just before an answer may be in the file just
    /// after: blocks until nothing is added for a moment (`LOG_QUIET`).
    #[must_use]
    pub fn log(&self) -> String {
        let Log::File(log) = &self.recipe.log else { return String::new() };
        let read = || fs::read(log).unwrap_or_default();
        let mut seen = read();
        for _ in 0..LOG_READS_MAX {
            thread::sleep(LOG_QUIET);
            let now = read();
            if now.len() == seen.len() {
                break;
            }
            seen = now;
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Ends it at once, as a power cut would: `kill -9`. Returns when it is gone.
    pub fn kill(&mut self) {
        let mut running = self.take_running();
        running.process.kill();
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        self.process().signal(named(name));
    }

    /// Stops it in the middle of whatever it does: `SIGSTOP`. Connections to it are taken by the kernel, and
    /// nobody answers.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Lets it go on: `SIGCONT`.
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Lets it write no file beyond so many bytes from now on, or any again: to it, as if the disk were full. It has to
    /// be started with [`Builder::auth_outlives_file_limit`](crate::Builder::auth_outlives_file_limit).
    pub fn limit_files(&self, bytes: Option<u32>) {
        assert!(self.recipe.outlives_file_limit, "it would end");
        let bytes = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        // The soft limit alone: only root may raise the hard one again.
        let (pid, limit) = (format!("--pid={}", self.pid()), format!("--fsize={bytes}:"));
        let set = Command::new("prlimit").args([pid, limit]).status();
        assert!(set.expect("prlimit runs: it is in the package util-linux").success());
    }

    /// Waits until it has ended by itself.
    #[must_use]
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.recipe.program.name();
        let status = self.wait_for(Some(HANG_GUARD));
        status.unwrap_or_else(|| panic!("{name} did not end by itself"))
    }

    /// Asks it to stop and waits until it has.
    #[must_use]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// The same, for as long as it takes. How it ended, also when that was before; `None` when it was waited
    /// for or killed before.
    pub fn stop_patiently(&mut self) -> Option<ExitStatus> {
        self.running.as_ref()?.process.signal(Signal::TERM);
        self.wait_for(None)
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.process.runs())
    }

    /// Starts it again, at the same addresses, after it was killed or has stopped.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.spawn().unwrap_or_else(|error| panic!("{error}"));
    }

    /// [`kill`](Self::kill), then [`start_again`](Self::start_again).
    pub fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Gives it another value for a flag that it was started with, from its next start on.
    pub fn set_flag(&mut self, flag: &str, value: &str) {
        let at = self.recipe.flags.iter().position(|given| given == flag);
        let at = at.unwrap_or_else(|| panic!("it was started without {flag}"));
        value.clone_into(&mut self.recipe.flags[at + 1]);
    }

    /// Has it be one of these from its next start on.
    pub fn set_binaries(&mut self, binaries: &Binaries) {
        self.recipe.binaries = binaries.clone();
    }

    /// Gives it a variable of its environment, from its next start on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.recipe.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The program with the settings that this server was given, apart from its addresses.
    pub(crate) fn command_line(&self) -> Command {
        self.recipe.command_line()
    }

    fn spawn(&mut self) -> Result<(), Error> {
        let program = || self.recipe.program.name().to_owned();
        let logged_before = self.log().len();
        let (mut process, mut stdout) = self.recipe.launch()?;
        let interrupt = self.recipe.interrupt.as_ref().map(|interrupt| interrupt.as_fd());
        let first = stdout.first(interrupt, Instant::now() + START_MAX);
        let line = match first.map_err(Error::system("read what a server prints"))? {
            FirstLine::Line(line) => line,
            FirstLine::Closed => {
                let status = process.wait(None).unwrap_or_default();
                if was_stopped_while_it_started(status) {
                    return Err(Error::Interrupted { program: program() });
                }
                let log = self.log().split_off(logged_before);
                return Err(Error::DoesNotStart { program: program(), status, log });
            }
            FirstLine::TimedOut => {
                let (seconds, log) = (START_MAX.as_secs(), self.log().split_off(logged_before));
                return Err(Error::NotReady { program: program(), seconds, log });
            }
            FirstLine::Interrupted => {
                process.signal(Signal::TERM);
                process.wait(None);
                return Err(Error::Interrupted { program: program() });
            }
        };
        let place = |place| address_in(&line, self.recipe.program.name(), place);
        let (Some(address), Some(ops_address)) = (place(self.recipe.program.place()), place("ops"))
        else {
            return Err(Error::NoAddress { program: program(), line });
        };
        (self.address, self.ops_address) = (address, ops_address);
        // Where it is now, it is after each further start.
        self.recipe.listen = Some(address.to_string());
        self.recipe.ops_listen = Some(ops_address.to_string());
        self.running = Some(Running { process, stdout });
        self.held.clear();
        Ok(())
    }

    fn process(&self) -> &Process {
        &self.running.as_ref().expect("the server was stopped").process
    }

    fn wait_for(&mut self, patience: Option<Duration>) -> Option<ExitStatus> {
        let mut running = self.take_running();
        let Some(status) = running.process.wait(patience) else {
            self.running = Some(running);
            return None;
        };
        assert_eq!(running.stdout.rest(), "", "standard output has one line");
        Some(status)
    }

    /// The process, which is about to end; its ports stay.
    fn take_running(&mut self) -> Running {
        // That of a server that has ended by itself may be gone.
        let ports = [self.address, self.ops_address].map(Port::hold);
        self.held = ports.into_iter().flatten().collect();
        self.running.take().expect("the server was stopped")
    }
}

/// Its descriptor becomes readable when the process has ended.
impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process().as_fd()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.process.kill();
        }
        let log = self.log();
        if thread::panicking() && !log.is_empty() {
            last_lines::show(self.recipe.program.name(), self.address, &log);
        }
    }
}

/// A signal by its name.
fn named(name: &str) -> Signal {
    match name {
        "CONT" => Signal::CONT,
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "STOP" => Signal::STOP,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        _ => panic!("no such signal is sent: {name}"),
    }
}

/// Whether a server ended because it was asked to before it listened, by whoever: a supervisor may signal all processes of
/// a service at once.
fn was_stopped_while_it_started(status: ExitStatus) -> bool {
    let asking = [Signal::TERM, Signal::INT].map(|signal| 128 + signal.as_raw());
    status.code().is_some_and(|code| asking.contains(&code))
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
