//! REGISTER and AUTHENTICATE: what carries a password.

use std::net::IpAddr;

use crate::{
    DecodeError, EncodeError, Secret,
    registry::{self, authenticate, register},
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
}

impl<'a> RequestMessage<'a> for Register<'a> {}
impl<'a> RequestMessage<'a> for Authenticate<'a> {}
impl ReplyMessage<'_> for RegisterReply {}
impl<'a> ReplyMessage<'a> for AuthenticateReply<'a> {}

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
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.text(&register::USERNAME, self.username)?;
        out.secret(&register::PASSWORD, self.password)?;
        if let Some(name) = self.name {
            out.text(&register::NAME, name)?;
        }
        if let Some(age) = self.age {
            out.number(&register::AGE, age);
        }
        out.request_id(&register::REQUEST_ID, self.request_id);
        if let Some(address) = self.client_address {
            out.address(&register::CLIENT_ADDRESS, address);
        }
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
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.text(&authenticate::USERNAME, self.username)?;
        out.secret(&authenticate::PASSWORD, self.password)?;
        out.request_id(&authenticate::REQUEST_ID, self.request_id);
        if let Some(address) = self.client_address {
            out.address(&authenticate::CLIENT_ADDRESS, address);
        }
        if let Some(user_agent) = self.user_agent {
            out.text(&authenticate::USER_AGENT, user_agent)?;
        }
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
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&authenticate::TOKEN, self.token)?;
        out.number(&authenticate::USER_ID, self.user_id);
        out.number(&authenticate::EXPIRES_IN_MS, self.expires_in_ms);
        Ok(())
    }
}
