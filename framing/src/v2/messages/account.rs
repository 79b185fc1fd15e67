//! REGISTER, AUTHENTICATE and `CHANGE_PASSWORD`: what carries a password.

use std::net::IpAddr;

use crate::{
    DecodeError, EncodeError, Secret,
    registry::{self, authenticate, change_password, register},
    v2::{FieldWriter, Fields, Message, MessageType, ReplyMessage, RequestId, RequestMessage},
};

/// Makes an account. Sent again with the same request id, it answers as it first did.
#[derive(Debug, Clone, Copy)]
pub struct Register<'a> {
    /// As the user typed it: UTF-8 within the wire limit, not yet a valid username.
    pub username: &'a str,
    /// As the user typed it, not yet a valid password.
    pub password: Secret<'a>,
    /// A display name.
    pub name: Option<&'a str>,
    /// In years.
    pub age: Option<u8>,
    /// The same for every sending of this request.
    pub request_id: RequestId,
    /// Where the user's own request came from.
    pub client_address: Option<IpAddr>,
    /// The user's program, as it calls itself. The sender cuts it to
    /// [`USER_AGENT_BYTES_MAX`](crate::limits::USER_AGENT_BYTES_MAX) bytes.
    pub user_agent: Option<&'a str>,
    /// Whether a proxy brought the user's own request, by what its header says. Known with and without
    /// [`client_address`](Self::client_address): whether that proxy is believed is another question.
    pub forwarded: bool,
}

/// The account is made, and durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterReply {
    /// Its id.
    pub user_id: u64,
}

/// Trades a username and a password for a session.
#[derive(Debug, Clone, Copy)]
pub struct Authenticate<'a> {
    /// As the user typed it: UTF-8 within the wire limit, not yet a valid username.
    pub username: &'a str,
    /// As the user typed it.
    pub password: Secret<'a>,
    /// The same for every sending of this request.
    pub request_id: RequestId,
    /// Where the user's own request came from.
    pub client_address: Option<IpAddr>,
    /// The user's program, as it calls itself. The sender cuts it to
    /// [`USER_AGENT_BYTES_MAX`](crate::limits::USER_AGENT_BYTES_MAX) bytes.
    pub user_agent: Option<&'a str>,
    /// The known-device marker of an earlier login. Who cannot read it treats it as none.
    pub device: Option<Secret<'a>>,
    /// As in [`Register::forwarded`].
    pub forwarded: bool,
}

/// The session is made.
#[derive(Debug, Clone, Copy)]
pub struct AuthenticateReply<'a> {
    /// Proves the session from now on.
    pub token: Secret<'a>,
    /// Whose session it is.
    pub user_id: u64,
    /// How long it lives.
    pub expires_in_ms: u64,
    /// A fresh known-device marker for the user's program to keep and send with its next login. It
    /// opens nothing: it only keeps attempts of others from using up this program's own.
    pub device: Option<Secret<'a>>,
}

/// Replaces the password of a live session's user, ends every session of that user, and begins a
/// new one. Must not be sent again when its outcome is unknown: its own token has ended if it was
/// done, and the refusal would say that nothing was.
#[derive(Debug, Clone, Copy)]
pub struct ChangePassword<'a> {
    /// Of a live session.
    pub token: Secret<'a>,
    /// As the user typed it.
    pub current_password: Secret<'a>,
    /// As the user typed it, not yet a valid password.
    pub new_password: Secret<'a>,
    /// Where the user's own request came from.
    pub client_address: Option<IpAddr>,
    /// The user's program, as it calls itself. The sender cuts it to
    /// [`USER_AGENT_BYTES_MAX`](crate::limits::USER_AGENT_BYTES_MAX) bytes.
    pub user_agent: Option<&'a str>,
    /// As in [`Register::forwarded`].
    pub forwarded: bool,
}

/// The new password holds, and one session, a new one, is left.
#[derive(Debug, Clone, Copy)]
pub struct ChangePasswordReply<'a> {
    /// Proves the new session.
    pub token: Secret<'a>,
    /// Whose session it is.
    pub user_id: u64,
    /// How long it lives.
    pub expires_in_ms: u64,
    /// How long leases on the sessions that ended can still run, counted from the moment this
    /// arrives; the user must not be told before.
    pub settled_in_ms: u32,
}

impl<'a> RequestMessage<'a> for Register<'a> {}
impl<'a> RequestMessage<'a> for Authenticate<'a> {}
impl<'a> RequestMessage<'a> for ChangePassword<'a> {}
impl ReplyMessage<'_> for RegisterReply {}
impl<'a> ReplyMessage<'a> for AuthenticateReply<'a> {}
impl<'a> ReplyMessage<'a> for ChangePasswordReply<'a> {}

