//! Successes of one account and network, told together.

use std::net::IpAddr;

use unix_time::{rfc3339, unix_ms};

use super::*;
use crate::accounts::Origin;
use crate::limits::{AUDIT_REPEATS_MAX, AUDIT_REPEATS_SESSIONS_MAX, AUDIT_REPEATS_TIME};

const SECOND: Duration = Duration::from_secs(1);

/// A log whose clock stands still, and what is in it.
struct Log {
    clock: clock::Movable,
    audit: Audit,
    pen: Pen,
    written: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Log {
    fn new() -> Self {
        let clock = clock::Movable::stopped();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (audit, opened) = over(Writes(Arc::clone(&written)));
        Self { clock, audit, pen: pen(opened), written }
    }

    fn record(&mut self, event: Event, user_id: u64, session_id: u64, client: &str) {
        let client_address: IpAddr = client.parse().unwrap();
        let origin = Origin {
            client_address,
            is_forwarded: false,
            user_agent: Some(format!("program {session_id}")),
        };
        let entry = Entry::new(event, Outcome::Ok).user_id(user_id).username("ada");
        self.audit.record(&entry.session_id(session_id).origin(&origin));
        self.pen.turn(None);
    }

    fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.pen.turn(None);
    }

    /// The lines since the last call.
    fn lines(&self) -> Vec<Value> {
        let bytes = self.written.lock().unwrap().drain(..).flatten().collect();
        parsed(&String::from_utf8(bytes).unwrap())
    }

