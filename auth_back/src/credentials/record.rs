//! What a store keeps of a password.
//!
//! A record is one line of ASCII in the manner of the PHC string format, and says everything that is
//! needed to verify it, apart from the pepper:
//!
//! ```text
//! $gh1$argon2id$v=19$m=19456,t=2,p=1$<salt>$k=1$<nonce>$<sealed tag>
//!  |   |        |    |                |     |   |       |
//!  |   |        |    |                |     |   |       32 bytes of tag and 16 of authenticator
//!  |   |        |    |                |     |   24 bytes, random at each sealing
//!  |   |        |    |                |     the id of the pepper, 1 to 65535
//!  |   |        |    |                16 bytes, random for each password
//!  |   |        |    cost, bounded as in Params::in_record
//!  |   |        the version of argon2 (RFC 9106: 0x13, which is 19)
//!  |   algorithm
//!  version of this format; it also fixes the cipher, XChaCha20-Poly1305
//! ```
//!
//! Bytes are in standard base64 without padding (RFC 4648, section 4; PHC calls it B64). There is
//! exactly one text for each record, so a store can compare texts to replace a record only if it
//! is unchanged.
//!
//! Everything before the nonce, and the id of the user, is associated data of the sealing. A record
//! that was copied to another user, or whose parameters were edited, does not open.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as B64;
use subtle::ConstantTimeEq;

use super::argon2id::{Arena, HashError, Params, ParamsError, Salt};
use super::keyring::KeyId;
use super::limits::RECORD_LEN_MAX;
use super::password::Password;
use super::pepper::{Nonce, PepperKeyring, SEALED_LEN, SealedTag};
use super::random::RandomError;
use crate::ids::UserId;

/// Marks the format, with its version.
const FORMAT: &str = "gh1";
const ALGORITHM: &str = "argon2id";
const ARGON2_VERSION: &str = "v=19";

/// A password's hash, sealed, with all that it takes to verify it.
///
/// It is no secret, but it has no `Display` and shows no more than its parameters in `Debug`: it
/// belongs into the store and nowhere else. [`PasswordRecord::to_text`] and [`FromStr`] are each
/// other's inverse.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordRecord {
    header: Header,
    nonce: Nonce,
    sealed: SealedTag,
}

/// What a record says in clear, and what the sealing authenticates.
#[derive(Clone, PartialEq, Eq)]
struct Header {
    params: Params,
    salt: Salt,
    pepper: KeyId,
}

/// What verifying came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is the password.
    Match,
    /// It is not.
    Mismatch,
}

/// Why no record was made. The server is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// No salt or nonce.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No hash.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// Why a password was neither found right nor wrong. The server, its keys or its store is at fault:
/// to be answered as an internal error (500), never as a wrong password (401).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The record is sealed under a pepper that the ring lacks.
    #[error("the password record is sealed under pepper {0}, which is not among the keys")]
    UnknownPepper(KeyId),
    /// The sealed tag does not open: the record was changed, belongs to another user, or the key of
    /// that id is another one than it was sealed under.
    #[error("the password record does not open under pepper {0}")]
    NotAuthentic(KeyId),
    /// No hash.
    #[error(transparent)]
    Hash(#[from] HashError),
}

impl PasswordRecord {
    /// Hashes a new password of a user with a fresh salt and seals it under the active pepper.
    ///
    /// Computes for as long as `params` make it.
    ///
    /// ```
    /// use auth_back::credentials::{
    ///     Arena, HashEngine, KeyId, Keyring, Params, Password, PasswordRecord, PasswordRules,
    ///     PepperKeyring, SecretKey, Username, Verdict,
    /// };
    /// use auth_back::ids::UserId;
    ///
    /// let params = Params::default();
    /// let peppers = PepperKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random()?));
    /// let mut arena = Arena::new(HashEngine::default(), params)?;
    /// let (ada, name, rules) = (UserId::new(1)?, Username::new("ada")?, PasswordRules::default());
    ///
    /// let chosen = Password::for_registration("analytical engine", &name, &rules)?;
    /// let record = PasswordRecord::create(ada, &chosen, params, &peppers, &mut arena)?;
    /// let stored = record.to_text();
    ///
    /// let offered = Password::for_login("difference engine")?;
    /// let record: PasswordRecord = stored.parse()?;
    /// assert_eq!(record.verify(ada, &offered, &peppers, &mut arena)?, Verdict::Mismatch);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CreateError`] when there are no random bytes, or the arena is smaller than `params` ask.
    pub fn create(
        user: UserId,
        password: &Password,
        params: Params,
        peppers: &PepperKeyring,
        arena: &mut Arena,
    ) -> Result<Self, CreateError> {
        let header = Header { params, salt: Salt::random()?, pepper: peppers.active_id() };
        Ok(Self::assemble(user, password, header, Nonce::random()?, peppers, arena)?)
    }

