//! HTTP/1.1 as a protocol of the [`reactor`].
//!
//! A server implements [`Handler`] and runs [`Connection`] on a loop. Framing is judged strictly,
//! one request of a connection is in work at a time, and answers keep the order of requests.
//!
//! | module | what it does |
//! |---|---|
//! | `connection` | the state machine of one connection: heads, bodies, answers, deadlines |
//! | `head` | request heads: end, grammar, target, `Host`, framing |
//! | `chunked` | the chunked coding |
//! | `handler` | what an application implements |
//! | `precondition` | `If-Match` and `If-None-Match` of GET and HEAD |
//! | `request_id` | what a request and its answer are found again by |
//! | `response`, `problem`, `status`, `date` | answers |
//! | `fault`, `reason` | what the protocol refuses without asking the application |
//! | [`limits`] | every bound |
//!
//! The crate is sans-IO: its `clippy.toml` bans sockets, clocks and threads. Left out on purpose:
//! TLS, HTTP/2, upgrades, compression, answers of unknown length.

mod chunked;
mod connection;
mod date;
mod fault;
mod grammar;
mod handler;
mod head;
pub mod limits;
mod precondition;
mod problem;
mod reason;
mod request_id;
mod response;
mod status;

pub use chunked::{ChunkDecoder, ChunkError, Decoded};
pub use connection::Connection;
pub use date::{DateCache, WallClock, wall_clock};
pub use fault::Fault;
pub use handler::{Accepted, Answerer, Exchange, Handler, Shared};
pub use head::{BodyLength, FieldSlots, Head, HeadError, HeadScan, Method, RepeatedField, Version};
pub use problem::Problem;
pub use reason::Reason;
pub use request_id::RequestId;
pub use response::{Answered, ContentWriter, PreparedResponse, Progress, Reply, Response};
pub use status::Status;
