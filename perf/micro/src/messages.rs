//! An authenticate request, by our framing and by prost.
//!
//! Both encode into a buffer that is used again, and both decode what was encoded. Ours carries more: the
//! header of its frame (type, length, correlation id, deadline). The message of prost is only
//! length-delimited, so the comparison favours it there.
//!
//! prost decodes into values that own their memory. That is what it is for; a second contender decodes
//! into a message that is cleared and used again, which keeps the memory of its required fields (an
//! `Option` loses its memory when it is cleared).

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use framing::Secret;
use framing::v2::{Authenticate, Encoder, Request, RequestId, split_frame};
use prost::Message;

const USERNAME: &str = "alice.liddell";
const PASSWORD: &str = "correct horse battery staple";
const REQUEST_ID: [u8; 16] = [7; 16];
const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const DEVICE: &str = "1.dGhlIG1hcmtlciBvZiBhbiBlYXJsaWVyIGxvZ2lu.c2lnbmVk";

pub const OURS: Authenticate<'static> = Authenticate {
    username: USERNAME,
    password: Secret::new(PASSWORD),
    request_id: RequestId::new(REQUEST_ID),
    client_address: Some(IpAddr::V4(ADDRESS)),
    user_agent: Some(USER_AGENT),
    device: Some(Secret::new(DEVICE)),
    forwarded: false,
};

/// The same fields, as somebody would write them for Protocol Buffers.
#[derive(Clone, PartialEq, Message)]
pub struct AuthenticateProto {
    #[prost(string, tag = "1")]
    pub username: String,
    #[prost(string, tag = "2")]
    pub password: String,
    #[prost(bytes = "vec", tag = "3")]
    pub request_id: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub client_address: Option<Vec<u8>>,
    #[prost(string, optional, tag = "5")]
    pub user_agent: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub device: Option<String>,
}

pub fn proto() -> AuthenticateProto {
    AuthenticateProto {
        username: USERNAME.to_owned(),
        password: PASSWORD.to_owned(),
        request_id: REQUEST_ID.to_vec(),
        client_address: Some(ADDRESS.octets().to_vec()),
        user_agent: Some(USER_AGENT.to_owned()),
        device: Some(DEVICE.to_owned()),
    }
}

/// Encodes and decodes, in the buffer of its last turn.
pub struct Ours {
    wire: Vec<u8>,
}

impl Default for Ours {
    fn default() -> Self {
        let mut ours = Self { wire: Vec::with_capacity(4096) };
        ours.encode();
        ours
    }
}

impl Ours {
    pub fn encode(&mut self) {
        self.wire.clear();
        Encoder::default()
            .request(&mut self.wire, black_box(1), black_box(1000), black_box(&OURS))
            .expect("within the limits");
        black_box(self.wire.as_slice());
    }

    pub fn decode(&self) {
        let split = split_frame(black_box(&self.wire)).expect("a frame");
        let (frame, _) = split.expect("a whole frame");
        let Ok(Request::Authenticate(request)) = Request::decode(&frame) else {
            panic!("not what was encoded");
        };
        black_box(request);
    }

    pub fn wire_bytes(&self) -> usize {
        self.wire.len()
    }
}

/// As [`Ours`], by prost.
pub struct Prost {
    message: AuthenticateProto,
    again: AuthenticateProto,
    wire: Vec<u8>,
}

impl Default for Prost {
    fn default() -> Self {
        let mut prost = Self {
            message: proto(),
            again: AuthenticateProto::default(),
            wire: Vec::with_capacity(4096),
        };
        prost.encode();
        prost
    }
}

impl Prost {
    pub fn encode(&mut self) {
        self.wire.clear();
        black_box(&self.message).encode_length_delimited(&mut self.wire).expect("a vector grows");
        black_box(self.wire.as_slice());
    }

    pub fn decode(&self) {
        let message = AuthenticateProto::decode_length_delimited(black_box(self.wire.as_slice()));
        black_box(message.expect("what was encoded"));
    }

    pub fn decode_again(&mut self) {
        self.again.clear();
        self.again
            .merge_length_delimited(black_box(self.wire.as_slice()))
            .expect("what was encoded");
        black_box(&self.again);
    }

    pub fn wire_bytes(&self) -> usize {
        self.wire.len()
    }
}
