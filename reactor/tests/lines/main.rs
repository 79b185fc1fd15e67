//! The reactor with real sockets: a protocol of lines, and peers that behave well and badly.

#![allow(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

mod admission;
mod closing;
mod memory;
mod server;

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use reactor::Reactor;

use server::*;

#[test]
fn pipelined_lines_are_answered_in_order_one_byte_at_a_time_too() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    peer.send("echo one\necho two\necho three\n");
    assert_eq!([peer.line(), peer.line(), peer.line()], ["one\n", "two\n", "three\n"]);
    for byte in "echo slowly\n".chars() {
        peer.send(&byte.to_string());
    }
    assert_eq!(peer.line(), "slowly\n");
    server.stop();
}

#[test]
fn input_behind_a_request_in_flight_waits_for_its_answer() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    peer.send("work a\necho after\nwork b\n");
    let job = server.jobs.recv().unwrap();
    assert_eq!(job.text, "a");
    job.ticket.answer("done a\n".to_owned());
    assert_eq!([peer.line(), peer.line()], ["done a\n", "after\n"]);
    server.jobs.recv().unwrap().ticket.answer("done b\n".to_owned());
    assert_eq!(peer.line(), "done b\n");
    server.stop();
}

#[test]
fn the_time_that_a_loop_tells_is_not_before_what_it_offers_was_sent() {
    let server = serve(ROOMY);
    let (mut first, mut second, mut third) = (server.connect(), server.connect(), server.connect());
    // All three are accepted.
    for peer in [&mut first, &mut second, &mut third] {
        peer.send("echo here\n");
        assert_eq!(peer.line(), "here\n");
    }
    // While the loop is held by the first, the others send, so that one turn visits both.
    first.send("hold\n");
    server.hold.wait();
    second.send("hold\n");
    third.send("echo once\n");
    server.hold.wait();
    // In that turn the loop is held by the second; the third sends more, which is read in it too.
    server.hold.wait();
    third.send(&format!("age {}\n", clock::since(server.epoch).as_nanos()));
    server.hold.wait();
    assert_eq!([third.line(), third.line()], ["once\n", "yes\n"]);
    server.stop();
}

#[test]
fn a_loop_wakes_for_what_its_connections_share() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    // A second time: an alarm that has gone off does not keep the next from being set.
    for _ in 0..2 {
        peer.send("alarm\n");
        assert_eq!(peer.line(), "woken\n");
    }
    server.stop();
}

#[test]
fn a_dropped_ticket_is_answered_all_the_same() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    peer.send("work a\n");
    drop(server.jobs.recv().unwrap());
    assert_eq!(peer.line(), "unanswered\n");
    server.stop();
}

#[test]
fn an_answer_can_be_held_back_until_a_time() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    peer.send("work a\n");
    let at = clock::now() + Duration::from_millis(30);
    server.jobs.recv().unwrap().ticket.answer_at(at, "later\n".to_owned());
    assert_eq!(peer.line(), "later\n");
    assert!(clock::now() >= at);
    server.stop();
}

#[test]
fn a_late_completion_does_not_reach_the_next_connection_in_the_slot() {
    let server = serve(ROOMY);
    let mut gone = server.connect();
    gone.send("work a\n");
    let late = server.jobs.recv().unwrap();
    drop(gone);
    // The reset or FIN of the first is seen before the slot is used again.
    let counters = server.reactor.counters();
    late.mailbox.post(late.id, "to nobody\n".to_owned());
    while counters.open() > 0 {
        std::thread::yield_now();
    }
    let mut next = server.connect();
    next.send("work b\n");
    let job = server.jobs.recv().unwrap();
    late.ticket.answer("to a stranger\n".to_owned());
    job.ticket.answer("mine\n".to_owned());
    assert_eq!(next.line(), "mine\n");
    server.stop();
}

#[test]
fn a_deadline_fires_once() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    peer.send("wait first\nwait second\necho third\n");
    assert_eq!([peer.line(), peer.line(), peer.line()], ["first\n", "second\n", "third\n"]);
    server.stop();
}

