//! The protocol of lines, a server of it, and its peers.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use clock::Movable;
use reactor::testing::{connection_id, limit_send_buffers};
use reactor::{
    ConnectionId, Counters, Io, Limits, Listener, Mailbox, Protocol, Reactor, Ticket, start,
};
use socket2::{Domain, Socket, Type};

/// Answers `echo TEXT` with `TEXT`, `big N` with N bytes, `quit` with `bye` and a close; hands
/// `work TEXT` to the test, which plays the worker; `wait TEXT` answers after a deadline; `alarm`
/// answers when the loop wakes by itself; `doze` leaves after a deadline if nothing comes before it; `keep N` has the
/// protocol hold N bytes. `hold` keeps the loop until the test lets it go on, and
/// `age NANOSECONDS` answers whether the time that the loop tells is at least so long after `epoch`.
pub(crate) struct Lines {
    in_flight: bool,
    stopping: bool,
    waiting: Option<Vec<u8>>,
    /// When the last line was answered, or the connection was opened.
    rested_at: Instant,
}

pub(crate) struct Shared {
    number: usize,
    mailbox: Mailbox<String>,
    jobs: Sender<Job>,
    alarm: Option<(Instant, Ticket<String>)>,
    exempt: bool,
    hold: Hold,
    epoch: Instant,
    turns: Arc<AtomicU64>,
}

/// Where the loop meets the test: it arrives, and goes on when the test does.
pub(crate) type Hold = Arc<Barrier>;

pub(crate) struct Job {
    pub(crate) text: String,
    pub(crate) ticket: Ticket<String>,
    pub(crate) id: ConnectionId,
    pub(crate) loop_number: usize,
    pub(crate) mailbox: Mailbox<String>,
}

pub(crate) const LINE_BYTES_MAX: usize = 256;

/// What `wait`, `alarm` and `doze` wait for.
pub(crate) const MOMENT: Duration = Duration::from_millis(20);

/// What the server's kernel takes of an answer that nobody reads, or a little more.
const SEND_BUFFER_BYTES: usize = 16 * 1024;

/// An answer that does not fit both kernels while nobody reads it.
pub(crate) const LARGE: usize = 1_500_000;

/// What a rejected connection is sent.
pub(crate) const REJECTION: &str = "full\n";

impl Protocol for Lines {
    type Shared = Shared;
    type Completion = String;
    const INPUT_BYTES_MAX: usize = LINE_BYTES_MAX + 1;

    fn is_capped(_: IpAddr, shared: &Shared) -> bool {
        !shared.exempt
    }

    fn rejection(_: &Shared) -> &[u8] {
        REJECTION.as_bytes()
    }

    fn open(_: &mut Shared, io: &mut Io<'_>) -> Self {
        Self { in_flight: false, stopping: false, waiting: None, rested_at: io.now() }
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
        self.rested_at = io.now();
        io.set_deadline(None);
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
                let (text, id) = (text.to_owned(), io.id());
                let job = Job { text, ticket, id, loop_number: shared.number, mailbox };
                shared.jobs.send(job).unwrap();
            }
            "wait" => {
                self.waiting = Some(format!("{text}\n").into_bytes());
                io.set_deadline(Some(io.now() + MOMENT));
                io.pause_input();
            }
            "doze" => io.set_deadline(Some(io.now() + MOMENT)),
            "keep" => io.hold(text.parse().unwrap()),
            "alarm" => {
                self.in_flight = true;
                io.pause_input();
                let unanswered = "unanswered\n".to_owned();
                let ticket = Ticket::new(shared.mailbox.clone(), io.id(), unanswered);
                shared.alarm = Some((io.now() + MOMENT, ticket));
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
        self.rested_at = io.now();
        io.output().extend_from_slice(completion.as_bytes());
        io.resume_input();
        if self.stopping {
            io.finish();
        }
    }

    fn on_deadline(&mut self, _: &mut Shared, io: &mut Io<'_>) {
        match self.waiting.take() {
            Some(text) => {
                io.output().extend_from_slice(&text);
                io.resume_input();
            }
            None => io.leave(),
        }
    }

    fn idle_since(&self, _: Option<Instant>, _: &Shared) -> Option<Instant> {
        (!self.in_flight && self.waiting.is_none()).then_some(self.rested_at)
    }

    fn wake_at(shared: &Shared) -> Option<Instant> {
        shared.alarm.as_ref().map(|(at, _)| *at)
    }

    fn on_wake(shared: &mut Shared, now: Instant) {
        let (at, ticket) = shared.alarm.take().expect("it was told when");
        ticket.answer(if at <= now { "woken\n" } else { "too early\n" }.to_owned());
    }

    fn on_turn_end(shared: &mut Shared) {
        shared.turns.fetch_add(1, Ordering::SeqCst);
    }

    fn on_shutdown(&mut self, _: &mut Shared, io: &mut Io<'_>) {
        self.stopping = true;
        if !self.in_flight {
            io.finish();
        }
    }
}

pub(crate) struct Server {
    pub(crate) reactor: Reactor<Lines>,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) hold: Hold,
    pub(crate) epoch: Instant,
    mailboxes: Vec<Mailbox<String>>,
    turns: Arc<AtomicU64>,
    pub(crate) clock: Option<Movable>,
}

pub(crate) const ROOMY: Limits =
    Limits { connections_max: 100, connections_per_address_max: 100, buffer_bytes_max: 64 << 20 };

