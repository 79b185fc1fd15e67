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
//!
//! A hash that another system made stands in a record of the same form until its user logs in:
//!
//! ```text
//! $gh1$foreign-scrypt$ln=16,r=8,p=1$<salt>$k=1$<nonce>$<sealed tag>
//!      |              |             |                  |
//!      |              |             |                  16 to 64 bytes of tag and 16 of authenticator
//!      |              |             1 to 32 bytes
//!      function and cost, as ForeignFunction prints them
//! ```

#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use subtle::ConstantTimeEq;
use wipe::Expose as _;

pub use self::text::RecordError;
use hashing::{Arena, ForeignFunction, HashError, Need, Params, Salt, Tag, Work};

use super::cost::Cost;
use super::foreign::ForeignHash;
use super::keyring::KeyId;
use super::password::Password;
use super::pepper::{Nonce, PepperKeyring, SealedTag};
use super::random::{self, RandomError};
use crate::ids::UserId;

/// A password's hash, sealed, with all that it takes to verify it.
///
/// It is no secret, but it has no `Display` and shows no more than its parameters in `Debug`: it
/// belongs into the store and nowhere else. [`PasswordRecord::to_text`] and [`FromStr`](std::str::FromStr) are each
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
    function: Function,
    pepper: KeyId,
}

/// What makes a tag of a password.
#[derive(Clone, PartialEq, Eq)]
enum Function {
    /// Argon2id, of the NFC form.
    Ours { params: Params, salt: Salt },
    /// Whatever another system used.
    Foreign { function: ForeignFunction, salt: Box<[u8]> },
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

impl Verdict {
    /// Compares what a password gave with what it has to give, in constant time.
    pub fn on(offered: &Tag, stored: &Tag) -> Self {
        Self::from(bool::from(offered.ct_eq(stored)))
    }
}

impl From<bool> for Verdict {
    fn from(matches: bool) -> Self {
        if matches { Self::Match } else { Self::Mismatch }
    }
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

/// Why a record was not sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResealError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] VerifyError),
    /// No nonce.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl PasswordRecord {
    /// Hashes a new password of a user with a fresh salt and seals it under the active pepper.
    ///
    /// Computes for as long as `params` make it.
    ///
    /// ```
    /// use credentials::{
    ///     KeyId, Keyring, Password, PasswordRecord, PasswordRules, PepperKeyring, SecretKey,
    ///     Username, Verdict,
    /// };
    /// use hashing::{Arena, HashEngine, Params};
    /// use credentials::ids::UserId;
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
        let salt = random::salt()?;
        let tag = arena.hash(password, &salt, params)?;
        Ok(Self::of_tag(user, &tag, salt, params, peppers)?)
    }

    /// The same for a tag that [`Arena::hash`] gave for that salt and these parameters.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when there is no nonce.
    pub fn of_tag(
        user: UserId,
        tag: &Tag,
        salt: Salt,
        params: Params,
        peppers: &PepperKeyring,
    ) -> Result<Self, RandomError> {
        let header =
            Header { function: Function::Ours { params, salt }, pepper: peppers.active_id() };
        Ok(Self::seal(user, tag, header, Nonce::random()?, peppers))
    }

    /// Seals a hash that another system made of the password of `user` under the active pepper.
    ///
    /// ```
    /// use credentials::{ForeignHash, KeyId, Keyring, PasswordRecord, PepperKeyring, SecretKey};
    /// use hashing::{Annex, HashEngine, Params};
    /// use credentials::ids::UserId;
    ///
    /// let peppers = PepperKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random()?));
    /// let ada = UserId::new(1)?;
    /// let hash: ForeignHash =
    ///     "$2y$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u".parse()?;
    ///
    /// let record = PasswordRecord::import(ada, &hash, &peppers)?;
    /// assert!(record.needs_upgrade(Params::default(), &peppers));
    /// assert_eq!(*record.unseal(ada, &peppers)?.to_text(), "$2b".to_owned() + &hash.to_text()[3..]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RandomError`] when there is no nonce.
    pub fn import(
        user: UserId,
        hash: &ForeignHash,
        peppers: &PepperKeyring,
    ) -> Result<Self, RandomError> {
        let salt = hash.salt.as_slice().into();
        let function = Function::Foreign { function: hash.function, salt };
        let header = Header { function, pepper: peppers.active_id() };
        Ok(Self::seal(user, &hash.tag, header, Nonce::random()?, peppers))
    }

