//! How connections end: answers that are not lost, and peers that do not end by themselves.

use std::io::Read;
use std::net::Shutdown;
use std::time::Duration;

use reactor::Limits;
use reactor::limits::{
    LINGER_QUIET_MAX, LINGER_STOPPING_MAX, LINGER_TIME_MAX, LINGERING_SHARE, WRITE_STALL_MAX,
    WRITE_TIME_MAX,
};

use super::server::*;

const SECOND: Duration = Duration::from_secs(1);
const MOMENTARILY: Duration = Duration::from_millis(1);

/// Sends `quit`, and waits until the server has answered and lingers.
fn quit(peer: &mut Peer) {
    peer.send("quit\n");
    let _ = peer.stream().peek(&mut [0; 1]).unwrap();
}

#[test]
fn a_half_closed_peer_still_gets_its_answers() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    peer.send("work a\necho b\nquit\n");
    peer.stream().shutdown(Shutdown::Write).unwrap();
    server.jobs.recv().unwrap().ticket.answer("a\n".to_owned());
    assert_eq!(peer.rest(), "a\nb\nbye\n");
    server.stop();
}

#[test]
fn a_close_does_not_destroy_the_answer_on_its_way() {
    let server = serve(ROOMY);
    for _ in 0..50 {
        let mut peer = server.connect();
        // Input behind the close is never read by the protocol. Without lingering, the kernel
        // would answer it with a reset that overtakes the goodbye.
        peer.send(&format!("quit\n{}", "x".repeat(60_000)));
        assert_eq!(peer.line(), "bye\n");
    }
    server.stop();
}

#[test]
fn a_peer_that_sends_64_mib_before_it_reads_gets_all_its_answers() {
    let server = serve(ROOMY);
    let piece = "x".repeat(1 << 20);
    let mut peer = server.connect();
    peer.send("echo one\nbig 50000\nquit\n");
    for _ in 0..64 {
        peer.send(&piece);
    }
    assert_eq!(peer.rest(), format!("one\n{}bye\n", "x".repeat(50_000)));
    server.stop();
}

#[test]
fn a_peer_that_ends_its_side_meanwhile_is_read_to_the_end() {
    let server = serve(ROOMY);
    for _ in 0..20 {
        let mut peer = server.connect();
        peer.send(&format!("quit\n{}", "x".repeat(1 << 20)));
        peer.stream().shutdown(Shutdown::Write).unwrap();
        server.until(|counters| counters.open() == 0);
        assert_eq!(peer.rest(), "bye\n", "and then the end, no reset");
    }
    server.stop();
}

#[test]
fn what_a_peer_sends_is_dropped_also_while_its_answers_wait_for_it() {
    let server = serve_as(&Options { small_buffers: true, ..Options::new(ROOMY) });
    let mut peer = server.connect_narrow();
    // More than both kernels hold, so that the server has something left, and less than makes it wait with the next
    // line.
    peer.send("big 60000\nbig 60000\nquit\n");
    let piece = "x".repeat(1 << 20);
    for _ in 0..64 {
        peer.send(&piece);
    }
    assert_eq!(peer.rest(), format!("{}bye\n", "x".repeat(120_000)));
    server.stop();
}

#[test]
fn a_peer_that_neither_sends_nor_closes_is_waited_for_so_long() {
    let server = serve_stopped(ROOMY);
    let mut peer = server.connect();
    quit(&mut peer);
    server.pass(LINGER_QUIET_MAX - MOMENTARILY);
    assert_eq!(server.reactor.counters().open(), 1);
    server.pass(2 * MOMENTARILY);
    server.until(|counters| counters.open() == 0);
    assert_eq!(peer.rest(), "bye\n");
    server.stop();
}

#[test]
fn a_peer_that_sends_on_is_waited_for_longer_and_not_for_ever() {
    let server = serve_stopped(ROOMY);
    let mut peer = server.connect();
    quit(&mut peer);
    let step = LINGER_QUIET_MAX - SECOND;
    let mut passed = Duration::ZERO;
    while passed + step < LINGER_TIME_MAX {
        server.pass(step);
        passed += step;
        assert_eq!(server.reactor.counters().open(), 1, "after {passed:?}");
        peer.send("x");
        server.turn();
    }
    server.pass(LINGER_TIME_MAX - passed + MOMENTARILY);
    server.until(|counters| counters.open() == 0);
    assert_eq!(peer.line(), "bye\n");
    server.stop();
}