/// How a server of lines is started.
pub(crate) struct Options {
    pub(crate) limits: Limits,
    pub(crate) loops: usize,
    /// Whether the cap of connections per address holds for nobody.
    pub(crate) exempt: bool,
    /// Whether time stands still for the server and the test, but for [`Server::pass`].
    pub(crate) stopped_clock: bool,
    /// Whether the kernel takes little of what the server sends.
    pub(crate) small_buffers: bool,
}

impl Options {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, loops: 1, exempt: false, stopped_clock: false, small_buffers: false }
    }
}

pub(crate) fn serve(limits: Limits) -> Server {
    serve_as(&Options::new(limits))
}

/// A server whose time passes when the test says so.
pub(crate) fn serve_stopped(limits: Limits) -> Server {
    serve_as(&Options { stopped_clock: true, small_buffers: true, ..Options::new(limits) })
}

pub(crate) fn serve_as(options: &Options) -> Server {
    let Options { limits, loops, exempt, stopped_clock, small_buffers } = *options;
    let clock = stopped_clock.then(Movable::stopped);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(address, NonZeroUsize::new(loops).unwrap()).unwrap();
    if small_buffers {
        limit_send_buffers(&listener, SEND_BUFFER_BYTES);
    }
    let (sender, jobs) = channel();
    let (mailbox_sender, mailboxes) = channel();
    let (hold, epoch) = (Arc::new(Barrier::new(2)), clock::now());
    let turns = Arc::new(AtomicU64::new(0));
    let (its_hold, its_turns) = (Arc::clone(&hold), Arc::clone(&turns));
    let reactor = start::<Lines, _>("test", listener, limits, move |number, mailbox| {
        mailbox_sender.send(mailbox.clone()).unwrap();
        Shared {
            number,
            mailbox,
            jobs: sender.clone(),
            alarm: None,
            exempt,
            hold: Arc::clone(&its_hold),
            epoch,
            turns: Arc::clone(&its_turns),
        }
    });
    let mailboxes = mailboxes.iter().take(loops).collect();
    Server { reactor: reactor.unwrap(), jobs, hold, epoch, mailboxes, turns, clock }
}

impl Server {
    pub(crate) fn connect(&self) -> Peer {
        Self::peer(TcpStream::connect(self.reactor.local_addr()).unwrap())
    }

    /// A peer whose kernel takes little before the peer reads.
    pub(crate) fn connect_narrow(&self) -> Peer {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&self.reactor.local_addr().into()).unwrap();
        Self::peer(socket.into())
    }

    fn peer(stream: TcpStream) -> Peer {
        // Only to turn a hang into a failure; no result depends on it.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        // What is sent is there at once, and does not wait until the loop has read what was sent before.
        stream.set_nodelay(true).unwrap();
        Peer { reader: BufReader::new(stream) }
    }

    /// A connection that has been accepted and served.
    pub(crate) fn connect_and_echo(&self) -> Peer {
        let mut peer = self.connect();
        peer.echo();
        peer
    }

    /// Lets time pass, and the loop see it.
    pub(crate) fn pass(&self, time: Duration) {
        self.advance(time);
        self.turn();
    }

    /// Lets time pass, for when the loop looks.
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.as_ref().expect("a server whose clock stands still").advance(time);
    }

    /// Returns when the only loop has been through some more turns.
    pub(crate) fn turn(&self) {
        let [mailbox] = &self.mailboxes[..] else { panic!("one loop") };
        // The first may have begun before. A timer's work can take the next turn, and the one after that.
        for _ in 0..5 {
            let before = self.turns.load(Ordering::SeqCst);
            mailbox.post(connection_id(u32::MAX), String::new());
            self.until(|_| self.turns.load(Ordering::SeqCst) > before);
        }
    }

    /// Waits for what the counters will tell.
    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "the test's own time may stand still")]
    pub(crate) fn until(&self, done: impl Fn(&Counters) -> bool) {
        let counters = self.reactor.counters();
        let begun = Instant::now();
        while !done(&counters) {
            assert!(begun.elapsed() < Duration::from_secs(20), "in vain: {counters:?}");
            thread::yield_now();
        }
    }

    pub(crate) fn stop(self) {
        let Self { reactor, clock, .. } = self;
        let Some(clock) = clock else { return reactor.shut_down(Duration::from_secs(20)) };
        // Where time stands still, a grace would never end.
        let stopping = clock::spawn(thread::Builder::new(), || reactor.shut_down(Duration::ZERO));
        let stopping = stopping.unwrap();
        while !stopping.is_finished() {
            clock.advance(Duration::from_millis(1));
            thread::yield_now();
        }
        stopping.join().unwrap();
    }
}

pub(crate) struct Peer {
    pub(crate) reader: BufReader<TcpStream>,
}

impl Peer {
    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    #[track_caller]
    pub(crate) fn echo(&mut self) {
        self.send("echo here\n");
        assert_eq!(self.line(), "here\n");
    }

    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Waits for the end of the connection; false if something comes first, or nothing.
    pub(crate) fn is_cut(&mut self) -> bool {
        match self.reader.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Whether the connection is there, and has nothing to tell.
    pub(crate) fn is_open(&self) -> bool {
        self.stream().set_nonblocking(true).unwrap();
        let peeked = self.stream().peek(&mut [0; 1]);
        self.stream().set_nonblocking(false).unwrap();
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}
