//! Protocol v2: a frozen header, then tagged fields.
//!
//! `PROTOCOL.md` is the contract. The tagging follows Protocol Buffers ("Encoding") and Thrift's
//! compact protocol in spirit: numbers instead of names, varints, unknown fields skipped. It differs
//! in that every encoding is unique but for field order, that a field may demand to be understood,
//! and that a duplicate is an error.
//!
//! Left out on purpose: compression and checksums (TCP and, across machines, TLS do those), maps,
//! floating point, and any message that is not one request with one response.

mod currency;
mod encoder;
mod features;
mod fields;
mod frame;
mod inbox;
mod message;
mod messages;
mod negotiate;
mod request;
mod request_id;

pub use currency::Currency;
pub use encoder::Encoder;
pub use features::Features;
pub use fields::{FieldWriter, Fields};
pub use frame::{Frame, MAGIC, MAJOR_VERSION, split_frame};
pub use inbox::Inbox;
pub use message::{Answer, Message, MessageType, Refusal, ReplyMessage, RequestMessage};
pub use messages::{
    Authenticate, AuthenticateReply, ChangePassword, ChangePasswordReply, CheckSession,
    CheckSessionReply, Health, HealthReply, Hello, Item, List, ListIter, Logout, LogoutReply,
    Product, ProductList, Products, ProductsReply, Register, RegisterReply, RevokeSession,
    RevokeSessionReply, SessionList, SessionSummary, Sessions, SessionsReply,
};
pub use negotiate::{Agreed, Incompatible, negotiate};
pub use request::Request;
pub use request_id::RequestId;

pub use crate::kind::Kind;
