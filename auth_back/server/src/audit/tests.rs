//! Lines through the thread, into files that are moved away, full and slow.

mod files;
mod flood;
mod repeated;

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;

use super::file::Lines;
use super::writer::{Pen, Sink};
use super::*;
use crate::accounts::Code;
use crate::limits::{AUDIT_FAILURES_QUEUED_MAX, AUDIT_LINES_QUEUED_MAX};

/// The defaults of the settings.
const TURNING: Turning = Turning { file_bytes_max: 64 << 20, files: 16 };

fn patient() -> Instant {
    clock::now() + Duration::from_secs(60)
}

/// Waits for what the thread does in its own time.
fn until(seen: impl Fn() -> bool) {
    let give_up = patient();
    while !seen() {
        assert!(clock::now() < give_up, "the thread hangs");
        thread::yield_now();
    }
}

/// A registration of somebody, each time of somebody else.
fn entry(name: &str) -> Entry<'_> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    Entry::new(Event::Register, Outcome::Ok)
        .username(name)
        .user_id(NEXT_ID.fetch_add(1, Ordering::Relaxed))
}

fn over(to: impl Write + Send + 'static) -> (Audit, OpenedAudit) {
    Audit::over(Sink::Other(Lines::new(Box::new(to))))
}

fn open(path: &Path) -> (Audit, OpenedAudit) {
    Audit::open(&AuditTarget::File(path.to_owned()), TURNING).unwrap()
}

/// What the thread would have, for a test that moves the clock and does the thread's work itself.
fn pen(opened: OpenedAudit) -> Pen {
    opened.pen.unwrap()
}

/// Each line, by a parser that is not ours.
fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The value of `key` on each line that has it.
fn values(text: &str, key: &str) -> Vec<String> {
    let lines = parsed(text);
    let values = lines.iter().filter_map(|line| line.get(key));
    values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect()
}

#[test]
fn lines_are_appended_to_a_file_of_the_owners() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    for name in ["ada", "grace"] {
        let (audit, opened) = open(&path);
        audit.record(&entry(name));
        assert_eq!(audit.written_lines(), 0, "nothing is written before the start");
        opened.start().unwrap().stop(patient());
        assert_eq!((audit.written_lines(), audit.lost_lines()), (1, 0));
    }
    assert_eq!(values(&fs::read_to_string(&path).unwrap(), "username"), ["ada", "grace"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let (audit, opened) = open(&path);
    let writer = opened.start().unwrap();
    audit.record(&entry("before"));
    until(|| audit.written_lines() == 1);
    let moved = directory.path().join("audit.log.1");
    fs::rename(&path, &moved).unwrap();
    writer.reopen();
    // The thread obeys in its own time; the file is the sign that it has.
    until(|| path.exists());
    audit.record(&entry("after"));
    writer.stop(patient());
    assert_eq!(values(&fs::read_to_string(&moved).unwrap(), "username"), ["before"]);
    assert_eq!(values(&fs::read_to_string(&path).unwrap(), "username"), ["after"]);
}

#[test]
fn what_is_no_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let refused =
        |path: PathBuf| Audit::open(&AuditTarget::File(path), TURNING).map(drop).unwrap_err();
    let error = refused(directory.path().to_owned());
    assert!(matches!(error, AuditError::NotAFile(_)), "{error}");
    let error = refused(directory.path().join("missing/audit.log"));
    assert!(matches!(error, AuditError::Open { .. }), "{error}");
}

#[test]
fn off_takes_everything_and_does_nothing() {
    let (audit, opened) = Audit::open(&AuditTarget::Off, TURNING).unwrap();
    audit.record(&entry("ada"));
    let writer = opened.start().unwrap();
    writer.reopen();
    writer.stop(patient());
    assert_eq!((audit.written_lines(), audit.lost_lines()), (0, 0));
}

