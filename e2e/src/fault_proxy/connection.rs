//! One connection: two sockets, and a relay for each direction.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::limits::{LINGER_MAX, PIECE_BYTES_MAX, WRITES_PER_TURN};
use super::link::{Ending, Links};
use super::random::Random;
use super::relay::{Relay, Step, Traffic};

/// Both sockets of a connection, and what is on its way between them.
#[derive(Debug)]
pub(super) struct Connection {
    links: Links,
    client: Side,
    server: Side,
    to_server: Relay,
    to_client: Relay,
    is_connecting: bool,
    /// It was cut, and is closed then at the latest.
    lingers_until: Option<Instant>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Both parties have closed it.
    Closed,
    /// It was cut here.
    Cut,
    /// It was reset, here or by a party.
    Reset,
    /// Nobody listens at the server's address.
    Unreachable,
}

/// What a connection waits for.
#[derive(Debug)]
pub(super) struct Interest {
    pub(super) client: PollFlags,
    pub(super) server: PollFlags,
    /// The time at which it has something to do in any case.
    pub(super) until: Option<Instant>,
}

#[derive(Debug)]
struct Side {
    stream: TcpStream,
    /// Until a read or a write disproves it.
    is_readable: bool,
    is_writable: bool,
}

impl Connection {
    /// A connection of `client`, to the server at `address`. Does not block.
    pub(super) fn open(
        client: TcpStream,
        address: SocketAddr,
        links: Links,
        random: &mut Random,
    ) -> io::Result<Self> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let server = socket_with(family, SocketType::STREAM, flags, None)?;
        match connect(&server, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let server = TcpStream::from(server);
        server.set_nodelay(true)?;
        let mut relay = |link| Relay::new(link, Random::new(random.number()));
        Ok(Self {
            to_server: relay(links.to_server.clone()),
            to_client: relay(links.to_client.clone()),
            links,
            client: Side::new(client),
            server: Side::new(server),
            is_connecting: true,
            lingers_until: None,
        })
    }

    pub(super) fn set(&mut self, links: &Links) {
        self.to_server.set(links.to_server.clone());
        self.to_client.set(links.to_client.clone());
        self.links = links.clone();
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// What has been passed on to the server, and to the client.
    pub(super) fn traffic(&self) -> [Traffic; 2] {
        [self.to_server.traffic, self.to_client.traffic]
    }

    pub(super) fn client(&self) -> BorrowedFd<'_> {
        self.client.stream.as_fd()
    }

