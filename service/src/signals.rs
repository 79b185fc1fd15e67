//! Signals that a server obeys, as events for the thread that waits for them.
//!
//! | signal | meaning |
//! |---|---|
//! | SIGTERM | [`Signal::Drain`]: serve on until balancers have noticed, then stop |
//! | SIGINT | [`Signal::Stop`]: finish what is in flight, then exit |
//! | SIGINT again | exit at once with code 130, from within the handler, whatever the program is doing |
//! | SIGHUP | [`Signal::Reload`]: read again what can be read again |
//!
//! Until the server listens ([`Signals::listening`]), SIGTERM and SIGINT end the process at once, with code 143 or 130:
//! nothing is in flight, and a start may wait for a database without a limit. They are handled then too, because the
//! first process of a container is not ended by signals that it does not handle.
//!
//! Only SIGINT is impatient. A terminal's Ctrl-C reaches every process of the foreground job, and a
//! script that started a server then sends it a SIGTERM as well; that must not cut a clean stop short.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    iterator::SignalsInfo,
    low_level::exit,
};

use crate::limits::SIGNALS_QUEUED_MAX;

/// Exit code after a SIGINT during the start, or a second SIGINT: 128 and the number of the signal, as a shell reports it.
pub const INTERRUPTED_EXIT_CODE: i32 = 128 + SIGINT;

/// Exit code after a SIGTERM during the start.
pub const TERMINATED_EXIT_CODE: i32 = 128 + SIGTERM;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Serve on until balancers have noticed, then stop.
    Drain,
    /// Finish what is in flight, then exit.
    Stop,
    /// Read again what can be read again, such as keys.
    Reload,
}

/// The signals of this process, from [`Signals::install`] on.
pub struct Signals {
    received: Receiver<Signal>,
    start: Arc<Mutex<Option<EndOfStart>>>,
}

/// What is to be done before the process ends in its start.
type EndOfStart = Box<dyn FnOnce(&'static str) + Send>;

impl Signals {
    /// Installs the handlers, and starts the thread that the signals come to. Call it once. Until
    /// [`listening`](Self::listening), `end_of_start` is called with the name of a signal that asks to stop, on that
    /// thread, and the process ends when it returns.
    ///
    /// # Errors
    ///
    /// What the system says when it gives no file descriptors or no thread, or refuses a handler.
    pub fn install(end_of_start: impl FnOnce(&'static str) + Send + 'static) -> io::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        // Handlers run in the order of their registration: the first SIGINT finds the flag down and
        // leaves it up for the second.
        flag::register_conditional_shutdown(
            SIGINT,
            INTERRUPTED_EXIT_CODE,
            Arc::clone(&interrupted),
        )?;
        flag::register(SIGINT, interrupted)?;
        let signals = SignalsInfo::new([SIGINT, SIGTERM, SIGHUP])?;
        let start: Arc<Mutex<Option<EndOfStart>>> =
            Arc::new(Mutex::new(Some(Box::new(end_of_start))));
        let (sender, received) = bounded(SIGNALS_QUEUED_MAX);
        let of_thread = Arc::clone(&start);
        clock::spawn(thread::Builder::new().name("signals".to_owned()), move || {
            pass_on(signals, &of_thread, &sender);
        })?;
        Ok(Self { received, start })
    }

    /// The server listens: from now on signals are left to [`wait`](Self::wait).
    pub fn listening(&self) {
        // Waits for a process that is just being ended.
        *self.start.lock() = None;
    }

    /// The next signal. Blocks until there is one.
    ///
    /// Signals of one number that arrive before this is called may count as one (`signal(7)`).
    #[must_use]
    pub fn wait(&self) -> Signal {
        // The thread that sends them ends with the process.
        self.received.recv().unwrap_or(Signal::Stop)
    }

    /// The next signal, or `None` when there was none until `until`. Blocks so long.
    #[must_use]
    pub fn wait_until(&self, until: Instant) -> Option<Signal> {
        self.received.recv_deadline(until).ok()
    }
}

/// Runs for as long as the process.
fn pass_on(mut signals: SignalsInfo, start: &Mutex<Option<EndOfStart>>, sender: &Sender<Signal>) {
    for number in &mut signals {
        if number == SIGHUP {
            // Full: there are some that were not taken yet, and mean the same.
            let _ = sender.try_send(Signal::Reload);
            continue;
        }
        let (signal, name, exit_code) = match number {
            SIGINT => (Signal::Stop, "SIGINT", INTERRUPTED_EXIT_CODE),
            _ => (Signal::Drain, "SIGTERM", TERMINATED_EXIT_CODE),
        };
        let mut start = start.lock();
        if let Some(end_of_start) = start.take() {
            end_of_start(name);
            exit(exit_code);
        }
        drop(start);
        // Blocks while a stop takes no more of them.
        let _ = sender.send(signal);
    }
}

/// A signal that asks a command to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted by SIGINT",
            Self::Terminate => "ended by SIGTERM",
        })
    }
}

