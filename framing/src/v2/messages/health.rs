//! HEALTH: whether the server can serve, asked over the protocol itself.

use crate::{
    DecodeError, EncodeError,
    registry::{self, health},
    v2::{FieldWriter, Fields, Message, MessageType, ReplyMessage, RequestMessage},
};

/// Asks whether the server can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health;

/// The server answers, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthReply<'a> {
    /// Whether it can serve.
    pub ready: bool,
    /// Why it cannot, or empty. At most [`REASON_BYTES_MAX`](crate::limits::REASON_BYTES_MAX)
    /// bytes.
    pub reason: &'a str,
    /// Whether it stops before long. It serves until then; whoever has another server sends it nothing new.
    pub draining: bool,
}

impl RequestMessage<'_> for Health {}
impl<'a> ReplyMessage<'a> for HealthReply<'a> {}

impl Message<'_> for Health {
    const TYPE: MessageType = MessageType::Health;
    const FIELDS: &'static [registry::Field] = &[];

    fn read(_: &Fields<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn write(&self, _: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl<'a> Message<'a> for HealthReply<'a> {
    const TYPE: MessageType = MessageType::Health;
    const FIELDS: &'static [registry::Field] = health::RESPONSE;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            ready: fields.flag(&health::READY)?,
            reason: fields.text(&health::REASON)?,
            draining: fields.flag(&health::DRAINING)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.number(&health::READY, u8::from(self.ready));
        out.text(&health::REASON, self.reason)?;
        out.number(&health::DRAINING, u8::from(self.draining));
        Ok(())
    }
}
