//! Ports of 127.0.0.1 that nobody else gets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// A port that is held: a socket is bound to it and does not listen. As long as it is there,
///
/// - the kernel gives the port to nobody who asks for any, and to no client;
/// - a server that sets `SO_REUSEADDR`, as servers do, can listen on it, end, and listen again;
/// - while none does, connecting to it is refused.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _held: OwnedFd,
}

impl Port {
    /// A port that was free.
    ///
    /// # Errors
    ///
    /// When the system has none.
    pub fn free() -> io::Result<Self> {
        Self::hold(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Holds this address, for when whoever listens on it has ended. It has to be free, or its listener
    /// has to have set `SO_REUSEPORT` and be of the same user.
    ///
    /// # Errors
    ///
    /// When the system refuses it.
    pub fn hold(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let held = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_socket_reuseaddr(&held, true)?;
        if address.port() != 0 {
            set_socket_reuseport(&held, true)?;
        }
        bind(&held, &address)?;
        let address = rustix::net::getsockname(&held)?.try_into()?;
        Ok(Self { address, _held: held })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_held_port_refuses_until_somebody_listens() {
        let port = Port::free().unwrap();
        // Whoever does not say that it may be shared does not get it.
        let stranger =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let taken = bind(stranger.unwrap(), &port.address()).unwrap_err();
        assert_eq!(taken, rustix::io::Errno::ADDRINUSE);
        let refused = || TcpStream::connect(port.address()).unwrap_err().kind();
        assert_eq!(refused(), ErrorKind::ConnectionRefused);
        for _ in 0..2 {
            // The standard library sets `SO_REUSEADDR`.
            let server = TcpListener::bind(port.address()).unwrap();
            let client = TcpStream::connect(port.address()).unwrap();
            drop((server.accept().unwrap(), client, server));
            assert_eq!(refused(), ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn the_port_of_a_listener_that_shares_it_can_be_held() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let shared = |address| {
            let listener =
                socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            set_socket_reuseaddr(&listener, true)?;
            set_socket_reuseport(&listener, true)?;
            bind(&listener, &address)?;
            rustix::net::listen(&listener, 1)?;
            io::Result::Ok(TcpListener::from(listener))
        };
        let listener = shared(any).unwrap();
        let address = listener.local_addr().unwrap();
        let _held = Port::hold(address).unwrap();
        TcpStream::connect(address).unwrap();
        drop(listener);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let _again = shared(address).unwrap();
        TcpStream::connect(address).unwrap();
    }
}
