//! The floor: what any HTTP server on epoll has to pay for a request.
//!
//! `floor ADDRESS ANSWER_FILE LOOPS` answers whatever ends in an empty line with the bytes of the file. Its
//! loops have each their own `SO_REUSEPORT` listener, as http_front's have. Edge-triggered: one
//! read, one write for all requests of that read, no clock, no timer, no limit, no parsing. Requests that
//! are cut in two and answers that do not fit into the socket are handled, because load generators may
//! bring both about, but not fast.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;

use memchr::memmem::Finder;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, Socket, Type};

const READ_BYTES: usize = 64 * 1024;
const EVENTS: usize = 1024;
const LISTENER: u64 = u64::MAX;
/// Of a pipelined batch; as many as http_front takes in one turn.
const ANSWERS_MAX: usize = 256;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, file, loops] = &arguments[..] else {
        eprintln!("usage: floor ADDRESS ANSWER_FILE LOOPS");
        return ExitCode::from(2);
    };
    match run(address, file, loops) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str, file: &str, loops: &str) -> io::Result<()> {
    let mut address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let answer = std::fs::read(file)?;
    let loops: usize = loops.parse().map_err(io::Error::other)?;
    let mut threads = Vec::new();
    for _ in 0..loops {
        let listener = bind(address)?;
        address = listener.local_addr()?;
        // A batch is one write: as many answers in a row as there can be requests in it.
        let answers = answer.repeat(ANSWERS_MAX);
        let one = answer.len();
        threads.push(std::thread::spawn(move || Loop::new(listener, answers, one)?.run()));
    }
    println!("ready {address}");
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a loop panicked"))??;
    }
    Ok(())
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

struct Loop {
    epoll: OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    answers: Vec<u8>,
    answer_bytes: usize,
    blank_line: Finder<'static>,
}

struct Connection {
    stream: TcpStream,
    /// The begin of a request whose end has not come.
    rest: Vec<u8>,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

impl Loop {
    fn new(listener: TcpListener, answers: Vec<u8>, answer_bytes: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let blank_line = Finder::new(b"\r\n\r\n");
        Ok(Self { epoll, listener, connections: Vec::new(), answers, answer_bytes, blank_line })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        let mut scratch = vec![0; READ_BYTES];
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                let number = event.data.u64();
                if number == LISTENER {
                    self.accept()?;
                } else {
                    let index = usize::try_from(number).map_err(io::Error::other)?;
                    self.serve(index, &mut scratch);
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let free = self.connections.iter().position(Option::is_none);
            let index = free.unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), flags)?;
            self.connections[index] =
                Some(Connection { stream, rest: Vec::new(), unsent: Vec::new() });
        }
        Ok(())
    }

    fn serve(&mut self, index: usize, scratch: &mut [u8]) {
        let Some(connection) = &mut self.connections[index] else { return };
        if connection.flush().is_none()
            || connection
                .answer(scratch, &self.answers, self.answer_bytes, &self.blank_line)
                .is_none()
        {
            self.connections[index] = None;
        }
    }
}

/// `None` means that the connection is over.
impl Connection {
    fn answer(
        &mut self,
        scratch: &mut [u8],
        answers: &[u8],
        answer_bytes: usize,
        blank_line: &Finder<'_>,
    ) -> Option<()> {
        while self.unsent.is_empty() {
            let count = match recv(&self.stream, &mut *scratch, RecvFlags::empty()) {
                Ok((0, _)) => return None,
                Ok((count, _)) => count,
                Err(Errno::AGAIN) => return Some(()),
                Err(_) => return None,
            };
            let requests = if self.rest.is_empty() {
                let (requests, end) = count_requests(&scratch[..count], blank_line);
                self.rest.extend_from_slice(&scratch[end..count]);
                requests
            } else {
                self.rest.extend_from_slice(&scratch[..count]);
                let (requests, end) = count_requests(&self.rest, blank_line);
                self.rest.drain(..end);
                requests
            };
            let mut left = requests;
            while left > 0 {
                let batch = left.min(ANSWERS_MAX);
                self.send(&answers[..batch * answer_bytes])?;
                left -= batch;
            }
            // A short read has emptied the socket; the next byte raises a new edge.
            if count < scratch.len() {
                break;
            }
        }
        Some(())
    }

    fn send(&mut self, bytes: &[u8]) -> Option<()> {
        let sent = if self.unsent.is_empty() { send_some(&self.stream, bytes)? } else { 0 };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Some(())
    }

    fn flush(&mut self) -> Option<()> {
        if !self.unsent.is_empty() {
            let sent = send_some(&self.stream, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        Some(())
    }
}

fn send_some(stream: &TcpStream, bytes: &[u8]) -> Option<usize> {
    match send(stream, bytes, SendFlags::NOSIGNAL) {
        Ok(count) => Some(count),
        Err(Errno::AGAIN) => Some(0),
        Err(_) => None,
    }
}

/// How many requests end in `bytes`, and where the last of them does.
fn count_requests(bytes: &[u8], blank_line: &Finder<'_>) -> (usize, usize) {
    let (mut requests, mut end) = (0, 0);
    while let Some(at) = blank_line.find(&bytes[end..]) {
        requests += 1;
        end += at + 4;
    }
    (requests, end)
}
