//! Protocol v1: positional REG and AUTH, one answer for each request, in order.
//!
//! `PROTOCOL.md`, "Version 1", is the contract. v1 has no frame length, so an unknown command or a
//! length over the limit loses the stream. It is read and written as the requirement draws it and
//! does not grow; everything new is v2.

mod cursor;
mod request;
mod response;

pub use request::{RawRequest, Request, encode_request, split_request};
pub use response::{Response, encode_response, split_response};
