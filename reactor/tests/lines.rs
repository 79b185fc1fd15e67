//! The reactor with real sockets: a protocol of lines, and peers that behave well and badly.

#![allow(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use reactor::{ConnectionId, Io, Limits, Listener, Mailbox, Protocol, Reactor, Ticket};

/// Answers `echo TEXT` with `TEXT`, `big N` with N bytes, `quit` with `bye` and a close; hands
/// `work TEXT` to the test, which plays the worker; `wait TEXT` answers after a deadline; `alarm`
/// answers when the loop wakes by itself. `hold` keeps the loop until the test lets it go on, and
/// `age NANOSECONDS` answers whether the time that the loop tells is at least so long after `epoch`.
struct Lines {
    in_flight: bool,
    stopping: bool,
    waiting: Option<Vec<u8>>,
}

struct Shared {
    mailbox: Mailbox<String>,
    jobs: Sender<Job>,
    alarm: Option<(Instant, Ticket<String>)>,
    exempt: bool,
    hold: Hold,
    epoch: Instant,
}

/// Where the loop meets the test: it arrives, and goes on when the test does.
type Hold = Arc<Barrier>;

struct Job {
    text: String,
    ticket: Ticket<String>,
    id: ConnectionId,
    mailbox: Mailbox<String>,
}

const LINE_BYTES_MAX: usize = 256;

impl Protocol for Lines {
    type Shared = Shared;
    type Completion = String;
    const INPUT_BYTES_MAX: usize = LINE_BYTES_MAX + 1;

    fn is_capped(_: IpAddr, shared: &Shared) -> bool {
        !shared.exempt
    }

    fn open(_: &mut Shared, _: &mut Io<'_>) -> Self {
        Self { in_flight: false, stopping: false, waiting: None }
    }

    fn on_input(&mut self, input: &[u8], shared: &mut Shared, io: &mut Io<'_>) -> usize {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
            if input.len() > LINE_BYTES_MAX {
                io.abort();
            }
            return 0;
        };
        let line = std::str::from_utf8(&input[..end]).unwrap();
        let (verb, text) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "echo" => io.output().extend_from_slice(&input[5..=end]),
            "big" => {
                let len = io.output().len() + text.parse::<usize>().unwrap();
                io.output().resize(len, b'x');
            }
            "quit" => {
                io.output().extend_from_slice(b"bye\n");
                io.finish();
            }
            "work" => {
                self.in_flight = true;
                io.pause_input();
                let ticket =
                    Ticket::new(shared.mailbox.clone(), io.id(), "unanswered\n".to_owned());
                let mailbox = shared.mailbox.clone();
                let job = Job { text: text.to_owned(), ticket, id: io.id(), mailbox };
                shared.jobs.send(job).unwrap();
            }
            "wait" => {
                self.waiting = Some(format!("{text}\n").into_bytes());
                io.set_deadline(Some(io.now() + Duration::from_millis(20)));
                io.pause_input();
            }
            "alarm" => {
                self.in_flight = true;
                io.pause_input();
                let unanswered = "unanswered\n".to_owned();
                let ticket = Ticket::new(shared.mailbox.clone(), io.id(), unanswered);
                shared.alarm = Some((io.now() + Duration::from_millis(20), ticket));
            }
            "hold" => {
                shared.hold.wait();
                shared.hold.wait();
            }
            "age" => {
                let age = Duration::from_nanos(text.parse().unwrap());
                let is_older = io.now() >= shared.epoch + age;
                io.output().extend_from_slice(if is_older { b"yes\n" } else { b"no\n" });
            }
            _ => io.abort(),
        }
        end + 1
    }

    fn on_completion(&mut self, completion: String, _: &mut Shared, io: &mut Io<'_>) {
        self.in_flight = false;
        io.output().extend_from_slice(completion.as_bytes());
        io.resume_input();
        if self.stopping {
            io.finish();
        }
    }

    fn on_deadline(&mut self, _: &mut Shared, io: &mut Io<'_>) {
        let text = self.waiting.take().expect("a deadline is set only by wait");
        io.output().extend_from_slice(&text);
        io.resume_input();
    }

    fn wake_at(shared: &Shared) -> Option<Instant> {
        shared.alarm.as_ref().map(|(at, _)| *at)
    }

    fn on_wake(shared: &mut Shared, now: Instant) {
        let (at, ticket) = shared.alarm.take().expect("it was told when");
        ticket.answer(if at <= now { "woken\n" } else { "too early\n" }.to_owned());
    }

    fn on_shutdown(&mut self, _: &mut Shared, io: &mut Io<'_>) {
        self.stopping = true;
        if !self.in_flight {
            io.finish();
        }
    }
}

