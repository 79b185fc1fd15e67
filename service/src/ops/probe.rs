//! Finding out, on a thread of its own, whether the server can serve.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use background::{Background, steadily};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;

use super::limits::{PROBE_LINES, PROBE_RETRY};
use crate::limits::LOG_SPARING_INTERVAL;
use crate::rare;
use crate::token_bucket::TokenBucket;

/// Calls a check over and over, and keeps what it said last.
///
/// The check may block: it runs on the probe's thread, so the loop that answers `/readyz` does not.
#[derive(Debug)]
pub struct Probe(Background);

/// Whether the server can serve: what a start says of itself, and then what the last check of a [`Probe`] said.
/// Clones see the same.
#[derive(Clone)]
pub struct Readiness(Arc<Mutex<Verdict>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Ready(Serves),
    NotReady(String),
    /// The last word.
    Stopping,
}

/// What a server that is ready does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// All of it.
    All,
    /// A part, as this says, in words without quotation marks. It is ready all the same: to send its users elsewhere would take that part from them too.
    Part(&'static str),
}

impl Probe {
    /// Starts the thread `name`, which calls `check` at once, then every `interval` while it says
    /// yes and every [`PROBE_RETRY`] while it says no, and keeps in `readiness` what it says. A change of mind is
    /// logged; when there are many, what it has come to by the next line.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        name: &'static str,
        interval: Duration,
        readiness: Readiness,
        check: impl FnMut() -> Result<Serves, String> + Send + 'static,
    ) -> io::Result<Self> {
        let work = move |stopped: &Receiver<()>| watch(&readiness, interval, stopped, check);
        Ok(Self(Background::start(name, work)?))
    }

    /// Asks the thread to end. Does not block.
    pub fn ask_to_end(&mut self) {
        self.0.ask_to_end();
    }

    /// Ends the thread. Blocks while a check runs, but not longer than until `by`: it is left behind then. Returns whether
    /// it has ended.
    pub fn end_by(self, by: Instant) -> bool {
        self.0.end_by(by)
    }
}

impl Readiness {
    /// What is said before the first check.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Arc::new(Mutex::new(Verdict::Unknown)))
    }

    /// Says that the server cannot serve yet, and why.
    pub fn starting(&self, reason: &str) {
        self.set(Verdict::NotReady(format!("the server is starting: {reason}")));
    }

    /// Says that the server cannot serve for much longer. No check changes that.
    pub fn stopping(&self) {
        self.set(Verdict::Stopping);
    }

    /// Whether the server can serve; if not, why, or `None` when nobody knows yet. Does not wait
    /// for a check.
    ///
    /// # Errors
    ///
    /// The reason.
    pub fn now(&self) -> Result<Serves, Option<String>> {
        match &*self.0.lock() {
            Verdict::Ready(serves) => Ok(*serves),
            Verdict::Unknown => Err(None),
            Verdict::NotReady(reason) => Err(Some(reason.clone())),
            Verdict::Stopping => Err(Some("the server is stopping".to_owned())),
        }
    }

    /// Sets the verdict; whether it is another one than before.
    fn set(&self, verdict: Verdict) -> bool {
        let mut current = self.0.lock();
        if *current == Verdict::Stopping {
            return false;
        }
        let changed = *current != verdict;
        *current = verdict;
        changed
    }
}

/// Why a server is not ready whose check panics.
const PANICKED: &str = "the check panicked; please report what the log says of it";

