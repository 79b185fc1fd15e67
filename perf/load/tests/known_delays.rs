//! The program against servers whose delays are known. Only lower bounds are checked: a busy machine may
//! make answers slower, never faster.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// What a server does with the request of this number, from 0, on any connection.
type Script = dyn Fn(usize) -> Reaction + Send + Sync;

enum Reaction {
    Answer { after_ms: u64, text: &'static str },
    Hang,
    Close,
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// A server on a port of its own, until the test ends. All requests go through one count.
fn serve(script: impl Fn(usize) -> Reaction + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let script: Arc<Script> = Arc::new(script);
    let count = Arc::new(std::sync::Mutex::new(0));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (script, count) = (script.clone(), count.clone());
            thread::spawn(move || converse(&stream, &*script, &count));
        }
    });
    address
}

fn converse(stream: &TcpStream, script: &Script, count: &std::sync::Mutex<usize>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    loop {
        // The requests of these tests have no body: they end with an empty line.
        while !lines.next()?.ok()?.is_empty() {}
        let number = {
            let mut count = count.lock().ok()?;
            *count += 1;
            *count - 1
        };
        match script(number) {
            Reaction::Answer { after_ms, text } => {
                thread::sleep(Duration::from_millis(after_ms));
                let mut stream = stream;
                stream.write_all(text.as_bytes()).ok()?;
            }
            Reaction::Hang => {}
            Reaction::Close => return stream.shutdown(std::net::Shutdown::Both).ok(),
        }
    }
}

/// Runs the program; its exit code and report.
fn load(address: SocketAddr, flags: &[&str]) -> (i32, Value) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("requests");
    std::fs::write(&file, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--address", &address.to_string(), "--requests"])
        .arg(&file)
        .args(flags)
        .output()
        .expect("it runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().expect("no signal"), report)
}

fn at_least(report: &Value, us: f64) -> u64 {
    let histogram = report["histogram_us"].as_array().expect("pairs");
    let slow = histogram.iter().filter(|pair| pair[0].as_f64().is_some_and(|value| value >= us));
    slow.filter_map(|pair| pair[1].as_u64()).sum()
}

#[test]
fn every_request_that_was_due_in_a_stall_is_charged_for_it() {
    // One answer of 200 takes half a second. Over one connection at 100 a second, 50 more fall due meanwhile, and
    // each waits for what is left of the half second: a closed loop would see one slow answer.
    let address = serve(|number| {
        let after_ms = if number == 50 { 500 } else { 0 };
        Reaction::Answer { after_ms, text: OK }
    });
    let (_, report) = load(address, &["--rate", "100", "--connections", "1", "--seconds", "2"]);
    assert_eq!((&report["answered"], &report["failed"]), (&200.into(), &0.into()));
    // Those that fell due in the first 300 ms of the stall.
    assert!(at_least(&report, 199_000.0) >= 30, "{report}");
    assert!(report["latency_us"]["max"].as_f64() >= Some(500_000.0), "{report}");
    assert!(report["waited"].as_u64() >= Some(49), "{report}");
}

#[test]
fn a_rate_that_cannot_be_kept_is_told() {
    let address = serve(|_| Reaction::Answer { after_ms: 20, text: OK });
    // Two connections answer 100 a second at most.
    let (code, report) = load(address, &["--rate", "400", "--connections", "2", "--seconds", "1"]);
    assert_eq!((code, &report["kept_up"]), (3, &false.into()));
    assert!(report["backlog"].as_u64() >= Some(290), "{report}");
    // The last of 400 comes after 4 s, 3 s late.
    assert!(report["latency_us"]["max"].as_f64() >= Some(2_900_000.0), "{report}");
    assert!(report["answered_per_second"].as_f64() <= Some(100.0), "{report}");
}

#[test]
fn failures_are_counted_by_what_they_are() {
    let address = serve(|number| match number {
        10 => Reaction::Answer { after_ms: 0, text: "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n" },
        11 => Reaction::Answer { after_ms: 0, text: "HTTP/1.1 200 OK\r\n\r\n" },
        12 => Reaction::Close,
        13 => Reaction::Hang,
        14 => Reaction::Answer {
            after_ms: 0,
            text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        },
        _ => Reaction::Answer { after_ms: 0, text: OK },
    });
    let (_, report) = load(
        address,
        &["--rate", "100", "--connections", "8", "--seconds", "1", "--timeout", "0.5"],
    );
    assert_eq!(report["statuses"], serde_json::json!({"200": 96, "503": 1}));
    for (key, expected) in [("unreadable", 1), ("broken", 1), ("timed_out", 1), ("failed", 4)] {
        assert_eq!(report[key], expected, "{key} in {report}");
    }
    assert_eq!(report["reconnects"], 4);
    // What was never answered has taken as long as it was waited for.
    assert!(report["latency_us"]["max"].as_f64() >= Some(500_000.0), "{report}");
}

#[test]
fn a_warm_up_is_sent_and_not_measured() {
    let address =
        serve(|number| Reaction::Answer { after_ms: if number < 5 { 50 } else { 0 }, text: OK });
    let flags = ["--rate", "50", "--connections", "8", "--warm-up", "0.4", "--seconds", "1"];
    let (_, report) = load(address, &flags);
    assert_eq!((&report["due"], &report["answered"]), (&50.into(), &50.into()));
}

#[test]
fn no_server_is_an_error() {
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    assert_eq!(load(nobody, &["--rate", "1"]).0, 1);
}