    /// The part of [`create`](Self::create) that is a function of its arguments. `header` names the
    /// active pepper.
    fn assemble(
        user: UserId,
        password: &Password,
        header: Header,
        nonce: Nonce,
        peppers: &PepperKeyring,
        arena: &mut Arena,
    ) -> Result<Self, HashError> {
        let tag = arena.hash(password, &header.salt, header.params)?;
        let sealed = peppers.active().seal(&tag, &nonce, &header.associated_data(user));
        Ok(Self { header, nonce, sealed })
    }

    /// Says whether `password` is the one that this record was made of for `user`.
    ///
    /// Computes for as long as the record's parameters make it, for right and wrong passwords alike;
    /// the comparison takes constant time. What cannot be opened is reported before any hashing.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] when it is not known whether the password is right. Nobody is let in, and
    /// nobody is told that their password is wrong.
    pub fn verify(
        &self,
        user: UserId,
        password: &Password,
        peppers: &PepperKeyring,
        arena: &mut Arena,
    ) -> Result<Verdict, VerifyError> {
        let Header { params, salt, pepper: id } = self.header;
        let pepper = peppers.pepper(id).ok_or(VerifyError::UnknownPepper(id))?;
        let stored = pepper
            .open(&self.sealed, &self.nonce, &self.header.associated_data(user))
            .map_err(|_| VerifyError::NotAuthentic(id))?;
        let offered = arena.hash(password, &salt, params)?;
        let same = bool::from(offered.ct_eq(&stored));
        Ok(if same { Verdict::Match } else { Verdict::Mismatch })
    }

    /// Whether a record made now would have other parameters or another pepper.
    #[must_use]
    pub fn needs_upgrade(&self, params: Params, peppers: &PepperKeyring) -> bool {
        self.header.params != params || self.header.pepper != peppers.active_id()
    }

    /// The parameters of the hash.
    #[must_use]
    pub fn params(&self) -> Params {
        self.header.params
    }

    /// The pepper that the tag is sealed under.
    #[must_use]
    pub fn pepper_id(&self) -> KeyId {
        self.header.pepper
    }

    /// The one text of this record: ASCII, at most [`RECORD_LEN_MAX`] bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}${}${}", self.header, B64.encode(self.nonce.0), B64.encode(self.sealed.0))
    }
}

impl fmt::Debug for PasswordRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordRecord")
            .field("params", &format_args!("{}", self.header.params))
            .field("pepper", &self.header.pepper.get())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { params, salt, pepper } = self;
        let salt = B64.encode(salt.0);
        write!(f, "${FORMAT}${ALGORITHM}${ARGON2_VERSION}${params}${salt}$k={pepper}")
    }
}

impl Header {
    /// What the sealing binds the tag to: the user's id in 8 bytes, big-endian, then the header as
    /// it is printed. The id has a fixed length, so no two pairs run together to the same bytes.
    fn associated_data(&self, user: UserId) -> Vec<u8> {
        let mut bytes = user.get().to_be_bytes().to_vec();
        bytes.extend_from_slice(self.to_string().as_bytes());
        bytes
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
        if (fields.next(), fields.next()) != (Some(ALGORITHM), Some(ARGON2_VERSION)) {
            return Err(RecordError::Algorithm);
        }
        let mut field = |name| fields.next().ok_or(RecordError::Field(name));
        let params = Params::parse_in_record(field("cost")?)?;
        let salt = Salt(bytes(field("salt")?).ok_or(RecordError::Field("salt"))?);
        let pepper = field("pepper id")?.strip_prefix("k=").and_then(|id| id.parse().ok());
        let pepper = pepper.ok_or(RecordError::Field("pepper id"))?;
        let nonce = Nonce(bytes(field("nonce")?).ok_or(RecordError::Field("nonce"))?);
        let sealed = bytes(field("sealed tag")?).ok_or(RecordError::Field("sealed tag"))?;
        if fields.next().is_some() {
            return Err(RecordError::Trailing);
        }
        let header = Header { params, salt, pepper };
        Ok(Self { header, nonce, sealed: SealedTag(sealed) })
    }
}

/// Exactly `N` bytes in base64 without padding, unused bits zero.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Room to spare: the decoder wants to see its own estimate, which may be above the exact
    // length.
    let mut buffer = [0; SEALED_LEN + 3];
    if text.len() != base64_len(N) {
        return None;
    }
    let len = B64.decode_slice(text, &mut buffer).ok()?;
    buffer[..len].try_into().ok()
}

/// Characters of unpadded base64 for `len` bytes.
const fn base64_len(len: usize) -> usize {
    (len * 4).div_ceil(3)
}

/// The longest record: the highest number of each kind, one line for each field.
const LONGEST: usize = "$".len()
    + FORMAT.len()
    + "$".len()
    + ALGORITHM.len()
    + "$".len()
    + ARGON2_VERSION.len()
    + "$m=1048576,t=64,p=4".len()
    + "$".len()
    + base64_len(super::limits::SALT_LEN)
    + "$k=65535".len()
    + "$".len()
    + base64_len(super::pepper::NONCE_LEN)
    + "$".len()
    + base64_len(SEALED_LEN);
const _: () = assert!(LONGEST <= RECORD_LEN_MAX);

#[cfg(test)]
mod tests;