#[test]
fn of_those_that_linger_the_oldest_is_cut_when_there_are_too_many() {
    let linger_max = 2;
    let limits = Limits { connections_max: LINGERING_SHARE * linger_max, ..ROOMY };
    let server = serve_stopped(limits);
    let counters = server.reactor.counters();
    let mut peers: Vec<Peer> = (0..5).map(|_| server.connect()).collect();
    for (before, peer) in peers.iter_mut().enumerate() {
        quit(peer);
        server.turn();
        assert_eq!(counters.open(), (5 - before.saturating_sub(linger_max - 1)) as u64);
    }
    assert_eq!(counters.lingering_cut(), 3);
    // The youngest are there still, and all have their answers.
    for peer in &mut peers {
        assert_eq!(peer.line(), "bye\n");
    }
    assert_eq!(counters.open(), 2);
    drop(peers);
    server.until(|counters| counters.open() == 0);
    assert_eq!(counters.lingering_cut(), 3);
    server.stop();
}

#[test]
fn a_stop_does_not_wait_for_those_that_linger() {
    let server = serve_stopped(ROOMY);
    let counters = server.reactor.counters();
    let mut before = server.connect();
    quit(&mut before);
    let mut idle = server.connect_and_echo();
    let Server { reactor, clock, .. } = server;
    let stopping = std::thread::spawn(move || reactor.shut_down(Duration::from_secs(3600)));
    assert_eq!(idle.rest(), "");
    let clock = clock.expect("it stands still");
    assert_eq!(counters.open(), 2);
    clock.advance(LINGER_STOPPING_MAX + MOMENTARILY);
    // The loop sleeps by the kernel's clock, and looks at ours when something comes.
    idle.send("x");
    stopping.join().unwrap();
    assert_eq!((counters.open(), counters.cut()), (0, 0));
    assert_eq!(before.line(), "bye\n");
}

#[test]
fn who_leaves_is_closed_at_once() {
    let server = serve_stopped(ROOMY);
    let mut peer = server.connect();
    peer.send("doze\n");
    server.turn();
    server.pass(MOMENT + MOMENTARILY);
    server.until(|counters| counters.open() == 0);
    assert_eq!(peer.rest(), "");
    server.stop();
}

#[test]
fn what_has_come_when_its_time_ends_has_come_in_time() {
    let server = serve_stopped(ROOMY);
    let (mut peer, mut holder) = (server.connect(), server.connect_and_echo());
    peer.send("doze\n");
    server.turn();
    holder.send("hold\n");
    server.hold.wait();
    // While the loop is busy, the line comes, and then the time ends.
    peer.send("echo in time\n");
    server.advance(2 * MOMENT);
    server.hold.wait();
    assert_eq!(peer.line(), "in time\n");
    server.stop();
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let server = serve_stopped(ROOMY);
    let counters = server.reactor.counters();
    let mut peer = server.connect_narrow();
    peer.send(&format!("big {LARGE}\n"));
    server.turn();
    server.pass(WRITE_STALL_MAX - MOMENTARILY);
    assert_eq!((counters.open(), counters.stalled()), (1, 0));
    server.pass(2 * MOMENTARILY);
    server.until(|counters| counters.open() == 0);
    assert_eq!(counters.stalled(), 1);
    server.stop();
}

#[test]
fn a_peer_that_takes_some_is_waited_for_longer_and_not_for_ever() {
    let server = serve_stopped(ROOMY);
    let counters = server.reactor.counters();
    let mut peer = server.connect_narrow();
    peer.send(&format!("big {LARGE}\n"));
    server.turn();
    let step = WRITE_STALL_MAX - SECOND;
    let mut passed = Duration::ZERO;
    let mut taken = vec![0; 128 * 1024];
    while passed + step < WRITE_TIME_MAX {
        peer.reader.read_exact(&mut taken).unwrap();
        server.turn();
        server.pass(step);
        passed += step;
        assert_eq!((counters.open(), counters.stalled()), (1, 0), "after {passed:?}");
    }
    peer.reader.read_exact(&mut taken).unwrap();
    server.pass(WRITE_TIME_MAX - passed + MOMENTARILY);
    server.until(|counters| counters.open() == 0);
    assert_eq!(counters.stalled(), 1);
    server.stop();
}
