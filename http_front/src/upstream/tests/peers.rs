//! Servers of other releases, and of other sizes.

use framing::v2::{Encoder, Features, HealthReply};
use framing::{Status, v2::ReplyMessage};

use super::*;
use crate::limits::IN_FLIGHT_MIN;

/// Serves with this HELLO, and checks how a session check ends.
#[track_caller]
fn check(hello: framing::v2::Hello<'static>, expected: Seen) {
    let server = AuthServer::start(move |peer| {
        peer.greet(&hello);
        while let Some(got) = peer.next() {
            peer.answer(&got);
        }
    });
    assert_eq!(Bench::new(&[server.address]).check_one(), expected);
}

#[test]
fn hello_decides_who_works_together() {
    let unreachable = Seen::Unanswered(Unanswered::Unreachable);
    check(HELLO, Seen::User(1));
    let newer = framing::v2::Hello {
        version_max: 9,
        features: Features::from_bits(u64::MAX),
        frame_bytes_max: u32::MAX,
        in_flight_max: u32::MAX,
        ..HELLO
    };
    check(newer, Seen::User(1));
    check(framing::v2::Hello { version_min: 3, version_max: 4, ..HELLO }, unreachable);
    check(framing::v2::Hello { in_flight_max: 0, ..HELLO }, unreachable);
    check(framing::v2::Hello { frame_bytes_max: 1, ..HELLO }, unreachable);
}

#[test]
fn a_refused_hello_and_a_wrong_port_are_no_servers() {
    let refusing = AuthServer::start(|peer| {
        if let Some(got) = peer.next() {
            peer.refuse(&got, Status::UNAVAILABLE, "overloaded");
        }
        peer.hang();
    });
    let web = AuthServer::start(|peer| {
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.hang();
    });
    let silent = AuthServer::start(server::Peer::hang);
    let good = AuthServer::willing();
    for wrong in [&refusing, &web, &silent] {
        let bench = Bench::new(&[wrong.address, good.address]);
        assert_eq!(bench.check_one(), Seen::User(1), "the other server serves");
        let reason = Bench::new(&[wrong.address]).upstreams.check_health(PATIENCE);
        assert!(reason.is_err(), "{reason:?}");
    }
}

#[test]
fn no_more_requests_are_in_flight_than_the_peer_takes() {
    let server = AuthServer::start(|peer| {
        peer.greet(&framing::v2::Hello { in_flight_max: 2, ..HELLO });
        loop {
            let batch: Vec<Got> = (0..2).map_while(|_| peer.next()).collect();
            assert!(!peer.has_more(), "a third request came before an answer");
            if batch.is_empty() {
                return;
            }
            batch.iter().rev().for_each(|got| peer.answer(got));
        }
    });
    let bench = Bench::new(&[server.address]);
    assert_eq!(seen(&bench.serve(check_sessions(6))), all_users(6));
    assert_eq!(server.accepted(), 1);
}

#[test]
fn servers_tell_how_many_they_hash_at_a_time() {
    let answers = |hash_threads| {
        AuthServer::start(move |peer| {
            peer.greet(&framing::v2::Hello { hash_threads, ..HELLO });
            while let Some(got) = peer.next() {
                peer.answer(&got);
            }
        })
    };
    let (eight, silent) = (answers(8), answers(0));
    let bench = Bench::new(&[eight.address, silent.address]);
    assert_eq!(bench.upstreams.hash_threads(), 2 * IN_FLIGHT_MIN, "nothing is known");
    for _ in 0..2 {
        assert_eq!(seen(&bench.serve(check_sessions(1))), all_users(1));
    }
    assert_eq!((eight.accepted(), silent.accepted()), (1, 1), "each was asked");
    assert_eq!(bench.upstreams.hash_threads(), 8 + IN_FLIGHT_MIN);
}

/// The frame of a reply as a later release could write it: a longer header, flags, and a field that
/// this release does not know.
fn from_the_future<'a, R: ReplyMessage<'a> + Copy>(correlation: u64, reply: &R) -> Vec<u8> {
    const HEADER: usize = framing::limits::HEADER_BYTES_MIN;
    /// Field 100, which need not be understood: its key is a varint of two bytes.
    const FIELD: &[u8] = b"\xc8\x01\x03new";
    let mut wire = Vec::new();
    Encoder::default().answer(&mut wire, correlation, &Ok(*reply)).expect("a reply of the test's");
    wire.extend_from_slice(FIELD);
    let body_len = u32::try_from(wire.len() - HEADER).expect("a short frame");
    wire[8..12].copy_from_slice(&body_len.to_be_bytes());
    wire[3] += 2;
    wire[6] = 0x80;
    wire.splice(HEADER..HEADER, *b"??");
    wire
}

#[test]
fn a_newer_server_is_understood() {
    let server = AuthServer::start(|peer| {
        let hello = peer.next().expect("a HELLO");
        peer.write(&from_the_future(hello.correlation, &HELLO));
        while let Some(got) = peer.next() {
            // An answer of a type that this release does not know, to a question it did not ask.
            let mut unknown = from_the_future(
                u64::MAX,
                &HealthReply { ready: true, reason: "", draining: false },
            );
            unknown[5] = 200;
            peer.write(&unknown);
            peer.write(&from_the_future(got.correlation, &session(1, "ada")));
        }
    });
    let bench = Bench::new(&[server.address]);
    for _ in 0..2 {
        assert_eq!(bench.check_one(), Seen::User(1));
    }
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_token_that_would_be_refused_later_is_not_handed_out() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            let token = framing::Secret::new("not a token");
            let (user_id, expires_in_ms, device) = (1, 1, None);
            let reply = framing::v2::AuthenticateReply { token, user_id, expires_in_ms, device };
            peer.reply(&got, &reply);
        }
    });
    let bench = Bench::new(&[server.address]);
    let expected = Seen::Unanswered(Unanswered::Incomprehensible);
    assert_eq!(seen(&bench.serve(vec![login(1)])), [(0, expected)]);
}
