//! Few file descriptors, and more connections than there are: what everything else needs is kept back, a new
//! connection finds a place, and nobody else is blamed.

use std::{
    fs,
    process::{Command, Output},
    time::Instant,
};

use e2e::{Answer, Program, RawConnection, Server, System, until};
use serde_json::Value;

use crate::PASSWORD;

/// Files that a server may have open here: a good half is for clients.
const FILES: u32 = 128;

/// More than that.
const CROWD: usize = 200;

const REQUEST: &[u8] = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";

fn is_served(connection: &mut RawConnection) -> bool {
    connection.try_send(REQUEST).is_ok()
        && connection.answer_or_close().is_some_and(|answer| answer.status == 404)
}

/// A kept-alive connection of a user who has asked something.
fn connected(system: &System) -> RawConnection {
    let mut connection = system.raw_http();
    assert!(is_served(&mut connection));
    connection
}

/// The lines of a server's log with this message.
fn lines(server: &Server, message: &str) -> Vec<Value> {
    let log = server.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"].as_str().is_some_and(|it| it.contains(message))).collect()
}

/// What a server says that it keeps descriptors for, and how many.
fn consumers(server: &Server) -> Vec<(String, u64)> {
    let lines = lines(server, "file descriptors").into_iter();
    lines
        .filter_map(|line| Some((line["what"].as_str()?.to_owned(), line["count"].as_u64()?)))
        .collect()
}

fn open_files(server: &Server) -> usize {
    let directory = format!("/proc/{}/fd", server.pid());
    fs::read_dir(directory).expect("a process of our own can be looked at").count()
}

fn metric(answer: &Answer, name: &str) -> u64 {
    let text = answer.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a whole number")
}

/// Starts `program`, which may have [`FILES`] files open, with these flags; it is expected to end at once.
fn run_with_few_files(program: Program, flags: &[&str]) -> Output {
    let data = tempfile::tempdir().expect("a scratch directory can be made");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n \"$0\" && exec timeout 60 \"$@\"", &FILES.to_string()]);
    shell.arg(program.binary()).args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]);
    if program == Program::AuthBack {
        shell.arg("--data").arg(data.path());
    }
    shell.args(flags).output().expect("sh runs")
}

#[test]
fn the_default_is_lowered_to_what_fits_and_that_is_said() {
    let mut system = System::builder().front_open_files(FILES).auth_open_files(FILES).start();
    for server in [System::front, System::auth] {
        let server = server(&mut system);
        let consumers = consumers(server);
        let sum: u64 = consumers.iter().map(|(_, count)| count).sum();
        assert_eq!(sum, u64::from(FILES), "{consumers:?}");
        let [line] = &lines(server, "lowered from its default")[..] else {
            panic!("one line:\n{}", server.log())
        };
        assert_eq!(line["level"], "WARN");
        let clients = consumers.iter().find(|(what, _)| what == "connections of clients");
        assert_eq!(line["lowered_to"].as_u64(), clients.map(|(_, count)| *count));
        assert!(line["wanted"].as_u64() > line["lowered_to"].as_u64(), "{line}");
    }
}

