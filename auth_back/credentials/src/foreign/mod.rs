//! Hashes that other systems made, so that their users can come along with the passwords they have.
//!
//! A [`ForeignHash`] is read from the text that the other system stored. Its tag is then sealed under
//! the pepper like one of ours, in a [`PasswordRecord`](super::PasswordRecord) whose algorithm starts
//! with `foreign-`, and is verified with the [function](hashing::foreign) that made it. At its user's
//! first login the record is replaced by one of ours.
//!
//! | form | read | where from |
//! |---|---|---|
//! | `$argon2id$v=19$m=65536,t=3,p=4$…`, `argon2i`, `argon2d`, `v=16` or no version | PHC | argon2-cffi, libsodium, PHP, Spring |
//! | `$2a$12$…`, `$2b$`, `$2y$` | modular crypt | bcrypt everywhere |
//! | `$scrypt$ln=16,r=8,p=1$…` | PHC | passlib, scrypt crates |
//! | `$pbkdf2-sha256$i=600000,l=32$…`, `-sha512`, `-sha1` | PHC | `RustCrypto` |
//! | `$pbkdf2-sha256$29000$…`, `$pbkdf2-sha512$`, `$pbkdf2$` | modular crypt | passlib |
//! | `pbkdf2_sha256$600000$salt$…`, `pbkdf2_sha1`, `scrypt`, `argon2`, `bcrypt`, `bcrypt_sha256` | Django's | Django |
//!
//! # What is done with bcrypt
//!
//! - `2a`, `2b` and `2y` name one computation: they differ in defects that some implementations once
//!   had, with passwords of over 255 bytes (OpenBSD's `2a`), or not at all (`2y` is what `2a` was renamed
//!   to where it had been correct). `2x` marks hashes that were made with the sign extension defect of
//!   `crypt_blowfish`; they are refused, since several passwords match one.
//! - bcrypt looks at the first 72 bytes. The rest is passed over here too, or else the owner of a longer
//!   password would not get in. But then a login proves those 72 bytes only, and a record that is made
//!   of whatever followed them could lock the owner out; so a record is not converted by such a login
//!   (`ForeignFunction::proves`).
//! - bcrypt ends at a NUL, and no password here has one (see [`super::password`]).
//!
//! # What is left out
//!
//! Fast or broken functions: crypt's MD5, SHA-256 and SHA-512, NTLM, LDAP's `{SSHA}`, bare digests.
//! Wrapping a fast digest in argon2id would take them in; the record would have to say so for ever.
//!
//! The crates for scrypt and PBKDF2 do not wipe their working memory. What they leave in memory that was
//! given back are states in between, worth a guess each to somebody who can read the process's memory;
//! the passwords and tags themselves are wiped here.

mod formats;

use std::fmt;

use hashing::{CostOutOfRange, ForeignFunction, ParamsError, Tag, Work};

/// The hash of a password, made elsewhere: function, cost, salt and tag. Wiped on drop; prints no more
/// than the function.
pub struct ForeignHash {
    pub(super) function: ForeignFunction,
    pub(super) salt: Vec<u8>,
    pub(super) tag: Tag,
}

impl ForeignHash {
    /// The function and its cost.
    #[must_use]
    pub fn function(&self) -> ForeignFunction {
        self.function
    }

    /// The work that verifying a password takes.
    #[must_use]
    pub fn work(&self) -> Work {
        self.function.work(self.tag.expose().len())
    }

    /// The salt, which is no secret.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }
}

impl fmt::Debug for ForeignHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForeignHash").field(&format_args!("{}", self.function)).finish()
    }
}

/// Why a text is not a hash that is taken. Whoever wrote it is at fault, or this program does not know
/// it. Never repeats any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    /// Longer than any hash.
    #[error("{len} bytes are more than a password hash has")]
    TooLong {
        /// Length of the text, in bytes.
        len: usize,
    },
    /// Empty, or a mark that stands where somebody has no password.
    #[error("there is no password hash")]
    Absent,
    /// None of the known forms.
    #[error("not a password hash of a known form (argon2, bcrypt, scrypt or PBKDF2)")]
    Unknown,
    /// A form that is known and not taken.
    #[error("{0} is not taken: {1}")]
    NotTaken(&'static str, &'static str),
    /// A part is missing or malformed.
    #[error("the {0} of the password hash is malformed")]
    Field(&'static str),
    /// A part is longer, shorter, costlier or cheaper than is taken.
    #[error(transparent)]
    OutOfRange(#[from] CostOutOfRange),
    /// The cost of an argon2 hash.
    #[error("in the password hash: {0}")]
    Params(#[from] ParamsError),
}

#[cfg(test)]
mod tests;