/// Has this process live on when SIGHUP comes, for a command that reads nothing again: who reloads servers by their name
/// reaches commands too, and a terminal that is closed is no reason to leave something half done. Call it once.
///
/// # Errors
///
/// What the system says when it refuses the handler.
pub fn outlive_hangups() -> io::Result<()> {
    // A handler and not SIG_IGN, which programs that a command starts would inherit.
    flag::register(SIGHUP, Arc::default()).map(drop)
}

/// Notes that a command is to stop, for its own thread to find. The second signal ends the process at once, with 128
/// and its number.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Installs the handlers.
    ///
    /// # Errors
    ///
    /// What the system says when it refuses a handler.
    pub fn watch() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let which = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that the first signal finds the flag down.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&came))?;
            flag::register(signal, Arc::clone(&came))?;
            flag::register_usize(signal, Arc::clone(&which), signal.unsigned_abs() as usize)?;
        }
        Ok(Self(which))
    }

    /// The signal that has come, if one has. Never blocks.
    #[must_use]
    pub fn signal(&self) -> Option<StopSignal> {
        const INT: usize = SIGINT.unsigned_abs() as usize;
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            INT => Some(StopSignal::Interrupt),
            _ => Some(StopSignal::Terminate),
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
        io::{self, BufRead as _, BufReader, Write as _},
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
        let signals = Signals::install(|signal| say(&format!("{signal} at the start")));
        let signals = signals.expect("a process of the test's own");
        say("installed");
        let mut starts = String::new();
        io::stdin().read_line(&mut starts).expect("text");
        signals.listening();
        say("listening");
        loop {
            match signals.wait() {
                Signal::Reload => say("reload"),
                Signal::Drain => say("drain"),
                Signal::Stop => say("stop"),
            }
        }
    }

    fn say(word: &str) {
        let mut out = io::stdout().lock();
        writeln!(out, "signal: {word}").and_then(|()| out.flush()).expect("the test listens");
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
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("this test, once more");
            let said = BufReader::new(process.stdout.take().expect("a pipe"));
            let mut obeying = Self { process, said };
            obeying.expect("installed");
            obeying
        }

        fn listen(&mut self) {
            let input = self.process.stdin.as_mut().expect("a pipe");
            writeln!(input).expect("the child reads");
            self.expect("listening");
        }

        #[track_caller]
        fn expect_end(mut self, exit_code: i32) {
            assert_eq!(self.next_word(), None, "nothing more is left to the program");
            let status = self.process.wait().expect("a child of the test");
            assert_eq!(status.code(), Some(exit_code));
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
        process.listen();
        process.send(rustix::process::Signal::HUP);
        process.expect("reload");
        process.send(rustix::process::Signal::TERM);
        process.expect("drain");
        process.send(rustix::process::Signal::TERM);
        process.expect("drain");
        process.send(rustix::process::Signal::INT);
        process.expect("stop");
        process.send(rustix::process::Signal::TERM);
        process.expect("drain");
        process.send(rustix::process::Signal::INT);
        process.expect_end(INTERRUPTED_EXIT_CODE);
    }

    #[test]
    fn a_start_is_ended_by_what_asks_to_stop() {
        use rustix::process::Signal as Sent;
        for (signal, name, exit_code) in [
            (Sent::TERM, "SIGTERM", TERMINATED_EXIT_CODE),
            (Sent::INT, "SIGINT", INTERRUPTED_EXIT_CODE),
        ] {
            let mut process = Obeying::start();
            process.send(signal);
            process.expect(&format!("{name} at the start"));
            process.expect_end(exit_code);
        }
        // What asks for less waits until the server listens.
        let mut process = Obeying::start();
        process.send(Sent::HUP);
        process.listen();
        process.expect("reload");
    }
}
