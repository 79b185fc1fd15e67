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
        // The first socket settles the port. Binding it without SO_REUSEPORT once would tell when
        // another process holds the address with SO_REUSEPORT, but the kernel admits only
        // processes of the same user there, and a rolling restart wants exactly that.
        let first = bind_one(address)?;
        let address = first.local_addr()?;
        let mut sockets = vec![first];
        for _ in 1..loops.get() {
            sockets.push(bind_one(address)?);
        }
        Ok(Self { sockets, address })
    }

    /// The address, with the port that the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
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
