//! What every private server of others has in common: a port that stays its own, and a life that a test may
//! end and begin again.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;
use std::{env, fs, fs::File};

use crate::error::Error;
use crate::last_lines;
use crate::limits::{POLL_PAUSE, START_MAX};
use crate::port::Port;
use crate::process::Process;
use crate::scratch::Scratch;

/// A running server with a port and a directory of its own. Dropping it kills it; in a failing test its log
/// is then shown.
pub struct Daemon {
    kind: Kind,
    process: Mutex<Option<Process>>,
    port: Port,
    // Last, because the server writes to it until it is gone.
    directory: Scratch,
}

/// How to start it.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
    /// The command that runs it in the foreground, on this address and in this directory. Where it writes to
    /// is not this one's affair.
    pub(crate) command: Box<MakeCommand>,
    /// Whether it serves.
    pub(crate) serves: fn(SocketAddr) -> bool,
}

pub(crate) type MakeCommand = dyn Fn(SocketAddr, &Scratch) -> Command + Send + Sync;

impl Daemon {
    pub(crate) fn start(kind: Kind, directory: Scratch) -> Result<Self, Error> {
        let port = Port::free().map_err(Error::system("take a port"))?;
        let daemon = Self { kind, process: Mutex::default(), port, directory };
        daemon.try_start()?;
        Ok(daemon)
    }

    /// Where it listens. It stays the same when the server is started again.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// While it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running(|process| process.pid())
    }

    /// Ends it at once, as a power cut would. Returns when it is gone. Does nothing when it has been ended.
    pub fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            process.kill();
        }
    }

    /// Starts it again, on the same port and in the same directory. Returns when it serves.
    ///
    /// # Panics
    ///
    /// When it runs, or does not start.
    pub fn start_again(&self) {
        self.try_start().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops it in the middle of whatever it does, `SIGSTOP`: it takes connections and does not answer.
    ///
    /// # Panics
    ///
    /// While it does not run.
    pub fn pause(&self) {
        self.running(|process| process.pause());
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// While it does not run.
    pub fn resume(&self) {
        self.running(|process| process.resume());
    }

    /// What becomes readable when its process has ended.
    ///
    /// # Errors
    ///
    /// When this process has no descriptor left.
    pub fn end(&self) -> io::Result<OwnedFd> {
        self.running(|process| process.as_fd().try_clone_to_owned())
    }

    /// What it wrote, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Where it keeps what it keeps.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    fn running<T>(&self, act: impl FnOnce(&mut Process) -> T) -> T {
        let mut process = self.process();
        act(process.as_mut().unwrap_or_else(|| panic!("{} was ended", self.kind.name)))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_start(&self) -> Result<(), Error> {
        let mut running = self.process();
        assert!(running.is_none(), "{} runs already", self.kind.name);
        let program = || self.kind.name.to_owned();
        let log = File::options().create(true).append(true).open(self.directory.at("log"));
        let log = log.map_err(Error::system("open a log file"))?;
        let also = log.try_clone().map_err(Error::system("open a log file"))?;
        let mut command = (self.kind.command)(self.address(), &self.directory);
        command.stdin(Stdio::null()).stdout(log).stderr(also);
        let mut process = Process::start(&mut command)
            .map_err(Error::not_run(self.kind.name, self.kind.package))?;
        let give_up = Instant::now() + START_MAX;
        while !(self.kind.serves)(self.address()) {
            if let Some(status) = process.has_ended() {
                return Err(Error::DoesNotStart { program: program(), status, log: self.log() });
            }
            if Instant::now() >= give_up {
                let seconds = START_MAX.as_secs();
                return Err(Error::NotReady { program: program(), seconds, log: self.log() });
            }
            thread::sleep(POLL_PAUSE);
        }
        *running = Some(process);
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            last_lines::show(self.kind.name, self.address(), &self.log());
        }
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, address) = (self.kind.name, self.address());
        f.debug_struct("Daemon")
            .field("name", &name)
            .field("address", &address)
            .finish_non_exhaustive()
    }
}

/// A command that is also found where Debian keeps servers, outside the search path of ordinary users.
pub(crate) fn server_command(program: impl AsRef<OsStr>) -> Command {
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    let mut command = Command::new(program);
    command.env("PATH", path);
    command
}

/// Whether this process is root's. Some servers refuse to run as root unless they are told to.
#[must_use]
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Whether a program of this name would be found.
pub(crate) fn is_installed(program: &str) -> bool {
    let found = server_command(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
