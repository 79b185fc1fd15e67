//! Log lines: JSON (or text) on standard error, written by a thread of their own.
//!
//! An event loop that logs must never wait for whoever reads the log, so lines go through a bounded
//! queue. When the reader stalls and the queue is full, lines are dropped and counted
//! ([`LogGuard::dropped_lines`]): the count belongs into the metrics.
//!
//! A line is one line: control characters are escaped in both formats, whatever a client put into a
//! value, so nobody can forge a line or drive the terminal of whoever reads it.
//!
//! Panics are logged like everything else.

use std::{
    io,
    panic::{self, PanicHookInfo},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt as layers, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    gather,
    limits::{LOG_BATCH_BYTES, LOG_LINES_QUEUED_MAX, LOG_PANIC_PLACES},
    settings::{Setting, SettingErrors, values::Values},
    sparing,
};

pub use ::sparing::Sparing;

/// The setting of the levels that are logged; include it in a program's table.
pub const LEVEL: Setting = Setting::value(
    "log-level",
    "LEVEL",
    "What is logged: off, error, warn, info, debug or trace; also for each module, as in info,reactor=debug",
)
.default("info")
.group("Logs");

/// The setting of the format; include it in a program's table.
pub const FORMAT: Setting =
    Setting::value("log-format", "FORMAT", "How log lines are written: json or text")
        .default("json")
        .group("Logs");

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    levels: Targets,
    format: Format,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// For a person at a terminal.
    Text,
}

impl LogSettings {
    /// Reads [`LEVEL`] and [`FORMAT`].
    ///
    /// # Errors
    ///
    /// What is wrong with either.
    pub fn read(raw: &Values<'_>) -> Result<Self, SettingErrors> {
        gather!(Self {
            levels: raw.parse(LEVEL.name(), "levels such as info or info,reactor=debug", levels),
            format: raw.choice(FORMAT.name(), &[("json", Format::Json), ("text", Format::Text)]),
        })
    }

    /// Logs from here on, for the whole process: installs the subscriber and a hook for panics, and
    /// starts the thread that writes.
    ///
    /// # Errors
    ///
    /// [`LogError`] when the process logs already.
    pub fn start(self) -> Result<LogGuard, LogError> {
        let (subscriber, guard) = self.subscriber(io::stderr());
        subscriber.try_init().map_err(|_| LogError)?;
        panic::set_hook(Box::new(log_panic));
        Ok(guard)
    }

    fn subscriber<W>(self, writer: W) -> (impl tracing::Subscriber + Send + Sync, LogGuard)
    where
        W: io::Write + Send + 'static,
    {
        let lost = Arc::new(AtomicU64::new(0));
        let (queue, worker) = NonBlockingBuilder::default()
            .buffered_lines_limit(LOG_LINES_QUEUED_MAX)
            .lossy(true)
            .thread_name("log")
            .finish(LineWriter::new(writer, Arc::clone(&lost)));
        let guard = LogGuard {
            dropped: DroppedLines { queue: queue.error_counter(), lost },
            _worker: worker,
        };
        (Registry::default().with(self.layer(queue)), guard)
    }

    fn layer(
        self,
        queue: NonBlocking,
    ) -> Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync> {
        let layer = layers::layer().with_ansi(false).with_writer(queue);
        match self.format {
            Format::Json => layer.json().flatten_event(true).with_filter(self.levels).boxed(),
            Format::Text => layer.with_filter(self.levels).boxed(),
        }
    }
}

/// Keeps logging alive. Dropping it writes what is queued, for about a second at most: keep it until
/// the end of `main`.
#[derive(Debug)]
#[must_use = "dropping the guard ends logging"]
pub struct LogGuard {
    dropped: DroppedLines,
    _worker: WorkerGuard,
}

impl LogGuard {
    /// The count of lines that were dropped, for metrics.
    #[must_use]
    pub fn dropped_lines(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

/// Counts the lines that nobody will read; for [`observe_counter`](crate::metrics::Registry::observe_counter).
#[derive(Clone, Debug)]
pub struct DroppedLines {
    queue: ErrorCounter,
    lost: Arc<AtomicU64>,
}

impl DroppedLines {
    /// Lines dropped because the queue was full, and lines whose writing failed, since the start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.queue.dropped_lines() as u64 + self.lost.load(Ordering::Relaxed)
    }
}

/// The process logs already: [`LogSettings::start`] was called twice. The programmer is at fault.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this process logs already")]
pub struct LogError;

/// The words for levels. The filter's own parser takes other spellings and an empty one as well, and
/// takes a word that it does not know for the name of a module.
const LEVEL_WORDS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn levels(text: &str) -> Option<Targets> {
    let known = |part: &str| {
        let (module, level) = part.split_once('=').unwrap_or(("all", part));
        !module.is_empty() && LEVEL_WORDS.contains(&level)
    };
    if text.split(',').all(known) { text.parse().ok() } else { None }
}

/// The text of a panic is written by programmers; values in it come from `Debug`, which hides
/// secrets.
fn log_panic(info: &PanicHookInfo<'_>) {
    /// A request that panics may be sent over and over. Each place has its own, so that it hides no other; a few
    /// places share one.
    static PLACES: [Sparing; LOG_PANIC_PLACES] = [const { Sparing::new() }; LOG_PANIC_PLACES];
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let panic = info.payload_as_str().unwrap_or("not a text");
    let index =
        place.bytes().fold(0, |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let places = &PLACES[index % LOG_PANIC_PLACES];
    sparing!(by places, ERROR, thread, place, panic, "a thread panicked");
}

/// Keeps what is one event on one line, and its control characters out of terminals.
///
/// The queue's thread writes one event with one `write`, and flushes when it finds the queue empty, so
/// lines that come close together leave in one system call.
struct LineWriter<W: io::Write> {
    inner: W,
    lines: Vec<u8>,
    line_count: u64,
    lost: Arc<AtomicU64>,
}

impl<W: io::Write> LineWriter<W> {
    fn new(inner: W, lost: Arc<AtomicU64>) -> Self {
        Self { inner, lines: Vec::new(), line_count: 0, lost }
    }
}

impl<W: io::Write> io::Write for LineWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        push_line(&mut self.lines, event);
        self.line_count += 1;
        if self.lines.len() >= LOG_BATCH_BYTES {
            self.flush()?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A failure ends here: the queue's thread would only drop the error, and an error in its last
        // flush keeps it from ending.
        if self.inner.write_all(&self.lines).and_then(|()| self.inner.flush()).is_err() {
            self.lost.fetch_add(self.line_count, Ordering::Relaxed);
        }
        self.lines.clear();
        self.line_count = 0;
        Ok(())
    }
}

/// Appends an event as one line.
///
/// JSON escapes the controls below U+0020 itself; `\u00XX` is its spelling for the others as well.
fn push_line(lines: &mut Vec<u8>, event: &[u8]) {
    let text = String::from_utf8_lossy(event);
    for character in text.strip_suffix('\n').unwrap_or(&text).chars() {
        if character.is_control() {
            lines.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
        } else {
            lines.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    lines.push(b'\n');
}

#[cfg(test)]
pub(crate) mod tests;