#[test]
fn an_overlong_line_cuts_its_sender_alone() {
    let server = serve(ROOMY);
    let mut good = server.connect();
    let mut bad = server.connect();
    bad.send(&"x".repeat(LINE_BYTES_MAX + 1));
    assert!(bad.is_cut());
    good.send("echo fine\n");
    assert_eq!(good.line(), "fine\n");
    server.stop();
}

#[test]
fn shutdown_answers_what_is_in_flight_and_closes_idle_connections() {
    let server = serve(ROOMY);
    let mut idle = server.connect();
    idle.send("echo hello\n");
    assert_eq!(idle.line(), "hello\n");
    let mut busy = server.connect();
    busy.send("work a\n");
    let job = server.jobs.recv().unwrap();
    let counters = server.reactor.counters();
    let stopping = std::thread::spawn(move || server.reactor.shut_down(Duration::from_secs(20)));
    assert_eq!(idle.rest(), "");
    job.ticket.answer("finished\n".to_owned());
    assert_eq!(busy.rest(), "finished\n");
    drop((idle, busy));
    stopping.join().unwrap();
    assert_eq!((counters.open(), counters.cut()), (0, 0));
}

#[test]
fn a_loop_that_stands_still_does_not_answer() {
    let server = serve(ROOMY);
    let mut heartbeat = server.reactor.heartbeat();
    let mut all_answer = || {
        let give_up = clock::now() + Duration::from_secs(60);
        while !heartbeat() {
            assert!(clock::now() < give_up, "no loop answers any more");
            std::thread::yield_now();
        }
    };
    all_answer();
    let mut holder = server.connect_and_echo();
    all_answer();
    holder.send("hold\n");
    server.hold.wait();
    // What was asked before it stood still may be answered, and nothing after that.
    let answered = (0..1_000).filter(|_| heartbeat()).count();
    assert!(answered <= 1, "{answered}");
    server.hold.wait();
    holder.send("echo on\n");
    assert_eq!(holder.line(), "on\n");
    server.stop();
}

#[test]
fn shutdown_cuts_what_outlives_the_grace_period() {
    let server = serve(ROOMY);
    let mut busy = server.connect();
    busy.send("work a\n");
    let job = server.jobs.recv().unwrap();
    let counters = server.reactor.counters();
    server.reactor.shut_down(Duration::from_millis(10));
    assert!(busy.is_cut());
    assert_eq!(counters.cut(), 1);
    // Nobody is left to take it; answering must not fail.
    job.ticket.answer("too late\n".to_owned());
}

#[test]
fn many_workers_post_to_one_loop_and_no_answer_is_lost() {
    let server = Arc::new(serve(ROOMY).into_parts());
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                loop {
                    let job = server.1.lock().unwrap().recv();
                    match job {
                        Ok(job) if job.text == "stop" => return job.ticket.answer("\n".to_owned()),
                        Ok(Job { text, ticket, .. }) => ticket.answer(format!("{text}\n")),
                        Err(_) => return,
                    }
                }
            })
        })
        .collect();
    let address = server.0.local_addr();
    let peers: Vec<_> = (0..8)
        .map(|peer| {
            std::thread::spawn(move || {
                let mut peer_end =
                    Peer { reader: BufReader::new(TcpStream::connect(address).unwrap()) };
                for round in 0..500 {
                    peer_end.send(&format!("work {peer}.{round}\n"));
                    assert_eq!(peer_end.line(), format!("{peer}.{round}\n"));
                }
            })
        })
        .collect();
    for peer in peers {
        peer.join().unwrap();
    }
    for _ in &workers {
        let mut peer = Peer { reader: BufReader::new(TcpStream::connect(address).unwrap()) };
        peer.send("work stop\n");
        peer.line();
    }
    for worker in workers {
        worker.join().unwrap();
    }
    Arc::into_inner(server).unwrap().0.shut_down(Duration::from_secs(20));
}

impl Server {
    fn into_parts(self) -> (Reactor<Lines>, std::sync::Mutex<Receiver<Job>>) {
        (self.reactor, std::sync::Mutex::new(self.jobs))
    }
}
