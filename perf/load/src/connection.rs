//! One keep-alive connection with at most one request under way.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::answer::Answer;
use crate::look::look;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that an answer may have; what is longer counts as unreadable.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Room for the answers that are usual.
const ANSWER_BYTES_USUAL: usize = 4096;

/// A request that was sent. Times are since the start of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) due: Duration,
    pub(crate) at: Duration,
    /// How much of it the socket has taken.
    written: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum State {
    Idle { since: Duration },
    Busy(Sent),
}

/// What a readable connection came to.
#[derive(Debug)]
pub(crate) enum Event {
    /// Nothing whole yet.
    Nothing,
    /// The answer is there. `keeps`: the connection can be used again.
    Answered { sent: Sent, status: u16, keeps: bool },
    /// It is of no use any more; `sent` is what was under way.
    Broken { sent: Option<Sent>, unreadable: bool },
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) state: State,
    inbox: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Blocks until the connection stands; from then on it does not.
    pub(crate) fn open(address: SocketAddr, now: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let inbox = vec![0; ANSWER_BYTES_USUAL];
        Ok(Self { stream, state: State::Idle { since: now }, inbox, filled: 0 })
    }

    /// Begins a request on an idle connection. False when the socket has not taken all of it:
    /// [`Self::write_on`] goes on once it is writable.
    pub(crate) fn send(
        &mut self,
        number: u64,
        due: Duration,
        at: Duration,
        bytes: &[u8],
    ) -> io::Result<bool> {
        debug_assert!(matches!(self.state, State::Idle { .. }), "one request at a time");
        self.state = State::Busy(Sent { number, due, at, written: 0 });
        self.write_on(bytes)
    }

    /// Writes what is left of the request under way, whose bytes these are; whether that was all.
    pub(crate) fn write_on(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let State::Busy(sent) = &mut self.state else { return Ok(true) };
        while sent.written < bytes.len() {
            match self.stream.write(&bytes[sent.written..]) {
                Ok(count) => sent.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads once, and tells what has come.
    pub(crate) fn read(&mut self) -> Event {
        if self.filled == self.inbox.len() {
            if self.filled >= ANSWER_BYTES_MAX {
                return Event::Broken { sent: self.under_way(), unreadable: true };
            }
            self.inbox.resize(self.filled * 2, 0);
        }
        match self.stream.read(&mut self.inbox[self.filled..]) {
            Ok(0) => return Event::Broken { sent: self.under_way(), unreadable: false },
            Ok(count) => self.filled += count,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return Event::Nothing;
            }
            Err(_) => return Event::Broken { sent: self.under_way(), unreadable: false },
        }
        match (look(&self.inbox[..self.filled]), self.under_way()) {
            (Answer::Partial, Some(_)) => Event::Nothing,
            (Answer::Whole { status, length, keeps }, Some(sent)) if length == self.filled => {
                self.filled = 0;
                Event::Answered { sent, status, keeps }
            }
            // More than was asked for, or nothing that can be read.
            (_, sent) => Event::Broken { sent, unreadable: true },
        }
    }

    /// The request under way.
    pub(crate) fn under_way(&self) -> Option<Sent> {
        match self.state {
            State::Busy(sent) => Some(sent),
            State::Idle { .. } => None,
        }
    }
}
