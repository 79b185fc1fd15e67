//! Keys that a program prints, such as the tool of a vault or of a hardware module.
//!
//! The program is run directly, never through a shell, in a process group of its own, and without the
//! variables of this program's own settings, which may hold a password. It prints one line for each
//! key, `1 6b1f…`, with ` standby` after a key that stands by, and ends with exit code 0. It has a time limit and so much output; what it says on
//! standard error goes to this program's.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Instant;
use std::{env, fmt, thread};

use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

use super::error::{KeysError, io_error};
use super::found::{Found, Keys, key_of};
use crate::limits::{
    KEY_COMMAND_OUTPUT_MAX, KEY_COMMAND_POLL, KEY_COMMAND_TIME_MAX, KEY_COMMAND_WORDS_MAX,
};

/// What the names of this program's own settings start with in the environment.
const OWN_VARIABLES: &str = "AUTH_BACK_";

/// A program and its arguments. Prints the program alone: arguments may say more than a log should.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyCommand {
    program: PathBuf,
    arguments: Vec<String>,
}

type Output = Zeroizing<Vec<u8>>;

impl KeyCommand {
    /// The command of these words, the first of which is an absolute path.
    #[must_use]
    pub fn new(words: &str) -> Option<Self> {
        let mut words = words.split_whitespace().map(str::to_owned);
        let program = words.next().map(PathBuf::from).filter(|program| program.is_absolute())?;
        let arguments: Vec<String> = words.collect();
        (arguments.len() < KEY_COMMAND_WORDS_MAX).then_some(Self { program, arguments })
    }

    /// Runs it, and reads every key that it prints.
    pub(super) fn read(&self) -> Result<Keys, KeysError> {
        let output = self.run(clock::now() + KEY_COMMAND_TIME_MAX)?;
        let lines = output.strip_suffix(b"\n").unwrap_or(&output);
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let lines = lines.split(|byte| *byte == b'\n').enumerate();
        lines.map(|(index, line)| self.key(index + 1, line)).collect()
    }

    fn key(&self, number: usize, line: &[u8]) -> Result<Found, KeysError> {
        let malformed = || self.failed(format!("prints a line {number} that is not: ID KEY"));
        let (line, stands_by) = match line.strip_suffix(b" standby") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let space = line.iter().position(|byte| *byte == b' ').ok_or_else(malformed)?;
        let (id, key) = (&line[..space], &line[space + 1..]);
        let id = str::from_utf8(id).ok().and_then(|id| id.parse().ok()).ok_or_else(malformed)?;
        let place = || format!("the key in line {number} that {} prints", self.program.display());
        Ok(Found { id, key: key_of(key, place)?, stands_by })
    }

    pub(super) fn run(&self, deadline: Instant) -> Result<Output, KeysError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(OWN_VARIABLES.as_bytes()) {
                command.env_remove(name);
            }
        }
        let mut running = Running(command.spawn().map_err(io_error("run", &self.program))?);
        let stdout = running.0.stdout.take().expect("standard output is piped");
        let (read, output) = mpsc::channel();
        // A thread, since a pipe has no deadline. When the time is up the whole group is killed, which
        // closes the pipe and so ends it.
        let reader = thread::Builder::new().name("key command".to_owned());
        reader
            .spawn(move || drop(read.send(read_bounded(stdout))))
            .map_err(io_error("read from", &self.program))?;
        let left = deadline.saturating_duration_since(clock::now());
        let output = output.recv_timeout(left).map_err(|_| self.too_slow())?;
        let output = output.map_err(io_error("read from", &self.program))?;
        let output = output.ok_or_else(|| {
            self.failed(format!("prints more than {KEY_COMMAND_OUTPUT_MAX} bytes"))
        })?;
        let status = running.wait(deadline).map_err(io_error("wait for", &self.program))?;
        match status {
            None => Err(self.too_slow()),
            Some(status) if status.success() => Ok(output),
            Some(status) => Err(self.failed(format!("failed: {status}"))),
        }
    }

    fn too_slow(&self) -> KeysError {
        self.failed(format!("did not end within {} s", KEY_COMMAND_TIME_MAX.as_secs()))
    }

    fn failed(&self, what: String) -> KeysError {
        KeysError::Command { program: self.program.clone(), what }
    }
}

/// Reads to the end. `None` when there is more than may be.
fn read_bounded(mut stdout: ChildStdout) -> io::Result<Option<Output>> {
    // All of the room at once: a buffer that grows would leave copies behind.
    let mut output = Zeroizing::new(vec![0; KEY_COMMAND_OUTPUT_MAX + 1]);
    let mut len = 0;
    while len < output.len() {
        match stdout.read(&mut output[len..]) {
            Ok(0) => {
                output.truncate(len);
                return Ok(Some(output));
            }
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A process that does not outlive its purpose.
struct Running(Child);

impl Running {
    /// Waits for its end. `None` when it has none by the deadline.
    fn wait(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if clock::now() >= deadline {
                return Ok(None);
            }
            // It has closed its output, so its end is near; there is no wait with a deadline.
            thread::sleep(KEY_COMMAND_POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // With all that it started. A failure means that it has just ended.
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

impl fmt::Display for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what {} prints", self.program.display())
    }
}

impl fmt::Debug for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCommand({})", self.program.display())
    }
}
