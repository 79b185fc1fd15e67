//! What reaches the writer, line by line.

use std::{
    io::Write as _,
    sync::mpsc::{self, Receiver, Sender},
    time::Duration,
};

use tracing_subscriber::util::SubscriberInitExt as _;

use super::*;

/// Far beyond what any step here takes: only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Hands on what is written.
struct Pipe(Sender<String>);

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written while `log` logs on this thread.
pub(crate) fn written(levels_text: &str, format: Format, log: impl FnOnce()) -> String {
    let settings = LogSettings { levels: levels(levels_text).expect("levels"), format };
    let (pipe, lines) = mpsc::channel();
    let (subscriber, guard) = settings.subscriber(Pipe(pipe));
    let default = subscriber.set_default();
    log();
    drop(default);
    drop(guard);
    lines.iter().collect()
}

#[test]
fn a_line_is_one_object_whatever_its_values_hold() {
    let forged = "x\",\"level\":\"ERROR\n\u{1b}[2J\u{7f}\u{9b}\u{2028}ä";
    let text = written("info", Format::Json, || tracing::info!(user = forged, "refused {forged}"));
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    let line = text.strip_suffix('\n').expect("a whole line");
    assert!(!line.chars().any(char::is_control), "{text:?}");
    let escaped = r#""user":"x\",\"level\":\"ERROR\n\u001b[2J\u007f\u009b"#;
    assert!(line.contains(escaped), "{line}");
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
}

#[test]
fn a_text_line_is_one_line_whatever_its_values_hold() {
    let forged = "x\n2030-01-01T00:00:00Z ERROR \r\u{1b}[2J\u{9b}";
    let text = written("info", Format::Text, || {
        tracing::info!(debug = ?forged, display = %forged, "refused {forged}");
    });
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    let line = text.strip_suffix('\n').expect("a whole line");
    assert!(!line.chars().any(char::is_control), "{text:?}");
    assert!(line.contains("refused x\\u000a2030-01-01"), "{line}");
}

#[test]
fn levels_hold_for_all_modules_or_for_one() {
    fn check(levels: &str, expected: &[&str]) {
        let text = written(levels, Format::Text, || {
            tracing::warn!(target: "reactor", "a warning");
            tracing::debug!(target: "reactor", "a detail");
            tracing::debug!(target: "pool", "another detail");
        });
        let messages: Vec<&str> = text
            .lines()
            .filter_map(|line| line.rsplit_once(": ").map(|(_, message)| message))
            .collect();
        assert_eq!(messages, expected, "{levels}");
    }
    check("info", &["a warning"]);
    check("off", &[]);
    check("debug", &["a warning", "a detail", "another detail"]);
    check("info,reactor=debug", &["a warning", "a detail"]);
    check("error,pool=debug", &["another detail"]);
}

#[test]
fn a_word_that_is_no_level_is_refused() {
    for refused in ["", "verbose", "info,", "reactor", "reactor=loud", "info,reactor", "=,="] {
        assert!(levels(refused).is_none(), "{refused:?}");
    }
}

#[test]
fn a_place_that_panics_over_and_over_hides_no_other_and_fills_nothing() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(log_panic));
    let text = written("error", Format::Text, || {
        for _ in 0..1000 {
            let _ = panic::catch_unwind(|| panic!("the one"));
        }
        let _ = panic::catch_unwind(|| panic!("the other"));
    });
    panic::set_hook(before);
    let told = ["the one", "the other"].map(|message| text.matches(message).count());
    assert_eq!(told, [1, 1], "{text}");
}

/// A reader that stalls until the test lets it go on.
struct Stalled {
    writing: Sender<()>,
    go_on: Receiver<()>,
}

impl io::Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.writing.send(());
        let _ = self.go_on.recv_timeout(PATIENCE);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stalled_reader_costs_lines_and_not_time() {
    let settings = LogSettings { levels: levels("info").expect("levels"), format: Format::Text };
    let (writing, stalled) = mpsc::channel();
    let (let_go, go_on) = mpsc::channel();
    let (subscriber, guard) = settings.subscriber(Stalled { writing, go_on });
    let dropped = guard.dropped_lines();
    let default = subscriber.set_default();
    tracing::info!("the line that stalls");
    stalled.recv_timeout(PATIENCE).expect("the reader stalls");
    for _ in 0..LOG_LINES_QUEUED_MAX {
        tracing::info!("queued");
    }
    assert_eq!(dropped.count(), 0);
    tracing::info!("one too many");
    assert_eq!(dropped.count(), 1);
    drop((default, let_go));
    drop(guard);
}

/// Standard error when whoever read it has gone.
struct Closed;

impl io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let lost = Arc::new(AtomicU64::new(0));
    let mut writer = LineWriter::new(Closed, Arc::clone(&lost));
    for line in ["one\n", "two\n"] {
        writer.write_all(line.as_bytes()).expect("a failure is counted, not returned");
    }
    writer.flush().expect("a failure is counted, not returned");
    writer.flush().expect("nothing is left to write");
    assert_eq!(lost.load(Ordering::Relaxed), 2);
}

#[test]
fn lines_are_collected_up_to_a_bound() {
    let (pipe, writes) = mpsc::channel();
    let mut writer = LineWriter::new(Pipe(pipe), Arc::default());
    let line = [b'x'; 1000];
    for _ in 0..2 * LOG_BATCH_BYTES / line.len() {
        writer.write_all(&line).expect("a pipe of the test's own");
    }
    let longest = writes.try_iter().map(|write| write.len()).max();
    assert!(longest.is_some_and(|bytes| bytes < LOG_BATCH_BYTES + line.len() + 2), "{longest:?}");
    assert!(writer.lines.len() < LOG_BATCH_BYTES);
}
