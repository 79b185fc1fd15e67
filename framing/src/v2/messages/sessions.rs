//! SESSIONS and `REVOKE_SESSION`: what a user sees of their own sessions, and ends.

use std::net::IpAddr;

use super::list::{Item, List};
use crate::{
    DecodeError, EncodeError, Secret,
    registry::{
        Field, revoke_session,
        sessions::{self, item},
    },
    v2::{FieldWriter, Fields, Message, MessageType, ReplyMessage, RequestMessage},
};

/// Lists the live sessions of the token's user. Changes nothing, so it may be sent again freely.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    /// Of a live session.
    pub token: Secret<'a>,
}

/// The session is alive; its user's sessions, this one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionsReply<'a> {
    /// At most [`SESSIONS_MAX`](crate::limits::SESSIONS_MAX).
    pub sessions: SessionList<'a>,
}

/// The sessions of one user.
pub type SessionList<'a> = List<'a, SessionSummary<'a>>;

/// What a user sees of a session. Nothing of it proves anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSummary<'a> {
    /// Names the session in [`RevokeSession`].
    pub id: u64,
    /// When it began, milliseconds since 1970-01-01 UTC.
    pub created_at_unix_ms: u64,
    /// When it was last used, milliseconds since 1970-01-01 UTC. It may lag behind, because not
    /// every use is written down.
    pub last_seen_unix_ms: u64,
    /// How long it lives on.
    pub expires_in_ms: u64,
    /// Where it was begun from.
    pub client_address: Option<IpAddr>,
    /// The program that began it, as it called itself, at most
    /// [`USER_AGENT_BYTES_MAX`](crate::limits::USER_AGENT_BYTES_MAX) bytes.
    pub user_agent: Option<&'a str>,
    /// Whether it is the session of the request's token.
    pub current: bool,
}

/// Ends a session of the token's user. One that has ended is not known any more, so the request
/// must not be sent again when its outcome is unknown.
#[derive(Debug, Clone, Copy)]
pub struct RevokeSession<'a> {
    /// Of a live session.
    pub token: Secret<'a>,
    /// Which session, by its number in a list of the same user.
    pub session_id: u64,
    /// Where the user's own request came from.
    pub client_address: Option<IpAddr>,
}

/// The session is over in the store; see [`LogoutReply`](super::LogoutReply).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokeSessionReply {
    /// How long leases on the session can still run, counted from the moment this arrives.
    pub settled_in_ms: u32,
}

impl<'a> RequestMessage<'a> for Sessions<'a> {}
impl<'a> RequestMessage<'a> for RevokeSession<'a> {}
impl<'a> ReplyMessage<'a> for SessionsReply<'a> {}
impl ReplyMessage<'_> for RevokeSessionReply {}

impl<'a> Message<'a> for Sessions<'a> {
    const TYPE: MessageType = MessageType::Sessions;
    const FIELDS: &'static [Field] = sessions::REQUEST;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self { token: fields.secret(&sessions::TOKEN)? })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&sessions::TOKEN, self.token)
    }
}

impl<'a> Message<'a> for SessionsReply<'a> {
    const TYPE: MessageType = MessageType::Sessions;
    const FIELDS: &'static [Field] = sessions::RESPONSE;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self { sessions: List::read(fields)? })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        self.sessions.write(out)
    }
}

impl<'a> Item<'a> for SessionSummary<'a> {
    const LIST: Field = sessions::SESSIONS;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: fields.number(&item::ID)?,
            created_at_unix_ms: fields.number(&item::CREATED_AT_UNIX_MS)?,
            last_seen_unix_ms: fields.number(&item::LAST_SEEN_UNIX_MS)?,
            expires_in_ms: fields.number(&item::EXPIRES_IN_MS)?,
            client_address: fields.optional_address(&item::CLIENT_ADDRESS)?,
            user_agent: fields.optional_text(&item::USER_AGENT)?,
            current: fields.flag(&item::CURRENT)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.number(&item::ID, self.id);
        out.number(&item::CREATED_AT_UNIX_MS, self.created_at_unix_ms);
        out.number(&item::LAST_SEEN_UNIX_MS, self.last_seen_unix_ms);
        out.number(&item::EXPIRES_IN_MS, self.expires_in_ms);
        out.optional_address(&item::CLIENT_ADDRESS, self.client_address);
        out.optional_text(&item::USER_AGENT, self.user_agent)?;
        out.number(&item::CURRENT, u8::from(self.current));
        Ok(())
    }
}

impl<'a> Message<'a> for RevokeSession<'a> {
    const TYPE: MessageType = MessageType::RevokeSession;
    const FIELDS: &'static [Field] = revoke_session::REQUEST;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            token: fields.secret(&revoke_session::TOKEN)?,
            session_id: fields.number(&revoke_session::SESSION_ID)?,
            client_address: fields.optional_address(&revoke_session::CLIENT_ADDRESS)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&revoke_session::TOKEN, self.token)?;
        out.number(&revoke_session::SESSION_ID, self.session_id);
        out.optional_address(&revoke_session::CLIENT_ADDRESS, self.client_address);
        Ok(())
    }
}

impl Message<'_> for RevokeSessionReply {
    const TYPE: MessageType = MessageType::RevokeSession;
    const FIELDS: &'static [Field] = revoke_session::RESPONSE;

    fn read(fields: &Fields<'_>) -> Result<Self, DecodeError> {
        Ok(Self { settled_in_ms: fields.number(&revoke_session::SETTLED_IN_MS)? })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.number(&revoke_session::SETTLED_IN_MS, self.settled_in_ms);
        Ok(())
    }
}