/// A disk that stands still until it is let go.
struct Slow {
    let_go: Receiver<()>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Slow {
    fn new() -> (Self, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (go, let_go) = bounded(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        (Self { let_go, written: Arc::clone(&written) }, go, written)
    }
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Goes on for good once the other end has gone.
        let _ = self.let_go.recv();
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn nobody_waits_for_a_disk_that_stands_still_and_the_gap_shows() {
    let (slow, go, written) = Slow::new();
    let (audit, opened) = over(slow);
    let writer = opened.start().unwrap();
    let recorded = 2 * AUDIT_LINES_QUEUED_MAX as u64;
    for _ in 0..recorded {
        audit.record(&entry("ada"));
    }
    let lost = audit.lost_lines();
    assert!(lost > 0, "more were recorded than fit");
    drop(go);
    writer.stop(patient());
    assert_eq!(audit.lost_lines(), lost);
    assert_eq!(audit.written_lines() + lost, recorded);
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let told: u64 = values(&text, "count").iter().map(|count| count.parse::<u64>().unwrap()).sum();
    assert_eq!(told, lost, "the log itself says how many are missing");
    assert_eq!(values(&text, "username").len() as u64, recorded - lost);
}

#[test]
fn failures_leave_successes_their_room() {
    let clock = clock::Movable::stopped();
    // Nothing is taken out of the queue.
    let (audit, _opened) = over(io::sink());
    let failures = 2 * AUDIT_FAILURES_QUEUED_MAX as u64;
    let failure = Entry::new(Event::Authenticate, Outcome::Refused(Code::PasswordWrong));
    for _ in 0..failures {
        clock.advance(crate::limits::AUDIT_FAILURES_INTERVAL);
        audit.record(&failure);
    }
    assert_eq!(audit.suppressed_lines(), failures - AUDIT_FAILURES_QUEUED_MAX as u64);
    for _ in AUDIT_FAILURES_QUEUED_MAX..AUDIT_LINES_QUEUED_MAX {
        audit.record(&entry("ada"));
    }
    assert_eq!(audit.lost_lines(), 0);
    audit.record(&entry("ada"));
    assert_eq!(audit.lost_lines(), 1);
}

/// A disk that is full in the middle of a line, and then is not.
struct Full {
    room: usize,
    failures_left: u32,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = if self.failures_left > 0 { bytes.len().min(self.room) } else { bytes.len() };
        self.room -= taken.min(self.room);
        if taken == 0 {
            self.failures_left -= 1;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.written.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_costs_lines_and_says_so() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let full = Full { room: 30, failures_left: 1, written: Arc::clone(&written) };
    let (audit, opened) = over(full);
    let writer = opened.start().unwrap();
    audit.record(&entry("lost"));
    until(|| audit.lost_lines() > 0);
    audit.record(&entry("kept"));
    writer.stop(patient());
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let (torn, rest) = text.split_once('\n').unwrap();
    assert_eq!(torn.len(), 30, "half a line stays half a line of its own");
    assert_eq!(values(rest, "count"), ["1"]);
    assert_eq!(values(rest, "username"), ["kept"]);
}

/// Of a batch that was cut off, the lines that got in are no lost ones, wherever it was cut.
#[test]
fn a_batch_that_was_cut_off_loses_only_the_lines_that_did_not_get_in() {
    const NAMES: [&str; 3] = ["one", "two", "six"];
    // All lines are of one length: numbers of users would not be.
    fn nobody(name: &str) -> Entry<'_> {
        Entry::new(Event::Register, Outcome::Ok).username(name)
    }
    let length = {
        let (writes, (audit, mut opened)) = recorded(usize::MAX);
        audit.record(&nobody("one"));
        opened.pen.as_mut().unwrap().turn(None);
        let length = writes.lock().unwrap().len();
        assert!(length > 0);
        length
    };
    for room in 0..NAMES.len() * length {
        let (written, (audit, mut opened)) = recorded(room);
        let pen = opened.pen.as_mut().unwrap();
        NAMES.iter().for_each(|name| audit.record(&nobody(name)));
        pen.turn(None);
        // The end of a line is made up for.
        let whole = (room + 1) / length;
        let lost = (NAMES.len() - whole) as u64;
        assert_eq!((audit.written_lines(), audit.lost_lines()), (whole as u64, lost), "{room}");
        audit.record(&nobody("ten"));
        pen.turn(None);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("\n\n") && !text.starts_with('\n'), "{room}: {text}");
        let is_json = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
        let lines: Vec<_> = text.lines().filter(is_json).map(|line| format!("{line}\n")).collect();
        let expected: Vec<_> = NAMES[..whole].iter().copied().chain(["ten"]).collect();
        assert_eq!(values(&lines.concat(), "username"), expected, "{room}");
        let told = values(&lines.concat(), "count");
        let expected = if lost == 0 { Vec::new() } else { vec![lost.to_string()] };
        assert_eq!(told, expected, "{room}: the gap that is told is the gap that is there");
    }
}

/// A log on a disk that takes so many bytes, says once that it is full, and then takes all.
fn recorded(room: usize) -> (Arc<Mutex<Vec<u8>>>, (Audit, OpenedAudit)) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let full = Full { room, failures_left: 1, written: Arc::clone(&written) };
    (written, over(full))
}

/// Keeps what each write brought.
struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_first_line_is_written_at_once_and_those_that_follow_together() {
    let writes = Arc::new(Mutex::new(Vec::new()));
    let (audit, mut opened) = over(Writes(Arc::clone(&writes)));
    opened.pen.as_mut().unwrap().pause = Duration::from_secs(3);
    let writer = opened.start().unwrap();
    audit.record(&entry("first"));
    until(|| audit.written_lines() == 1);
    for name in ["second", "third", "fourth"] {
        audit.record(&entry(name));
        // Time in which a writer that does not rest writes the line.
        thread::sleep(Duration::from_millis(20));
    }
    writer.stop(patient());
    let lines: Vec<_> = writes
        .lock()
        .unwrap()
        .iter()
        .map(|bytes| bytes.split(|byte| *byte == b'\n').count() - 1)
        .collect();
    assert_eq!(lines, [1, 3]);
}
