//! One child process that does not outlive its owner.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use crate::limits::{LISTENING_LINE_BYTES_MAX, POLL_PAUSE};
use crate::reaper;
use crate::wait::until;

/// A process and those that it has started. Dropping it kills them, at once.
///
/// It leads a process group of its own, so a terminal's Ctrl-C does not reach it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    /// Becomes readable when the process has ended.
    end: OwnedFd,
    ended: Option<ExitStatus>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// This one of them is ready: there is something to read, or nobody is left who writes.
    Ready(usize),
    /// None is.
    TimedOut,
}

/// Blocks until one of `sources` is readable or closed, or `give_up` has come.
///
/// # Errors
///
/// What `poll(2)` says.
pub fn wait_for(sources: &[BorrowedFd<'_>], give_up: Option<Instant>) -> io::Result<Waited> {
    loop {
        let left = give_up.map(|give_up| give_up.saturating_duration_since(Instant::now()));
        let timeout = left.map(Timespec::try_from).transpose();
        let timeout = timeout.map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut waiting: Vec<PollFd<'_>> =
            sources.iter().map(|source| PollFd::from_borrowed_fd(*source, PollFlags::IN)).collect();
        match poll(&mut waiting, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(Waited::TimedOut),
            Ok(_) => {
                if let Some(ready) = waiting.iter().position(|fd| !fd.revents().is_empty()) {
                    return Ok(Waited::Ready(ready));
                }
            }
        }
    }
}

impl Process {
    /// Starts `command`.
    ///
    /// # Errors
    ///
    /// What the system says, [`io::ErrorKind::NotFound`] when there is no such program.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let kept = || {
            let pid = Pid::from_child(&child);
            Ok((pid, reaper::adopt(child.id()).and(Ok(pidfd_open(pid, PidfdFlags::empty())?))?))
        };
        let kept: io::Result<_> = kept();
        match kept {
            Ok((pid, end)) => Ok(Self { child, pid, end, ended: None }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal. One that has ended gets none.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // Nobody has waited for it, so the number is still its own, and a signal to a zombie is
            // no error.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Stops it in the middle of whatever it does: `SIGSTOP`. Returns when no thread of it runs.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.pid());
        until("a process to stop", || {
            let tasks = fs::read_dir(&tasks).unwrap_or_else(|error| panic!("{tasks}: {error}"));
            tasks.flatten().all(|task| is_stopped(&task.path().join("stat"))).then_some(())
        });
    }

    /// Lets it go on: `SIGCONT`.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn runs(&self) -> bool {
        let now = Some(Instant::now());
        self.ended.is_none() && !matches!(wait_for(&[self.end.as_fd()], now), Ok(Waited::Ready(_)))
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            reaper::forget(self.pid());
            self.ended = Some(status);
        }
        self.ended
    }

    /// Waits until it has ended. `None` when it has not after `patience`; without one that is never.
    pub fn wait(&mut self, patience: Option<Duration>) -> Option<ExitStatus> {
        let give_up = patience.map(|patience| Instant::now() + patience);
        loop {
            if let Some(status) = self.has_ended() {
                return Some(status);
            }
            match wait_for(&[self.end.as_fd()], give_up) {
                Ok(Waited::TimedOut) => return self.has_ended(),
                Ok(Waited::Ready(_)) => {}
                // What cannot be waited for is looked at.
                Err(_) => std::thread::sleep(POLL_PAUSE),
            }
        }
    }

    /// Ends it at once, as a power cut would, with all that it has started. Returns when it is gone.
    pub fn kill(&mut self) {
        if self.has_ended().is_none() {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = self.wait(None);
        }
    }

    /// Its standard output, if that was piped and nobody has taken it.
    pub(crate) fn take_stdout(&mut self) -> Option<Lines> {
        self.child.stdout.take().map(|stdout| Lines(BufReader::new(stdout)))
    }
}

/// Its descriptor becomes readable when the process has ended.
impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The state of a thread, `proc_pid_stat(5)`: the letter after the name, which may hold anything.
fn is_stopped(stat: &std::path::Path) -> bool {
    let stat = fs::read_to_string(stat).unwrap_or_default();
    // One that ended between listing and looking does not run either.
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
}

/// What a process writes to its standard output.
#[derive(Debug)]
pub(crate) struct Lines(BufReader<ChildStdout>);

