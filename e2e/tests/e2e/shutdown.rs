//! A server that is told to stop finishes what it has begun, then ends with exit code 0.

use e2e::{Client, RawConnection, System, until};

use crate::PASSWORD;

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
    server: impl Fn(&mut System) -> &mut e2e::Server,
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
