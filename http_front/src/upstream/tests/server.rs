//! An auth server that does what the test says: a listener, and a thread for each connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use framing::Status;
use framing::v2::{
    AuthenticateReply, ChangePasswordReply, CheckSessionReply, Encoder, Frame, Hello, Inbox,
    LogoutReply, MessageType, Refusal, ReplyMessage, Request, RequestId, RevokeSessionReply,
    SessionList, SessionsReply,
};
use parking_lot::Mutex;

/// The HELLO of a server of this release.
pub(super) const HELLO: Hello<'static> = Hello::current("auth_back/test", 64);

/// A running server. Its threads end with the connections, at the end of the test process at last.
pub(super) struct AuthServer {
    pub(super) address: SocketAddr,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl AuthServer {
    /// Serves each connection with `serve`, which gets it fresh, and closes it when that returns.
    pub(super) fn start(serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let connections = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::clone(&connections);
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let handle = stream.try_clone().expect("a descriptor");
                accepted.lock().push(handle);
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    let mut peer = Peer { stream, inbox: Inbox::new() };
                    serve(&mut peer);
                    peer.close();
                });
            }
        });
        Self { address, connections }
    }

    /// A server that greets, and answers every request as [`Peer::answer`] does.
    pub(super) fn willing() -> Self {
        Self::start(|peer| {
            peer.greet(&HELLO);
            while let Some(got) = peer.next() {
                peer.answer(&got);
            }
        })
    }

    /// How many connections there have been.
    pub(super) fn accepted(&self) -> usize {
        self.connections.lock().len()
    }

    /// Ends all connections, as a restart does.
    pub(super) fn close_connections(&self) {
        for connection in self.connections.lock().iter() {
            // The peer may have closed it already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// An address at which nobody listens.
pub(super) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}

/// One connection of a front, from the server's side.
pub(super) struct Peer {
    stream: TcpStream,
    inbox: Inbox,
}

/// A request, without what borrows from its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) correlation: u64,
    pub(super) message_type: MessageType,
    pub(super) budget_ms: u32,
    /// The token or the username.
    pub(super) who: String,
    pub(super) request_id: Option<RequestId>,
    /// All of it, secrets hidden.
    pub(super) shown: String,
}

impl Peer {
    /// Waits for the front's HELLO and answers it.
    pub(super) fn greet(&mut self, hello: &Hello<'_>) {
        if let Some(got) = self.next() {
            assert_eq!(got.message_type, MessageType::Hello);
            self.reply(&got, hello);
        }
    }

    /// The next request; `None` when the front has closed the connection.
    pub(super) fn next(&mut self) -> Option<Got> {
        loop {
            let frame = self.inbox.next_frame().expect("the front sends frames");
            if let Some(frame) = frame {
                return Some(Got::of(&frame));
            }
            match self.stream.read(self.inbox.space()) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.inbox.filled(count),
            }
        }
    }

    /// Whether the front has sent more than was looked at.
    pub(super) fn has_more(&self) -> bool {
        self.inbox.waiting() > 0
    }

    /// Says yes; the user id is the number in the token or username.
    pub(super) fn answer(&mut self, got: &Got) {
        let user_id = number(&got.who);
        match got.message_type {
            MessageType::Authenticate => {
                let token = framing::Secret::new("ghs_new");
                let (expires_in_ms, device) = (user_id, None);
                self.reply(got, &AuthenticateReply { token, user_id, expires_in_ms, device });
            }
            MessageType::CheckSession => self.reply(got, &session(user_id, &got.who)),
            MessageType::Logout => self.reply(got, &LogoutReply { settled_in_ms: 5000 }),
            MessageType::Health => {
                self.reply(
                    got,
                    &framing::v2::HealthReply { ready: true, reason: "", draining: false },
                );
            }
            MessageType::Sessions => {
                self.reply(got, &SessionsReply { sessions: SessionList::new(&[]) });
            }
            MessageType::RevokeSession => {
                self.reply(got, &RevokeSessionReply { settled_in_ms: 5000 });
            }
            MessageType::ChangePassword => {
                let (token, settled_in_ms) = (framing::Secret::new("ghs_new"), 5000);
                let expires_in_ms = user_id;
                self.reply(
                    got,
                    &ChangePasswordReply { token, user_id, expires_in_ms, settled_in_ms },
                );
            }
            other => panic!("no test sends {}", other.name()),
        }
    }

    pub(super) fn reply<'a, R: ReplyMessage<'a> + Copy>(&mut self, got: &Got, reply: &R) {
        let mut wire = Vec::new();
        let encoded = Encoder::default().answer(&mut wire, got.correlation, &Ok(*reply));
        encoded.expect("an answer of the test's own");
        self.write(&wire);
    }

    pub(super) fn refuse(&mut self, got: &Got, status: Status, code: &str) {
        let mut wire = Vec::new();
        let refusal = Refusal::new(status, code);
        let number = got.message_type.number();
        let encoded = Encoder::default().refusal(&mut wire, got.correlation, number, &refusal);
        encoded.expect("a refusal of the test's own");
        self.write(&wire);
    }

    /// Sends bytes as they are. The front may have gone.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Takes requests and answers none, until the front closes the connection.
    pub(super) fn hang(&mut self) {
        while self.next().is_some() {}
    }

    fn close(&self) {
        // The front may have closed it already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Got {
    fn of(frame: &Frame<'_>) -> Self {
        let request = Request::decode(frame).expect("the front sends requests");
        let (message_type, who, request_id) = match request {
            Request::Hello(hello) => (MessageType::Hello, hello.software, None),
            Request::Register(sent) => {
                (MessageType::Register, sent.username, Some(sent.request_id))
            }
            Request::Authenticate(sent) => {
                (MessageType::Authenticate, sent.username, Some(sent.request_id))
            }
            Request::CheckSession(sent) => (MessageType::CheckSession, sent.token.expose(), None),
            Request::Logout(sent) => (MessageType::Logout, sent.token.expose(), None),
            Request::Products(sent) => (MessageType::Products, sent.token.expose(), None),
            Request::Health(_) => (MessageType::Health, "", None),
            Request::Sessions(sent) => (MessageType::Sessions, sent.token.expose(), None),
            Request::RevokeSession(sent) => (MessageType::RevokeSession, sent.token.expose(), None),
            Request::ChangePassword(sent) => {
                (MessageType::ChangePassword, sent.token.expose(), None)
            }
        };
        Self {
            correlation: frame.correlation,
            message_type,
            budget_ms: frame.budget_ms,
            who: who.to_owned(),
            request_id,
            shown: format!("{request:?}"),
        }
    }
}

/// A live session of user `user_id`, leased for a second.
pub(super) fn session(user_id: u64, username: &str) -> CheckSessionReply<'_> {
    CheckSessionReply {
        user_id,
        username,
        lease_ms: 1000,
        expires_in_ms: 60_000,
        created_at_unix_ms: 1,
    }
}

/// The digits in a text; 0 when it has none.
fn number(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}
