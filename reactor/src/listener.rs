//! Listening sockets, one per loop, all on one address.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::BACKLOG;

/// Bound, not yet accepting: [`crate::start`] turns it into running loops.
///
/// With `SO_REUSEPORT` the kernel spreads new connections over the loops' own sockets, so loops
/// share nothing when they accept (socket(7), since Linux 3.9).
#[derive(Debug)]
pub struct Listener {
    pub(crate) sockets: Vec<TcpListener>,
    address: SocketAddr,
}

impl Listener {
    /// Binds `loops` sockets to `address`. Port 0 lets the kernel choose one port for all.
    ///
    /// # Errors
    /// Whatever the kernel refuses: the address is in use or not of this machine, no permission.
    pub fn bind(address: SocketAddr, loops: NonZeroUsize) -> io::Result<Self> {
        let reserved = reserve(address)?;
        // Port 0 was settled by the reservation.
        let address = reserved.local_addr()?.as_socket().unwrap_or(address);
        drop(reserved);
        let sockets: io::Result<Vec<_>> = (0..loops.get()).map(|_| bind_one(address)).collect();
        Ok(Self { sockets: sockets?, address })
    }

    /// The address, with the port that the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Binds without `SO_REUSEPORT`, which fails when anybody listens there. With it, a second server
/// of the same user would be let in beside the first and silently get a part of its connections.
fn reserve(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restarted server takes its port back although old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_sockets_share_one_port() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any, NonZeroUsize::new(3).unwrap()).unwrap();
        let ports: Vec<_> =
            listener.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert_eq!(ports, [listener.local_addr(); 3]);
        assert_ne!(listener.local_addr().port(), 0);
    }

    #[test]
    fn an_address_that_is_in_use_is_refused() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = Listener::bind(any, NonZeroUsize::MIN).unwrap();
        let second = Listener::bind(first.local_addr(), NonZeroUsize::MIN);
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let address = first.local_addr();
        drop(first);
        assert!(Listener::bind(address, NonZeroUsize::MIN).is_ok());
    }
}
