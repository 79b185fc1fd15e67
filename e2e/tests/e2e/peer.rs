//! A peer that speaks v2 by hand: its bytes come from PROTOCOL.md, not from the encoder that the
//! servers use, so both have to be right. Only the numbers are taken from the registry.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
};

use e2e::RawConnection;
use framing::registry::{self, Field, hello};

/// Message types, by their names in PROTOCOL.md.
pub(crate) const HELLO: u8 = 1;
pub(crate) const REGISTER: u8 = 2;
pub(crate) const AUTHENTICATE: u8 = 3;
pub(crate) const CHECK_SESSION: u8 = 4;
pub(crate) const HEALTH: u8 = 7;

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;

/// How frames are written: as this release does, or as a later one might.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Bytes of header beyond the 24 that are known today.
    pub(crate) header_extra: u8,
    /// Bits that mean nothing today.
    pub(crate) flags: u16,
}

impl Style {
    /// A later release: all that may grow has grown.
    pub(crate) const NEWER: Self = Self { header_extra: 40, flags: 0xa5a5 };

    fn frame(self, kind: u8, message_type: u8, correlation: u64, body: &Body) -> Vec<u8> {
        let budget_ms: u32 = if kind == REQUEST { 60_000 } else { 0 };
        let mut frame = vec![b'G', b'H', 2, 24 + self.header_extra, kind, message_type];
        frame.extend(self.flags.to_be_bytes());
        frame.extend(u32::try_from(body.0.len()).expect("a short body").to_be_bytes());
        frame.extend(budget_ms.to_be_bytes());
        frame.extend(correlation.to_be_bytes());
        frame.extend(std::iter::repeat_n(0xee, self.header_extra.into()));
        frame.extend(&body.0);
        frame
    }

    /// A request.
    pub(crate) fn request(self, message_type: u8, correlation: u64, body: &Body) -> Vec<u8> {
        self.frame(REQUEST, message_type, correlation, body)
    }

    /// A response.
    pub(crate) fn response(self, message_type: u8, correlation: u64, body: &Body) -> Vec<u8> {
        self.frame(RESPONSE, message_type, correlation, body)
    }
}

/// The tagged fields of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// Adds a field by number.
    pub(crate) fn with(mut self, number: u64, must_understand: bool, value: &[u8]) -> Self {
        push_varint(&mut self.0, number << 1 | u64::from(must_understand));
        push_varint(&mut self.0, value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Adds a field of the registry that holds bytes or text.
    pub(crate) fn bytes(self, field: &Field, value: impl AsRef<[u8]>) -> Self {
        self.with(field.number.into(), field.must_understand, value.as_ref())
    }

    /// Adds a field of the registry that holds a number.
    pub(crate) fn number(self, field: &Field, value: u64) -> Self {
        let mut varint = Vec::new();
        push_varint(&mut varint, value);
        self.bytes(field, varint)
    }

    /// HELLO of a peer that speaks versions 2 to `version_max`.
    pub(crate) fn hello(version_max: u64) -> Self {
        Self::default()
            .number(&hello::VERSION_MIN, 2)
            .number(&hello::VERSION_MAX, version_max)
            .number(&hello::FRAME_BYTES_MAX, 64 * 1024)
            .number(&hello::IN_FLIGHT_MAX, 16)
            .bytes(&hello::SOFTWARE, "e2e/1")
    }

    /// REGISTER.
    pub(crate) fn register(username: &str, password: &str, request_id: [u8; 16]) -> Self {
        use registry::register::{PASSWORD, REQUEST_ID, USERNAME};
        let body = Self::default().bytes(&USERNAME, username).bytes(&PASSWORD, password);
        body.bytes(&REQUEST_ID, request_id)
    }

    /// AUTHENTICATE.
    pub(crate) fn authenticate(username: &str, password: &str) -> Self {
        use registry::authenticate::{PASSWORD, REQUEST_ID, USERNAME};
        let body = Self::default().bytes(&USERNAME, username).bytes(&PASSWORD, password);
        body.bytes(&REQUEST_ID, fresh_request_id())
    }
}

/// A request id that no other request of this process has.
pub(crate) fn fresh_request_id() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
}

/// A received frame, with its fields by number.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) message_type: u8,
    pub(crate) correlation: u64,
    fields: BTreeMap<u64, Vec<u8>>,
}