impl<'a> Message<'a> for Register<'a> {
    const TYPE: MessageType = MessageType::Register;
    const FIELDS: &'static [registry::Field] = register::REQUEST;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            username: fields.text(&register::USERNAME)?,
            password: fields.secret(&register::PASSWORD)?,
            name: fields.optional_text(&register::NAME)?,
            age: fields.optional_number(&register::AGE)?,
            request_id: fields.request_id(&register::REQUEST_ID)?,
            client_address: fields.optional_address(&register::CLIENT_ADDRESS)?,
            user_agent: fields.optional_text(&register::USER_AGENT)?,
            forwarded: fields.flag(&register::FORWARDED)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.text(&register::USERNAME, self.username)?;
        out.secret(&register::PASSWORD, self.password)?;
        out.optional_text(&register::NAME, self.name)?;
        if let Some(age) = self.age {
            out.number(&register::AGE, age);
        }
        out.request_id(&register::REQUEST_ID, self.request_id);
        out.optional_address(&register::CLIENT_ADDRESS, self.client_address);
        out.optional_text(&register::USER_AGENT, self.user_agent)?;
        out.number(&register::FORWARDED, self.forwarded);
        Ok(())
    }
}

impl Message<'_> for RegisterReply {
    const TYPE: MessageType = MessageType::Register;
    const FIELDS: &'static [registry::Field] = register::RESPONSE;

    fn read(fields: &Fields<'_>) -> Result<Self, DecodeError> {
        Ok(Self { user_id: fields.number(&register::USER_ID)? })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.number(&register::USER_ID, self.user_id);
        Ok(())
    }
}

impl<'a> Message<'a> for Authenticate<'a> {
    const TYPE: MessageType = MessageType::Authenticate;
    const FIELDS: &'static [registry::Field] = authenticate::REQUEST;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            username: fields.text(&authenticate::USERNAME)?,
            password: fields.secret(&authenticate::PASSWORD)?,
            request_id: fields.request_id(&authenticate::REQUEST_ID)?,
            client_address: fields.optional_address(&authenticate::CLIENT_ADDRESS)?,
            user_agent: fields.optional_text(&authenticate::USER_AGENT)?,
            device: fields.optional_secret(&authenticate::DEVICE)?,
            forwarded: fields.flag(&authenticate::FORWARDED)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.text(&authenticate::USERNAME, self.username)?;
        out.secret(&authenticate::PASSWORD, self.password)?;
        out.request_id(&authenticate::REQUEST_ID, self.request_id);
        out.optional_address(&authenticate::CLIENT_ADDRESS, self.client_address);
        out.optional_text(&authenticate::USER_AGENT, self.user_agent)?;
        out.optional_secret(&authenticate::DEVICE, self.device)?;
        out.number(&authenticate::FORWARDED, self.forwarded);
        Ok(())
    }
}

impl<'a> Message<'a> for AuthenticateReply<'a> {
    const TYPE: MessageType = MessageType::Authenticate;
    const FIELDS: &'static [registry::Field] = authenticate::RESPONSE;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            token: fields.secret(&authenticate::TOKEN)?,
            user_id: fields.number(&authenticate::USER_ID)?,
            expires_in_ms: fields.number(&authenticate::EXPIRES_IN_MS)?,
            device: fields.optional_secret(&authenticate::DEVICE_KEPT)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&authenticate::TOKEN, self.token)?;
        out.number(&authenticate::USER_ID, self.user_id);
        out.number(&authenticate::EXPIRES_IN_MS, self.expires_in_ms);
        out.optional_secret(&authenticate::DEVICE_KEPT, self.device)
    }
}

impl<'a> Message<'a> for ChangePassword<'a> {
    const TYPE: MessageType = MessageType::ChangePassword;
    const FIELDS: &'static [registry::Field] = change_password::REQUEST;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            token: fields.secret(&change_password::TOKEN)?,
            current_password: fields.secret(&change_password::CURRENT_PASSWORD)?,
            new_password: fields.secret(&change_password::NEW_PASSWORD)?,
            client_address: fields.optional_address(&change_password::CLIENT_ADDRESS)?,
            user_agent: fields.optional_text(&change_password::USER_AGENT)?,
            forwarded: fields.flag(&change_password::FORWARDED)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&change_password::TOKEN, self.token)?;
        out.secret(&change_password::CURRENT_PASSWORD, self.current_password)?;
        out.secret(&change_password::NEW_PASSWORD, self.new_password)?;
        out.optional_address(&change_password::CLIENT_ADDRESS, self.client_address);
        out.optional_text(&change_password::USER_AGENT, self.user_agent)?;
        out.number(&change_password::FORWARDED, self.forwarded);
        Ok(())
    }
}

impl<'a> Message<'a> for ChangePasswordReply<'a> {
    const TYPE: MessageType = MessageType::ChangePassword;
    const FIELDS: &'static [registry::Field] = change_password::RESPONSE;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            token: fields.secret(&change_password::FRESH_TOKEN)?,
            user_id: fields.number(&change_password::USER_ID)?,
            expires_in_ms: fields.number(&change_password::EXPIRES_IN_MS)?,
            settled_in_ms: fields.number(&change_password::SETTLED_IN_MS)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&change_password::FRESH_TOKEN, self.token)?;
        out.number(&change_password::USER_ID, self.user_id);
        out.number(&change_password::EXPIRES_IN_MS, self.expires_in_ms);
        out.number(&change_password::SETTLED_IN_MS, self.settled_in_ms);
        Ok(())
    }
}