struct Server {
    reactor: Reactor<Lines>,
    jobs: Receiver<Job>,
    hold: Hold,
    epoch: Instant,
}

const ROOMY: Limits = Limits { connections_max: 100, connections_per_address_max: 100 };

fn serve(limits: Limits) -> Server {
    serve_exempting(limits, false)
}

/// A server on which the cap of connections per address holds for nobody, if `exempt`.
fn serve_exempting(limits: Limits, exempt: bool) -> Server {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(address, NonZeroUsize::MIN).unwrap();
    let (sender, jobs) = channel();
    let (hold, epoch) = (Arc::new(Barrier::new(2)), clock::now());
    let its_hold = Arc::clone(&hold);
    let reactor = reactor::start::<Lines, _>("test", listener, limits, move |_, mailbox| Shared {
        mailbox,
        jobs: sender.clone(),
        alarm: None,
        exempt,
        hold: Arc::clone(&its_hold),
        epoch,
    });
    Server { reactor: reactor.unwrap(), jobs, hold, epoch }
}

impl Server {
    fn connect(&self) -> Peer {
        let stream = TcpStream::connect(self.reactor.local_addr()).unwrap();
        // Only to turn a hang into a failure; no result depends on it.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // What is sent is there at once, and does not wait until the loop has read what was sent before.
        stream.set_nodelay(true).unwrap();
        Peer { reader: BufReader::new(stream) }
    }

    fn stop(self) {
        self.reactor.shut_down(Duration::from_secs(20));
    }
}

struct Peer {
    reader: BufReader<TcpStream>,
}

impl Peer {
    fn send(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).unwrap();
        rest
    }

    fn is_cut(&mut self) -> bool {
        matches!(self.reader.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

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
fn a_half_closed_peer_still_gets_its_answers() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    peer.send("work a\necho b\nquit\n");
    peer.reader.get_ref().shutdown(Shutdown::Write).unwrap();
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
fn a_deadline_fires_once() {
    let server = serve(ROOMY);
    let mut peer = server.connect();
    peer.send("wait first\nwait second\necho third\n");
    assert_eq!([peer.line(), peer.line(), peer.line()], ["first\n", "second\n", "third\n"]);
    server.stop();
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
fn connections_beyond_the_caps_are_turned_away_and_the_place_comes_back() {
    for (limits, refused) in [
        (Limits { connections_max: 2, connections_per_address_max: 100 }, "full"),
        (Limits { connections_max: 100, connections_per_address_max: 2 }, "address"),
    ] {
        let server = serve(limits);
        let counters = server.reactor.counters();
        let mut first = server.connect();
        let mut second = server.connect();
        for peer in [&mut first, &mut second] {
            peer.send("echo in\n");
            assert_eq!(peer.line(), "in\n");
        }
        assert!(server.connect().is_cut(), "{refused}");
        let counted = (counters.refused_full(), counters.refused_address());
        assert_eq!(counted, if refused == "full" { (1, 0) } else { (0, 1) });
        drop(first);
        while counters.open() > 1 {
            std::thread::yield_now();
        }
        let mut third = server.connect();
        third.send("echo in again\n");
        assert_eq!(third.line(), "in again\n");
        server.stop();
    }
}

#[test]
fn addresses_that_a_protocol_exempts_have_no_cap_of_their_own() {
    let limits = Limits { connections_max: 3, connections_per_address_max: 1 };
    let server = serve_exempting(limits, true);
    let counters = server.reactor.counters();
    let mut peers = [server.connect(), server.connect(), server.connect()];
    for peer in &mut peers {
        peer.send("echo in\n");
        assert_eq!(peer.line(), "in\n");
    }
    assert!(server.connect().is_cut(), "the cap of all connections holds");
    assert_eq!((counters.refused_full(), counters.refused_address()), (1, 0));
    drop(peers);
    while counters.open() > 0 {
        std::thread::yield_now();
    }
    let mut again = server.connect();
    again.send("echo in again\n");
    assert_eq!(again.line(), "in again\n");
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
