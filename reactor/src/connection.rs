//! One connection of a loop: a session and the socket whose bytes it gets.

use std::io;
use std::net::{IpAddr, Shutdown};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::limits::{
    LINGER_QUIET_MAX, READS_PER_TURN, STILL_NOTES_MIN, WRITE_STALL_MAX, WRITE_TIME_MAX,
};
use crate::protocol::{Fate, Protocol};
use crate::session::{Session, Surroundings};
use crate::storage::Storage;

pub(crate) struct Connection<P: Protocol> {
    stream: TcpStream,
    session: Session<P>,
    phase: Phase,
    /// What edges have told and reads or writes have not yet disproved.
    readable: bool,
    writable: bool,
    /// The peer has sent its FIN, perhaps behind input that was not yet read.
    peer_closed: bool,
    /// The server is stopping: how many bytes are to be read and offered before the protocol is told.
    unread_at_stop: Option<u32>,
    /// The peer has sent something.
    heard: bool,
    /// Its party is counted (`Census`).
    pub(crate) counted: bool,
    /// Notes taken, while memory is short, since a byte was last moved.
    still_notes: u8,
    /// It stands on the loop's list of connections to look at before this turn ends.
    pub(crate) listed: bool,
    /// The time for which the wheel holds the entry that counts; older entries are ignored.
    pub(crate) armed: Option<Instant>,
}

/// Where a connection is on its way from open to closed.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Serving,
    /// The socket did not take all output.
    Blocked(Wait),
    /// All is sent and our side is shut; what still comes in is dropped.
    Lingering(Wait),
}

/// A wait that the peer can renew, up to an end. Invariant: `by <= end`.
#[derive(Clone, Copy, Debug)]
struct Wait {
    by: Instant,
    end: Instant,
}

/// What epoll has told of a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has sent its FIN.
    pub(crate) peer_closed: bool,
    /// Reset.
    pub(crate) broken: bool,
}

/// What the loop does with a connection after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait for the next event.
    Wait,
    /// There is more to do that waits for nothing but a turn.
    Again,
    /// All is sent and nothing more is taken: let it linger.
    Finished,
    /// Close it.
    Close,
    /// Close it: the peer did not take its answers.
    Stalled,
}

/// The outcome of dropping input.
#[derive(Clone, Copy, Debug, Default)]
struct Dropped {
    any: bool,
    /// There may be more at once.
    more: bool,
    /// The peer has sent its FIN.
    ended: bool,
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(stream: TcpStream, counted: bool, session: Session<P>) -> Self {
        Self {
            stream,
            session,
            phase: Phase::Serving,
            // A fresh socket takes output at once, and may have input already: the edge for it
            // comes with the registration.
            readable: false,
            writable: true,
            peer_closed: false,
            unread_at_stop: None,
            heard: false,
            counted,
            still_notes: 0,
            listed: false,
            armed: None,
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

    /// Whether the peer has sent nothing so far.
    pub(crate) fn is_silent(&self) -> bool {
        !self.heard
    }

    pub(crate) fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering(_))
    }

    /// Since when nothing is on its way over the connection, as far as this side knows.
    pub(crate) fn idle_since(&self, shared: &P::Shared) -> Option<Instant> {
        match self.phase {
            Phase::Serving => self.session.idle_since(shared),
            Phase::Blocked(_) | Phase::Lingering(_) => None,
        }
    }

    /// Whether unread input has arrived. Asks the kernel, since the edge may not have been seen yet.
    pub(crate) fn has_unread_input(&self) -> bool {
        matches!(receive(&self.stream, &mut [0], RecvFlags::PEEK), Ok(1..))
    }