    /// `header` names the active pepper.
    fn seal(
        user: UserId,
        tag: &Tag,
        header: Header,
        nonce: Nonce,
        peppers: &PepperKeyring,
    ) -> Self {
        let sealed = peppers.active().seal(tag, &nonce, &header.associated_data(user));
        Self { header, nonce, sealed }
    }

    /// The tag that the password of `user` has to give, if everything is as it was sealed for them.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] when it does not open.
    pub fn open(&self, user: UserId, peppers: &PepperKeyring) -> Result<Tag, VerifyError> {
        let id = self.header.pepper;
        let pepper = peppers.pepper(id).ok_or(VerifyError::UnknownPepper(id))?;
        pepper
            .open(&self.sealed, &self.nonce, &self.header.associated_data(user))
            .map_err(|_| VerifyError::NotAuthentic(id))
    }

    /// The same hash under the active pepper, with a fresh nonce. Takes microseconds: nothing is hashed.
    ///
    /// ```
    /// use credentials::{ForeignHash, KeyId, Keyring, PasswordRecord, PepperKeyring, SecretKey};
    /// use credentials::ids::UserId;
    ///
    /// let (first, second) = (KeyId::FIRST, KeyId::new(2).ok_or("not zero")?);
    /// let (old, new) = (SecretKey::from([7; 32]), SecretKey::random()?);
    /// let before = PepperKeyring::new(Keyring::single(first, SecretKey::from([7; 32])));
    /// let after = PepperKeyring::new(Keyring::new(second, vec![(first, old), (second, new)])?);
    /// let ada = UserId::new(1)?;
    /// let hash: ForeignHash =
    ///     "$2y$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u".parse()?;
    ///
    /// let record = PasswordRecord::import(ada, &hash, &before)?.reseal(ada, &after)?;
    /// assert_eq!(record.pepper_id(), second);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ResealError`] when the record does not open for `user`.
    pub fn reseal(&self, user: UserId, peppers: &PepperKeyring) -> Result<Self, ResealError> {
        let tag = self.open(user, peppers)?;
        let header = Header { function: self.header.function.clone(), pepper: peppers.active_id() };
        Ok(Self::seal(user, &tag, header, Nonce::random()?, peppers))
    }

    /// The hash without its pepper, to be taken to another system.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] when it does not open.
    pub fn unseal(
        &self,
        user: UserId,
        peppers: &PepperKeyring,
    ) -> Result<ForeignHash, VerifyError> {
        let tag = self.open(user, peppers)?;
        let (function, salt) = match &self.header.function {
            Function::Ours { params, salt } => {
                (ForeignFunction::ours(*params), salt.0.as_slice().into())
            }
            Function::Foreign { function, salt } => (*function, salt.to_vec()),
        };
        Ok(ForeignHash { function, salt, tag })
    }

