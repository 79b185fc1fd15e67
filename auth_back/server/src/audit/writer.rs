//! The queue, and the thread that writes what is in it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use service::{rare, sparing};

use super::Audit;
use super::error::AuditError;
use super::failures::{Failures, Suppressed};
use super::file::{Cut, Lines, LogFile, Turning};
use super::line::{render_gap, render_suppressed};
use super::operators::operators_file;
use super::queue::{Line, Queue};
use super::repeats::{Repeats, Told};
use super::target::AuditTarget;
use crate::limits::{
    AUDIT_BATCH_BYTES, AUDIT_LINES_QUEUED_MAX, AUDIT_PAUSE, AUDIT_SUMMARY_INTERVAL,
};

/// The audit log, open, and not written to yet.
#[must_use = "the queue fills up and nothing is written"]
pub struct OpenedAudit {
    pub(super) pen: Option<Pen>,
}

/// The thread that writes.
#[must_use = "stop it, or its last lines may be missing"]
pub struct AuditWriter {
    running: Option<(Sender<Control>, JoinHandle<()>)>,
}

enum Control {
    Reopen,
    Stop,
}

impl Audit {
    /// Opens the audit log. Entries are queued from now on, and written from
    /// [`OpenedAudit::start`] on, so that the line which says that the server listens stays the first
    /// on standard output.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(target: &AuditTarget, turning: Turning) -> Result<(Self, OpenedAudit), AuditError> {
        let sink = match target {
            AuditTarget::Off => return Ok((Self::off(), OpenedAudit { pen: None })),
            AuditTarget::StandardOutput => Sink::StandardOutput(Lines::new(io::stdout())),
            AuditTarget::File(path) => {
                Sink::File(LogFile::open(path, &operators_file(path), Some(turning))?)
            }
        };
        Ok(Self::over(sink))
    }

    pub(super) fn over(sink: Sink) -> (Self, OpenedAudit) {
        let (sender, lines) = bounded(AUDIT_LINES_QUEUED_MAX);
        let queue = Arc::new(Queue {
            lines: sender,
            failures: Failures::new(),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let pen = Pen::new(lines, Arc::clone(&queue), sink);
        (Self { queue: Some(queue) }, OpenedAudit { pen: Some(pen) })
    }
}

impl OpenedAudit {
    /// Starts writing, on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self) -> io::Result<AuditWriter> {
        let Some(pen) = self.pen else { return Ok(AuditWriter { running: None }) };
        // One of each may wait; a second request to open the file anew is the same request.
        let (control, orders) = bounded(2);
        let name = thread::Builder::new().name("audit".to_owned());
        let thread = clock::spawn(name, move || pen.run(&orders))?;
        Ok(AuditWriter { running: Some((control, thread)) })
    }
}

impl AuditWriter {
    /// Opens what has the name of the file now, as the next line would: whoever turns it over from outside has moved
    /// it away. Does not wait.
    pub fn reopen(&self) {
        if let Some((control, _)) = &self.running {
            let _ = control.try_send(Control::Reopen);
        }
    }

    /// Writes what is queued, and ends. Blocks until that is done, or until `by` when the disk stands
    /// still.
    pub fn stop(self, by: Instant) {
        let Some((control, thread)) = self.running else { return };
        let _ = control.send_deadline(Control::Stop, by);
        // Threads cannot be joined with a deadline; this one drops its end of the channel last.
        let (ended, waiter) = bounded::<()>(0);
        let join = thread::Builder::new().name("audit-end".to_owned()).spawn(move || {
            let _ = thread.join();
            drop(ended);
        });
        if join.is_ok() && waiter.recv_deadline(by).is_err_and(|error| error.is_timeout()) {
            rare!(
                "once, at the end",
                ERROR,
                "the audit log is not written; its last lines are lost"
            );
        }
    }
}

/// Where lines end.
pub(super) enum Sink {
    StandardOutput(Lines<io::Stdout>),
    File(LogFile),
    /// For tests: whatever takes bytes.
    #[cfg(test)]
    Other(Lines<Box<dyn io::Write + Send>>),
}

impl Sink {
    fn write(&mut self, lines: &[u8]) -> Result<(), Cut> {
        match self {
            Self::StandardOutput(out) => out.write(lines),
            Self::File(file) => file.write(lines),
            #[cfg(test)]
            Self::Other(other) => other.write(lines),
        }
    }

    fn reopen(&mut self) {
        if let Self::File(file) = self {
            file.reopen();
        }
    }

    fn sync(&self) -> io::Result<()> {
        if let Self::File(file) = self { file.sync() } else { Ok(()) }
    }
}

/// What the thread owns.
pub(super) struct Pen {
    lines: Receiver<Line>,
    queue: Arc<Queue>,
    sink: Sink,
    /// Between two batches.
    pub(super) pause: Duration,
    batch: Batch,
    repeats: Repeats,
    summary: Summary,
    /// Lost entries that a line in the log tells of.
    lost_told: u64,
    /// The last write failed.
    failing: bool,
}

/// Lines that are written together.
#[derive(Default)]
struct Batch {
    text: String,
    /// Of each line where it ends, and how many entries it tells of.
    ends: Vec<(usize, u64)>,
}