#[test]
fn a_number_that_was_given_and_does_not_fit_is_refused() {
    for program in [Program::HttpFront, Program::AuthBack] {
        let output = run_with_few_files(program, &["--connections-max", "128"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in ["--connections-max 128 does not fit", "128 files", "operators", "at the most"]
        {
            assert!(said.contains(word), "no {word:?} in:\n{said}");
        }
    }
}

#[test]
fn what_servers_have_open_for_themselves_was_counted() {
    let mut system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    for _ in 0..20 {
        let token = user.log_in("ada", PASSWORD);
        user.session(&token).assert_status(200);
    }
    for server in [System::front, System::auth] {
        let server = server(&mut system);
        let consumers = consumers(server);
        let own = consumers.iter().find(|(what, _)| what.starts_with("listeners"));
        let own = own.map_or(0, |(_, count)| *count);
        let sockets = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("it is ours");
        let links = sockets.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let links: Vec<_> = links.map(|link| link.display().to_string()).collect();
        // Connections and databases are other lines of the sum.
        let rest = |link: &&String| !link.starts_with("socket:") && !link.contains("gatehouse.db");
        let rest: Vec<_> = links.iter().filter(rest).collect();
        // Its own sockets: two listeners at least, one more for each further loop, and the pair for signals.
        assert!(rest.len() as u64 + 8 <= own, "{own} were counted, open are {rest:?}");
    }
}

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out_of_a_front() {
    let mut system = System::builder().front_open_files(FILES).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let mut connected: Vec<RawConnection> = (0..10).map(|_| connected(&system)).collect();

    let mut crowd: Vec<RawConnection> = (0..CROWD).map(|_| system.raw_http()).collect();
    assert!(connected.iter_mut().all(is_served), "who is connected is served");
    assert!(is_served(&mut system.raw_http()), "and so is a newcomer");
    let metrics = system.front().ops().get("/metrics", None).assert_status(200);
    assert!(metric(&metrics, "http_front_connections_evicted_total{listener=\"http\"}") > 0);
    assert_eq!(metric(&metrics, "http_front_upstream_failures_total"), 0);
    // What it needs to reach a server that starts anew was kept back.
    system.auth().kill_and_start_again();
    system.until_ready();
    user.authenticate("ada", PASSWORD).assert_status(200);

    // Others knock again and again.
    for _ in 0..3 {
        crowd.extend((0..CROWD).map(|_| system.raw_http()));
        assert!(connected.iter_mut().all(is_served));
        user.authenticate("ada", PASSWORD).assert_status(200);
        crowd.drain(..CROWD);
    }
    let metrics = system.front().ops().get("/metrics", None).assert_status(200);
    assert_eq!(metric(&metrics, "http_front_accept_pauses_total{listener=\"http\"}"), 0);
}

#[test]
fn a_crowd_keeps_no_front_out_of_an_auth_back() {
    let mut system = System::builder().auth_open_files(FILES).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let crowd: Vec<RawConnection> = (0..CROWD).map(|_| system.raw_auth()).collect();
    user.authenticate("ada", PASSWORD).assert_status(200);
    system.auth().ops().get("/healthz", None).assert_status(200);
    // A front that comes later finds a place too.
    system.front().kill_and_start_again();
    system.until_ready();
    system.client().authenticate("ada", PASSWORD).assert_status(200);
    drop(crowd);
}

#[test]
fn operators_find_a_place_however_many_connections_are_kept_open() {
    let mut system = System::start();
    let address = system.front().ops_address();
    let _kept: Vec<RawConnection> = (0..100)
        .map(|_| {
            let mut connection = RawConnection::open(address);
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
            connection.answer().assert_status(200);
            connection
        })
        .collect();
    system.front().ops().get("/metrics", None).assert_status(200);
}

/// Sets the number of files that a running process may have open.
pub(crate) fn set_open_files_max(pid: u32, files: &str) {
    let pid = pid.to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")]).status();
    assert!(set.expect("prlimit runs").success());
}

#[test]
fn a_lack_that_comes_all_the_same_is_waited_for_by_one_timer_and_told_in_one_line() {
    const MESSAGE: &str = "accepting pauses";
    let mut system = System::builder().front_flags(&["--loops", "1"]).start();
    let mut user = connected(&system);
    let mut operator = RawConnection::open(system.front().ops_address());
    let mut pauses = || {
        operator.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        metric(&operator.answer(), "http_front_accept_pauses_total{listener=\"http\"}")
    };
    assert_eq!(pauses(), 0);
    let before = system.front().log().lines().count();
    let begun = Instant::now();
    let files = open_files(system.front()).to_string();
    set_open_files_max(system.front().pid(), &files);
    let mut crowd: Vec<RawConnection> = (0..CROWD).map(|_| system.raw_http()).collect();
    until("pauses", || (pauses() >= 5).then_some(()));
    crowd.extend((0..CROWD).map(|_| system.raw_http()));
    until("more of them", || (pauses() >= 10).then_some(()));
    assert!(is_served(&mut user), "who is connected is served");

    let (counted, passed) = (u128::from(pauses()), begun.elapsed().as_millis());
    assert!(counted <= passed / 100 + 2, "{counted} pauses in {passed} ms");
    let lines = lines(system.front(), MESSAGE).len() as u128;
    assert!((1..=passed / 10_000 + 1).contains(&lines), "{lines} lines in {passed} ms");
    let all = system.front().log().lines().count() - before;
    assert!(all < 20, "{}", system.front().log());

    set_open_files_max(system.front().pid(), "4096");
    // All that waited in the kernel's queue are served now.
    assert!(crowd.iter_mut().all(is_served));
}
