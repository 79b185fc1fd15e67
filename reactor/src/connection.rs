//! One connection of a loop: a session and the socket whose bytes it gets.

use std::io;
use std::net::{IpAddr, Shutdown};
use std::time::Instant;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::buffer::Spares;
use crate::limits::{LINGER_BYTES_MAX, LINGER_MAX, READS_PER_TURN, WRITE_STALL_MAX};
use crate::protocol::{Fate, Protocol};
use crate::session::{Session, Surroundings};

pub(crate) struct Connection<P: Protocol> {
    stream: TcpStream,
    session: Session<P>,
    phase: Phase,
    /// What edges have told and reads or writes have not yet disproved.
    readable: bool,
    writable: bool,
    /// The peer has sent its FIN, perhaps behind input that was not yet read.
    peer_closed: bool,
    /// The time for which the wheel holds the entry that counts; older entries are ignored.
    pub(crate) armed: Option<Instant>,
    /// It stands on the loop's list of connections to look at before this turn ends.
    pub(crate) listed: bool,
}

/// Where a connection is on its way from open to closed.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Serving,
    /// The socket did not take all output; `by` is when the peer is given up.
    Blocked {
        by: Instant,
    },
    /// All is sent and our side is shut; what still comes in is discarded.
    Lingering {
        by: Instant,
        bytes_left: usize,
    },
}

/// What epoll has told of a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has sent its FIN.
    pub(crate) peer_closed: bool,
    /// Reset, or closed in both directions.
    pub(crate) broken: bool,
}

/// What the loop does with a connection after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait for the next event.
    Wait,
    /// There is more to do that waits for nothing but a turn.
    Again,
    /// Close it.
    Close,
    /// Close it: the peer did not take its answers.
    Stalled,
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(stream: TcpStream, session: Session<P>) -> Self {
        Self {
            stream,
            session,
            phase: Phase::Serving,
            // A fresh socket takes output at once, and may have input already: the edge for it
            // comes with the registration.
            readable: false,
            writable: true,
            peer_closed: false,
            armed: None,
            listed: false,
        }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The address of the other side.
    pub(crate) fn peer(&self) -> IpAddr {
        self.session.peer()
    }

    pub(crate) fn session(&mut self) -> &mut Session<P> {
        &mut self.session
    }

    /// Notes what an edge has told.
    pub(crate) fn note(&mut self, edge: Edge) {
        self.readable |= edge.readable;
        self.writable |= edge.writable;
        self.peer_closed |= edge.peer_closed;
    }

    /// When the loop should look at the connection even without an event.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Serving => self.session.deadline(),
            Phase::Blocked { by } => {
                Some(self.session.deadline().map_or(by, |deadline| deadline.min(by)))
            }
            Phase::Lingering { by, .. } => Some(by),
        }
    }

    /// Time has passed up to `around.now`.
    pub(crate) fn expire(&mut self, around: &mut Surroundings<'_, P>) -> Verdict {
        match self.phase {
            Phase::Lingering { by, .. } if by <= around.now => return Verdict::Close,
            Phase::Blocked { by } if by <= around.now => return Verdict::Stalled,
            _ => self.session.expire(around),
        }
        Verdict::Wait
    }

    /// One look at the connection: reads what is there, up to its share of a turn, writes what
    /// came out of it, and says what comes next. An error means that the socket is broken.
    pub(crate) fn visit(
        &mut self,
        scratch: &mut [u8],
        around: &mut Surroundings<'_, P>,
    ) -> io::Result<Verdict> {
        if let Phase::Lingering { .. } = self.phase {
            return self.discard_input(scratch, around.now);
        }
        self.read(scratch, around)?;
        if self.session.fate() == Fate::Aborted {
            return Ok(Verdict::Close);
        }
        self.write(around.now, around.spares)?;
        if !self.session.output().is_empty() {
            return Ok(Verdict::Wait);
        }
        if self.session.fate() == Fate::Finishing {
            return self.finish(scratch, around.now);
        }
        if self.session.can_resume() {
            self.session.resume(around);
            return Ok(Verdict::Again);
        }
        Ok(if self.readable && self.session.wants_input() { Verdict::Again } else { Verdict::Wait })
    }

    /// Wipes and gives back what the connection held, and tells the protocol.
    pub(crate) fn close(self, shared: &mut P::Shared, spares: &mut Spares) {
        self.session.close(shared, spares);
    }

    fn read(&mut self, scratch: &mut [u8], around: &mut Surroundings<'_, P>) -> io::Result<()> {
        for _ in 0..READS_PER_TURN {
            if !self.readable || !self.session.wants_input() {
                break;
            }
            let want = self.session.input_room().min(scratch.len());
            match receive(&self.stream, &mut scratch[..want]) {
                Ok(0) => {
                    self.readable = false;
                    self.session.receive_end(around);
                }
                Ok(count) => {
                    // A short read has emptied the socket: the next byte raises a new edge
                    // (epoll(7)), so the call that would only say WouldBlock is saved. An edge
                    // that told of the peer's FIN as well is not repeated, so it is remembered.
                    self.readable = count == want || self.peer_closed;
                    // Never earlier than the bytes: see `Io::now`.
                    around.now = clock::now();
                    self.session.receive(&scratch[..count], around);
                    // Requests carry secrets, and the scratch buffer lives as long as the loop.
                    scratch[..count].fill(0);
                }
                Err(Errno::AGAIN) => self.readable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write(&mut self, now: Instant, spares: &mut Spares) -> io::Result<()> {
        while self.writable && !self.session.output().is_empty() {
            match send(&self.stream, self.session.output(), SendFlags::NOSIGNAL) {
                Ok(count) => self.session.sent(count, spares),
                Err(Errno::AGAIN) => self.writable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.phase = match (self.session.output().is_empty(), self.phase) {
            (true, _) => Phase::Serving,
            (false, blocked @ Phase::Blocked { .. }) => blocked,
            (false, _) => Phase::Blocked { by: now + WRITE_STALL_MAX },
        };
        Ok(())
    }

    fn finish(&mut self, scratch: &mut [u8], now: Instant) -> io::Result<Verdict> {
        if self.session.input_has_ended() {
            return Ok(Verdict::Close);
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.phase = Phase::Lingering { by: now + LINGER_MAX, bytes_left: LINGER_BYTES_MAX };
        self.discard_input(scratch, now)
    }

    fn discard_input(&mut self, scratch: &mut [u8], now: Instant) -> io::Result<Verdict> {
        let Phase::Lingering { by, mut bytes_left } = self.phase else {
            return Ok(Verdict::Wait);
        };
        if by <= now {
            return Ok(Verdict::Close);
        }
        for _ in 0..READS_PER_TURN {
            match receive(&self.stream, scratch) {
                Ok(0) => return Ok(Verdict::Close),
                Ok(count) => {
                    scratch[..count].fill(0);
                    bytes_left = bytes_left.saturating_sub(count);
                    if bytes_left == 0 {
                        return Ok(Verdict::Close);
                    }
                    self.phase = Phase::Lingering { by, bytes_left };
                }
                Err(Errno::AGAIN) => {
                    return Ok(Verdict::Wait);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Verdict::Again)
    }
}

/// Reads from a socket; how much. By the system call itself: the C library's function is a point at which
/// a thread can be cancelled, and makes two atomic exchanges of each call.
fn receive(stream: &TcpStream, into: &mut [u8]) -> Result<usize, Errno> {
    recv(stream, into, RecvFlags::empty()).map(|(count, _)| count)
}
