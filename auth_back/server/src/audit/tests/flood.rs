//! Failures, as many as clients can send.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::accounts::Origin;
use crate::limits::{
    AUDIT_FAILURE_BYTES_PER_HOUR, AUDIT_FAILURES_BURST_FOR_NOTHING, AUDIT_LINE_BYTES_MAX,
    AUDIT_SUMMARY_INTERVAL,
};

/// How much is in all files of the directory whose names begin so.
fn text(directory: &Path, begin: &str) -> String {
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(begin));
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Sixteen thousand failures a second, each as long as can be.
#[test]
fn an_hour_of_failures_is_bounded_and_hides_no_success() {
    const PER_SECOND: u64 = 16_000;
    const TURNS_PER_SECOND: u64 = 5;
    let clock = clock::Movable::stopped();
    let directory = tempfile::tempdir().unwrap();
    let target = AuditTarget::File(directory.path().join("audit.log"));
    let (audit, opened) = Audit::open(&target, TURNING).unwrap();
    let mut pen = pen(opened);
    let origin = Origin {
        client_address: std::net::Ipv6Addr::from([0xff; 16]).into(),
        is_forwarded: false,
        user_agent: Some("\u{e9}".repeat(128)),
    };
    let name = "\u{1f469}".repeat(64);
    let id = "~".repeat(64);
    let failures = [Code::UsernameInvalid, Code::UserUnknown, Code::PasswordWrong].map(|code| {
        let refused = Entry::new(Event::Authenticate, Outcome::Refused(code));
        refused.username(&*name).origin(&origin).request_id(Some(&*id))
    });
    let login = Entry::new(Event::Authenticate, Outcome::Ok).username("ada");
    for second in 0..3_600 {
        for turn in 0..TURNS_PER_SECOND {
            for number in 0..PER_SECOND / TURNS_PER_SECOND {
                // Guesses at passwords take a hash each, so there are not as many.
                let kind = if number < 40 { 2 } else { usize::from(number % 8 == 0) };
                audit.record(&failures[kind]);
            }
            // One of many users, and one who logs in five times a second.
            if turn == 0 {
                audit.record(&login.user_id(1_000_000 + second).session_id(second));
            }
            audit.record(&login.user_id(1).session_id(second * TURNS_PER_SECOND + turn));
            clock.advance(Duration::from_secs(1) / u32::try_from(TURNS_PER_SECOND).unwrap());
            pen.turn(None);
        }
        if second == 1_800 {
            OperatorsLog::open(&target).unwrap().tell("user disable ada", 0, "ok").unwrap();
        }
    }
    pen.end();

    assert_eq!(audit.lost_lines(), 0);
    let lines = parsed(&text(directory.path(), "audit.log"));
    // Of the one who logs in over and over: the first of each minute, and a line for each 32.
    let repeated = 60 + 60 * (5 * 60 / 32 + 1);
    let successes = 3_600 + repeated;
    let bytes = text(directory.path(), "audit.log").len() as u64;
    let bound = AUDIT_FAILURE_BYTES_PER_HOUR + 2 * successes * AUDIT_LINE_BYTES_MAX as u64;
    assert!(bytes <= bound, "{bytes} {bound}");
    assert!(bytes > AUDIT_FAILURE_BYTES_PER_HOUR / 2, "the bound is not far from what can be");

    let of = |key: &str, value: &str| lines.iter().filter(|line| line[key] == value).count() as u64;
    assert_eq!(of("user_id", "1000000") + of("user_id", "1003599"), 2);
    let users: std::collections::HashSet<_> =
        lines.iter().filter_map(|line| line["user_id"].as_str()).collect();
    assert_eq!(users.len(), 3_601, "every user who came is told of");
    let logins: u64 = lines
        .iter()
        .filter(|line| line["user_id"] == "1")
        .map(|line| line.get("count").map_or(1, |count| count.as_u64().unwrap()))
        .sum();
    assert_eq!(logins, 3_600 * TURNS_PER_SECOND, "and how often");

    // What is in the log and what it says is not makes all that there was.
    let written =
        ["username_invalid", "user_unknown", "password_wrong"].map(|it| of("outcome", it));
    let suppressed: u64 =
        lines.iter().filter_map(|line| line["suppressed"].as_object()).map(count).sum();
    assert_eq!(written.iter().sum::<u64>() + suppressed, 3_600 * PER_SECOND);
    assert_eq!(suppressed, audit.suppressed_lines());
    assert!(written[2] > 3_600 * 40, "guesses are not crowded out: {written:?}");

    let commands = text(directory.path(), OPERATORS_FILE);
    assert_eq!(values(&commands, "command"), ["user disable ada"]);
}

/// How many are told of.
fn count(suppressed: &serde_json::Map<String, Value>) -> u64 {
    let of_event = |counts: &Value| -> u64 {
        counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    suppressed.values().map(of_event).sum()
}

/// A disk that is full whenever it is said to be.
struct Switched {
    full: Arc<AtomicBool>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Switched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_was_not_written_is_told_in_time_also_by_a_disk_that_was_full() {
    let clock = clock::Movable::stopped();
    let (full, written) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (audit, opened) = over(Switched { full: Arc::clone(&full), written: Arc::clone(&written) });
    let mut pen = pen(opened);
    let refused = Entry::new(Event::Logout, Outcome::Refused(Code::SessionNotLive));
    let burst = u64::from(AUDIT_FAILURES_BURST_FOR_NOTHING);
    for _ in 0..burst + 7 {
        audit.record(&refused);
    }
    pen.turn(None);
    let lines = || {
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        parsed(text.trim_start_matches('\n'))
    };
    assert_eq!(lines().len() as u64, burst, "it is not time to tell of the others");
    assert_eq!(audit.suppressed_lines(), 7);
    clock.advance(AUDIT_SUMMARY_INTERVAL - Duration::from_nanos(1));
    pen.turn(None);
    assert_eq!(lines().len() as u64, burst);
    written.lock().unwrap().clear();
    full.store(true, Ordering::Relaxed);
    clock.advance(Duration::from_nanos(1));
    pen.turn(None);
    full.store(false, Ordering::Relaxed);
    clock.advance(AUDIT_SUMMARY_INTERVAL);
    pen.turn(None);
    let told = lines();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["event"], "audit_lines_suppressed");
    assert_eq!(told[0]["suppressed"], serde_json::json!({"logout": {"session_not_live": 7}}));
    assert_eq!(told[0]["count"], 7);
    // Nothing more is told where there is nothing more.
    clock.advance(AUDIT_SUMMARY_INTERVAL);
    pen.turn(None);
    assert_eq!(lines().len(), 1);
    // In the last moment too.
    for _ in 0..2 * burst {
        audit.record(&refused);
    }
    pen.end();
    let told = lines().pop().unwrap();
    assert_eq!(told["count"].as_u64(), Some(audit.suppressed_lines() - 7));
}
