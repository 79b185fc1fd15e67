//! Each fault, as the parties see it on their sockets.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use harness::limits::HANG_GUARD;
use harness::until;
use rustix::net::sockopt::set_socket_linger;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A proxy before a server that is the test itself.
struct Bench {
    proxy: FaultProxy,
    server: TcpListener,
}

/// Both ends of a connection through the proxy.
struct Pair {
    client: TcpStream,
    server: TcpStream,
}

impl Bench {
    fn new() -> Self {
        Self::with(FaultProxy::before)
    }

    fn with(start: impl FnOnce(SocketAddr) -> FaultProxy) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { proxy: start(server.local_addr().unwrap()), server }
    }

    fn connect(&self) -> Pair {
        let client = TcpStream::connect(self.proxy.address()).unwrap();
        let (server, _) = self.server.accept().unwrap();
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(HANG_GUARD)).unwrap();
            socket.set_write_timeout(Some(HANG_GUARD)).unwrap();
        }
        Pair { client, server }
    }

    /// What has been passed on of the only connection: to the server, and to the client.
    fn traffic(&self) -> (Traffic, Traffic) {
        let [passing] = self.proxy.connections().try_into().unwrap();
        (passing.to_server, passing.to_client)
    }
}

/// What a party gets until the end, and how that comes.
fn rest(socket: &mut TcpStream) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut bytes = Vec::new();
    let end = socket.read_to_end(&mut bytes).map(|_| ()).map_err(|error| error.kind());
    (bytes, end)
}

fn exactly(socket: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    socket.read_exact(&mut bytes).unwrap();
    bytes
}

/// Whether there is nothing to read at this moment, not even an end.
fn is_silent(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let nothing = socket.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
    nothing
}

const RESET: Result<(), ErrorKind> = Err(ErrorKind::ConnectionReset);

#[test]
fn without_a_fault_all_passes_both_ways() {
    let bench = Bench::new();
    let Pair { mut client, mut server } = bench.connect();
    let long: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    thread::scope(|scope| {
        scope.spawn(|| client.write_all(&long).unwrap());
        assert_eq!(exactly(&mut server, long.len()), long);
    });
    server.write_all(b"answer").unwrap();
    assert_eq!(exactly(&mut client, 6), b"answer");
    let (to_server, to_client) = bench.traffic();
    assert_eq!((to_server.bytes, to_client.bytes), (1_000_000, 6));

    // A half-close passes on, and the other direction goes on.
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut server), (vec![], Ok(())));
    server.write_all(b"last words").unwrap();
    drop(server);
    assert_eq!(rest(&mut client), (b"last words".to_vec(), Ok(())));
    until("the connection to be forgotten", || bench.proxy.connections().is_empty().then_some(()));
    assert!(bench.proxy.report().ends_with(": Closed"), "{}", bench.proxy.report());
}

#[test]
fn a_reset_by_one_party_is_a_reset_for_the_other() {
    for client_resets in [true, false] {
        let Pair { mut client, mut server } = Bench::new().connect_and_keep();
        let (one, other) =
            if client_resets { (&mut client, &mut server) } else { (&mut server, &mut client) };
        one.write_all(b"before").unwrap();
        assert_eq!(exactly(other, 6), b"before");
        set_socket_linger(&*one, Some(Duration::ZERO)).unwrap();
        let (one, mut other) = if client_resets { (client, server) } else { (server, client) };
        drop(one);
        assert_eq!(rest(&mut other), (vec![], RESET));
    }
}

impl Bench {
    /// A pair whose proxy lives for as long as the test.
    fn connect_and_keep(self) -> Pair {
        let pair = self.connect();
        std::mem::forget(self);
        pair
    }
}

#[test]
fn a_server_that_is_not_there_is_a_reset() {
    let bench = Bench::new();
    drop(bench.server);
    let mut client = TcpStream::connect(bench.proxy.address()).unwrap();
    client.set_read_timeout(Some(HANG_GUARD)).unwrap();
    assert_eq!(rest(&mut client), (vec![], RESET));
    assert!(bench.proxy.report().ends_with(": Unreachable"), "{}", bench.proxy.report());
}

#[test]
fn latency_and_jitter_delay_and_keep_the_order() {
    let bench = Bench::new();
    bench.proxy.set(Who::New, Links::to_server(Link::default().latency(MS * 150).jitter(MS * 20)));
    let Pair { mut client, mut server } = bench.connect();
    let begin = Instant::now();
    for letter in b'a'..=b'z' {
        client.write_all(&[letter]).unwrap();
    }
    assert_eq!(exactly(&mut server, 26), (b'a'..=b'z').collect::<Vec<_>>());
    assert!(begin.elapsed() >= MS * 150);
    // The other direction is as it was: nothing of it is waited for.
    server.write_all(b"now").unwrap();
    assert_eq!(exactly(&mut client, 3), b"now");
}

