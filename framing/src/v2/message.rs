//! What all messages have in common: their types, the traits of the codecs, refusals.

use std::time::Duration;

use super::{
    fields::{FieldWriter, Fields, mask},
    frame::Frame,
};
use crate::{
    DecodeError, EncodeError, Status,
    kind::Kind,
    limits::DETAIL_BYTES_MAX,
    registry::{self, request, response},
};

/// The messages of this release, by their numbers in the [`registry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageType {
    /// First in both directions: versions, features, limits.
    Hello = 1,
    /// Makes an account.
    Register = 2,
    /// Trades a username and a password for a token.
    Authenticate = 3,
    /// Asks whose session a token is.
    CheckSession = 4,
    /// Ends a session.
    Logout = 5,
    /// Lists the products, for a live session.
    Products = 6,
    /// Asks whether the server can serve.
    Health = 7,
    /// Lists a user's sessions.
    Sessions = 8,
    /// Ends another session of the same user.
    RevokeSession = 9,
    /// Replaces a password, ends every session and begins a new one.
    ChangePassword = 10,
}

impl MessageType {
    /// Every type, in order of their numbers.
    pub const ALL: [Self; registry::MESSAGES.len()] = [
        Self::Hello,
        Self::Register,
        Self::Authenticate,
        Self::CheckSession,
        Self::Logout,
        Self::Products,
        Self::Health,
        Self::Sessions,
        Self::RevokeSession,
        Self::ChangePassword,
    ];

    /// The type with this number; `None` when a newer release brought it.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.number() == number)
    }

    /// Byte 5 of the header.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name in the registry, such as `CHECK_SESSION`; fit for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        registry::MESSAGES[self as usize - 1].name
    }
}

const _: () = {
    let mut i = 0;
    while i < MessageType::ALL.len() {
        assert!(MessageType::ALL[i].number() == registry::MESSAGES[i].number);
        i += 1;
    }
};

/// A message of v2, borrowed from the frame that carries it.
///
/// Implemented here only: its methods work on types that only this crate makes.
pub trait Message<'a>: Sized {
    /// Its number and name.
    const TYPE: MessageType;

    /// The fields it has of its own.
    const FIELDS: &'static [registry::Field];

    /// Builds the message from the fields of a body.
    ///
    /// # Errors
    ///
    /// A field is missing or not of its type.
    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError>;

    /// Appends the message's fields.
    ///
    /// # Errors
    ///
    /// A text is over the limit of its field.
    fn write(&self, fields: &mut FieldWriter<'_>) -> Result<(), EncodeError>;
}

/// A message that asks.
pub trait RequestMessage<'a>: Message<'a> {
    /// Reads the message from the body of its frame. [`Request::decode`](super::Request::decode) also looks at the header.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the fields are malformed or not the message's.
    fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::NONE;
        fields.read(body, const { mask(Self::FIELDS) | mask(request::FIELDS) })?;
        Self::read(&fields)
    }
}

/// A message that answers with status 200; any other answer is a [`Refusal`].
pub trait ReplyMessage<'a>: Message<'a> {
    /// Reads an answer from the body of its frame. [`Frame::answer`] also looks at the header.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the fields are malformed or not the message's.
    fn decode(body: &'a [u8]) -> Result<Answer<'a, Self>, DecodeError> {
        let known = const { mask(response::FIELDS) | mask(Self::FIELDS) };
        let mut fields = Fields::NONE;
        fields.read(body, known)?;
        let status = Status::new(fields.number(&response::STATUS)?)
            .ok_or(DecodeError::FieldRange(response::STATUS.number))?;
        if status == Status::OK {
            return Self::read(&fields).map(Ok);
        }
        let code = fields.text(&response::CODE)?;
        let detail = fields.text(&response::DETAIL)?;
        let retry_after_ms = fields.number(&response::RETRY_AFTER_MS)?;
        Ok(Err(Refusal { status, code, detail, retry_after_ms }))
    }
}

/// What a request comes to: the reply that it asked for, or a refusal.
pub type Answer<'a, R> = Result<R, Refusal<'a>>;

/// An answer with any status but 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    status: Status,
    code: &'a str,
    detail: &'a str,
    retry_after_ms: u32,
}

