//! The memory for buffers: many who hold much of it get no more than there is, keep nobody from being served, and it goes
//! back when they have gone.

use std::{
    io::{ErrorKind, Write},
    net::TcpStream,
    process,
    time::Instant,
};

use e2e::{Program, System, resident_bytes, run_to_end, until};
use socket2::{Domain, Socket, Type};

use crate::{PASSWORD, descriptors::set_open_files_max};

const MIB: u64 = 1 << 20;

/// What a front may use here; the least that can be set.
const BUDGET: u64 = 8 * MIB;

/// One connection may be in the middle of taking more when it is used up.
const OVERDRAFT: u64 = MIB / 2;

/// What has come of a head that does not end.
const HEAD_BYTES: usize = 15_000;

/// What is resident beside it may vary by: the allocator keeps some of what was freed.
const RESIDENT_SLACK: u64 = 12 * MIB;

struct Front {
    system: System,
    begun: Instant,
    resident_before: u64,
}

impl Front {
    fn start(buffer_memory: &str) -> Self {
        let flags = ["--buffer-memory", buffer_memory, "--loops", "1"];
        let mut system = System::builder().front_flags(&flags).start();
        let user = system.client();
        user.register("ada", PASSWORD).assert_status(200);
        let resident_before = resident_bytes(system.front().pid());
        Self { system, begun: Instant::now(), resident_before }
    }

    fn metric(&mut self, name: &str) -> u64 {
        let metrics = self.system.front().ops().get("/metrics", None).assert_status(200);
        let name = format!("http_front_{name}{{listener=\"http\"}} ");
        let text = metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        let value = value.unwrap_or_else(|| panic!("no {name} in {text}"));
        // Gauges are written with a fraction.
        value.strip_suffix(".0").unwrap_or(value).parse().expect("a whole number")
    }

    /// Checks what holds while a crowd holds all that it can.
    #[track_caller]
    fn check_under_pressure(&mut self) {
        until("somebody to be closed", || {
            (self.metric("connections_closed_for_memory_total") > 0).then_some(())
        });
        let bytes = self.metric("buffer_bytes");
        assert!(bytes <= BUDGET + OVERDRAFT, "{bytes} bytes");
        let resident = resident_bytes(self.system.front().pid());
        let most = self.resident_before + BUDGET + OVERDRAFT + RESIDENT_SLACK;
        assert!(resident < most, "{resident} bytes resident, allowed are {most}");
        let user = self.system.client();
        let token = user.log_in("ada", PASSWORD);
        for _ in 0..20 {
            user.session(&token).assert_status(200);
        }
        let log = self.system.front().log();
        let lines = log.matches("memory for buffers used up").count() as u64;
        let passed = self.begun.elapsed().as_secs();
        assert!((1..=1 + passed / 10).contains(&lines), "{lines} lines in {passed} s");
    }

    /// Checks that nothing is kept of a crowd that has gone.
    #[track_caller]
    fn check_afterwards(&mut self) {
        until("the memory to go back", || {
            (self.metric("connections_open") <= 4 && self.metric("buffer_bytes") < MIB / 4)
                .then_some(())
        });
    }
}

/// Sends as much of `bytes` as the server takes without being read. The kernel takes little of what comes back.
fn connect_and_send(front: &mut Front, bytes: &[u8]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("any size is allowed");
    socket.connect(&front.system.front().address().into()).expect("it listens");
    let mut stream = TcpStream::from(socket);
    stream.set_nonblocking(true).expect("any socket can");
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // It may have been closed already, for those that came before it.
            Err(_) => break,
        }
    }
    stream
}

fn endless_head() -> Vec<u8> {
    [&b"GET /nowhere HTTP/1.1\r\nHost: a\r\nX: "[..], &vec![b'x'; HEAD_BYTES]].concat()
}

#[test]
fn readers_that_do_not_read() {
    let mut front = Front::start("8MiB");
    let requests = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000);
    let crowd: Vec<_> = (0..200).map(|_| connect_and_send(&mut front, &requests)).collect();
    front.check_under_pressure();
    drop(crowd);
    front.check_afterwards();
}

#[test]
fn heads_that_do_not_end() {
    let mut front = Front::start("8MiB");
    let crowd: Vec<_> = (0..700).map(|_| connect_and_send(&mut front, &endless_head())).collect();
    front.check_under_pressure();
    drop(crowd);
    front.check_afterwards();
}

#[test]
fn the_system_has_back_what_a_crowd_held() {
    const CROWD: u64 = 2_500;
    const HELD: u64 = CROWD * HEAD_BYTES as u64;
    let mut front = Front::start("64MiB");
    set_open_files_max(process::id(), "3000");
    let crowd: Vec<_> = (0..CROWD).map(|_| connect_and_send(&mut front, &endless_head())).collect();
    until("the crowd to be received", || (front.metric("buffer_bytes") >= HELD).then_some(()));
    assert_eq!(front.metric("connections_closed_for_memory_total"), 0);
    assert!(resident_bytes(front.system.front().pid()) > front.resident_before + HELD / 2);
    drop(crowd);
    front.check_afterwards();
    // Nothing that was allocated meanwhile and stays keeps the allocator from giving it back.
    until("the system to have it", || {
        let resident = resident_bytes(front.system.front().pid());
        (resident < front.resident_before + RESIDENT_SLACK).then_some(())
    });
}

#[test]
fn more_than_the_machine_has_is_refused() {
    let output = run_to_end(
        Program::HttpFront,
        &["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--buffer-memory", "1024GiB"],
        &[],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for word in ["--buffer-memory does not fit", "1024GiB for buffers", "auto"] {
        assert!(said.contains(word), "no {word:?} in:\n{said}");
    }
}
