//! Bytes that no http_front would send to auth_back: their connection is closed or gets a refusal,
//! and the others notice nothing.

use e2e::System;
use framing::registry::register;

use crate::{
    PASSWORD,
    peer::{AUTHENTICATE, Body, HEALTH, HELLO, Peer, REGISTER, Style, fresh_request_id},
};

const PLAIN: Style = Style { header_extra: 0, flags: 0 };

fn greeted(system: &System) -> Peer {
    Peer::greet(system.raw_auth(), PLAIN, &Body::hello(2))
}

#[test]
fn what_is_no_frame_ends_its_connection_and_no_other() {
    let system = System::start();
    let mut bystander = greeted(&system);
    bystander.assert_served();

    let health = PLAIN.request(HEALTH, 1, &Body::default());
    let with = |at: usize, byte: u8| {
        let mut frame = health.clone();
        frame[at] = byte;
        frame
    };
    let over_the_limit = [&with(9, 0x01)[..], &[0; 100]].concat();
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0; 4096],
        vec![0xff; 4096],
        with(1, b'T'),
        with(2, 0),
        with(3, 23),
        with(4, 0),
        with(4, 3),
        over_the_limit,
        with(8, 0xff),
    ] {
        // First on its connection, and after a HELLO.
        let mut fresh = system.raw_auth();
        let _ = fresh.try_send(&bytes);
        fresh.assert_closed();
        let mut peer = greeted(&system);
        peer.send(&bytes);
        assert!(peer.receive().is_none(), "an answer to {bytes:?}");
        bystander.assert_served();
    }
    system.client().register("ada", PASSWORD).assert_status(200);
}

#[test]
fn half_frames_wait_for_nobody() {
    let system = System::start();
    let body = Body::register("ada", PASSWORD, fresh_request_id());
    let frame = PLAIN.request(REGISTER, 1, &body);
    let mut halves: Vec<Peer> = (1..frame.len()).step_by(7).map(|_| greeted(&system)).collect();
    for (peer, length) in halves.iter_mut().zip((1..frame.len()).step_by(7)) {
        peer.send(&frame[..length]);
    }
    system.client().register("bob", PASSWORD).assert_status(200);
    drop(halves);
    system.client().authenticate("ada", PASSWORD).assert_status(404);
}

#[test]
fn a_frame_before_hello_is_not_served() {
    let system = System::start();
    let body = Body::register("ada", PASSWORD, fresh_request_id());
    let mut connection = system.raw_auth();
    connection.send(&PLAIN.request(REGISTER, 1, &body));
    let _ = connection.rest();
    system.client().authenticate("ada", PASSWORD).assert_status(404);
}

#[test]
fn messages_that_cannot_be_understood_are_answered_and_the_connection_goes_on() {
    let system = System::start();
    let mut peer = greeted(&system);
    let whole = || Body::register("ada", PASSWORD, fresh_request_id());
    for body in [
        Body::default(),
        whole().with(register::USERNAME.number.into(), true, b"twice"),
        Body::default().bytes(&register::USERNAME, "ada").bytes(&register::REQUEST_ID, [1; 16]),
        Body::default()
            .bytes(&register::USERNAME, "ada")
            .bytes(&register::PASSWORD, PASSWORD)
            .bytes(&register::REQUEST_ID, [1; 15]),
        Body::default()
            .bytes(&register::USERNAME, b"\xff\xfe")
            .bytes(&register::PASSWORD, PASSWORD)
            .bytes(&register::REQUEST_ID, [1; 16]),
        whole().bytes(&register::AGE, [0x80, 0x02]),
        whole().bytes(&register::AGE, [0x80, 0x00]),
        whole().with(0, false, b""),
    ] {
        let answer = peer.ask(REGISTER, &body);
        assert_eq!(answer.status(), 400, "{body:?}: {answer:?}");
        assert!(!answer.code().is_empty(), "{body:?}: {answer:?}");
        peer.assert_served();
    }
    assert_eq!(peer.ask(AUTHENTICATE, &Body::authenticate("ada", PASSWORD)).status(), 404);
}

#[test]
fn a_response_where_a_request_belongs_is_not_answered() {
    let system = System::start();
    let mut peer = greeted(&system);
    peer.send(&PLAIN.response(HEALTH, 99, &Body::default()));
    // The next answer, if there is one, is to the next request; or the server has hung up.
    peer.send(&PLAIN.request(HEALTH, 100, &Body::default()));
    if let Some(answer) = peer.receive() {
        assert_eq!(answer.correlation, 100, "{answer:?}");
    }
    greeted(&system).assert_served();
}

#[test]
fn a_register_that_is_sent_again_answers_as_it_first_did() {
    let system = System::start();
    let request_id = fresh_request_id();
    let body = Body::register("ada", PASSWORD, request_id);
    let first = greeted(&system).ask(REGISTER, &body);
    assert_eq!(first.status(), 200, "{first:?}");
    let again = greeted(&system).ask(REGISTER, &body);
    assert_eq!(again.status(), 200, "{again:?}");
    assert_eq!(again.number(&register::USER_ID), first.number(&register::USER_ID));

    let other = Body::register("ada", PASSWORD, fresh_request_id());
    let refused = greeted(&system).ask(REGISTER, &other);
    assert_eq!((refused.status(), refused.code().as_str()), (409, "username_taken"));
}

#[test]
fn peers_too_far_apart_part_with_words() {
    let system = System::start();
    let mut connection = system.raw_auth();
    let future = Body::default()
        .number(&framing::registry::hello::VERSION_MIN, 3)
        .number(&framing::registry::hello::VERSION_MAX, 9)
        .number(&framing::registry::hello::FRAME_BYTES_MAX, 64 * 1024)
        .number(&framing::registry::hello::IN_FLIGHT_MAX, 16);
    connection.send(&PLAIN.request(HELLO, 1, &future));
    // A refusal may come first; what matters is that the connection is not used.
    let _ = connection.rest();
    greeted(&system).assert_served();
}
