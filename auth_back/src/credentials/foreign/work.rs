//! How much work a hash is: from the time of one, that of every other of its kind follows.

use super::ForeignFunction;
use super::function::{Digest, Inner, scrypt_kib};
use crate::credentials::argon2id::Params;
use crate::credentials::limits::TAG_LEN;

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
    pub(in super::super) fn work(self, tag_len: usize) -> Work {
        let (kind, amount) = match self.inner() {
            Inner::Argon2 { params, .. } => {
                (WorkKind::Argon2, u64::from(params.m_kib()) * u64::from(params.t()))
            }
            Inner::Bcrypt { cost, .. } => (WorkKind::Bcrypt, 1 << cost),
            Inner::Scrypt { log_n, r, p } => {
                (WorkKind::Scrypt, scrypt_kib(log_n, r) * u64::from(p))
            }
            Inner::Pbkdf2 { digest, rounds } => {
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

#[cfg(test)]
mod tests {
    use super::super::ForeignHash;
    use super::*;

    #[test]
    fn the_work_of_each_form() {
        let check = |text: &str, kind, amount| {
            let hash: ForeignHash = text.parse().expect(text);
            assert_eq!(hash.work(), Work { kind, amount }, "{text}");
        };
        let tag = "A".repeat(43);
        let bcrypt = "$2b$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";
        check(bcrypt, WorkKind::Bcrypt, 4_096);
        let argon2 = format!("$argon2i$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ${tag}");
        check(&argon2, WorkKind::Argon2, 3 * 65_536);
        let scrypt = format!("$scrypt$ln=16,r=8,p=2$c2FsdHNhbHQ${tag}");
        check(&scrypt, WorkKind::Scrypt, 2 * 65_536);
        for (name, kind, blocks) in [
            ("sha1", WorkKind::Pbkdf2Sha1, 2),
            ("sha256", WorkKind::Pbkdf2Sha256, 1),
            ("sha512", WorkKind::Pbkdf2Sha512, 1),
        ] {
            let pbkdf2 = format!("$pbkdf2-{name}$i=1000,l=32$c2FsdHNhbHQ${tag}");
            check(&pbkdf2, kind, 1_000 * blocks);
        }
    }
}
