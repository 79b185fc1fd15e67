//! An operator at the command line, beside running servers.

use std::{
    ffi::OsString,
    io::Write,
    os::fd::AsFd as _,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{
    limits::COMMAND_MAX,
    process::{Waited, wait_for},
    system::System,
};

impl System {
    /// `auth_back` with the settings of the first auth server and these words after them.
    #[must_use]
    pub fn operator(&self, words: &[&str]) -> Operator {
        let mut command = self.first_auth().command_line();
        command.args(words).current_dir(self.scratch());
        Operator { command, input: String::new() }
    }
}

/// A command that is about to be given.
#[derive(Debug)]
pub struct Operator {
    command: Command,
    input: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Told {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

impl Operator {
    /// Gives it this as standard input, which is no terminal.
    #[must_use]
    pub fn input(self, input: &str) -> Self {
        Self { input: input.to_owned(), ..self }
    }

    /// Has it run where no file may grow: what it writes to one fails, as on a full disk.
    #[must_use]
    pub fn without_room(self) -> Self {
        self.behind(&["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
    }

    /// Has it run on a terminal of its own, on which what it is given as input is typed. What it says on either output
    /// comes out of the terminal, as [`Told::output`].
    #[must_use]
    pub fn on_terminal(self) -> Self {
        // The words go by variables of the shell that script(1) runs, so that none has to be quoted.
        let run = "exec script --quiet --return --echo never --command 'exec $WORDS' /dev/null";
        let given = &self.command;
        let words: Vec<_> = std::iter::once(given.get_program()).chain(given.get_args()).collect();
        let words: Vec<_> = words.iter().map(|word| word.to_str().expect("UTF-8")).collect();
        assert!(words.iter().all(|word| !word.contains([' ', '*', '?', '\n'])), "{words:?}");
        let words = words.join(" ");
        let mut operator = self.behind(&["sh", "-c", run]);
        operator.command.env("WORDS", words);
        operator
    }

    /// Takes a flag of the server's, and its value, off the command line.
    ///
    /// # Panics
    ///
    /// When the server was started without it.
    #[must_use]
    pub fn without_flag(self, flag: &str) -> Self {
        let mut words: Vec<_> = self.command.get_args().map(ToOwned::to_owned).collect();
        let at = words.iter().position(|word| word == flag);
        let at = at.unwrap_or_else(|| panic!("the server was started without {flag}"));
        words.drain(at..at + 2);
        let program = self.command.get_program().to_owned();
        self.with_line(Command::new(program), &words)
    }

    /// Puts these words before the command line.
    #[must_use]
    pub fn behind(self, words: &[&str]) -> Self {
        let mut words = words.iter();
        let mut command = Command::new(words.next().expect("at least a program"));
        command.args(words).arg(self.command.get_program());
        let own: Vec<_> = self.command.get_args().map(ToOwned::to_owned).collect();
        self.with_line(command, &own)
    }

    /// The same surroundings for another command line: that of `command`, with these words after it.
    fn with_line(self, mut command: Command, words: &[OsString]) -> Self {
        let given = &self.command;
        command.args(words);
        for (name, value) in given.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = given.get_current_dir() {
            command.current_dir(directory);
        }
        Self { command, ..self }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// When it has not ended after [`COMMAND_MAX`]: also where a server was to end at its start, and serves.
    #[must_use]
    #[track_caller]
    pub fn run(self) -> Told {
        self.run_within(COMMAND_MAX)
    }

    #[track_caller]
    fn run_within(mut self, patience: Duration) -> Told {
        let give_up = Instant::now() + patience;
        let mut child = self.spawn_piped();
        let mut stdin = child.stdin.take().expect("standard input is piped");
        // A command that reads nothing may have ended.
        let _ = stdin.write_all(self.input.as_bytes());
        drop(stdin);
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        let end = end.expect("a child that nobody has waited for");
        let (output, has_hung) = thread::scope(|scope| {
            let guard = scope.spawn(|| {
                let has_hung =
                    wait_for(&[end.as_fd()], Some(give_up)).ok() == Some(Waited::TimedOut);
                // It may have ended just now.
                let _ = has_hung.then(|| pidfd_send_signal(&end, Signal::KILL));
                has_hung
            });
            (child.wait_with_output(), guard.join().expect("it does not panic"))
        });
        let told = told(output.expect("a child can be waited for"));
        assert!(!has_hung, "it has not ended after {patience:?}: {told:?}");
        told
    }

    /// Runs it to its end, which has to be a good one. Returns standard output.
    #[track_caller]
    pub fn succeed(self) -> String {
        let told = self.run();
        assert_eq!(told.code, Some(0), "{told:?}");
        told.output
    }

    /// Starts it, to be killed.
    #[must_use]
    pub fn begin(mut self) -> Child {
        self.spawn_piped()
    }

    fn spawn_piped(&mut self) -> Child {
        let piped = self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        piped.stderr(Stdio::piped()).spawn().expect("the command can be started")
    }
}

fn told(output: Output) -> Told {
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    Told { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleep(seconds: &str) -> Operator {
        let mut command = Command::new("sleep");
        command.arg(seconds);
        Operator { command, input: String::new() }
    }

    #[test]
    fn a_command_that_ends_in_time_is_told() {
        assert_eq!(sleep("0").run().code, Some(0));
    }

    #[test]
    #[should_panic(expected = "it has not ended after 10ms")]
    fn a_command_that_does_not_end_is_killed() {
        let _ = sleep("600").run_within(Duration::from_millis(10));
    }
}