    /// Of the lines since the last call: the session, how many they tell of, and which sessions beside.
    #[track_caller]
    fn check(&self, expected: &[(u64, Option<u64>, &[u64])]) {
        let id = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
        let told: Vec<_> = self
            .lines()
            .iter()
            .map(|line| {
                let others = line.get("session_ids").map(|ids| ids.as_array().unwrap().clone());
                let others: Vec<u64> = others.unwrap_or_default().iter().map(id).collect();
                (id(&line["session_id"]), line.get("count").and_then(Value::as_u64), others)
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(id, count, others)| (*id, *count, others.to_vec())).collect();
        assert_eq!(told, expected);
    }
}

const HERE: &str = "192.0.2.1";

#[test]
fn the_first_is_told_at_once_and_the_others_together() {
    let mut log = Log::new();
    log.record(Event::Authenticate, 7, 1, HERE);
    log.check(&[(1, None, &[])]);
    for session_id in 2..=5 {
        log.pass(SECOND);
        log.record(Event::Authenticate, 7, session_id, HERE);
    }
    log.check(&[]);
    log.pass(AUDIT_REPEATS_TIME - 4 * SECOND - Duration::from_nanos(1));
    log.check(&[]);
    log.pass(Duration::from_nanos(1));
    log.check(&[(5, Some(4), &[2, 3, 4])]);
    // From then on all begins anew.
    log.record(Event::Authenticate, 7, 6, HERE);
    log.check(&[(6, None, &[])]);
    // One more is told as it is.
    log.record(Event::Authenticate, 7, 7, HERE);
    log.pass(AUDIT_REPEATS_TIME);
    log.check(&[(7, None, &[])]);
    // None more is told of by nothing.
    log.record(Event::Authenticate, 7, 8, HERE);
    log.pass(AUDIT_REPEATS_TIME);
    log.check(&[(8, None, &[])]);
}

#[test]
fn the_line_is_the_last_of_them_with_the_time_of_the_first() {
    let mut log = Log::new();
    log.record(Event::Authenticate, 7, 1, HERE);
    log.lines();
    log.pass(SECOND);
    let since = rfc3339(unix_ms(clock::wall()));
    log.record(Event::Authenticate, 7, 2, HERE);
    log.pass(SECOND);
    let last = rfc3339(unix_ms(clock::wall()));
    log.record(Event::Authenticate, 7, 3, HERE);
    log.pass(AUDIT_REPEATS_TIME);
    let lines = log.lines();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    for (key, expected) in [
        ("time", &*last),
        ("since", &since),
        ("event", "authenticate"),
        ("outcome", "ok"),
        ("user_id", "7"),
        ("username", "ada"),
        ("client", HERE),
        ("user_agent", "program 3"),
    ] {
        assert_eq!(line[key], expected, "{key}");
    }
}

#[test]
fn other_accounts_networks_and_events_are_told_apart() {
    let mut log = Log::new();
    let all = [
        (Event::Authenticate, 7, HERE),
        (Event::Authenticate, 8, HERE),
        (Event::Logout, 7, HERE),
        (Event::Authenticate, 7, "192.0.2.2"),
        (Event::Authenticate, 7, "2001:db8:7::1"),
        (Event::Authenticate, 7, "2001:db8:8::1"),
    ];
    for (session_id, (event, user_id, client)) in (1..).zip(all) {
        log.record(event, user_id, session_id, client);
        log.check(&[(session_id, None, &[])]);
    }
    // Who has an IPv4 address or a /48 is the same again.
    log.record(Event::Authenticate, 7, 11, "::ffff:192.0.2.1");
    log.record(Event::Authenticate, 7, 12, "2001:db8:7:ffff::9");
    log.check(&[]);
    log.pass(AUDIT_REPEATS_TIME);
    log.check(&[(11, None, &[]), (12, None, &[])]);
}

#[test]
fn no_session_is_left_out_however_many_there_are() {
    let most = AUDIT_REPEATS_SESSIONS_MAX as u64;
    let mut log = Log::new();
    for session_id in 0..=2 * most + 1 {
        log.record(Event::Authenticate, 7, session_id, HERE);
    }
    let ids = |from: u64, to: u64| (from..to).collect::<Vec<_>>();
    log.check(&[
        (0, None, &[]),
        (most, Some(most), &ids(1, most)),
        (2 * most, Some(most), &ids(most + 1, 2 * most)),
    ]);
    log.pass(AUDIT_REPEATS_TIME);
    log.check(&[(2 * most + 1, None, &[])]);
}

#[test]
fn all_is_told_at_the_end() {
    let mut log = Log::new();
    for session_id in 1..=3 {
        log.record(Event::Authenticate, 7, session_id, HERE);
    }
    log.pen.end();
    log.check(&[(1, None, &[]), (3, Some(2), &[2])]);
    log.pen.end();
    log.check(&[]);
}

#[test]
fn where_too_many_are_watched_each_is_told_alone() {
    let mut log = Log::new();
    for user_id in 0..AUDIT_REPEATS_MAX as u64 {
        log.record(Event::Authenticate, user_id, 1, HERE);
    }
    log.lines();
    for session_id in 1..=3 {
        log.record(Event::Authenticate, u64::MAX, session_id, HERE);
    }
    log.record(Event::Authenticate, 0, 2, HERE);
    log.check(&[(1, None, &[]), (2, None, &[]), (3, None, &[])]);
    log.pass(AUDIT_REPEATS_TIME);
    log.check(&[(2, None, &[])]);
}

/// A disk that is full while several are told together.
#[test]
fn those_of_a_line_that_cannot_be_written_are_counted_as_lost() {
    let clock = clock::Movable::stopped();
    let written = Arc::new(Mutex::new(Vec::new()));
    // For the first line, and the beginning of the one with the others.
    let full = Full { room: 200, failures_left: 1, written: Arc::clone(&written) };
    let (audit, opened) = over(full);
    let mut pen = pen(opened);
    let entry = Entry::new(Event::Authenticate, Outcome::Ok).user_id(7).username("ada");
    for session_id in 1..=20 {
        audit.record(&entry.session_id(session_id));
    }
    pen.turn(None);
    clock.advance(AUDIT_REPEATS_TIME);
    pen.turn(None);
    assert_eq!((audit.written_lines(), audit.lost_lines()), (1, 19));
}
