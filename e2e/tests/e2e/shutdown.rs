//! A server that is told to stop serves on until balancers have noticed, answers what has arrived, then ends with exit
//! code 0.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;
use std::thread;

use e2e::{Client, MariaDb, Program, RawConnection, Recipe, Scratch, Server, Store, System, until};
use framing::registry::response;
use framing::registry::session::TOKEN;

use crate::PASSWORD;
use crate::peer::{self, Body, CHECK_SESSION, HEALTH, HELLO, Peer, Style};

/// A logout is held until every lease that may be out has run: a request that is surely in flight
/// for this long, whatever the machine does.
const HOLD: [&str; 2] = ["--lease", "1s"];

#[test]
fn http_front_answers_what_is_in_flight() {
    for signal in ["TERM", "INT"] {
        stops_cleanly_with_a_request_in_flight(signal, |system| system.front());
    }
}

#[test]
fn auth_back_answers_what_is_in_flight() {
    for signal in ["TERM", "INT"] {
        stops_cleanly_with_a_request_in_flight(signal, |system| system.auth());
    }
}

fn stops_cleanly_with_a_request_in_flight(
    signal: &str,
    server: impl Fn(&mut System) -> &mut Server,
) {
    let mut system = System::builder().auth_flags(&HOLD).fronts(2).start();
    let mut in_flight = hold_a_logout(&system);
    server(&mut system).signal(signal);
    assert!(server(&mut system).wait().success(), "exit code 0 after SIG{signal}");
    in_flight.answer().assert_status(200);
}