    /// Says whether `password` is the one that this record was made of for `user`.
    ///
    /// Computes for as long as the record's parameters make it, for right and wrong passwords alike;
    /// the comparison takes constant time. What cannot be opened is reported before any hashing.
    ///
    /// Other systems hash text as it was typed, so for a record of theirs a password that is not in
    /// NFC is tried in both forms. NFC comes first: most keyboards give it, and where the other
    /// system normalised, it is the only one.
    ///
    /// `arena` has the memory that [`need`](Self::need) asks for.
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
        let stored = self.open(user, peppers)?;
        let mut same = |text: &[u8]| {
            let offered = self.header.function.hash(text, self.sealed.tag_len(), arena)?;
            Ok::<_, HashError>(bool::from(offered.ct_eq(&stored)))
        };
        let mut matches = same(password.expose())?;
        if let (false, Function::Foreign { .. }, Some(typed)) =
            (matches, &self.header.function, password.expose_as_typed())
        {
            matches = same(typed)?;
        }
        Ok(Verdict::from(matches))
    }

    /// What verifying `password` costs, where a usual hash has the parameters `usual`. A password that is not in
    /// NFC costs a second hash, if another system made the record: both forms are tried.
    #[must_use]
    pub fn cost(&self, password: &Password, usual: Params) -> Cost {
        let once = Cost::of(self.work(), usual);
        let is_twice = self.is_foreign() && password.expose_as_typed().is_some();
        if is_twice { once.twice() } else { once }
    }

    /// The memory that verifying takes.
    #[must_use]
    pub fn need(&self) -> Need {
        match &self.header.function {
            Function::Ours { params, .. } => Need::Blocks(*params),
            Function::Foreign { function, .. } => function.need(),
        }
    }

    /// The work that verifying a password takes. A [foreign](Self::is_foreign) record can take it twice.
    #[must_use]
    pub fn work(&self) -> Work {
        match &self.header.function {
            Function::Ours { params, .. } => Work::of_ours(*params),
            Function::Foreign { function, .. } => function.work(self.sealed.tag_len()),
        }
    }

    /// Whether another system made the hash: then a password that is not in NFC is tried in both forms.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(self.header.function, Function::Foreign { .. })
    }

    /// The salt and the parameters of [`Arena::hash`], if that is what made the tag.
    #[must_use]
    pub fn recipe(&self) -> Option<(Salt, Params)> {
        match self.header.function {
            Function::Ours { params, salt } => Some((salt, params)),
            Function::Foreign { .. } => None,
        }
    }

    /// Whether a record made now would have other parameters, another function or another pepper.
    #[must_use]
    pub fn needs_upgrade(&self, params: Params, peppers: &PepperKeyring) -> bool {
        self.params() != Some(params) || self.header.pepper != peppers.active_id()
    }

    /// Whether a match proves all of `password`. If not, no record may be made of it: bcrypt looks at
    /// 72 bytes, and what follows them may be mistyped.
    #[must_use]
    pub fn proves(&self, password: &Password) -> bool {
        match &self.header.function {
            Function::Ours { .. } => true,
            Function::Foreign { function, .. } => {
                function.proves(password.expose_as_typed().unwrap_or_default())
                    && function.proves(password.expose())
            }
        }
    }

    /// The parameters of the hash; none if another system made it.
    #[must_use]
    pub fn params(&self) -> Option<Params> {
        match self.header.function {
            Function::Ours { params, .. } => Some(params),
            Function::Foreign { .. } => None,
        }
    }

    /// The function and its cost, as they stand in the record, such as `argon2id$v=19$m=19456,t=2,p=1`.
    #[must_use]
    pub fn function(&self) -> String {
        self.header.function.to_string()
    }

    /// The pepper that the tag is sealed under.
    #[must_use]
    pub fn pepper_id(&self) -> KeyId {
        self.header.pepper
    }
}

impl fmt::Debug for PasswordRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordRecord")
            .field("function", &format_args!("{}", self.header.function))
            .field("pepper", &self.header.pepper.get())
            .finish_non_exhaustive()
    }
}

impl Function {
    fn salt(&self) -> &[u8] {
        match self {
            Self::Ours { salt, .. } => &salt.0,
            Self::Foreign { salt, .. } => salt,
        }
    }

    fn hash(&self, text: &[u8], tag_len: usize, arena: &mut Arena) -> Result<Tag, HashError> {
        match self {
            Self::Ours { params, salt } => {
                ForeignFunction::ours(*params).hash(text, &salt.0, tag_len, arena)
            }
            Self::Foreign { function, salt } => function.hash(text, salt, tag_len, arena),
        }
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
