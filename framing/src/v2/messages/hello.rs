//! HELLO: the first frame in both directions.

use crate::{
    DecodeError, EncodeError, limits,
    registry::{self, hello},
    v2::{
        FieldWriter, Fields, MAJOR_VERSION, Message, MessageType, ReplyMessage, RequestMessage,
        features::Features,
    },
};

/// What a peer speaks and accepts; request and reply alike. See [`negotiate`](crate::v2::negotiate).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The lowest major version that the sender speaks, not over `version_max`.
    pub version_min: u8,
    /// The highest major version that the sender speaks.
    pub version_max: u8,
    /// What the sender can do beyond its version.
    pub features: Features,
    /// The longest frame that the sender accepts, in bytes, header included.
    pub frame_bytes_max: u32,
    /// How many unanswered requests the sender is prepared for on this connection.
    pub in_flight_max: u32,
    /// Name and version of the program, such as `http_front/0.1.0`; for logs only. At most
    /// [`SOFTWARE_BYTES_MAX`](limits::SOFTWARE_BYTES_MAX) bytes.
    pub software: &'a str,
    /// How many passwords the responder hashes at a time, each on a thread: with as many requests that hash it has work
    /// for all of them. 0 of the requester, and of a release before 2.2.
    pub hash_threads: u32,
}

impl<'a> Hello<'a> {
    /// The HELLO of this release.
    #[must_use]
    pub const fn current(software: &'a str, in_flight_max: u32) -> Self {
        const FRAME_BYTES_MAX: u32 = 64 * 1024;
        const _: () = assert!(FRAME_BYTES_MAX as usize == limits::FRAME_BYTES_MAX);
        Self {
            version_min: MAJOR_VERSION,
            version_max: MAJOR_VERSION,
            features: Features::KNOWN,
            frame_bytes_max: FRAME_BYTES_MAX,
            in_flight_max,
            software,
            hash_threads: 0,
        }
    }
}

impl<'a> RequestMessage<'a> for Hello<'a> {}
impl<'a> ReplyMessage<'a> for Hello<'a> {}

impl<'a> Message<'a> for Hello<'a> {
    const TYPE: MessageType = MessageType::Hello;
    const FIELDS: &'static [registry::Field] = hello::RESPONSE;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        let hello = Self {
            version_min: fields.number(&hello::VERSION_MIN)?,
            version_max: fields.number(&hello::VERSION_MAX)?,
            features: Features::from_bits(fields.number(&hello::FEATURES)?),
            frame_bytes_max: fields.number(&hello::FRAME_BYTES_MAX)?,
            in_flight_max: fields.number(&hello::IN_FLIGHT_MAX)?,
            software: fields.text(&hello::SOFTWARE)?,
            hash_threads: fields.number(&hello::HASH_THREADS)?,
        };
        if hello.version_min > hello.version_max {
            return Err(DecodeError::FieldRange(hello::VERSION_MIN.number));
        }
        Ok(hello)
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        debug_assert!(self.version_min <= self.version_max);
        out.number(&hello::VERSION_MIN, self.version_min);
        out.number(&hello::VERSION_MAX, self.version_max);
        out.number(&hello::FEATURES, self.features.bits());
        out.number(&hello::FRAME_BYTES_MAX, self.frame_bytes_max);
        out.number(&hello::IN_FLIGHT_MAX, self.in_flight_max);
        out.text(&hello::SOFTWARE, self.software)?;
        out.number(&hello::HASH_THREADS, self.hash_threads);
        Ok(())
    }
}
