//! Admission: which pending connections become open ones.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};

use crate::counters::{Counters, count};
use crate::running::Limits;

/// A loop's listening socket with its caps.
pub(crate) struct Gate {
    /// `None` once the server is stopping.
    socket: Option<TcpListener>,
    limits: Limits,
    open: usize,
    open_by_address: HashMap<IpAddr, usize>,
    counters: Arc<Counters>,
}

/// What a call to accept brought.
pub(crate) enum Arrival {
    /// A connection within the caps.
    Admitted(TcpStream, IpAddr),
    /// A connection that was closed at once, or one that had already gone.
    TurnedAway,
    /// Nobody waits; the listener's next edge tells of the next.
    Nobody,
    /// The process or the system is out of descriptors or memory.
    Exhausted,
}

impl Gate {
    pub(crate) fn new(socket: TcpListener, limits: Limits, counters: Arc<Counters>) -> Self {
        Self { socket: Some(socket), limits, open: 0, open_by_address: HashMap::new(), counters }
    }

    /// Stops listening; connections that the kernel has queued are reset by it.
    pub(crate) fn close(&mut self) {
        self.socket = None;
    }

    /// Takes one waiting connection; `is_capped` says of an address whether its cap applies. Does
    /// not block.
    pub(crate) fn accept(&mut self, is_capped: impl FnOnce(IpAddr) -> bool) -> Arrival {
        let Some(socket) = &self.socket else { return Arrival::Nobody };
        match socket.accept() {
            Ok((stream, peer)) if self.admits(peer.ip(), is_capped) => {
                Arrival::Admitted(stream, peer.ip())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Arrival::Nobody,
            Err(error) if is_exhaustion(&error) => {
                count(&self.counters.accept_pauses);
                Arrival::Exhausted
            }
            // Beyond a cap; or the peer has already gone, for which accept(2) says to go on.
            Ok(_) | Err(_) => Arrival::TurnedAway,
        }
    }

    /// A connection that was admitted has been closed.
    pub(crate) fn departed(&mut self, address: IpAddr) {
        self.open -= 1;
        count(&self.counters.closed);
        if let Some(open) = self.open_by_address.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                self.open_by_address.remove(&address);
            }
        }
    }

    fn admits(&mut self, address: IpAddr, is_capped: impl FnOnce(IpAddr) -> bool) -> bool {
        if self.open >= self.limits.connections_max {
            count(&self.counters.refused_full);
            return false;
        }
        if is_capped(address) {
            let open = self.open_by_address.entry(address).or_insert(0);
            if *open >= self.limits.connections_per_address_max {
                count(&self.counters.refused_address);
                return false;
            }
            *open += 1;
        }
        self.open += 1;
        count(&self.counters.accepted);
        true
    }
}

/// Errors after which trying again at once fails again: EMFILE, ENFILE, ENOBUFS, ENOMEM.
fn is_exhaustion(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE | ENOBUFS))
}
