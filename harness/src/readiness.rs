//! The one thing that is asked over HTTP before there is a client: a status.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::limits::PROBE_MAX;

/// The status that `GET path` is answered with. Blocks for [`PROBE_MAX`] at most.
///
/// # Errors
///
/// When there is no answer of HTTP/1.1.
pub fn status(address: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_MAX)?;
    stream.set_read_timeout(Some(PROBE_MAX))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut start = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut start)?;
    let status = start.strip_prefix(b"HTTP/1.1 ").and_then(|code| str::from_utf8(code).ok());
    let status = status.and_then(|code| code.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no answer of HTTP/1.1"))
}
