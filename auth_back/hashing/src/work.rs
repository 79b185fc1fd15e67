//! How much work a hash is: from the time of one, that of every other of its kind follows.

use crate::foreign::{Algorithm, Digest, ForeignFunction, scrypt_kib};
use crate::limits::TAG_LEN;
use crate::params::Params;

/// The work of one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// What is computed.
    pub kind: WorkKind,
    /// How much of it, in a unit of that kind.
    pub amount: u64,
}

/// What takes twice as long for twice the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkKind {
    /// Argon2 of any flavour. Unit: a KiB, in one pass.
    Argon2,
    /// Bcrypt. Unit: a round, of which there are 2 to the power of the cost.
    Bcrypt,
    /// Scrypt. Unit: a KiB, for each of its parallel blocks.
    Scrypt,
    /// PBKDF2 with SHA-1. Unit: an iteration, for each block of the output.
    Pbkdf2Sha1,
    /// The same with SHA-256.
    Pbkdf2Sha256,
    /// The same with SHA-512.
    Pbkdf2Sha512,
}

impl Work {
    /// The work of a hash of ours.
    #[must_use]
    pub fn of_ours(params: Params) -> Self {
        ForeignFunction::ours(params).work(TAG_LEN)
    }
}

impl ForeignFunction {
    /// The work of one hash with a tag of so many bytes.
    #[must_use]
    pub fn work(self, tag_len: usize) -> Work {
        let (kind, amount) = match self.algorithm() {
            Algorithm::Argon2 { params, .. } => {
                (WorkKind::Argon2, u64::from(params.m_kib()) * u64::from(params.t()))
            }
            Algorithm::Bcrypt { cost, .. } => (WorkKind::Bcrypt, 1 << cost),
            Algorithm::Scrypt { log_n, r, p } => {
                (WorkKind::Scrypt, scrypt_kib(log_n, r) * u64::from(p))
            }
            Algorithm::Pbkdf2 { digest, rounds } => {
                let kind = match digest {
                    Digest::Sha1 => WorkKind::Pbkdf2Sha1,
                    Digest::Sha256 => WorkKind::Pbkdf2Sha256,
                    Digest::Sha512 => WorkKind::Pbkdf2Sha512,
                };
                (kind, u64::from(rounds) * tag_len.div_ceil(digest.len()) as u64)
            }
        };
        Work { kind, amount }
    }
}
