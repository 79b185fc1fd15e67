//! Whatever a server can be asked.

use super::{
    frame::Frame,
    message::{MessageType, RequestMessage},
    messages::{
        Authenticate, ChangePassword, CheckSession, Health, Hello, Logout, Products, Register,
        RevokeSession, Sessions,
    },
};
use crate::{DecodeError, kind::Kind};

/// Any request, as a server receives it.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// First on a connection.
    Hello(Hello<'a>),
    /// Makes an account.
    Register(Register<'a>),
    /// Trades a username and a password for a token.
    Authenticate(Authenticate<'a>),
    /// Asks whose session a token is.
    CheckSession(CheckSession<'a>),
    /// Ends a session.
    Logout(Logout<'a>),
    /// Lists the products, for a live session.
    Products(Products<'a>),
    /// Asks whether the server can serve.
    Health(Health),
    /// Lists a user's sessions.
    Sessions(Sessions<'a>),
    /// Ends another session of the same user.
    RevokeSession(RevokeSession<'a>),
    /// Replaces a password, ends every session and begins a new one.
    ChangePassword(ChangePassword<'a>),
}

impl<'a> Request<'a> {
    /// Its type.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::Hello(_) => MessageType::Hello,
            Self::Register(_) => MessageType::Register,
            Self::Authenticate(_) => MessageType::Authenticate,
            Self::CheckSession(_) => MessageType::CheckSession,
            Self::Logout(_) => MessageType::Logout,
            Self::Products(_) => MessageType::Products,
            Self::Health(_) => MessageType::Health,
            Self::Sessions(_) => MessageType::Sessions,
            Self::RevokeSession(_) => MessageType::RevokeSession,
            Self::ChangePassword(_) => MessageType::ChangePassword,
        }
    }

    /// Understands a frame as a request.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the peer is at fault and the connection can go on. Answer with
    /// [`Refusal::from`](super::Refusal::from) the error, under the frame's message type and correlation id; a response in
    /// place of a request ([`DecodeError::KindUnexpected`]) is not answered, because no requester
    /// waits.
    pub fn decode(frame: &Frame<'a>) -> Result<Self, DecodeError> {
        if frame.kind != Kind::Request {
            return Err(DecodeError::KindUnexpected(frame.kind));
        }
        let message_type = MessageType::new(frame.message_type)
            .ok_or(DecodeError::MessageTypeUnknown(frame.message_type))?;
        match message_type {
            MessageType::Hello => RequestMessage::decode(frame.body).map(Self::Hello),
            MessageType::Register => RequestMessage::decode(frame.body).map(Self::Register),
            MessageType::Authenticate => RequestMessage::decode(frame.body).map(Self::Authenticate),
            MessageType::CheckSession => RequestMessage::decode(frame.body).map(Self::CheckSession),
            MessageType::Logout => RequestMessage::decode(frame.body).map(Self::Logout),
            MessageType::Products => RequestMessage::decode(frame.body).map(Self::Products),
            MessageType::Health => RequestMessage::decode(frame.body).map(Self::Health),
            MessageType::Sessions => RequestMessage::decode(frame.body).map(Self::Sessions),
            MessageType::RevokeSession => {
                RequestMessage::decode(frame.body).map(Self::RevokeSession)
            }
            MessageType::ChangePassword => {
                RequestMessage::decode(frame.body).map(Self::ChangePassword)
            }
        }
    }
}
