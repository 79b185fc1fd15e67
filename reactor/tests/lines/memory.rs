//! Memory for what is received and sent: its bound, who is closed when it is used up, and that it goes back.

use std::io::{Read, Write};
use std::time::Duration;

use reactor::Limits;
use reactor::limits::{BUFFER_BYTES_START, RELIEF_SHARE, STILL_NOTES_MIN, TIDY_INTERVAL};

use super::server::*;

/// So many buffers as they start.
fn buffers(count: usize) -> Limits {
    Limits { buffer_bytes_max: count * BUFFER_BYTES_START, ..ROOMY }
}

/// A connection that has sent a part of a line, which the server keeps.
fn connect_in_part(server: &Server) -> Peer {
    let mut peer = server.connect_and_echo();
    peer.send("echo pa");
    server.turn();
    peer
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_and_stalls_nobody() {
    let server = serve(ROOMY);
    let mut deaf = server.connect();
    // Far more answers than socket buffers and the output bound hold.
    let asks = 2000;
    let sender = deaf.reader.get_ref().try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        let mut sender = sender;
        for _ in 0..asks {
            sender.write_all(b"big 50000\n").unwrap();
        }
    });
    let mut other = server.connect();
    for _ in 0..100 {
        other.send("echo here\n");
        assert_eq!(other.line(), "here\n");
    }
    // The deaf one starts to listen, and everything arrives.
    let mut answers = (&mut deaf.reader).take(50_000 * asks);
    let received = std::io::copy(&mut answers, &mut std::io::sink()).unwrap();
    assert_eq!(received, 50_000 * asks);
    writing.join().unwrap();
    server.stop();
}

#[test]
fn when_memory_is_used_up_those_are_closed_that_do_not_move() {
    let max = 16;
    let server = serve_stopped(buffers(max));
    let counters = server.reactor.counters();
    // Just over the mark at which it is noted who moves.
    let mut still: Vec<_> = (0..max / 2 + 1).map(|_| connect_in_part(&server)).collect();
    let mut moving = connect_in_part(&server);
    for _ in 0..=STILL_NOTES_MIN {
        moving.send("r");
        server.turn();
        server.pass(TIDY_INTERVAL);
    }
    let held = counters.buffer_bytes();
    assert!(held <= (max * BUFFER_BYTES_START) as u64, "{held} bytes");
    let mut late: Vec<_> = (still.len() + 1..max).map(|_| connect_in_part(&server)).collect();
    assert_eq!(counters.closed_for_memory(), 0);
    // One more than there is memory for.
    late.push(connect_in_part(&server));
    let closed = counters.closed_for_memory();
    assert_eq!(closed, (max / RELIEF_SHARE) as u64 + 1);
    moving.send("t\n");
    assert_eq!(moving.line(), format!("pa{}t\n", "r".repeat(usize::from(STILL_NOTES_MIN) + 1)));
    for peer in &mut late {
        peer.send("rt\n");
        assert_eq!(peer.line(), "part\n");
    }
    let cut = still.iter_mut().filter(|peer| !peer.is_open()).count();
    assert_eq!(cut as u64, closed);
    server.stop();
}

#[test]
fn those_that_hold_most_are_closed_first() {
    let max = 16;
    let server = serve_stopped(buffers(max));
    let counters = server.reactor.counters();
    let mut small: Vec<_> = (0..4).map(|_| connect_in_part(&server)).collect();
    // What the protocol holds by itself counts as well, also of one that moves.
    let mut large = server.connect_and_echo();
    large.send(&format!("keep {}\necho large\n", 8 * BUFFER_BYTES_START));
    assert_eq!(large.line(), "large\n");
    server.turn();
    let held = counters.buffer_bytes();
    assert!(held >= (12 * BUFFER_BYTES_START) as u64, "{held} bytes");
    small.extend((0..4).map(|_| connect_in_part(&server)));
    assert_eq!(counters.closed_for_memory(), 0);
    small.push(connect_in_part(&server));
    assert_eq!(counters.closed_for_memory(), 1);
    assert!(large.is_cut());
    for peer in &mut small {
        peer.send("rt\n");
        assert_eq!(peer.line(), "part\n");
    }
    server.stop();
}

#[test]
fn what_a_protocol_holds_counts_until_it_says_otherwise() {
    let server = serve_stopped(ROOMY);
    let counters = server.reactor.counters();
    let mut peer = server.connect();
    let mut other = server.connect();
    let check = |peer: &mut Peer, line: &str, expected: u64| {
        peer.send(line);
        server.turn();
        // Spare buffers go by and by.
        server.pass(TIDY_INTERVAL);
        server.pass(TIDY_INTERVAL);
        assert_eq!(counters.buffer_bytes(), expected, "{line}");
    };
    check(&mut peer, "keep 5000\n", 5000);
    check(&mut other, "keep 70000\n", 75_000);
    check(&mut other, "keep 600\n", 5600);
    check(&mut peer, "keep 0\n", 600);
    drop(other);
    server.until(|counters| counters.open() == 1);
    check(&mut peer, "keep 1\n", 1);
    server.stop();
}

#[test]
fn memory_goes_back_when_it_is_not_needed() {
    let server = serve_stopped(ROOMY);
    let counters = server.reactor.counters();
    let crowd: Vec<_> = (0..60).map(|_| connect_in_part(&server)).collect();
    server.turn();
    assert!(counters.buffer_bytes() >= 60 * BUFFER_BYTES_START as u64);
    drop(crowd);
    server.until(|counters| counters.open() == 0);
    server.pass(TIDY_INTERVAL + Duration::from_millis(1));
    server.pass(TIDY_INTERVAL + Duration::from_millis(1));
    assert_eq!(counters.buffer_bytes(), 0);
    server.stop();
}
