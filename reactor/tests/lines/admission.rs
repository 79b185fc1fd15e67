//! Caps on connections, which connection is evicted when they are reached, and which is rejected.

use std::io::Read;
use std::time::Duration;

use reactor::Limits;
use reactor::limits::IDLE_SCAN_PAUSE;

use super::server::*;

const SECOND: Duration = Duration::from_secs(1);

/// A connection that is in work until its job is answered.
fn connect_and_work(server: &Server) -> (Peer, Job) {
    let mut peer = server.connect();
    peer.send("work\n");
    let job = server.jobs.recv().unwrap();
    (peer, job)
}

/// Checks that a connection was rejected, with the protocol's message.
#[track_caller]
fn assert_rejected(mut peer: Peer) {
    assert_eq!(peer.rest(), REJECTION);
}

#[test]
fn connections_beyond_the_caps_are_rejected_and_the_slot_comes_back() {
    for (limits, refused) in [
        (Limits { connections_max: 2, ..ROOMY }, "full"),
        (Limits { connections_per_address_max: 2, ..ROOMY }, "address"),
    ] {
        let server = serve(limits);
        let counters = server.reactor.counters();
        let (first, second) = (connect_and_work(&server), connect_and_work(&server));
        assert_rejected(server.connect());
        let counted = (counters.refused_full(), counters.refused_address());
        assert_eq!(counted, if refused == "full" { (1, 0) } else { (0, 1) });
        drop(first);
        server.until(|counters| counters.open() == 1);
        server.connect().echo();
        drop(second);
        server.stop();
    }
}

#[test]
fn addresses_that_a_protocol_exempts_have_no_cap_of_their_own() {
    let limits = Limits { connections_max: 3, connections_per_address_max: 1, ..ROOMY };
    let server = serve_as(&Options { exempt: true, ..Options::new(limits) });
    let counters = server.reactor.counters();
    let peers: Vec<_> = (0..3).map(|_| connect_and_work(&server)).collect();
    assert_rejected(server.connect());
    assert_eq!((counters.refused_full(), counters.refused_address()), (1, 0));
    drop(peers);
    server.until(|counters| counters.open() == 0);
    server.connect().echo();
    server.stop();
}

#[test]
fn the_cap_of_all_is_that_of_all_loops_together() {
    let limits = Limits { connections_max: 5, ..ROOMY };
    let server = serve_as(&Options { loops: 3, ..Options::new(limits) });
    // However the kernel spreads them, five get in and no sixth does.
    let inside: Vec<_> = (0..5).map(|_| connect_and_work(&server)).collect();
    for _ in 0..10 {
        assert_rejected(server.connect());
    }
    assert_eq!(server.reactor.counters().open(), 5);
    drop(inside);
    server.stop();
}

#[test]
fn silent_connections_are_evicted_first_and_then_the_longest_idle_one() {
    let server = serve_stopped(Limits { connections_max: 4, ..ROOMY });
    let counters = server.reactor.counters();
    let mut longest = server.connect_and_echo();
    server.pass(SECOND);
    let mut shorter = server.connect_and_echo();
    server.pass(SECOND);
    let (mut silent, mut silent_too) = (server.connect(), server.connect());
    server.until(|counters| counters.open() == 4);

    let mut newcomers = Vec::new();
    for evicted in [&mut silent, &mut silent_too, &mut longest, &mut shorter] {
        assert!(evicted.is_open());
        server.pass(SECOND);
        newcomers.push(server.connect_and_echo());
        assert!(evicted.is_cut());
        assert_eq!((counters.evicted(), counters.open()), (newcomers.len() as u64, 4));
    }
    // Then the newcomers themselves, but for whom has spoken since.
    newcomers[0].echo();
    server.pass(IDLE_SCAN_PAUSE);
    let _last = server.connect_and_echo();
    assert!(newcomers[1].is_cut());
    assert!(newcomers[0].is_open() && newcomers[2].is_open());
    assert_eq!(counters.refused_full(), 0);
    server.stop();
}

#[test]
fn a_connection_with_anything_on_its_way_is_not_evicted() {
    let server = serve_stopped(Limits { connections_max: 5, ..ROOMY });
    let (mut in_work, job) = connect_and_work(&server);
    let mut arriving = server.connect_and_echo();
    arriving.send("echo arr");
    let mut leaving = server.connect_narrow();
    leaving.send(&format!("big {LARGE}\n"));
    let mut lingering = server.connect_and_echo();
    lingering.send("quit\n");
    lingering.stream().peek(&mut [0; 1]).unwrap();
    let mut idle = server.connect_and_echo();
    server.turn();

    idle.echo();
    let _newcomer = connect_and_work(&server);
    assert!(idle.is_cut(), "the only one that could");
    for _ in 0..3 {
        assert_rejected(server.connect());
        server.pass(IDLE_SCAN_PAUSE);
    }
    arriving.send("iving\n");
    assert_eq!(arriving.line(), "arriving\n");
    job.ticket.answer("done\n".to_owned());
    assert_eq!(in_work.line(), "done\n");
    assert_eq!(lingering.rest(), "bye\n");
    leaving.reader.read_exact(&mut vec![0; LARGE]).unwrap();
    server.stop();
}

#[test]
fn a_connection_with_an_unread_request_is_not_evicted() {
    let server = serve(Limits { connections_max: 3, ..ROOMY });
    let (mut idle, mut silent) = (server.connect_and_echo(), server.connect());
    let mut holder = server.connect_and_echo();
    // While the loop is held, both speak, and a newcomer knocks: the loop meets it before it reads anything.
    holder.send("hold\n");
    server.hold.wait();
    idle.send("echo idle no more\n");
    silent.send("echo silent no more\n");
    let newcomer = server.connect();
    server.hold.wait();
    assert_eq!(idle.line(), "idle no more\n");
    assert_eq!(silent.line(), "silent no more\n");
    drop(newcomer);
    server.stop();
}

#[test]
fn a_loop_without_idle_connections_has_another_evict_one() {
    let limits = Limits { connections_max: 16, ..ROOMY };
    let server = serve_as(&Options { loops: 2, ..Options::new(limits) });
    // All connections of one loop are in work, and all of the other are idle.
    let (first, first_job) = connect_and_work(&server);
    let busy_loop = first_job.loop_number;
    let (mut working, mut idle) = (vec![(first, first_job)], Vec::new());
    for _ in 1..16 {
        let (mut peer, job) = connect_and_work(&server);
        if job.loop_number == busy_loop {
            working.push((peer, job));
        } else {
            job.ticket.answer("done\n".to_owned());
            assert_eq!(peer.line(), "done\n");
            idle.push(peer);
        }
    }
    assert!(!idle.is_empty(), "the kernel spreads connections");
    let counters = server.reactor.counters();
    // A connection that the kernel gives to the idle loop gets in and evicts the longest idle one. The first that it gives to
    // the busy loop is rejected, but makes the idle loop free a slot.
    let mut inside = Vec::new();
    let evicted = loop {
        let mut peer = server.connect();
        peer.send("echo here\n");
        let evicted = counters.evicted();
        match peer.line().as_str() {
            REJECTION => break evicted,
            _ => inside.push(peer),
        }
    };
    server.until(|counters| counters.evicted() > evicted || counters.open() < 16);
    server.connect().echo();
    drop((working, inside));
    server.stop();
}