/// What came of waiting for the first line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstLine {
    Line(String),
    /// The process has closed its output, most likely by ending.
    Closed,
    /// Whoever asked to be told was told something.
    Interrupted,
    TimedOut,
}

impl Lines {
    /// The first line. Blocks until it is there, `interrupt` is readable, or `give_up` has come.
    pub(crate) fn first(
        &mut self,
        interrupt: Option<BorrowedFd<'_>>,
        give_up: Instant,
    ) -> io::Result<FirstLine> {
        let mut line = Vec::new();
        loop {
            let mut sources = vec![self.0.get_ref().as_fd()];
            sources.extend(interrupt);
            match wait_for(&sources, Some(give_up))? {
                Waited::TimedOut => return Ok(FirstLine::TimedOut),
                Waited::Ready(0) => {}
                Waited::Ready(_) => return Ok(FirstLine::Interrupted),
            }
            let came = self.0.fill_buf()?;
            if came.is_empty() && line.is_empty() {
                return Ok(FirstLine::Closed);
            }
            let end = came.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(came.len(), |end| end + 1);
            line.extend_from_slice(&came[..taken]);
            self.0.consume(taken);
            if end.is_some() || taken == 0 || line.len() > LISTENING_LINE_BYTES_MAX {
                return Ok(FirstLine::Line(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
        }
    }

    /// All that came after that. Blocks until the output is closed.
    pub(crate) fn rest(mut self) -> String {
        let mut rest = Vec::new();
        // What could be read until something broke is what there is.
        let _ = io::Read::read_to_end(&mut self.0, &mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        Process::start(&mut command).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + crate::limits::HANG_GUARD
    }

    #[test]
    fn the_end_of_a_process_is_waited_for() {
        let mut process = shell("exit 7");
        assert_eq!(process.wait(None).and_then(|status| status.code()), Some(7));
        // Once it has ended, it stays so.
        assert_eq!(process.wait(Some(Duration::ZERO)).and_then(|status| status.code()), Some(7));

        let mut process = shell("exec sleep 1000");
        assert_eq!(process.wait(Some(Duration::ZERO)), None);
        process.signal(Signal::TERM);
        assert!(process.wait(None).is_some_and(|status| !status.success()));
    }

    #[test]
    fn children_of_a_process_are_killed_with_it() {
        let mut process = shell("sleep 1000 & echo $!; wait");
        let FirstLine::Line(child) = process.take_stdout().unwrap().first(None, soon()).unwrap()
        else {
            panic!("a line was to come");
        };
        process.kill();
        // Its parent is gone, so whoever adopts it may take a moment to bury it.
        let stat = format!("/proc/{child}/stat");
        until("the child to end", || {
            fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z")).then_some(())
        });
    }

    #[test]
    fn a_paused_process_does_nothing_until_it_is_resumed() {
        let mut process = shell("exec sleep 1000");
        process.pause();
        process.signal(Signal::TERM);
        // A signal waits for the process to go on.
        assert_eq!(process.has_ended(), None);
        process.resume();
        assert!(process.wait(None).is_some());
    }

    #[test]
    fn the_first_line_is_told_from_the_rest() {
        fn check(script: &str, first: &FirstLine, rest: &str) {
            let mut process = shell(script);
            let mut lines = process.take_stdout().unwrap();
            assert_eq!(&lines.first(None, soon()).unwrap(), first, "{script}");
            assert_eq!(lines.rest(), rest, "{script}");
        }
        let line = |text: &str| FirstLine::Line(text.to_owned());
        check("echo one; echo two", &line("one"), "two\n");
        check("printf o; sleep 0.05; echo ne; echo two", &line("one"), "two\n");
        check("printf 'no end'", &line("no end"), "");
        check("echo", &line(""), "");
        check(":", &FirstLine::Closed, "");
    }

    #[test]
    fn waiting_for_a_line_can_be_interrupted_and_ends() {
        let mut process = shell("exec sleep 1000");
        let mut lines = process.take_stdout().unwrap();
        assert_eq!(lines.first(None, Instant::now()).unwrap(), FirstLine::TimedOut);
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(theirs);
        let told = lines.first(Some(ours.as_fd()), soon()).unwrap();
        assert_eq!(told, FirstLine::Interrupted);
    }
}