fn watch(
    readiness: &Readiness,
    interval: Duration,
    stopped: &Receiver<()>,
    mut check: impl FnMut() -> Result<Serves, String>,
) {
    let mut log = Log::new();
    loop {
        // A panic must not end the thread: its last word would stand for ever. The hook has logged it.
        let checked = steadily(&mut check);
        let (verdict, patience) = match checked.unwrap_or_else(|| Err(PANICKED.to_owned())) {
            Ok(serves) => (Verdict::Ready(serves), interval),
            Err(reason) => (Verdict::NotReady(reason), PROBE_RETRY),
        };
        let changed = readiness.set(verdict.clone());
        log.tell(&verdict, changed);
        if stopped.recv_timeout(patience) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// What the log was told. A dependency that comes and goes, or fails in other words each time, does not fill it.
struct Log {
    told: Verdict,
    lines: TokenBucket,
    withheld: u64,
}

impl Log {
    const fn new() -> Self {
        Self { told: Verdict::Unknown, lines: TokenBucket::new(LOG_SPARING_INTERVAL), withheld: 0 }
    }

    /// Logs the verdict if it is news and the last lines are long enough ago. Returns how many changes were
    /// withheld before, if it does.
    fn tell(&mut self, verdict: &Verdict, changed: bool) -> Option<u64> {
        if *verdict == self.told || !self.lines.take(PROBE_LINES, clock::now()) {
            self.withheld += u64::from(changed);
            return None;
        }
        let withheld = std::mem::take(&mut self.withheld);
        match verdict {
            Verdict::NotReady(reason) => {
                rare!("the bucket thins them out", WARN, reason, withheld, "not ready");
            }
            Verdict::Ready(Serves::Part(part)) => {
                rare!("the bucket thins them out", WARN, part, withheld, "ready for a part");
            }
            Verdict::Ready(Serves::All) | Verdict::Unknown | Verdict::Stopping => {
                rare!("the bucket thins them out", INFO, withheld, "ready");
            }
        }
        self.told = verdict.clone();
        Some(withheld)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lock().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn readiness_follows_the_check() {
        let (verdicts, next) = channel();
        let (asked, was_asked) = channel();
        let readiness = Readiness::unknown();
        let probe = Probe::start("probe", Duration::ZERO, readiness.clone(), move || {
            // An error means that the test is over.
            let _ = asked.send(());
            next.recv().unwrap_or(Ok(Serves::All))
        });
        let probe = probe.unwrap();
        was_asked.recv().unwrap();
        assert_eq!(readiness.now(), Err(None));
        readiness.starting("it looks around");
        let starting = "the server is starting: it looks around";
        assert_eq!(readiness.now(), Err(Some(starting.to_owned())));
        let part = Serves::Part("reads only");
        for verdict in [Ok(Serves::All), Err("away".to_owned()), Ok(part), Ok(Serves::All)] {
            verdicts.send(verdict.clone()).unwrap();
            // The next question means that the last answer has been taken in.
            was_asked.recv().unwrap();
            assert_eq!(readiness.now(), verdict.map_err(Some));
        }
        // While the server stops, checks go on: what it serves until then may need them.
        readiness.stopping();
        let stopping = Err(Some("the server is stopping".to_owned()));
        assert_eq!(readiness.now(), stopping);
        verdicts.send(Ok(Serves::All)).unwrap();
        was_asked.recv().unwrap();
        assert_eq!(readiness.now(), stopping);
        // A check that does not end keeps nobody waiting.
        assert!(!probe.end_by(clock::now()));
        assert_eq!(readiness.now(), stopping);
        drop((verdicts, was_asked));
    }

    #[test]
    fn a_check_that_panics_is_made_again() {
        let (asked, was_asked) = channel();
        let readiness = Readiness::unknown();
        let mut checks = 0;
        let probe = Probe::start("probe", Duration::ZERO, readiness.clone(), move || {
            // An error means that the test is over.
            let _ = asked.send(());
            checks += 1;
            assert_ne!(checks, 2, "of the test's making");
            Ok(Serves::All)
        });
        let _probe = probe.unwrap();
        (0..2).for_each(|_| was_asked.recv().unwrap());
        // The third check means that what the second said was taken in, or the thread would have ended.
        was_asked.recv().expect("the thread goes on");
        was_asked.recv().unwrap();
        assert_eq!(readiness.now(), Ok(Serves::All));
    }

    #[test]
    fn the_log_is_told_of_changes_and_not_of_each_of_very_many() {
        let clock = clock::Movable::stopped();
        let mut log = Log::new();
        let (well, away) = (Verdict::Ready(Serves::All), Verdict::NotReady("away".to_owned()));
        // A start, and days later an outage with an end: all of it is told at once.
        assert_eq!([log.tell(&well, true), log.tell(&well, false)], [Some(0), None]);
        clock.advance(LOG_SPARING_INTERVAL * 10_000);
        assert_eq!([log.tell(&away, true), log.tell(&well, true)], [Some(0), Some(0)]);
        clock.advance(LOG_SPARING_INTERVAL * 10_000);
        // An hour in which it changes its mind ten times a second.
        let (mut told, mut withheld) = (0, 0);
        let reasons = ["no route", "refused", "no route to it"];
        let reasons = reasons.map(|reason| Verdict::NotReady(reason.to_owned()));
        for tenth in 0..36_000 {
            if let Some(before) = log.tell(&reasons[tenth % 3], true) {
                told += 1;
                withheld += before;
            }
            clock.advance(Duration::from_millis(100));
        }
        let expected = PROBE_LINES + 3_600 / u32::try_from(LOG_SPARING_INTERVAL.as_secs()).unwrap();
        assert!((expected - 1..=expected).contains(&told), "{told}");
        assert_eq!(u64::from(told) + withheld + log.withheld, 36_000);
        // What it has come to in the end is told in time.
        while log.tell(&well, false).is_none() {
            clock.advance(Duration::from_millis(100));
        }
        assert_eq!(log.told, well);
    }
}
