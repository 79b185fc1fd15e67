//! `CHECK_SESSION` and LOGOUT: what a token can do.

use std::net::IpAddr;

use crate::{
    DecodeError, EncodeError, Secret,
    registry::{self, logout, session},
    v2::{FieldWriter, Fields, Message, MessageType, ReplyMessage, RequestMessage},
};

/// Asks whose session a token is. Changes nothing, so it may be sent again freely.
#[derive(Debug, Clone, Copy)]
pub struct CheckSession<'a> {
    /// As the user sent it.
    pub token: Secret<'a>,
}

/// The session is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckSessionReply<'a> {
    /// Whose session it is.
    pub user_id: u64,
    /// The name of that account.
    pub username: &'a str,
    /// How long the requester may give this answer again by itself, counted from the moment it
    /// *sent* the request; 0 means not at all.
    pub lease_ms: u32,
    /// How long the session lives on.
    pub expires_in_ms: u64,
    /// When it began, milliseconds since 1970-01-01 UTC.
    pub created_at_unix_ms: u64,
}

/// Ends a session, or all of its user. Ending one that has ended is no error, so that may be sent
/// again freely. Ending all needs a live session, so that must not be sent again when its outcome
/// is unknown.
#[derive(Debug, Clone, Copy)]
pub struct Logout<'a> {
    /// As the user sent it.
    pub token: Secret<'a>,
    /// Whether every session of the user ends. Sent only to a peer that has
    /// [`Features::SESSION_MANAGEMENT`](crate::v2::Features::SESSION_MANAGEMENT).
    pub all: bool,
    /// Where the user's own request came from.
    pub client_address: Option<IpAddr>,
}

/// The session is over in the store. Requesters that asked before may still answer for it under a
/// lease, so the user must not be told before `settled_in_ms` have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogoutReply {
    /// How long leases on the session can still run, counted from the moment this arrives; 0 when
    /// there are none.
    pub settled_in_ms: u32,
}

impl<'a> RequestMessage<'a> for CheckSession<'a> {}
impl<'a> RequestMessage<'a> for Logout<'a> {}
impl<'a> ReplyMessage<'a> for CheckSessionReply<'a> {}
impl ReplyMessage<'_> for LogoutReply {}

impl<'a> Message<'a> for CheckSession<'a> {
    const TYPE: MessageType = MessageType::CheckSession;
    const FIELDS: &'static [registry::Field] = session::REQUEST;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self { token: fields.secret(&session::TOKEN)? })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&session::TOKEN, self.token)
    }
}

impl<'a> Message<'a> for CheckSessionReply<'a> {
    const TYPE: MessageType = MessageType::CheckSession;
    const FIELDS: &'static [registry::Field] = session::RESPONSE;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            user_id: fields.number(&session::USER_ID)?,
            username: fields.text(&session::USERNAME)?,
            lease_ms: fields.number(&session::LEASE_MS)?,
            expires_in_ms: fields.number(&session::EXPIRES_IN_MS)?,
            created_at_unix_ms: fields.number(&session::CREATED_AT_UNIX_MS)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.number(&session::USER_ID, self.user_id);
        out.text(&session::USERNAME, self.username)?;
        out.number(&session::LEASE_MS, self.lease_ms);
        out.number(&session::EXPIRES_IN_MS, self.expires_in_ms);
        out.number(&session::CREATED_AT_UNIX_MS, self.created_at_unix_ms);
        Ok(())
    }
}

impl<'a> Message<'a> for Logout<'a> {
    const TYPE: MessageType = MessageType::Logout;
    const FIELDS: &'static [registry::Field] = logout::REQUEST;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            token: fields.secret(&logout::TOKEN)?,
            all: fields.flag(&logout::ALL)?,
            client_address: fields.optional_address(&logout::CLIENT_ADDRESS)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&logout::TOKEN, self.token)?;
        out.number(&logout::ALL, u8::from(self.all));
        out.optional_address(&logout::CLIENT_ADDRESS, self.client_address);
        Ok(())
    }
}

impl Message<'_> for LogoutReply {
    const TYPE: MessageType = MessageType::Logout;
    const FIELDS: &'static [registry::Field] = logout::RESPONSE;

    fn read(fields: &Fields<'_>) -> Result<Self, DecodeError> {
        Ok(Self { settled_in_ms: fields.number(&logout::SETTLED_IN_MS)? })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.number(&logout::SETTLED_IN_MS, self.settled_in_ms);
        Ok(())
    }
}
