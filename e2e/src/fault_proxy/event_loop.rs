//! The one thread of a proxy: all its connections, its listener, and what the test asks of it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use harness::Port;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connection::{Connection, Fate, Interest, reset_when_dropped};
use super::limits::{CONNECTIONS_MAX, REPORTED_MAX};
use super::link::Links;
use super::random::Random;
use super::relay::Traffic;
use super::schedule::Schedule;

/// What the test asks of the thread.
pub(super) type Order = Box<dyn FnOnce(&mut State) + Send>;

/// Everything that the thread has.
pub(super) struct State {
    port: Port,
    /// None while connections are refused.
    listener: Option<TcpListener>,
    /// Where new connections go.
    pub(super) upstream: SocketAddr,
    pub(super) rules: Rules,
    pub(super) connections: BTreeMap<u64, Connection>,
    /// How many there have been; the number of the next.
    pub(super) opened: u64,
    ended: VecDeque<String>,
    random: Random,
    pub(super) is_over: bool,
}

/// What a new connection meets.
pub(super) enum Rules {
    Same(Links),
    Drawn(Schedule),
}

impl State {
    pub(super) fn new(upstream: SocketAddr, rules: Rules) -> io::Result<Self> {
        let seed = if let Rules::Drawn(schedule) = &rules { schedule.seed() } else { 0 };
        let mut state = Self {
            port: Port::free()?,
            listener: None,
            upstream,
            rules,
            connections: BTreeMap::new(),
            opened: 0,
            ended: VecDeque::new(),
            random: Random::new(seed),
            is_over: false,
        };
        state.listen()?;
        Ok(state)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Takes connections again.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            let listener = TcpListener::bind(self.address())?;
            listener.set_nonblocking(true)?;
            self.listener = Some(listener);
        }
        Ok(())
    }

    /// Takes none. The port stays: a socket that does not listen is bound to it, so the kernel refuses.
    pub(super) fn refuse(&mut self) {
        self.listener = None;
    }

    /// Runs until [`is_over`](Self::is_over). `waker` is readable when there are orders.
    pub(super) fn run(mut self, orders: &Receiver<Order>, mut waker: UnixStream) {
        loop {
            while let Ok(order) = orders.try_recv() {
                order(&mut self);
            }
            if self.is_over {
                break;
            }
            let interests = self.turn(Instant::now());
            self.wait(&interests, &waker).expect("the proxy can wait");
            // One byte an order, and what was read is not looked at.
            let _ = waker.read(&mut [0; 64]);
            self.accept();
        }
        for connection in self.connections.values() {
            connection.reset(Fate::Reset);
        }
    }

    /// Lets every connection do what it can, and forgets those that have ended.
    fn turn(&mut self, now: Instant) -> Vec<(u64, Interest)> {
        let mut interests = Vec::new();
        let mut ended = Vec::new();
        for (number, connection) in &mut self.connections {
            match connection.turn(now) {
                Ok(interest) => interests.push((*number, interest)),
                Err(fate) => ended.push((*number, fate)),
            }
        }
        for (number, fate) in ended {
            if let Some(connection) = self.connections.remove(&number) {
                if self.ended.len() == REPORTED_MAX {
                    self.ended.pop_front();
                }
                self.ended.push_back(format!("{}: {fate:?}", describe(number, &connection)));
            }
        }
        interests
    }

    /// Blocks until something can be done, and notes what.
    fn wait(&mut self, interests: &[(u64, Interest)], waker: &UnixStream) -> io::Result<()> {
        let mut sockets: Vec<PollFd<'_>> = vec![PollFd::new(waker, PollFlags::IN)];
        sockets.extend(self.listener.iter().map(|it| PollFd::new(it, PollFlags::IN)));
        let first = sockets.len();
        let mut owners = Vec::new();
        for (number, interest) in interests {
            let connection = &self.connections[number];
            let sides = [
                (Side::Client, connection.client(), interest.client),
                (Side::Server, connection.server(), interest.server),
            ];
            // One that nothing is wanted of would still be told of: its hang-up, again and again.
            for (side, socket, flags) in sides.into_iter().filter(|side| !side.2.is_empty()) {
                sockets.push(PollFd::from_borrowed_fd(socket, flags));
                owners.push((*number, side));
            }
        }
        let until = interests.iter().filter_map(|(_, interest)| interest.until).min();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let found: Vec<_> = sockets[first..].iter().map(PollFd::revents).collect();
        for ((number, side), found) in owners.into_iter().zip(found) {
            let none = PollFlags::empty();
            let connection = self.connections.get_mut(&number);
            let Some(connection) = connection else { continue };
            match side {
                Side::Client => connection.note(found, none),
                Side::Server => connection.note(none, found),
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Some(Ok((client, _))) = self.listener.as_ref().map(TcpListener::accept) {
            let number = self.opened;
            self.opened += 1;
            let links = match &self.rules {
                Rules::Same(links) => links.clone(),
                Rules::Drawn(schedule) => schedule.links_of(number),
            };
            if self.connections.len() == CONNECTIONS_MAX {
                reset_when_dropped(&client);
                continue;
            }
            // Dropping the client's socket is what it is told when there is no other.
            if let Ok(it) = Connection::open(client, self.upstream, links, &mut self.random) {
                self.connections.insert(number, it);
            }
        }
    }

    /// What a person wants to know when a test has failed.
    pub(super) fn report(&self) -> String {
        let mut text = format!("fault proxy {} before {}", self.address(), self.upstream);
        if let Rules::Drawn(schedule) = &self.rules {
            text += &format!(", schedule of seed {}", schedule.seed());
        }
        text += &format!(", {} connections so far", self.opened);
        for ended in &self.ended {
            text += &format!("\n  {ended}");
        }
        for (number, connection) in &self.connections {
            text += &format!("\n  {}: open", describe(*number, connection));
        }
        text
    }
}

enum Side {
    Client,
    Server,
}

fn describe(number: u64, connection: &Connection) -> String {
    let passed = |traffic: Traffic| format!("{} bytes in {} writes", traffic.bytes, traffic.writes);
    let [to_server, to_client] = connection.traffic().map(passed);
    let links = connection.links();
    format!("connection {number} ({links}): {to_server} to the server, {to_client} to the client")
}
