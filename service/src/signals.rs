//! Signals that a server obeys, as events for the thread that waits for them.
//!
//! | signal | meaning |
//! |---|---|
//! | SIGTERM, SIGINT | [`Signal::Stop`]: finish what is in flight, then exit |
//! | SIGINT again | exit at once with code 130, from within the handler, whatever the program is doing |
//! | SIGHUP | [`Signal::Reload`]: read again what can be read again |
//!
//! Only SIGINT is impatient. A terminal's Ctrl-C reaches every process of the foreground job, and a
//! script that started a server then sends it a SIGTERM as well; that must not cut a clean stop short.

use std::{
    fmt, io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    iterator::SignalsInfo,
};

/// Exit code after a second SIGINT: 128 and the number of the signal, as a shell reports it.
pub const IMPATIENT_EXIT_CODE: i32 = 128 + SIGINT;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Finish what is in flight, then exit.
    Stop,
    /// Read again what can be read again, such as keys.
    Reload,
}

/// The signals of this process, from [`Signals::install`] on.
pub struct Signals {
    inner: SignalsInfo,
}

impl Signals {
    /// Installs the handlers. Call it once, before the server says that it listens: a signal that
    /// arrives earlier ends the process.
    ///
    /// # Errors
    ///
    /// What the system says when it gives no file descriptors or refuses a handler.
    pub fn install() -> io::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        // Handlers run in the order of their registration: the first SIGINT finds the flag down and
        // leaves it up for the second.
        flag::register_conditional_shutdown(SIGINT, IMPATIENT_EXIT_CODE, Arc::clone(&interrupted))?;
        flag::register(SIGINT, interrupted)?;
        Ok(Self { inner: SignalsInfo::new([SIGINT, SIGTERM, SIGHUP])? })
    }

    /// The next signal. Blocks until there is one.
    ///
    /// Signals of one number that arrive before this is called count as one (`signal(7)`).
    pub fn wait(&mut self) -> Signal {
        loop {
            // What is pending and not taken from the iterator stays pending.
            if let Some(number) = self.inner.wait().next() {
                return if number == SIGHUP { Signal::Reload } else { Signal::Stop };
            }
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        io::{BufRead as _, BufReader, Write as _},
        process::{Child, ChildStdout, Command, Stdio},
    };

    use rustix::process::{Pid, kill_process, set_parent_process_death_signal};

    use super::*;

    /// Set in a child of the test: it is the process that gets the signals.
    const CHILD: &str = "SIGNALS_TEST_CHILD";
    const TEST: &str = "signals::tests::a_process_obeys";

    /// Says on standard output what each signal asks for, until one ends the process.
    fn child() {
        // Whatever becomes of the test, its child does not outlive it.
        set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .expect("always allowed");
        let mut signals = Signals::install().expect("a process of the test's own");
        let say = |word: &str| {
            let mut out = io::stdout().lock();
            writeln!(out, "signal: {word}").and_then(|()| out.flush()).expect("the test listens");
        };
        say("installed");
        loop {
            match signals.wait() {
                Signal::Reload => say("reload"),
                Signal::Stop => say("stop"),
            }
        }
    }

    struct Obeying {
        process: Child,
        said: BufReader<ChildStdout>,
    }

    impl Obeying {
        fn start() -> Self {
            let test = env::current_exe().expect("the path of this test");
            let mut process = Command::new(test)
                .args(["--exact", TEST, "--nocapture"])
                .env(CHILD, "1")
                .stdout(Stdio::piped())
                .spawn()
                .expect("this test, once more");
            let said = BufReader::new(process.stdout.take().expect("a pipe"));
            let mut obeying = Self { process, said };
            obeying.expect("installed");
            obeying
        }

        fn send(&self, signal: rustix::process::Signal) {
            let pid = Pid::from_child(&self.process);
            kill_process(pid, signal).expect("the child has not been waited for");
        }

        fn expect(&mut self, word: &str) {
            let said = self.next_word();
            assert_eq!(said.as_deref(), Some(word));
        }

        /// What the child says next, or `None` when it has ended.
        fn next_word(&mut self) -> Option<String> {
            let mut line = String::new();
            while self.said.read_line(&mut line).expect("text") > 0 {
                // The test harness of the child prints on the same lines.
                if let Some((_, word)) = line.trim_end().split_once("signal: ") {
                    return Some(word.to_owned());
                }
                line.clear();
            }
            None
        }
    }

    impl Drop for Obeying {
        fn drop(&mut self) {
            // It has ended already, unless the test fails.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[test]
    fn a_process_obeys() {
        if env::var_os(CHILD).is_some() {
            return child();
        }
        let mut process = Obeying::start();
        process.send(rustix::process::Signal::HUP);
        process.expect("reload");
        process.send(rustix::process::Signal::TERM);
        process.expect("stop");
        process.send(rustix::process::Signal::TERM);
        process.expect("stop");
        process.send(rustix::process::Signal::INT);
        process.expect("stop");
        process.send(rustix::process::Signal::TERM);
        process.expect("stop");
        process.send(rustix::process::Signal::INT);
        assert_eq!(process.next_word(), None, "the second SIGINT is not for the program");
        let status = process.process.wait().expect("a child of the test");
        assert_eq!(status.code(), Some(IMPATIENT_EXIT_CODE));
    }
}