/// Sends a logout to the first front and returns once it surely is in work.
fn hold_a_logout(system: &System) -> RawConnection {
    let [user, watcher] = [system.client_of(0), system.client_of(1)];
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let mut connection = system.raw_http();
    connection.send(
        format!(
            "POST /open_api/v1/logout HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        )
        .as_bytes(),
    );
    // The other front holds no lease: it learns that the logout is committed as soon as it is.
    until("the logout to be committed", || (watcher.session(&token).status == 401).then_some(()));
    connection
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let mut system = System::start();
    let mut idle = [system.raw_http(), system.raw_http()];
    // One has been used, one never was; a third is in the middle of a head.
    idle[0].send(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    idle[0].answer().assert_status(404);
    let mut half = system.raw_http();
    half.send(b"GET /open_api/v1/pro");
    assert!(system.front().stop().success());
    idle.iter_mut().for_each(RawConnection::assert_closed);
    let _ = half.rest();
    assert!(system.auth().stop().success());
}

#[test]
fn a_peer_that_never_finishes_is_cut_after_the_grace() {
    let mut system =
        System::builder().front_flags(&["--grace", "100ms"]).auth_flags(&HOLD).fronts(2);
    system = system.auth_flags(&["--grace", "100ms"]);
    let mut system = system.start();
    let mut in_flight = hold_a_logout(&system);
    assert!(system.front().stop().success());
    // Answered or cut, but not kept waiting.
    let _ = in_flight.answer_or_close();
}

#[test]
fn nobody_connects_to_a_server_that_has_stopped() {
    let mut system = System::start();
    let address = system.front().address();
    assert!(system.front().stop().success());
    assert!(Client::new(address).try_get("/nowhere", None).is_err());
}

#[test]
fn a_stopped_front_leaves_no_trace_and_a_new_one_takes_its_place() {
    let mut system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    assert!(system.front().stop().success());
    system.front().start_again();
    system.until_ready();
    system.client().session(&token).assert_status(200);
}

/// Longer than a test waits for anything: a drain that ends only because it was told to.
const LONG_DRAIN: [&str; 2] = ["--drain", "10m"];

#[test]
fn http_front_serves_on_while_it_drains() {
    for second in ["TERM", "INT"] {
        let mut system = System::builder().front_flags(&LONG_DRAIN).start();
        let user = system.client();
        user.register("ada", PASSWORD).assert_status(200);
        let token = user.log_in("ada", PASSWORD);
        let request = format!(
            "GET /open_api/v1/session HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let mut used = system.raw_http();
        used.send(request.as_bytes());
        assert_eq!(used.answer().assert_status(200).field("connection"), None);

        system.front().signal("TERM");
        until_stopping(system.front());
        // Whoever asks is served, and told to go elsewhere, whether the answer is given on the loop or by auth_back.
        let mut fresh = system.raw_http();
        for connection in [&mut used, &mut fresh] {
            connection.send(request.as_bytes());
            let answer = connection.answer().assert_status(200);
            assert_eq!(answer.field("connection"), Some("close"), "{answer:?}");
            connection.assert_closed();
        }
        system.client().authenticate("ada", PASSWORD).assert_status(200);
        system.front().signal(second);
        assert!(system.front().wait().success());
    }
}

#[test]
fn auth_back_serves_on_while_it_drains() {
    for second in ["TERM", "INT"] {
        let mut system = System::builder().auth_flags(&LONG_DRAIN).start();
        let user = system.client();
        user.register("ada", PASSWORD).assert_status(200);
        let (style, hello) = (Style::default(), Body::hello(2));
        let mut used = Peer::greet(system.raw_auth(), style, &hello);
        used.assert_served();

        system.auth().signal("TERM");
        until_stopping(system.auth());
        used.assert_served();
        Peer::greet(system.raw_auth(), style, &hello).assert_served();
        user.authenticate("ada", PASSWORD).assert_status(200);
        // What is read again at SIGHUP is read again still.
        system.auth().signal("HUP");
        used.assert_served();
        system.auth().signal(second);
        assert!(system.auth().wait().success());
        assert!(used.receive().is_none());
    }
}

/// Waits until `/readyz` says that the server stops; it lives all the same.
fn until_stopping(server: &Server) {
    let ops = Client::new(server.ops_address());
    until("readiness to say so", || {
        let answer = ops.get("/readyz", None);
        (answer.status == 503 && answer.text().contains("the server is stopping")).then_some(())
    });
    ops.get("/healthz", None).assert_status(200);
}

#[test]
fn sigint_does_not_drain() {
    let mut system = System::builder().front_flags(&LONG_DRAIN).auth_flags(&LONG_DRAIN).start();
    system.front().signal("INT");
    assert!(system.front().wait().success());
    system.auth().signal("INT");
    assert!(system.auth().wait().success());
}

#[test]
fn fronts_turn_away_from_an_auth_back_that_drains() {
    let mut system = System::builder().auths(2).auth_flags(&LONG_DRAIN).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    // Either of them has its turn until one says that it stops.
    let all_go_to_the_second = |system: &mut System| {
        let before = logins(&system.auths()[0]);
        (0..4).for_each(|_| drop(user.log_in("ada", PASSWORD)));
        logins(&system.auths()[0]) == before
    };
    assert!(!all_go_to_the_second(&mut system));
    system.auths()[0].signal("TERM");
    until("the front to turn away", || all_go_to_the_second(&mut system).then_some(()));
    // The last one that is left serves, also while it drains.
    system.auths()[1].signal("TERM");
    until_stopping(&system.auths()[1]);
    system.auths()[0].signal("TERM");
    assert!(system.auths()[0].wait().success());
    user.authenticate("ada", PASSWORD).assert_status(200);
}

/// How many logins a server has served.
fn logins(server: &Server) -> u64 {
    let metrics = server.ops().get("/metrics", None).assert_status(200);
    let lines = metrics.text().lines().filter(|line| {
        line.starts_with("auth_back_requests_total{") && line.contains("\"AUTHENTICATE\"")
    });
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[test]
fn a_stop_does_not_wait_for_auth_servers_that_say_nothing() {
    let (asked, was_asked) = mpsc::channel();
    let silent = peer::serve(Style::default(), move |request| {
        if request.message_type == HEALTH {
            asked.send(()).expect("the test waits");
            loop {
                thread::park();
            }
        }
        Body::hello(2).number(&response::STATUS, 200)
    });
    let address = silent.to_string();
    let log = Scratch::new("front").expect("a scratch directory can be made");
    let flags = ["--auth", &address, "--request-timeout", "60s", "--grace", "400ms"];
    let recipe = Recipe {
        flags: flags.map(str::to_owned).to_vec(),
        ..Recipe::for_test(Program::HttpFront, log.path().join("log"))
    };
    let mut front = Server::start(recipe).expect("a front starts without auth servers");
    was_asked.recv().expect("the front asks how it is");
    front.signal("TERM");
    // A minute goes by until the check has an outcome.
    assert!(front.wait().success());
    let log = front.log();
    let left = log.lines().find(|line| line.contains("left behind")).expect("a line says so");
    assert!(left.contains("\"thread\":\"probe\""), "{left}");
}

/// A MariaDB that stands still, until this is dropped: also by a test that fails, whose database is removed.
struct Hung<'m>(&'m MariaDb);

impl Drop for Hung<'_> {
    fn drop(&mut self) {
        self.0.resume();
    }
}

#[test]
fn a_stop_does_not_wait_for_a_store_that_hangs() {
    let mariadb = MariaDb::start();
    let store = Store::MariaDb(mariadb.database());
    let mut system = System::builder()
        .store(store)
        .auth_flags(&["--grace", "400ms"])
        .front_flags(&["--request-timeout", "60s"])
        .start();
    system.client().register("ada", PASSWORD).assert_status(200);
    mariadb.pause();
    let hung = Hung(&mariadb);
    let body = format!("{{\"username\":\"ada\",\"password\":\"{PASSWORD}\"}}");
    let mut login = system.raw_http();
    login.send(
        format!(
            "POST /open_api/v1/authenticate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let in_work = "auth_back_lane_in_work_jobs{lane=\"heavy\"} 1.0";
    until("the login to be in work", || {
        let metrics = system.auths()[0].ops().get("/metrics", None).assert_status(200);
        metrics.text().lines().any(|line| line == in_work).then_some(())
    });
    assert!(system.auth().stop().success());
    drop(hung);
    let log = system.auth().log();
    let mut left = log.lines().filter(|line| line.contains("left behind"));
    assert!(left.any(|line| line.contains("\"lane\":\"heavy\"")), "{log}");
}

#[test]
fn a_stop_does_not_wait_for_a_key_command() {
    let scripts = Scratch::new("scripts").expect("a scratch directory can be made");
    let [script, hangs, runs] = ["vault", "hangs", "runs"].map(|name| in_directory(&scripts, name));
    // For as long as somebody waits for it.
    let lines = format!(
        "#!/bin/sh\n[ -e {hangs} ] && touch {runs} && while kill -0 $PPID; do sleep 0.1; done\n\
         echo 1 {}\n",
        "0123456789abcdef".repeat(4)
    );
    fs::write(&script, lines).expect("a file can be written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let source = format!("command:{script}");
    let flags = ["--pepper-keys", &source, "--token-keys", &source, "--grace", "400ms"];
    let mut system = System::builder().auth_flags(&flags).start();
    fs::write(&hangs, "").expect("a file can be written");
    system.auth().signal("HUP");
    until("the command to run", || fs::exists(&runs).ok().filter(|runs| *runs));
    assert!(system.auth().stop().success());
    let log = system.auth().log();
    let left = log.lines().find(|line| line.contains("left behind")).expect("a line says so");
    assert!(left.contains("\"thread\":\"keys\""), "{left}");
}

pub(crate) fn in_directory(scratch: &Scratch, name: &str) -> String {
    scratch.path().join(name).display().to_string()
}

/// Requests that have arrived at a server when it is told to stop: half of them over connections that nobody has
/// accepted, half over connections that were used before.
const ARRIVED: usize = 1_000;

/// How often it is told to. What is lost by a race is lost now and then.
const STOPS: usize = 10;

/// Longer than any machine takes for them.
const PATIENT: [&str; 4] = ["--grace", "60s", "--light-queue", "4096"];

#[test]
fn http_front_answers_all_that_had_arrived() {
    let patient = [&PATIENT[..], &["--request-timeout", "60s"]].concat();
    let mut system = System::builder().front_flags(&patient).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let request = format!(
        "GET /open_api/v1/session HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    for stop in 0..STOPS {
        let mut used: Vec<_> = (0..ARRIVED / 2).map(|_| system.raw_http()).collect();
        for connection in &mut used {
            connection.send(request.as_bytes());
            connection.answer().assert_status(200);
        }
        let address = system.front().address();
        let answered = answered_of_arrived(
            system.front(),
            used,
            || RawConnection::open(address),
            |connection, _| connection.send(request.as_bytes()),
            |connection| {
                let Some(answer) = connection.answer_or_close() else { return false };
                answer.assert_status(200);
                true
            },
        );
        assert_eq!(answered, ARRIVED, "stop {stop}");
        system.until_ready();
    }
}

#[test]
fn auth_back_answers_all_that_had_arrived() {
    let mut system = System::builder().auth_flags(&PATIENT).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let style = Style::default();
    let [hello, check] = [Body::hello(2), Body::default().bytes(&TOKEN, token)];
    for stop in 0..STOPS {
        let greet = |_| Peer::greet(system.raw_auth(), style, &hello);
        let mut used: Vec<_> = (0..ARRIVED / 2).map(greet).collect();
        for peer in &mut used {
            assert_eq!(peer.ask(CHECK_SESSION, &check).status(), 200);
        }
        let address = system.auth().address();
        let answered = answered_of_arrived(
            system.auth(),
            used,
            || Peer::silent(RawConnection::open(address), style),
            |peer, arrival| {
                if arrival == Arrival::Fresh {
                    peer.send(&style.request(HELLO, 7, &hello));
                }
                peer.send(&style.request(CHECK_SESSION, 8, &check));
            },
            |peer| {
                let mut answer = peer.receive();
                if answer.as_ref().is_some_and(|answer| answer.message_type == HELLO) {
                    answer = peer.receive();
                }
                let Some(answer) = answer else { return false };
                assert_eq!(answer.status(), 200, "{answer:?}");
                true
            },
        );
        assert_eq!(answered, ARRIVED, "stop {stop}");
    }
}

/// How a request arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// Over a connection that nobody has accepted.
    Fresh,
    /// Over one that was used before.
    Used,
}

/// Has one request arrive over each connection in `used` and over as many new ones while the server stands
/// still, tells it to stop, lets it go on and counts the answers. Starts it again in the end.
fn answered_of_arrived<C>(
    server: &mut Server,
    mut used: Vec<C>,
    open: impl Fn() -> C,
    send: impl Fn(&mut C, Arrival),
    is_answered: impl Fn(&mut C) -> bool,
) -> usize {
    server.pause();
    let mut fresh: Vec<C> = (0..ARRIVED - used.len()).map(|_| open()).collect();
    used.iter_mut().for_each(|connection| send(connection, Arrival::Used));
    fresh.iter_mut().for_each(|connection| send(connection, Arrival::Fresh));
    server.signal("TERM");
    server.resume();
    let answered = used
        .iter_mut()
        .chain(&mut fresh)
        .filter_map(|connection| is_answered(connection).then_some(()));
    let answered = answered.count();
    drop((used, fresh));
    assert!(server.wait().success());
    server.start_again();
    answered
}
