//! A loop's listening socket: what a call to accept can bring.

use std::io;
use std::net::IpAddr;

use mio::net::{TcpListener, TcpStream};

/// A loop's listening socket.
pub(crate) struct Gate {
    /// `None` once the server is stopping.
    socket: Option<TcpListener>,
}

/// The outcome of a call to accept.
pub(crate) enum Arrival {
    /// A connection, and the address of its other side.
    Connection(TcpStream, IpAddr),
    /// One that had already gone, for which accept(2) says to go on.
    Gone,
    /// Nobody waits; the listener's next edge tells of the next.
    Nobody,
    /// The process or the system is out of descriptors or memory.
    Exhausted,
}

impl Gate {
    pub(crate) fn new(socket: TcpListener) -> Self {
        Self { socket: Some(socket) }
    }

    /// Stops listening; connections that the kernel has queued are reset by it.
    pub(crate) fn close(&mut self) {
        self.socket = None;
    }

    /// Takes one waiting connection. Does not block.
    pub(crate) fn accept(&self) -> Arrival {
        let Some(socket) = &self.socket else { return Arrival::Nobody };
        match socket.accept() {
            Ok((stream, peer)) => Arrival::Connection(stream, peer.ip()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Arrival::Nobody,
            Err(error) if is_exhaustion(&error) => Arrival::Exhausted,
            Err(_) => Arrival::Gone,
        }
    }
}

/// Whether a socket could not be made because this process or machine is out of descriptors or memory: EMFILE, ENFILE,
/// ENOBUFS, ENOMEM. The peer is not at fault then, and an immediate retry fails again.
#[must_use]
pub fn is_exhaustion(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE | ENOBUFS))
}
