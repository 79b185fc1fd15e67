//! The one text of a record, and back.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as B64;
use hashing::foreign::{self, PREFIX};
use hashing::limits::{FOREIGN_SALT_LEN_MAX, FOREIGN_TAG_LEN_MAX, SALT_LEN, TAG_LEN};
use hashing::{ForeignFunction, Params, ParamsError, Salt};

use super::super::limits::RECORD_LEN_MAX;
use super::super::pepper::{NONCE_LEN, Nonce, SealedTag, sealed_len};
use super::{Function, Header, PasswordRecord};

/// Marks the format, with its version.
const FORMAT: &str = "gh1";
const ALGORITHM: &str = "argon2id";
const ARGON2_VERSION: &str = "v=19";

impl PasswordRecord {
    /// The one text of this record: ASCII, at most [`RECORD_LEN_MAX`] bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (nonce, sealed) = (B64.encode(self.nonce.0), B64.encode(self.sealed.as_bytes()));
        format!("{}${nonce}${sealed}", self.header)
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, pepper } = self;
        write!(f, "${FORMAT}${function}${}$k={pepper}", B64.encode(function.salt()))
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours { params, .. } => write!(f, "{ALGORITHM}${ARGON2_VERSION}${params}"),
            Self::Foreign { function, .. } => write!(f, "{function}"),
        }
    }
}

/// Why a text is not a record. The store, or whoever wrote to it, is at fault. Never repeats any of
/// the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Longer than any record.
    #[error("{len} bytes are more than a password record has")]
    TooLong {
        /// Length of the text, in bytes.
        len: usize,
    },
    /// Not a record at all, or one of a later version of this program.
    #[error("not a password record of a known format")]
    Format,
    /// A record of an algorithm, or a version of it, that this version does not have.
    #[error("a password record of an unknown algorithm")]
    Algorithm,
    /// The cost is malformed or out of bounds.
    #[error("in a password record: {0}")]
    Params(#[from] ParamsError),
    /// A field is missing or malformed.
    #[error("the {0} of a password record is malformed")]
    Field(&'static str),
    /// Something follows where a record ends.
    #[error("a password record has too many fields")]
    Trailing,
}

impl FromStr for PasswordRecord {
    type Err = RecordError;

    /// Reads the one text of a record; any other text of the same content is an error.
    fn from_str(text: &str) -> Result<Self, RecordError> {
        if text.len() > RECORD_LEN_MAX {
            return Err(RecordError::TooLong { len: text.len() });
        }
        let mut fields = text.split('$');
        if (fields.next(), fields.next()) != (Some(""), Some(FORMAT)) {
            return Err(RecordError::Format);
        }
        let algorithm = fields.next().ok_or(RecordError::Algorithm)?;
        let ours = algorithm == ALGORITHM;
        if ours && fields.next() != Some(ARGON2_VERSION) {
            return Err(RecordError::Algorithm);
        }
        if !ours && !algorithm.starts_with(PREFIX) {
            return Err(RecordError::Algorithm);
        }
        let mut field = |name| fields.next().ok_or(RecordError::Field(name));
        let cost = field("cost")?;
        let salt = bytes("salt", field("salt")?)?;
        let function = if ours {
            let salt = salt.as_slice().try_into().map_err(|_| RecordError::Field("salt"))?;
            Function::Ours { params: Params::parse_in_record(cost)?, salt: Salt(salt) }
        } else {
            let function = ForeignFunction::in_record(algorithm, cost);
            let function = function.ok_or(RecordError::Field("cost"))?;
            Function::Foreign { function, salt: salt.into() }
        };
        let pepper = field("pepper id")?.strip_prefix("k=").and_then(|id| id.parse().ok());
        let pepper = pepper.ok_or(RecordError::Field("pepper id"))?;
        let nonce = bytes("nonce", field("nonce")?)?.as_slice().try_into();
        let nonce = Nonce(nonce.map_err(|_| RecordError::Field("nonce"))?);
        let sealed = SealedTag::new(&bytes("sealed tag", field("sealed tag")?)?);
        let sealed = sealed.ok_or(RecordError::Field("sealed tag"))?;
        if fields.next().is_some() {
            return Err(RecordError::Trailing);
        }
        function.check_tag_len(sealed.tag_len())?;
        Ok(Self { header: Header { function, pepper }, nonce, sealed })
    }
}

impl Function {
    fn check_tag_len(&self, tag_len: usize) -> Result<(), RecordError> {
        let fits = match self {
            Self::Ours { .. } => tag_len == TAG_LEN,
            Self::Foreign { function, salt } => function.check_lengths(salt.len(), tag_len).is_ok(),
        };
        if fits { Ok(()) } else { Err(RecordError::Field("sealed tag")) }
    }
}

/// Base64 without padding, unused bits zero: the one text of these bytes.
fn bytes(name: &'static str, text: &str) -> Result<Vec<u8>, RecordError> {
    B64.decode(text).map_err(|_| RecordError::Field(name))
}

/// Characters of unpadded base64 for `len` bytes.
const fn base64_len(len: usize) -> usize {
    (len * 4).div_ceil(3)
}

/// A record of this function, salt and tag, in bytes: one line for each field.
const fn record_len(function: usize, salt_len: usize, tag_len: usize) -> usize {
    "$".len()
        + FORMAT.len()
        + "$".len()
        + function
        + "$".len()
        + base64_len(salt_len)
        + "$k=65535".len()
        + "$".len()
        + base64_len(NONCE_LEN)
        + "$".len()
        + base64_len(sealed_len(tag_len))
}

/// The longest record of ours: the highest number of each kind.
pub(super) const LONGEST: usize =
    record_len(ALGORITHM.len() + "$v=19$m=1048576,t=64,p=16".len(), SALT_LEN, TAG_LEN);
/// The longest record of a hash that another system made.
const LONGEST_FOREIGN: usize =
    record_len(foreign::LONGEST, FOREIGN_SALT_LEN_MAX, FOREIGN_TAG_LEN_MAX);
const _: () = assert!(LONGEST <= RECORD_LEN_MAX);
const _: () = assert!(LONGEST_FOREIGN <= RECORD_LEN_MAX);
