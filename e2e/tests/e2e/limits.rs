//! More connections and slower senders than a server would like. Too few files are in `descriptors.rs`.

use e2e::{Client, RawConnection, System, until};

use crate::PASSWORD;

const REQUEST: &[u8] = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";

/// Whether a request is answered, and not by being turned away.
fn is_served(connection: &mut RawConnection) -> bool {
    let answer =
        if connection.try_send(REQUEST).is_ok() { connection.answer_or_close() } else { None };
    if let Some(answer) = &answer
        && answer.status == 503
    {
        assert_eq!(answer.problem_code(), "too_many_connections");
        assert!(answer.field("retry-after").is_some(), "{answer:?}");
    }
    answer.is_some_and(|answer| answer.status == 404)
}

/// Opens more connections than there may be: as many are served, and the rest are closed by the server.
#[track_caller]
fn check_cap(system: &System, cap: usize) {
    let mut open: Vec<RawConnection> = (0..cap * 4).map(|_| system.raw_http()).collect();
    let mut served: Vec<RawConnection> = Vec::new();
    for mut connection in open.drain(..) {
        if is_served(&mut connection) {
            served.push(connection);
        }
    }
    // A loop that has nobody to evict turns a newcomer away and has the other evict one, for the next.
    assert!((cap - 1..=cap).contains(&served.len()), "{} of {cap} were served", served.len());
    // Those that are in stay in.
    assert!(served.iter_mut().all(is_served));
    // Room that is given back is there for the next.
    drop(served);
    until("room for a new connection", || is_served(&mut system.raw_http()).then_some(()));
}

#[test]
fn connections_are_capped_in_all() {
    let flags = ["--connections-max", "8", "--loops", "2"];
    check_cap(&System::builder().front_flags(&flags).start(), 8);
}

#[test]
fn connections_are_capped_for_an_address() {
    let flags = ["--connections-per-address-max", "8", "--loops", "2"];
    check_cap(&System::builder().front_flags(&flags).start(), 8);
}

#[test]
fn slow_senders_are_cut_and_cannot_extend_their_time() {
    let system = System::start();
    let head =
        b"POST /open_api/v1/register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let with_length = [head, &b"Content-Length: 100\r\n\r\n"[..]].concat();
    let chunked = [head, &b"Transfer-Encoding: chunked\r\n\r\n"[..]].concat();
    std::thread::scope(|scope| {
        // What was sent at first, and what trickles in from then on.
        for (first, drop) in
            [(&head[..], &b"X: y\r\n"[..]), (&with_length, b" "), (&chunked, b"1\r\n \r\n")]
        {
            let mut connection = system.raw_http();
            scope.spawn(move || {
                connection.send(first);
                let mut sender = connection.another_handle();
                let trickle = std::thread::spawn(move || {
                    while sender.try_send(drop).is_ok() {
                        std::thread::sleep(e2e::limits::POLL_PAUSE * 25);
                    }
                });
                let answer = connection.answer().assert_status(408);
                assert_eq!(answer.field("connection"), Some("close"));
                connection.assert_closed();
                trickle.join().expect("sending fails once the server has closed");
            });
        }
    });
    system.client().authenticate("ada", PASSWORD).assert_status(404);
}

#[test]
fn a_reader_that_reads_nothing_costs_a_bounded_amount() {
    let mut system = System::start();
    let front = system.front();
    let (ops, pid, address) = (front.ops(), front.pid(), front.address());
    let before = e2e::resident_bytes(pid);
    // Answers to these would take hundreds of megabytes if they were kept.
    let batch = REQUEST.repeat(1000);
    let mut greedy = RawConnection::open(address);
    let sent = (0..400).take_while(|_| greedy.send_without_waiting(&batch)).count();
    assert!(sent < 400, "the server goes on reading from one who does not");
    ops.get("/healthz", None).assert_status(200);
    Client::new(address).get("/nowhere", None).assert_status(404);
    let grown = e2e::resident_bytes(pid).saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "grown by {grown} bytes");
}