/// What the log was told of failures that are not in it.
struct Summary {
    told: Suppressed,
    /// All before are told.
    since: SystemTime,
    next_at: Instant,
}

impl Batch {
    fn push(&mut self, text: &str, entries: u64) {
        self.text.push_str(text);
        self.ends.push((self.text.len(), entries));
    }

    /// Empties it when so many bytes have got into the log. How many of its lines did, and how many entries did not.
    fn clear(&mut self, bytes: usize) -> (u64, u64) {
        // One that lacks nothing but its end gets that before the next.
        let is_in = |end: &usize| end - 1 <= bytes;
        let (lines, lost) = self.ends.iter().fold((0, 0), |(lines, lost), (end, entries)| {
            if is_in(end) { (lines + 1, lost) } else { (lines, lost + entries) }
        });
        self.text.clear();
        self.ends.clear();
        (lines, lost)
    }
}

impl Pen {
    fn new(lines: Receiver<Line>, queue: Arc<Queue>, sink: Sink) -> Self {
        Self {
            lines,
            queue,
            sink,
            pause: AUDIT_PAUSE,
            batch: Batch::default(),
            repeats: Repeats::default(),
            summary: Summary {
                told: Suppressed::default(),
                since: clock::wall(),
                next_at: clock::now() + AUDIT_SUMMARY_INTERVAL,
            },
            lost_told: 0,
            failing: false,
        }
    }

    fn run(mut self, orders: &Receiver<Control>) {
        let mut orders = orders.clone();
        loop {
            select! {
                recv(self.lines) -> line => match line {
                    Ok(line) => {
                        self.turn(Some(line));
                        // What is recorded meanwhile is written together, and wakes nobody.
                        thread::sleep(self.pause);
                    }
                    // Nobody is left who could record anything.
                    Err(_) => break,
                },
                recv(orders) -> order => match order {
                    Ok(Control::Reopen) => {
                        self.turn(None);
                        self.sink.reopen();
                    }
                    Ok(Control::Stop) => break,
                    // Whoever gives orders has gone; lines may still come.
                    Err(_) => orders = never(),
                },
                // A summary may be due, or successes that came again.
                default(AUDIT_SUMMARY_INTERVAL) => self.turn(None),
            }
        }
        self.end();
    }

    /// Writes `first`, what waits, and what is due.
    pub(super) fn turn(&mut self, first: Option<Line>) {
        let now = clock::now();
        let lines = self.lines.clone();
        for Line { text, success } in first.into_iter().chain(lines.try_iter()) {
            let told = match success {
                Some(success) => self.repeats.take(text, success, now),
                None => Some(Told { text, entries: 1 }),
            };
            told.into_iter().for_each(|told| self.push(&told));
        }
        while let Some(told) = self.repeats.next_due(now) {
            self.push(&told);
        }
        self.write_batch();
        if now >= self.summary.next_at {
            self.summary.next_at = now + AUDIT_SUMMARY_INTERVAL;
            self.summarise();
        }
    }

    /// Writes everything, and brings it to the disk.
    pub(super) fn end(&mut self) {
        self.turn(None);
        while let Some(told) = self.repeats.next_of_all() {
            self.push(&told);
        }
        self.write_batch();
        self.summarise();
        if let Err(error) = self.sink.sync() {
            rare!("once, at the end", ERROR, %error, "the end of the audit log may not be on the disk");
        }
    }

    /// Tells of the failures that were not written since it was last done.
    fn summarise(&mut self) {
        let (seen, now) = (self.queue.failures.suppressed(), clock::wall());
        let more = seen.since(&self.summary.told);
        if more.count() > 0 {
            self.batch.push(&render_suppressed(&more, self.summary.since, now), 0);
            if !self.write_batch() {
                // Told with those to come.
                return;
            }
        }
        self.summary.told = seen;
        self.summary.since = now;
    }

    fn push(&mut self, told: &Told) {
        self.batch.push(&told.text, told.entries);
        if self.batch.text.len() >= AUDIT_BATCH_BYTES {
            self.write_batch();
        }
    }

    /// Writes the batch; a line on lost ones comes first. Whether it is written.
    fn write_batch(&mut self) -> bool {
        let lost = self.queue.lost();
        if self.batch.ends.is_empty() && lost == self.lost_told {
            return true;
        }
        let mut gap_bytes = 0;
        if lost > self.lost_told {
            let gap = render_gap(lost - self.lost_told, clock::wall());
            self.batch.text.insert_str(0, &gap);
            gap_bytes = gap.len();
        }
        let written = self.sink.write(self.batch.text.as_bytes());
        let bytes = written.as_ref().map_or_else(|cut| cut.bytes, |()| self.batch.text.len());
        if bytes + 1 >= gap_bytes {
            self.lost_told = lost;
        }
        let (lines, more_lost) = self.batch.clear(bytes.saturating_sub(gap_bytes));
        self.queue.written.fetch_add(lines, Ordering::Relaxed);
        match written {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    sparing!(WARN, lost, "the audit log is written again");
                }
                true
            }
            Err(error) => {
                let lost = self.queue.lost.fetch_add(more_lost, Ordering::Relaxed) + more_lost;
                self.failing = true;
                sparing!(ERROR, %error, lost, "the audit log is LOSING LINES");
                false
            }
        }
    }
}