impl Message {
    /// Cuts the first frame off `input`, with the number of its bytes.
    fn split(input: &[u8]) -> Option<(Self, usize)> {
        let head = input.get(..24)?;
        assert_eq!(head[..3], *b"GH\x02", "a header of v2");
        let header_len = usize::from(head[3]);
        let body_len = u32::from_be_bytes(head[8..12].try_into().expect("four bytes"));
        let end = header_len + usize::try_from(body_len).expect("32 bits or more");
        let mut body = input.get(header_len..end)?;
        let mut fields = BTreeMap::new();
        while !body.is_empty() {
            let key = take_varint(&mut body);
            let length = usize::try_from(take_varint(&mut body)).expect("a short field");
            let (value, rest) = body.split_at(length);
            body = rest;
            assert!(fields.insert(key >> 1, value.to_vec()).is_none(), "field {} twice", key >> 1);
        }
        let correlation = u64::from_be_bytes(head[16..24].try_into().expect("eight bytes"));
        Some((Self { kind: head[4], message_type: head[5], correlation, fields }, end))
    }

    /// The number in a field.
    pub(crate) fn number(&self, field: &Field) -> u64 {
        let value = self.fields.get(&u64::from(field.number));
        let mut value = value.unwrap_or_else(|| panic!("no {} in {self:?}", field.name)).as_slice();
        take_varint(&mut value)
    }

    /// The text in a field; an absent one is empty.
    pub(crate) fn text(&self, field: &Field) -> String {
        let value = self.fields.get(&u64::from(field.number)).cloned().unwrap_or_default();
        String::from_utf8(value).expect("a text is UTF-8")
    }

    /// Its status.
    pub(crate) fn status(&self) -> u64 {
        self.number(&registry::response::STATUS)
    }

    /// Its code.
    pub(crate) fn code(&self) -> String {
        self.text(&registry::response::CODE)
    }
}

/// A peer that asks auth_back, after HELLO.
#[derive(Debug)]
pub(crate) struct Peer {
    connection: RawConnection,
    style: Style,
    next_correlation: u64,
}

impl Peer {
    /// A peer that has not said HELLO.
    pub(crate) fn silent(connection: RawConnection, style: Style) -> Self {
        Self { connection, style, next_correlation: 1 << 40 }
    }

    /// Exchanges HELLO over a connection to auth_back.
    pub(crate) fn greet(connection: RawConnection, style: Style, hello: &Body) -> Self {
        let mut peer = Self::silent(connection, style);
        peer.send(&style.request(HELLO, 7, hello));
        let answer = peer.receive().expect("HELLO is answered");
        assert_eq!((answer.kind, answer.message_type, answer.correlation), (RESPONSE, HELLO, 7));
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert!(answer.number(&hello::VERSION_MIN) <= 2 && 2 <= answer.number(&hello::VERSION_MAX));
        peer
    }

    /// One request and its answer.
    pub(crate) fn ask(&mut self, message_type: u8, body: &Body) -> Message {
        let correlation = self.next_correlation;
        self.next_correlation += 1;
        self.send(&self.style.request(message_type, correlation, body));
        let answer = self.receive().expect("the connection stays");
        assert_eq!((answer.kind, answer.message_type), (RESPONSE, message_type), "{answer:?}");
        assert_eq!(answer.correlation, correlation, "{answer:?}");
        answer
    }

    /// Checks that the server still answers on this connection.
    pub(crate) fn assert_served(&mut self) {
        let health = self.ask(HEALTH, &Body::default());
        assert_eq!(health.status(), 200, "{health:?}");
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.connection.send(bytes);
    }

    /// The next frame, or `None` when the server closes.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        self.connection.read_with(Message::split)
    }
}

/// An auth server in a thread: answers every request on every connection with what `answer` makes of
/// it. It ends with the process.
pub(crate) fn serve(
    style: Style,
    answer: impl Fn(&Message) -> Body + Clone + Send + 'static,
) -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.expect("connections are taken"), answer.clone());
            std::thread::spawn(move || serve_one(stream, style, &answer));
        }
    });
    address
}

fn serve_one(mut stream: TcpStream, style: Style, answer: &dyn Fn(&Message) -> Body) {
    let mut received = Vec::new();
    let mut bytes = [0; 4096];
    // A front that goes away ends this connection; there is nobody to tell.
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        received.extend_from_slice(&bytes[..count]);
        while let Some((request, consumed)) = Message::split(&received) {
            received.drain(..consumed);
            let body = answer(&request);
            let frame = style.response(request.message_type, request.correlation, &body);
            if stream.write_all(&frame).is_err() {
                return;
            }
        }
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

fn take_varint(input: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = input.split_first().expect("a whole varint");
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}
