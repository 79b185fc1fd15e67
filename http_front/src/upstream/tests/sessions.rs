//! What came with release 2.1: who is asked for it, what is sent, and that it is sent once.

use crossbeam_channel::unbounded;
use framing::v2::Features;

use super::*;
use crate::token::Device;
use crate::work::{PasswordChange, Revocation};

const UNSUPPORTED: Seen = Seen::Unanswered(Unanswered::Unsupported);
const LOST: Seen = Seen::Unanswered(Unanswered::Lost);

fn list() -> Work {
    Work::ListSessions(token("token-1"))
}

fn revoke() -> Work {
    let client_address = client().address;
    Work::RevokeSession(Revocation { token: token("token-1"), session_id: 5, client_address })
}

fn change() -> Work {
    Work::ChangePassword(PasswordChange {
        token: token("token-1"),
        current_password: Zeroizing::new("correct horse".to_owned()),
        new_password: Zeroizing::new("battery staple".to_owned()),
        client: client(),
        delivery: Delivery::Cookie,
    })
}

/// An auth server of release 2.0, which answers what it knows.
fn of_2_0() -> AuthServer {
    AuthServer::start(|peer| {
        peer.greet(&framing::v2::Hello { features: Features::NONE, ..HELLO });
        while let Some(got) = peer.next() {
            peer.answer(&got);
        }
    })
}

#[test]
fn an_older_server_is_not_asked_for_what_it_does_not_know() {
    let server = of_2_0();
    let bench = Bench::new(&[server.address]);
    let posted = bench.serve(vec![list(), revoke(), change(), logout(true), check_session(1)]);
    let mut expected: Vec<_> = (0..4).map(|slot| (slot, UNSUPPORTED)).collect();
    expected.push((4, Seen::User(1)));
    assert_eq!(seen(&posted), expected);
    // What it has always known it is asked for.
    assert_eq!(seen(&bench.serve(vec![logout(false)])), [(0, Seen::Done)]);
    assert_eq!(server.accepted(), 1, "nothing was sent that it would have refused");
}

#[test]
fn a_newer_server_beside_an_older_one_is_found() {
    let (old, new) = (of_2_0(), AuthServer::willing());
    let bench = Bench::new(&[old.address, new.address]);
    for _ in 0..4 {
        let posted = bench.serve(vec![list(), revoke(), change(), logout(true)]);
        let expected: Vec<_> = (0..4).map(|slot| (slot, Seen::Done)).collect();
        assert_eq!(seen(&posted), expected);
    }
}

#[test]
fn an_older_server_beside_one_that_is_away_is_no_reason_to_call_all_unreachable() {
    let old = of_2_0();
    let bench = Bench::new(&[old.address, nobody()]);
    assert_eq!(seen(&bench.serve(vec![list()])), [(0, UNSUPPORTED)]);
    let bench = Bench::new(&[nobody()]);
    assert_eq!(seen(&bench.serve(vec![list()])), [(0, Seen::Unanswered(Unanswered::Unreachable))]);
}

#[test]
fn every_field_is_sent() {
    let (shown, said) = unbounded();
    let server = AuthServer::start(move |peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            shown.send(got.shown.clone()).expect("the test waits");
            peer.answer(&got);
        }
    });
    let bench = Bench::new(&[server.address]);
    let check = |work: Work, expected: &str| {
        bench.serve(vec![work]);
        assert_eq!(said.recv().expect("a request"), expected);
    };
    check(list(), "Sessions(Sessions { token: *** })");
    check(
        revoke(),
        "RevokeSession(RevokeSession { token: ***, session_id: 5, client_address: Some(127.0.0.1) })",
    );
    check(
        logout(true),
        "Logout(Logout { token: ***, all: true, client_address: Some(127.0.0.1) })",
    );
    check(
        change(),
        "ChangePassword(ChangePassword { token: ***, current_password: ***, new_password: ***, \
         client_address: Some(127.0.0.1), user_agent: Some(\"curl/8\"), forwarded: true })",
    );
    let Work::Authenticate(mut with_device) = login(1) else { unreachable!("a login") };
    with_device.device = Device::new(b"d1");
    check(
        Work::Authenticate(with_device),
        "Authenticate(Authenticate { username: \"user1\", password: ***, \
         request_id: 00000000000000010000000000000000, client_address: Some(127.0.0.1), \
         user_agent: Some(\"curl/8\"), device: Some(***), forwarded: true })",
    );
}

#[test]
fn what_has_ended_sessions_is_answered_once_all_leases_have_run() {
    let server = AuthServer::willing();
    let bench = Bench::new(&[server.address]);
    for work in [revoke(), change(), logout(true)] {
        let name = work.name();
        let before = clock::now();
        let posted = bench.serve(vec![work]);
        let after = clock::now();
        let settles = Duration::from_secs(5);
        let [Posted { not_before: Some(at), .. }] = &*posted else { panic!("{name}: {posted:?}") };
        assert!((before + settles..=after + settles).contains(at), "{name}");
    }
    let posted = bench.serve(vec![list()]);
    assert_eq!(posted[0].not_before, None);
}

#[test]
fn what_must_not_be_done_twice_is_not_sent_twice() {
    let (requests, sent) = unbounded();
    let breaking = || {
        let requests = requests.clone();
        AuthServer::start(move |peer| {
            peer.greet(&HELLO);
            // The whole batch is there before the connection breaks.
            while let Some(got) = peer.next() {
                requests.send(got.message_type.name()).expect("the test waits");
                if !peer.has_more() {
                    return;
                }
            }
        })
    };
    let (first, second) = (breaking(), breaking());
    let bench = Bench::new(&[first.address, second.address]);
    let posted = bench.serve(vec![change(), revoke(), logout(true), logout(false)]);
    let unreachable = Seen::Unanswered(Unanswered::Unreachable);
    assert_eq!(seen(&posted), [(0, LOST), (1, LOST), (2, LOST), (3, unreachable)]);
    let sent: Vec<_> = sent.try_iter().collect();
    assert_eq!(sent, ["CHANGE_PASSWORD", "REVOKE_SESSION", "LOGOUT", "LOGOUT", "LOGOUT"]);
}

#[test]
fn what_was_never_sent_may_go_to_another_server() {
    let good = AuthServer::willing();
    let bench = Bench::new(&[nobody(), good.address]);
    for _ in 0..2 {
        assert_eq!(seen(&bench.serve(vec![change()])), [(0, Seen::Done)]);
    }
}

#[test]
fn a_marker_that_would_be_refused_later_is_left_out_and_a_login_is_not_refused_for_it() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            let device = framing::Secret::new(match &*got.who {
                "user1" => "gated_1",
                _ => "no marker",
            });
            let token = framing::Secret::new("ghs_new");
            let (user_id, expires_in_ms, device) = (1, 1, Some(device));
            let reply = framing::v2::AuthenticateReply { token, user_id, expires_in_ms, device };
            peer.reply(&got, &reply);
        }
    });
    let bench = Bench::new(&[server.address]);
    for (user, expected) in [(1, Some("gated_1")), (2, None)] {
        let posted = bench.serve(vec![login(user)]);
        let [Posted { completion: Outcome::Authenticated { device, .. }, .. }] = &*posted else {
            panic!("{posted:?}")
        };
        assert_eq!(device.as_ref().map(Device::expose), expected);
    }
}