impl<'a> Refusal<'a> {
    /// A refusal with a stable code for programs, such as `username_taken`; it may be empty.
    ///
    /// # Panics
    ///
    /// When `status` is 200: that would be read as a reply whose fields are missing.
    #[must_use]
    pub const fn new(status: Status, code: &'a str) -> Self {
        assert!(status.get() != Status::OK.get(), "a refusal has a status other than 200");
        Self { status, code, detail: "", retry_after_ms: 0 }
    }

    /// Adds a text for people. It is cut, at a character, to [`DETAIL_BYTES_MAX`] bytes: a long
    /// explanation must not cost the peer its answer.
    #[must_use]
    pub fn with_detail(mut self, detail: &'a str) -> Self {
        self.detail = &detail[..detail.floor_char_boundary(DETAIL_BYTES_MAX)];
        self
    }

    /// Adds how long to wait before asking again, for statuses 429 and 503. It is rounded up to
    /// whole milliseconds, so that who waits that long has waited long enough.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        let ms = wait.as_nanos().div_ceil(1_000_000);
        self.retry_after_ms = u32::try_from(ms).unwrap_or(u32::MAX);
        self
    }

    /// The outcome, never 200.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The stable code, or empty.
    #[must_use]
    pub const fn code(&self) -> &'a str {
        self.code
    }

    /// The text for people, or empty.
    #[must_use]
    pub const fn detail(&self) -> &'a str {
        self.detail
    }

    /// How long to wait before asking again, in milliseconds; 0 when nothing is known.
    #[must_use]
    pub const fn retry_after_ms(&self) -> u32 {
        self.retry_after_ms
    }

    pub(super) fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.number(&response::STATUS, self.status.get());
        out.text(&response::CODE, self.code)?;
        out.text(&response::DETAIL, self.detail)?;
        out.number(&response::RETRY_AFTER_MS, self.retry_after_ms);
        Ok(())
    }
}

/// The 400 that answers a message which cannot be understood.
impl From<DecodeError> for Refusal<'static> {
    fn from(error: DecodeError) -> Self {
        Self::new(Status::BAD_REQUEST, error.code())
    }
}

impl<'a> Frame<'a> {
    /// What the user's own request, which this request was made for, is found again by; `None` when nothing is
    /// said of it, as by a peer of a release before 2.2. Of a frame that [`Request::decode`](super::Request::decode) has understood.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when it is longer than
    /// [`HTTP_REQUEST_ID_BYTES_MAX`](crate::limits::HTTP_REQUEST_ID_BYTES_MAX), empty, or has a byte that is no
    /// visible character of ASCII: it goes into logs as it is.
    pub fn http_request_id(&self) -> Result<Option<&'a str>, DecodeError> {
        let field = &request::HTTP_REQUEST_ID;
        let Some(id) = Fields::find_text(self.body, field)? else { return Ok(None) };
        let is_visible = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
        if is_visible { Ok(Some(id)) } else { Err(DecodeError::FieldRange(field.number)) }
    }

    /// Understands a frame as the answer to a request whose reply is `R`. Matching the correlation
    /// id is up to the caller.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the peer is at fault; what the request came to is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// use framing::{Status, v2::{Encoder, MessageType, Refusal, RegisterReply, split_frame}};
    ///
    /// let taken = Refusal::new(Status::CONFLICT, "username_taken");
    /// let mut wire = Vec::new();
    /// Encoder::default().answer::<RegisterReply>(&mut wire, 1, &Err(taken))?;
    ///
    /// let (frame, _) = split_frame(&wire)?.ok_or("incomplete")?;
    /// assert_eq!(frame.answer::<RegisterReply>()?, Err(taken));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer<R: ReplyMessage<'a>>(&self) -> Result<Answer<'a, R>, DecodeError> {
        if self.kind != Kind::Response {
            return Err(DecodeError::KindUnexpected(self.kind));
        }
        let (want, got) = (R::TYPE.number(), self.message_type);
        if want != got {
            return Err(DecodeError::MessageTypeUnexpected { want, got });
        }
        R::decode(self.body)
    }
}