#[test]
fn bandwidth_is_kept_within_a_wide_bound() {
    let bench = Bench::new();
    bench.proxy.set(Who::New, Links::to_client(Link::default().bytes_per_second(20_000)));
    let Pair { mut client, mut server } = bench.connect();
    let begin = Instant::now();
    server.write_all(&[b'x'; 40_000]).unwrap();
    assert_eq!(exactly(&mut client, 40_000).len(), 40_000);
    let took = begin.elapsed();
    assert!((MS * 1_900..MS * 30_000).contains(&took), "{took:?}");
}

#[test]
fn single_bytes_are_single_writes() {
    let bench = Bench::new();
    bench.proxy.set(Who::New, Links::to_server(Link::default().single_bytes()));
    let Pair { mut client, mut server } = bench.connect();
    let long: Vec<u8> = (0..5_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    client.write_all(&long).unwrap();
    assert_eq!(exactly(&mut server, long.len()), long);
    assert_eq!(bench.traffic().0, Traffic { bytes: 5_000, writes: 5_000 });
}

#[test]
fn a_black_hole_takes_everything_and_shows_nothing_until_it_is_closed() {
    let bench = Bench::new();
    let Pair { mut client, mut server } = bench.connect();
    bench.proxy.set(Who::Open, Links::both(Link::default().black_hole()));
    client.write_all(b"to the server").unwrap();
    server.write_all(b"to the client").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    // Whatever is to pass has passed once another connection has: they have one thread.
    let mut other = bench.connect();
    other.client.write_all(b"x").unwrap();
    assert_eq!(exactly(&mut other.server, 1), b"x");
    assert!(is_silent(&client) && is_silent(&server));
    // Nor does a new one show anything, although it is taken.
    bench.proxy.set(Who::All, Links::both(Link::default().black_hole()));
    let Pair { client: silent, server: mut greeting } = bench.connect();
    greeting.write_all(b"welcome").unwrap();
    assert!(bench.proxy.connections().iter().all(|passing| passing.to_client.bytes == 0));
    assert!(is_silent(&silent));

    bench.proxy.heal();
    assert_eq!(exactly(&mut server, 13), b"to the server");
    assert_eq!(rest(&mut client), (b"to the client".to_vec(), Ok(())));
}

#[test]
fn a_black_hole_can_close_by_itself() {
    let bench = Bench::new();
    bench.proxy.set(Who::New, Links::to_client(Link::default().pause(4, MS * 200)));
    let Pair { mut client, mut server } = bench.connect();
    let begin = Instant::now();
    server.write_all(b"one, two").unwrap();
    assert_eq!(exactly(&mut client, 8), b"one, two");
    assert!(begin.elapsed() >= MS * 200);
}

#[test]
fn a_sender_into_a_black_hole_is_held_back() {
    let bench = Bench::new();
    bench.proxy.set(Who::New, Links::to_server(Link::default().black_hole()));
    let Pair { mut client, server } = bench.connect();
    client.set_nonblocking(true).unwrap();
    let piece = [0; 64 * 1024];
    let taken = (0..1_000).take_while(|_| client.write(&piece).is_ok()).count();
    assert!(taken < 1_000, "64 MiB were taken");
    assert!(is_silent(&server));
}

#[test]
fn a_reset_comes_after_exactly_so_many_bytes() {
    let bench = Bench::new();
    bench.proxy.set(Who::New, Links::to_client(Link::default().end(Ending::Reset, 10)));
    let Pair { mut client, mut server } = bench.connect();
    server.write_all(b"0123456789 and more").unwrap();
    assert_eq!(rest(&mut client), (b"0123456789".to_vec(), RESET));
    assert_eq!(rest(&mut server), (vec![], RESET));
    assert!(bench.proxy.report().ends_with(": Reset"), "{}", bench.proxy.report());
}

#[test]
fn a_cut_is_an_end_in_order_for_both() {
    let bench = Bench::new();
    bench.proxy.set(Who::New, Links::to_server(Link::default().end(Ending::Cut, 3)));
    let Pair { mut client, mut server } = bench.connect();
    client.write_all(b"012 and more").unwrap();
    assert_eq!(rest(&mut server), (b"012".to_vec(), Ok(())));
    assert_eq!(rest(&mut client), (vec![], Ok(())));
    drop((client, server));
    until("the connection to be forgotten", || bench.proxy.connections().is_empty().then_some(()));
    assert!(bench.proxy.report().ends_with(": Cut"), "{}", bench.proxy.report());
}

#[test]
fn a_half_close_ends_one_direction_alone() {
    let bench = Bench::new();
    bench.proxy.set(Who::New, Links::to_client(Link::default().end(Ending::HalfClose, 3)));
    let Pair { mut client, mut server } = bench.connect();
    server.write_all(b"012 and more").unwrap();
    assert_eq!(rest(&mut client), (b"012".to_vec(), Ok(())));
    client.write_all(b"still here").unwrap();
    assert_eq!(exactly(&mut server, 10), b"still here");
}

#[test]
fn refused_connections_are_refused_and_open_ones_go_on() {
    let bench = Bench::new();
    let Pair { mut client, mut server } = bench.connect();
    bench.proxy.refuse();
    let refused = TcpStream::connect(bench.proxy.address()).unwrap_err().kind();
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    client.write_all(b"open").unwrap();
    assert_eq!(exactly(&mut server, 4), b"open");
    bench.proxy.accept_again();
    let mut again = bench.connect();
    again.client.write_all(b"again").unwrap();
    assert_eq!(exactly(&mut again.server, 5), b"again");
    assert_eq!(bench.proxy.opened(), 2);
}

#[test]
fn links_are_set_for_those_that_they_are_for() {
    let bench = Bench::new();
    let (mut one, mut two) = (bench.connect(), bench.connect());
    let number = bench.proxy.connections()[1].number;
    let reset = || Links::both(Link::default().end(Ending::Reset, 0));
    bench.proxy.set(Who::One(number), reset());
    assert_eq!(rest(&mut two.client), (vec![], RESET));
    one.client.write_all(b"x").unwrap();
    assert_eq!(exactly(&mut one.server, 1), b"x");

    bench.proxy.set(Who::New, reset());
    one.client.write_all(b"y").unwrap();
    assert_eq!(exactly(&mut one.server, 1), b"y");
    let mut new = TcpStream::connect(bench.proxy.address()).unwrap();
    assert_eq!(rest(&mut new), (vec![], RESET));

    bench.proxy.end_all(Ending::Cut);
    assert_eq!(rest(&mut one.client), (vec![], Ok(())));
}

#[test]
fn the_same_seed_does_the_same_to_real_connections() {
    /// How many bytes reach each of 20 clients, and how that ends.
    fn outcomes(seed: u64) -> Vec<(usize, Result<(), ErrorKind>)> {
        let menu = vec![
            Fault::SingleBytes.one_in(3),
            Fault::Jitter(1..=5).one_in(3),
            Fault::End(Ending::Cut, 0..=2_000).one_in(2),
            Fault::End(Ending::Reset, 0..=2_000).one_in(2),
        ];
        let bench = Bench::with(|it| FaultProxy::with_schedule(it, Schedule::new(seed, menu)));
        let talk = |_| {
            let mut client = TcpStream::connect(bench.proxy.address()).unwrap();
            client.set_read_timeout(Some(HANG_GUARD)).unwrap();
            // The connection of one that is reset at once need not reach the server.
            let mut server = bench.server.accept().unwrap().0;
            let _ = server.write_all(&[b'x'; 1_000]);
            let _ = server.shutdown(Shutdown::Write);
            let (bytes, end) = rest(&mut client);
            (bytes.len(), end)
        };
        (0..20).map(talk).collect()
    }
    let first = outcomes(11);
    assert_eq!(first, outcomes(11));
    assert_ne!(first, outcomes(12));
    assert!(first.iter().any(|(_, end)| *end == RESET), "{first:?}");
    assert!(first.iter().any(|(bytes, _)| *bytes == 1_000), "{first:?}");
}

#[test]
fn a_report_names_the_seed_and_every_connection() {
    let schedule = Schedule::new(42, vec![Fault::End(Ending::Cut, 5..=5).one_in(1)]);
    let bench = Bench::with(|it| FaultProxy::with_schedule(it, schedule));
    let Pair { mut client, mut server } = bench.connect();
    server.write_all(b"0123456789").unwrap();
    assert_eq!(rest(&mut client), (b"01234".to_vec(), Ok(())));
    let report = bench.proxy.report();
    assert!(report.contains("schedule of seed 42, 1 connections so far"), "{report}");
    assert!(
        report.contains("connection 0 (to the server cut after 5 bytes; to the client"),
        "{report}"
    );
    assert!(report.contains("5 bytes in 1 writes to the client"), "{report}");
}

#[test]
fn a_proxy_has_one_thread_and_ends_with_its_owner() {
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let bench = Bench::new();
    let before = threads();
    let mut pairs: Vec<Pair> = (0..100).map(|_| bench.connect()).collect();
    // Other tests of this process may start or end threads of theirs.
    assert!(threads() < before + 100);
    let address = bench.proxy.address();
    drop(bench);
    assert_eq!(rest(&mut pairs[0].client), (vec![], RESET));
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
