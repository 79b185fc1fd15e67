//! A TCP connection that sends whatever bytes it is told to.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::{
    answer::Answer,
    limits::{ANSWER_BYTES_MAX, HANG_GUARD, STALL},
    system::System,
};

/// A connection for input that no well-behaved client would send, and for reading what comes back
/// to the byte. Every read blocks, at most [`HANG_GUARD`].
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl RawConnection {
    /// Connects to `address`.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::over(stream)
    }

    /// Connects to `address` from another address of this machine, such as 127.0.0.2.
    #[must_use]
    pub fn open_from(source: IpAddr, address: SocketAddr) -> Self {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let open = || {
            let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            bind(&socket, &SocketAddr::new(source, 0))?;
            connect(&socket, &address)?;
            Ok::<_, io::Error>(TcpStream::from(socket))
        };
        let stream =
            open().unwrap_or_else(|error| panic!("connect from {source} to {address}: {error}"));
        Self::over(stream)
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream.set_read_timeout(Some(HANG_GUARD)).expect("a receive timeout can be set");
        stream.set_write_timeout(Some(HANG_GUARD)).expect("a send timeout can be set");
        Self { stream, received: Vec::new() }
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the peer takes what is sent");
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// When the peer has closed the connection.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends `bytes`; `false` when the peer has left so much unread that they do not fit, for longer
    /// than a reading peer would need, or has closed. Part of `bytes` may have been sent then.
    pub fn send_without_waiting(&mut self, bytes: &[u8]) -> bool {
        self.stream.set_write_timeout(Some(STALL)).expect("a send timeout can be set");
        self.stream.write_all(bytes).is_ok()
    }

    /// The same connection for another thread, which sends while this one reads.
    #[must_use]
    pub fn another_handle(&self) -> Self {
        let stream = self.stream.try_clone().expect("a socket can be duplicated");
        Self { stream, received: Vec::new() }
    }

    /// Waits until something has come that was not read, and leaves it there.
    pub fn wait_for_bytes(&self) {
        let peeked = self.stream.peek(&mut [0]).expect("bytes come");
        assert_eq!(peeked, 1, "closed without a byte");
    }

    /// Sends `bytes` in as many segments.
    pub fn send_byte_by_byte(&mut self, bytes: &[u8]) {
        bytes.chunks(1).for_each(|byte| self.send(byte));
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn finish_sending(&mut self) {
        // The peer may have closed already; then there is nothing left to say.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Exactly `count` bytes.
    #[must_use]
    pub fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            assert!(self.read_more(), "closed after {:?}", self.received_text());
        }
        self.received.drain(..count).collect()
    }

    /// What `split` makes of the bytes received so far, and of how many; it is asked again whenever
    /// more arrive. `None` when the peer closes first.
    pub fn read_with<T>(
        &mut self,
        mut split: impl FnMut(&[u8]) -> Option<(T, usize)>,
    ) -> Option<T> {
        loop {
            if let Some((found, consumed)) = split(&self.received) {
                self.received.drain(..consumed);
                return Some(found);
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// The next answer of HTTP/1.1, with its content.
    #[must_use]
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.read_answer(true).expect("the connection was closed without an answer")
    }

    /// The next answer to a HEAD request, or an interim one: none has content.
    #[must_use]
    #[track_caller]
    pub fn answer_without_content(&mut self) -> Answer {
        self.read_answer(false).expect("the connection was closed without an answer")
    }

    /// The next answer, or `None` when the connection is closed instead.
    #[must_use]
    pub fn answer_or_close(&mut self) -> Option<Answer> {
        self.read_answer(true)
    }

    /// Everything that comes until the peer closes or resets the connection.
    #[must_use]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.received)
    }

    /// Checks that the peer closes without another byte.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "instead of the end came {:?}", String::from_utf8_lossy(&rest));
    }

    fn read_answer(&mut self, with_content: bool) -> Option<Answer> {
        let head_len = loop {
            if let Some(at) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more() {
                assert!(self.received.is_empty(), "cut within {:?}", self.received_text());
                return None;
            }
        };
        let head = String::from_utf8(self.read_exactly(head_len)).expect("a head is ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(status).unwrap_or_else(|| panic!("no status: {head:?}"));
        let fields = lines.map(|line| {
            let (name, value) =
                line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
            (name.to_owned(), value.to_owned())
        });
        let answer = Answer::new(status, fields.collect(), Vec::new());
        if !with_content {
            return Some(answer);
        }
        let length = answer.field("content-length").and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or_else(|| panic!("no Content-Length in {answer:?}"));
        let content = self.read_exactly(length);
        Some(answer.with_content(content))
    }

    /// Waits for more bytes. `false` when there will be none.
    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&bytes[..count]);
                assert!(self.received.len() <= ANSWER_BYTES_MAX, "an endless answer");
                true
            }
            // A peer that closes while bytes are on their way to it resets the connection.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("after {:?}: {error}", self.received_text()),
        }
    }

    fn received_text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

impl System {
    /// A bare connection to the first http_front.
    #[must_use]
    pub fn raw_http(&self) -> RawConnection {
        RawConnection::open(self.front_address(0))
    }

    /// A bare connection to the first auth_back.
    #[must_use]
    pub fn raw_auth(&self) -> RawConnection {
        RawConnection::open(self.auth_address())
    }
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}
