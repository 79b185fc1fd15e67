//! Asking servers whether they can serve.

use framing::v2::HealthReply;

use super::*;

fn answering(reply: HealthReply<'static>) -> AuthServer {
    AuthServer::start(move |peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            peer.reply(&got, &reply);
        }
    })
}

/// `expected` has, for each server, a part of the reason; no reasons mean that one can serve.
#[track_caller]
fn check(addresses: &[SocketAddr], expected: &[&str]) {
    let said = Bench::new(addresses).upstreams.check_health(Duration::from_secs(1));
    if expected.is_empty() {
        assert_eq!(said, Ok(()));
        return;
    }
    let said = said.expect_err("no server can serve");
    let reasons: Vec<&str> = said.split("; ").collect();
    assert_eq!(reasons.len(), addresses.len(), "{said}");
    for ((reason, address), part) in reasons.iter().zip(addresses).zip(expected) {
        assert!(reason.starts_with(&address.to_string()) && reason.contains(part), "{said}");
    }
}

#[test]
fn one_server_that_can_serve_is_enough() {
    let (ready, not) = (AuthServer::willing(), answering(NOT_READY));
    check(&[ready.address], &[]);
    check(&[ready.address, not.address], &[]);
    check(&[nobody(), not.address, ready.address], &[]);
}

const NOT_READY: HealthReply<'static> =
    HealthReply { ready: false, reason: "no store", draining: false };

#[test]
fn when_none_can_serve_each_says_why() {
    let not = answering(NOT_READY);
    let hung = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        peer.hang();
    });
    let refusing = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            peer.refuse(&got, framing::Status::INTERNAL, "internal");
        }
    });
    check(&[not.address], &["no store"]);
    check(
        &[not.address, nobody(), hung.address, refusing.address],
        &["no store", "refused", "did not answer in time", "status 500"],
    );
}

#[test]
fn a_server_that_does_not_answer_is_passed_over_until_it_does() {
    let well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_well = std::sync::Arc::clone(&well);
    let server = AuthServer::start(move |peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            if is_well.load(std::sync::atomic::Ordering::SeqCst) {
                peer.answer(&got);
            }
        }
    });
    let bench = Bench::new(&[server.address]);
    // Whatever fails from here on has its next trial after this.
    let before = clock::now();
    let admits = || bench.upstreams.servers[0].health.admits(before);
    assert!(admits() && bench.upstreams.is_up(0));
    assert!(bench.upstreams.check_health(Duration::from_millis(50)).is_err());
    assert!(!admits() && !bench.upstreams.is_up(0));
    well.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(bench.upstreams.check_health(PATIENCE), Ok(()));
    assert!(admits() && bench.upstreams.is_up(0));
}
