//! The queue, and the thread that writes what is in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, never, select};
use service::log::Sparing;

use super::line::render_gap;
use super::{Audit, AuditTarget};
use crate::limits::{
    AUDIT_BATCH_BYTES, AUDIT_COMPLAINT_INTERVAL, AUDIT_LINES_QUEUED_MAX, AUDIT_PAUSE,
};

/// The audit log cannot be opened. The operator is at fault who said where it is.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The system says no.
    #[error("the audit log {path} cannot be opened: {source}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a pipe or a device. Opening a pipe would wait for its reader.
    #[error("the audit log {0} is not a regular file; `-` means standard output")]
    NotAFile(PathBuf),
}

/// Lines on their way to the thread, and how many there were.
#[derive(Debug)]
pub(super) struct Queue {
    lines: Sender<Box<str>>,
    written: AtomicU64,
    lost: AtomicU64,
    overflows: Sparing,
}

impl Queue {
    pub(super) fn push(&self, line: Box<str>) {
        match self.lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                if let Some(withheld) = self.overflows.admit() {
                    tracing::error!(
                        withheld,
                        "the audit log is LOSING LINES: it is not written fast enough"
                    );
                }
            }
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

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
    pub fn open(target: &AuditTarget) -> Result<(Self, OpenedAudit), AuditError> {
        let sink = match target {
            AuditTarget::Off => return Ok((Self::off(), OpenedAudit { pen: None })),
            AuditTarget::StandardOutput => Sink::StandardOutput,
            AuditTarget::File(path) => Sink::open(path)?,
        };
        Ok(Self::over(sink))
    }

    /// For a command, whose own output is on standard output: there, `-` is standard error.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open_for_command(target: &AuditTarget) -> Result<(Self, OpenedAudit), AuditError> {
        match target {
            AuditTarget::StandardOutput => Ok(Self::over(Sink::StandardError)),
            other => Self::open(other),
        }
    }

    pub(super) fn over(sink: Sink) -> (Self, OpenedAudit) {
        let (sender, lines) = bounded(AUDIT_LINES_QUEUED_MAX);
        let queue = Arc::new(Queue {
            lines: sender,
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            overflows: Sparing::new(),
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
    /// Opens the file anew, after what is queued was written to the old one: whoever rotates it has
    /// moved it away. Does not wait.
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
            tracing::error!("the audit log is not written; its last lines are lost");
        }
    }
}

/// Where lines end.
pub(super) enum Sink {
    StandardOutput,
    StandardError,
    File {
        path: PathBuf,
        file: File,
    },
    /// For tests: whatever takes bytes.
    #[cfg(test)]
    Other(Box<dyn Write + Send>),
}

impl Sink {
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(AuditError::NotAFile(path.to_owned()));
        }
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        match opened {
            Ok(file) => Ok(Self::File { path: path.to_owned(), file }),
            Err(source) => Err(AuditError::Open { path: path.to_owned(), source }),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::StandardOutput => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::StandardError => io::stderr().lock().write_all(bytes),
            Self::File { file, .. } => file.write_all(bytes),
            #[cfg(test)]
            Self::Other(other) => other.write_all(bytes),
        }
    }

    fn reopen(&mut self) {
        let Self::File { path, .. } = self else { return };
        match Self::open(path) {
            Ok(anew) => *self = anew,
            // The old file still takes lines, wherever it is by now.
            Err(error) => tracing::error!(%error, "the audit log goes on in its old file"),
        }
    }

    fn sync(&self) {
        if let Self::File { file, .. } = self
            && let Err(error) = file.sync_data()
        {
            tracing::error!(%error, "the end of the audit log may not be on the disk");
        }
    }
}

/// What the thread owns.
pub(super) struct Pen {
    lines: Receiver<Box<str>>,
    queue: Arc<Queue>,
    sink: Sink,
    /// Between two batches.
    pub(super) pause: Duration,
    batch: String,
    /// Lost lines that a line in the log tells of.
    lost_told: u64,
    /// The last write failed, perhaps in the middle of a line.
    torn: bool,
    complained_at: Option<Instant>,
}

impl Pen {
    fn new(lines: Receiver<Box<str>>, queue: Arc<Queue>, sink: Sink) -> Self {
        let batch = String::with_capacity(AUDIT_BATCH_BYTES);
        let pause = AUDIT_PAUSE;
        Self { lines, queue, sink, pause, batch, lost_told: 0, torn: false, complained_at: None }
    }

    fn run(mut self, orders: &Receiver<Control>) {
        let mut orders = orders.clone();
        loop {
            select! {
                recv(self.lines) -> line => match line {
                    Ok(line) => {
                        self.write_with_what_waits(Some(line));
                        // What is recorded meanwhile is written together, and wakes nobody.
                        thread::sleep(self.pause);
                    }
                    // Nobody is left who could record anything.
                    Err(_) => break,
                },
                recv(orders) -> order => match order {
                    Ok(Control::Reopen) => {
                        self.write_with_what_waits(None);
                        self.sink.reopen();
                    }
                    Ok(Control::Stop) => break,
                    // Whoever gives orders has gone; lines may still come.
                    Err(_) => orders = never(),
                },
            }
        }
        self.write_with_what_waits(None);
        self.sink.sync();
    }

    fn write_with_what_waits(&mut self, first: Option<Box<str>>) {
        let mut count = 0;
        let lines = self.lines.clone();
        for line in first.into_iter().chain(lines.try_iter()) {
            self.batch.push_str(&line);
            count += 1;
            if self.batch.len() >= AUDIT_BATCH_BYTES {
                self.write_batch(std::mem::take(&mut count));
            }
        }
        self.write_batch(count);
    }

    /// Writes the batch, which is `count` lines; a line on lost ones comes first.
    fn write_batch(&mut self, count: u64) {
        let lost = self.queue.lost();
        if count == 0 && lost == self.lost_told {
            return;
        }
        let mut bytes = String::new();
        if self.torn {
            // Whatever stands there of a line stays a line of its own.
            bytes.push('\n');
        }
        if lost > self.lost_told {
            bytes.push_str(&render_gap(lost - self.lost_told, clock::wall()));
        }
        bytes.push_str(&self.batch);
        self.batch.clear();
        match self.sink.write(bytes.as_bytes()) {
            Ok(()) => {
                self.queue.written.fetch_add(count, Ordering::Relaxed);
                self.lost_told = lost;
                if std::mem::take(&mut self.torn) {
                    tracing::warn!(lost, "the audit log is written again");
                }
            }
            Err(error) => {
                self.queue.lost.fetch_add(count, Ordering::Relaxed);
                self.torn = true;
                self.complain(&error);
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        let silent: Option<Duration> = self.complained_at.map(clock::since);
        if silent.is_none_or(|silent| silent >= AUDIT_COMPLAINT_INTERVAL) {
            self.complained_at = Some(clock::now());
            tracing::error!(%error, lost = self.queue.lost(), "the audit log is LOSING LINES");
        }
    }
}