    pub(super) fn server(&self) -> BorrowedFd<'_> {
        self.server.stream.as_fd()
    }

    /// Notes what `poll(2)` has found.
    pub(super) fn note(&mut self, client: PollFlags, server: PollFlags) {
        self.client.note(client);
        self.server.note(server);
    }

    /// Does what can be done now, and says what to wait for, or how the connection has ended. Its sockets are
    /// to be dropped then.
    pub(super) fn turn(&mut self, now: Instant) -> Result<Interest, Fate> {
        if self.is_connecting {
            match self.server.stream.take_error() {
                Ok(None) if !self.server.is_writable => {
                    let client = PollFlags::empty();
                    return Ok(Interest { client, server: PollFlags::OUT, until: None });
                }
                Ok(None) => self.is_connecting = false,
                Ok(Some(_)) | Err(_) => return Err(self.reset(Fate::Unreachable)),
            }
        }
        let mut until = self.lingers_until;
        for way in [Way::ToServer, Way::ToClient] {
            let wait = self.pass_on(way, now)?;
            until = [until, wait].into_iter().flatten().min();
        }
        let all_said = self.to_server.has_all_input() && self.to_client.has_all_input();
        let all_over = self.to_server.is_over() && self.to_client.is_over();
        match self.lingers_until {
            Some(until) if all_said || until <= now => return Err(Fate::Cut),
            None if all_said && all_over => return Err(Fate::Closed),
            _ => {}
        }
        let of = |reads: &Relay, side: &Side| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, reads.wants_input());
            flags.set(PollFlags::OUT, !side.is_writable);
            flags
        };
        let client = of(&self.to_server, &self.client);
        Ok(Interest { client, server: of(&self.to_client, &self.server), until })
    }

    /// Reads and writes of one direction, and the time at which it goes on if no socket says so before.
    fn pass_on(&mut self, way: Way, now: Instant) -> Result<Option<Instant>, Fate> {
        let mut wait = self.write(way, now)?;
        let was_cut = self.lingers_until.is_some();
        let (relay, from, _) = self.of(way);
        if relay.wants_input() && from.is_readable {
            let mut bytes = [0; PIECE_BYTES_MAX];
            match from.stream.read(&mut bytes) {
                Ok(0) => relay.finish_input(),
                Ok(count) => relay.take(now, &bytes[..count]),
                Err(error) if is_passing(&error) => from.is_readable = false,
                // What is over is not waited for: nothing of it is on its way.
                Err(_) if relay.is_over() && !was_cut => {
                    return Err(self.reset(Fate::Reset));
                }
                Err(_) => relay.break_input(),
            }
            wait = self.write(way, now)?;
        }
        Ok(wait)
    }

    fn write(&mut self, way: Way, now: Instant) -> Result<Option<Instant>, Fate> {
        for _ in 0..WRITES_PER_TURN {
            let (relay, _, to) = self.of(way);
            match relay.step(now) {
                Step::Write(_) if !to.is_writable => return Ok(None),
                Step::Write(bytes) => match to.stream.write(bytes) {
                    Ok(count) => relay.wrote(now, count),
                    Err(error) if is_passing(&error) => to.is_writable = false,
                    Err(_) => {
                        // Nobody is there any more. The sender learns it after what it is still told.
                        relay.throw_away();
                        let other = self.of(way.other()).0;
                        if other.is_over() {
                            return Err(self.reset(Fate::Reset));
                        }
                        other.lose_sender();
                        return Ok(None);
                    }
                },
                Step::Until(next) => return Ok(Some(next)),
                Step::Wait => return Ok(None),
                Step::Finish | Step::End(Ending::HalfClose) => {
                    // A party that is gone need not be told.
                    let _ = to.stream.shutdown(Shutdown::Write);
                    relay.throw_away();
                }
                Step::End(Ending::Cut) => {
                    for side in [&self.client, &self.server] {
                        let _ = side.stream.shutdown(Shutdown::Write);
                    }
                    self.to_server.throw_away();
                    self.to_client.throw_away();
                    self.lingers_until = Some(now + LINGER_MAX);
                }
                Step::End(Ending::Reset) => return Err(self.reset(Fate::Reset)),
            }
        }
        // The rest in the next turn, which is to come at once.
        Ok(Some(now))
    }

    /// Has both parties told that the connection is broken, when its sockets are dropped.
    pub(super) fn reset(&self, fate: Fate) -> Fate {
        for side in [&self.client, &self.server] {
            reset_when_dropped(&side.stream);
        }
        fate
    }

    /// The relay of one direction, the side that it reads from, and the side that it writes to.
    fn of(&mut self, way: Way) -> (&mut Relay, &mut Side, &mut Side) {
        match way {
            Way::ToServer => (&mut self.to_server, &mut self.client, &mut self.server),
            Way::ToClient => (&mut self.to_client, &mut self.server, &mut self.client),
        }
    }
}

/// `SO_LINGER` of no time: closing sends RST and throws away what was not sent.
pub(super) fn reset_when_dropped(stream: &TcpStream) {
    // It is refused to none but a socket that is none.
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
}

#[derive(Clone, Copy)]
enum Way {
    ToServer,
    ToClient,
}

impl Way {
    fn other(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

impl Side {
    fn new(stream: TcpStream) -> Self {
        Self { stream, is_readable: false, is_writable: false }
    }

    fn note(&mut self, found: PollFlags) {
        // An error or a hang-up is found by reading and by writing.
        let gone = found.intersects(PollFlags::ERR | PollFlags::HUP);
        self.is_readable |= gone || found.contains(PollFlags::IN);
        self.is_writable |= gone || found.contains(PollFlags::OUT);
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