    /// Memory that it holds for what it sends and receives, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.session.held_bytes()
    }

    /// Takes a note, which the next byte moved erases. For connections that hold memory.
    pub(crate) fn note_stillness(&mut self) {
        self.still_notes = self.still_notes.saturating_add(1);
    }

    /// Whether no byte was moved for a whole second.
    pub(crate) fn is_still(&self) -> bool {
        self.still_notes >= STILL_NOTES_MIN
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
            Phase::Blocked(wait) => {
                Some(self.session.deadline().map_or(wait.by, |deadline| deadline.min(wait.by)))
            }
            Phase::Lingering(wait) => Some(wait.by),
        }
    }

    /// Time has passed up to `around.now`.
    pub(crate) fn expire(&mut self, around: &mut Surroundings<'_, P>) -> Verdict {
        match self.phase {
            Phase::Lingering(wait) if wait.by <= around.now => return Verdict::Close,
            // The visit that follows tries once more, and decides.
            Phase::Blocked(wait) if wait.by <= around.now => {}
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
        if let Phase::Lingering(wait) = self.phase {
            return self.linger(wait, scratch, around.now);
        }
        self.read(scratch, around)?;
        if self.session.fate() == Fate::Aborted {
            return Ok(Verdict::Close);
        }
        self.write(around.now, around.storage)?;
        if let Phase::Blocked(wait) = self.phase {
            return self.wait_blocked(wait, scratch, around);
        }
        match self.session.fate() {
            Fate::Finishing if !self.session.input_has_ended() => return Ok(Verdict::Finished),
            Fate::Finishing | Fate::Leaving => return Ok(Verdict::Close),
            Fate::Open | Fate::Aborted => {}
        }
        if self.session.can_resume() {
            self.session.resume(around);
            return Ok(Verdict::Again);
        }
        if self.unread_at_stop == Some(0) {
            self.unread_at_stop = None;
            self.session.shut_down(around);
            // What came out of that is written then.
            return Ok(Verdict::Again);
        }
        Ok(if self.readable && self.session.wants_input() { Verdict::Again } else { Verdict::Wait })
    }

    /// Shuts the side that sends, and drops from here on what comes in, until the peer closes, or is quiet for
    /// [`LINGER_QUIET_MAX`], or `max` has passed.
    pub(crate) fn begin_to_linger(&mut self, now: Instant, max: Duration) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.phase = Phase::Lingering(Wait::begin(now, LINGER_QUIET_MAX, max));
        // The edge of what has arrived may be past.
        self.readable = true;
        Ok(())
    }

    /// Ends lingering by `end` at the latest.
    pub(crate) fn hurry(&mut self, end: Instant) {
        if let Phase::Lingering(wait) = &mut self.phase {
            wait.end = wait.end.min(end);
            wait.by = wait.by.min(end);
        }
    }

    /// The server is stopping: the visits that follow read what has arrived by now, then tell the protocol. What
    /// comes later can make it no longer.
    pub(crate) fn read_last(&mut self) {
        // A socket that does not say is broken, and its next read says so.
        let unread = ioctl_fionread(&self.stream).unwrap_or(0);
        self.unread_at_stop = Some(u32::try_from(unread).unwrap_or(u32::MAX));
        // The edge of what has arrived may be past, or not seen yet.
        self.readable = true;
    }

    /// Wipes and gives back what the connection held, and tells the protocol.
    pub(crate) fn close(self, shared: &mut P::Shared, storage: &mut Storage) {
        self.session.close(shared, storage);
    }

    fn read(&mut self, scratch: &mut [u8], around: &mut Surroundings<'_, P>) -> io::Result<()> {
        for _ in 0..READS_PER_TURN {
            if !self.readable || !self.session.wants_input() {
                break;
            }
            let want = self.session.input_room().min(scratch.len());
            match receive(&self.stream, &mut scratch[..want], RecvFlags::empty()) {
                Ok(0) => {
                    self.readable = false;
                    self.unread_at_stop = self.unread_at_stop.map(|_| 0);
                    self.session.receive_end(around);
                }
                Ok(count) => {
                    // A short read has emptied the socket: the next byte raises a new edge
                    // (epoll(7)), so the call that would only say WouldBlock is saved. An edge
                    // that told of the peer's FIN as well is not repeated, so it is remembered.
                    self.readable = count == want || self.peer_closed;
                    self.heard = true;
                    self.still_notes = 0;
                    if let Some(unread) = &mut self.unread_at_stop {
                        *unread = unread.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
                    }
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

    fn write(&mut self, now: Instant, storage: &mut Storage) -> io::Result<()> {
        if let Phase::Blocked(wait) = self.phase
            && wait.by <= now
        {
            // Epoll reports a socket writable only when a third of its buffer is free, which can take a slow peer
            // long. A write succeeds earlier.
            self.writable = true;
        }
        let mut moved = false;
        while self.writable && !self.session.output().is_empty() {
            match send(&self.stream, self.session.output(), SendFlags::NOSIGNAL) {
                Ok(count) => {
                    self.session.sent(count, storage);
                    moved = true;
                }
                Err(Errno::AGAIN) => self.writable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.session.output().is_empty() {
            self.phase = Phase::Serving;
        } else {
            self.block(moved, now);
        }
        Ok(())
    }

    /// The socket did not take all output; `moved` if it took some.
    #[cold]
    fn block(&mut self, moved: bool, now: Instant) {
        match &mut self.phase {
            Phase::Blocked(wait) if moved => wait.renew(now, WRITE_STALL_MAX),
            Phase::Blocked(_) => {}
            _ => self.phase = Phase::Blocked(Wait::begin(now, WRITE_STALL_MAX, WRITE_TIME_MAX)),
        }
        if moved {
            self.still_notes = 0;
        }
    }

    /// Waits until the socket takes output. If the connection is finishing, input is dropped meanwhile: a peer may send all
    /// that it has before it reads, and each side would wait for the other.
    fn wait_blocked(
        &mut self,
        mut wait: Wait,
        scratch: &mut [u8],
        around: &mut Surroundings<'_, P>,
    ) -> io::Result<Verdict> {
        let mut more = false;
        if self.session.fate() == Fate::Finishing {
            let dropped = self.drop_input(scratch)?;
            if dropped.ended {
                self.session.receive_end(around);
            }
            if dropped.any {
                wait.renew(around.now, WRITE_STALL_MAX);
                self.phase = Phase::Blocked(wait);
            }
            more = dropped.more;
        }
        Ok(match wait.by <= around.now {
            true => Verdict::Stalled,
            false if more => Verdict::Again,
            false => Verdict::Wait,
        })
    }

    fn linger(&mut self, mut wait: Wait, scratch: &mut [u8], now: Instant) -> io::Result<Verdict> {
        if wait.by <= now {
            return Ok(Verdict::Close);
        }
        let dropped = self.drop_input(scratch)?;
        if dropped.ended {
            return Ok(Verdict::Close);
        }
        if dropped.any {
            wait.renew(now, LINGER_QUIET_MAX);
            self.phase = Phase::Lingering(wait);
        }
        Ok(if dropped.more { Verdict::Again } else { Verdict::Wait })
    }

    /// Has the kernel drop input, up to a share of a turn. `MSG_TRUNC` copies nothing for TCP (tcp(7)); the length of `scratch`
    /// says how much is dropped at a time.
    fn drop_input(&mut self, scratch: &mut [u8]) -> io::Result<Dropped> {
        let mut dropped = Dropped::default();
        for _ in 0..READS_PER_TURN {
            if !self.readable {
                return Ok(dropped);
            }
            match receive(&self.stream, scratch, RecvFlags::TRUNC) {
                Ok(0) => {
                    self.readable = false;
                    dropped.ended = true;
                }
                Ok(_) => dropped.any = true,
                Err(Errno::AGAIN) => self.readable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        dropped.more = self.readable;
        Ok(dropped)
    }
}

impl Wait {
    /// Ends when the peer has been quiet for `quiet_max`, or `max` after `now`.
    fn begin(now: Instant, quiet_max: Duration, max: Duration) -> Self {
        Self { by: now + quiet_max.min(max), end: now + max }
    }

    /// The peer has sent or taken something.
    fn renew(&mut self, now: Instant, quiet_max: Duration) {
        self.by = (now + quiet_max).min(self.end);
    }
}

/// Reads from a socket; how much. By the system call itself: the C library's function is a point at which
/// a thread can be cancelled, and makes two atomic exchanges of each call.
fn receive(stream: &TcpStream, into: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
    recv(stream, into, flags).map(|(count, _)| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_renewed_until_its_end() {
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let quiet = Duration::from_secs(5);
        let mut wait = Wait::begin(start, quiet, Duration::from_secs(12));
        let mut check = |now: u64, by: u64| {
            wait.renew(at(now), quiet);
            assert_eq!(wait.by, at(by), "renewed at {now}");
        };
        check(0, 5);
        check(4, 9);
        check(8, 12);
        check(11, 12);
        assert_eq!(Wait::begin(start, quiet, Duration::from_secs(2)).by, at(2));
    }
}
