//! The functions of other systems, with their cost.

use std::fmt;

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::ForeignError;
use crate::credentials::argon2id::{Arena, Flavour, HashError, Need, Params, Tag};
use crate::credentials::limits::{
    ANNEX_KIB_MAX, BCRYPT_COST_MAX, BCRYPT_COST_MIN, BCRYPT_PASSWORD_LEN_MAX, FOREIGN_SALT_LEN_MAX,
    FOREIGN_SALT_LEN_MIN, FOREIGN_TAG_LEN_MAX, FOREIGN_TAG_LEN_MIN, PBKDF2_ROUNDS_MAX, SALT_LEN,
    SCRYPT_P_MAX, SCRYPT_R_MAX, SCRYPT_WORK_KIB_MAX,
};

/// Least salt of argon2, in bytes (RFC 9106, section 3.1).
const ARGON2_SALT_LEN_MIN: usize = 8;
/// Salt of bcrypt, in bytes.
const BCRYPT_SALT_LEN: usize = 16;
/// What bcrypt gives, in bytes: three blocks of eight, of which the last byte was never stored.
const BCRYPT_TAG_LEN: usize = 23;

/// A function that another system hashed with, and its cost, within bounds. Printed and read as it stands
/// in a record, such as `foreign-scrypt$ln=16,r=8,p=1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignFunction(Inner);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Inner {
    Argon2 { flavour: Flavour, params: Params },
    Bcrypt { cost: u8, of: BcryptOf },
    Scrypt { log_n: u8, r: u32, p: u32 },
    Pbkdf2 { digest: Digest, rounds: u32 },
}

/// What bcrypt is computed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum BcryptOf {
    /// The first 72 bytes of the password.
    Password,
    /// SHA-256 of the password, in lower-case hexadecimal, as Django does.
    Sha256Hex,
}

/// The digest under PBKDF2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl ForeignFunction {
    pub(super) fn argon2(flavour: Flavour, params: Params) -> Result<Self, ForeignError> {
        in_range("memory in KiB", params.m_kib().into(), 1, ANNEX_KIB_MAX.into())?;
        Ok(Self(Inner::Argon2 { flavour, params }))
    }

    /// Argon2id of our own. It may have more memory than is taken from elsewhere; then no record of it
    /// as a foreign one reads back.
    pub(in super::super) const fn ours(params: Params) -> Self {
        Self(Inner::Argon2 { flavour: Flavour::OURS, params })
    }

    pub(super) fn bcrypt(cost: u8, of: BcryptOf) -> Result<Self, ForeignError> {
        in_range("bcrypt cost", cost.into(), BCRYPT_COST_MIN.into(), BCRYPT_COST_MAX.into())?;
        Ok(Self(Inner::Bcrypt { cost, of }))
    }

    pub(super) fn scrypt(log_n: u8, r: u32, p: u32) -> Result<Self, ForeignError> {
        // So that no shift overflows, and what it takes fits the annex whatever r is.
        in_range("ln of scrypt", log_n.into(), 1, u64::from(ANNEX_KIB_MAX.ilog2()) + 3)?;
        in_range("r of scrypt", r.into(), 1, SCRYPT_R_MAX.into())?;
        in_range("p of scrypt", p.into(), 1, SCRYPT_P_MAX.into())?;
        let memory_kib = scrypt_kib(log_n, r);
        in_range("memory in KiB", memory_kib, 1, ANNEX_KIB_MAX.into())?;
        in_range("work of scrypt in KiB", memory_kib * u64::from(p), 1, SCRYPT_WORK_KIB_MAX)?;
        Ok(Self(Inner::Scrypt { log_n, r, p }))
    }

    pub(super) fn pbkdf2(digest: Digest, rounds: u32) -> Result<Self, ForeignError> {
        in_range("number of PBKDF2 rounds", rounds.into(), 1, PBKDF2_ROUNDS_MAX.into())?;
        Ok(Self(Inner::Pbkdf2 { digest, rounds }))
    }

    pub(in super::super) const fn inner(self) -> Inner {
        self.0
    }

    /// Reads what [`Display`](fmt::Display) prints, in two parts.
    pub(in super::super) fn in_record(name: &str, cost: &str) -> Option<Self> {
        let function = match name.strip_prefix(PREFIX)? {
            "bcrypt" => Self::bcrypt(cost.strip_prefix("c=")?.parse().ok()?, BcryptOf::Password),
            "bcrypt-sha256" => {
                Self::bcrypt(cost.strip_prefix("c=")?.parse().ok()?, BcryptOf::Sha256Hex)
            }
            "scrypt" => {
                let mut numbers = cost.split(',');
                let mut next = |key| numbers.next()?.strip_prefix(key)?.parse::<u32>().ok();
                let (log_n, r, p) = (next("ln=")?, next("r=")?, next("p=")?);
                Self::scrypt(log_n.try_into().ok()?, r, p)
            }
            name => match Digest::ALL.into_iter().find(|digest| digest.name() == name) {
                Some(digest) => Self::pbkdf2(digest, cost.strip_prefix("i=")?.parse().ok()?),
                None => {
                    let (version, params) = cost.strip_prefix("v=")?.split_once(',')?;
                    let flavour = Flavour::of(name, version.parse().ok()?)?;
                    Self::argon2(flavour, Params::parse_in_record(params).ok()?)
                }
            },
        };
        // One text for each: what reads as something else than it is was not written by us.
        let function = function.ok()?;
        (function.to_string() == format!("{name}${cost}")).then_some(function)
    }

    /// Checks the lengths that a salt and a tag of this function may have.
    pub(in super::super) fn check_lengths(
        self,
        salt_len: usize,
        tag_len: usize,
    ) -> Result<(), ForeignError> {
        let (salts, tags) = match self.0 {
            Inner::Argon2 { .. } => (
                (ARGON2_SALT_LEN_MIN, FOREIGN_SALT_LEN_MAX),
                (FOREIGN_TAG_LEN_MIN, FOREIGN_TAG_LEN_MAX),
            ),
            Inner::Bcrypt { .. } => {
                ((BCRYPT_SALT_LEN, BCRYPT_SALT_LEN), (BCRYPT_TAG_LEN, BCRYPT_TAG_LEN))
            }
            Inner::Scrypt { .. } | Inner::Pbkdf2 { .. } => (
                (FOREIGN_SALT_LEN_MIN, FOREIGN_SALT_LEN_MAX),
                (FOREIGN_TAG_LEN_MIN, FOREIGN_TAG_LEN_MAX),
            ),
        };
        let check = |what, len: usize, (min, max): (usize, usize)| {
            in_range(what, len as u64, min as u64, max as u64)
        };
        check("length of the salt", salt_len, salts)?;
        check("length of the tag", tag_len, tags)?;
        if let Inner::Pbkdf2 { digest, rounds } = self.0 {
            // Each block of the output costs all the rounds again.
            let work = u64::from(rounds) * tag_len.div_ceil(digest.len()) as u64;
            in_range("number of PBKDF2 rounds", work, 1, PBKDF2_ROUNDS_MAX.into())?;
        }
        Ok(())
    }

    /// What it takes beyond a core.
    pub(in super::super) fn need(self) -> Need {
        match self.0 {
            Inner::Argon2 { params, .. } => Need::Blocks(params),
            Inner::Bcrypt { .. } | Inner::Pbkdf2 { .. } => Need::Nothing,
            Inner::Scrypt { log_n, r, .. } => {
                Need::Allocator(u32::try_from(scrypt_kib(log_n, r)).unwrap_or(u32::MAX))
            }
        }
    }

    /// Whether a match proves the whole password, and not only how it starts.
    pub(in super::super) fn proves(self, password: &[u8]) -> bool {
        let cut = matches!(self.0, Inner::Bcrypt { of: BcryptOf::Password, .. });
        !cut || password.len() <= BCRYPT_PASSWORD_LEN_MAX
    }

    /// Computes the function. Takes as long as the cost makes it, and no memory that `arena` does not
    /// give.
    pub(in super::super) fn hash(
        self,
        password: &[u8],
        salt: &[u8],
        tag_len: usize,
        arena: &mut Arena,
    ) -> Result<Tag, HashError> {
        let mut tag = Tag::blank(tag_len);
        match self.0 {
            Inner::Argon2 { flavour, params } => {
                return arena.hash_as(flavour, password, salt, params, tag_len);
            }
            Inner::Bcrypt { cost, of } => bcrypt(password, cost, of, salt, &mut tag)?,
            Inner::Scrypt { log_n, r, p } => {
                let needed = scrypt_kib(log_n, r);
                if needed > arena.may_take_kib() as u64 {
                    let needed_kib = u32::try_from(needed).unwrap_or(u32::MAX);
                    let arena_kib = arena.may_take_kib();
                    return Err(HashError::ArenaTooSmall { needed_kib, arena_kib });
                }
                let params = scrypt::Params::new(log_n, r, p);
                let params = params.map_err(|_| HashError::Foreign("scrypt"))?;
                scrypt::scrypt(password, salt, &params, tag.expose_mut())
                    .map_err(|_| HashError::Foreign("scrypt"))?;
            }
            Inner::Pbkdf2 { digest, rounds } => {
                let compute = match digest {
                    Digest::Sha1 => pbkdf2_hmac::<Sha1>,
                    Digest::Sha256 => pbkdf2_hmac::<Sha256>,
                    Digest::Sha512 => pbkdf2_hmac::<Sha512>,
                };
                compute(password, salt, rounds, tag.expose_mut());
            }
        }
        Ok(tag)
    }
}

fn bcrypt(
    password: &[u8],
    cost: u8,
    of: BcryptOf,
    salt: &[u8],
    tag: &mut Tag,
) -> Result<(), HashError> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let refused = HashError::Foreign("bcrypt");
    let salt: [u8; BCRYPT_SALT_LEN] = salt.try_into().map_err(|_| refused)?;
    let mut key = Zeroizing::new([0; BCRYPT_PASSWORD_LEN_MAX]);
    let len = match of {
        BcryptOf::Password => {
            let len = password.len().min(key.len());
            key[..len].copy_from_slice(&password[..len]);
            len
        }
        BcryptOf::Sha256Hex => {
            let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(password)));
            for (pair, byte) in key.chunks_exact_mut(2).zip(digest.iter()) {
                pair[0] = HEX[usize::from(byte >> 4)];
                pair[1] = HEX[usize::from(byte & 15)];
            }
            2 * digest.len()
        }
    };
    // The NUL at the end is part of the key, where there is room for it.
    let key = &key[..(len + 1).min(BCRYPT_PASSWORD_LEN_MAX)];
    let output = Zeroizing::new(bcrypt::bcrypt(cost.into(), salt, key));
    let tag = tag.expose_mut();
    let stored = output.get(..tag.len()).ok_or(refused)?;
    tag.copy_from_slice(stored);
    Ok(())
}

/// Memory of scrypt, in KiB: 128 r 2^ln bytes (RFC 7914, section 2). A few KiB more go to the blocks that
/// are mixed.
pub(super) fn scrypt_kib(log_n: u8, r: u32) -> u64 {
    ((128 * u64::from(r)) << log_n).div_ceil(1024)
}

fn in_range(what: &'static str, value: u64, min: u64, max: u64) -> Result<(), ForeignError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(ForeignError::OutOfRange { what, value, min, max })
    }
}

impl Digest {
    pub(super) const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name of PBKDF2 with it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "pbkdf2-sha1",
            Self::Sha256 => "pbkdf2-sha256",
            Self::Sha512 => "pbkdf2-sha512",
        }
    }

    /// Its length, in bytes.
    pub(in super::super) const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// What the algorithm of a foreign record starts with. Without it, an argon2id that another system
/// computed of text as it was typed could not be told from ours, which is computed of its NFC form.
pub(in super::super) const PREFIX: &str = "foreign-";

impl fmt::Display for ForeignFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        match self.0 {
            Inner::Argon2 { flavour, params } => {
                write!(f, "{}$v={},{params}", flavour.name(), flavour.version())
            }
            Inner::Bcrypt { cost, of: BcryptOf::Password } => write!(f, "bcrypt$c={cost}"),
            Inner::Bcrypt { cost, of: BcryptOf::Sha256Hex } => write!(f, "bcrypt-sha256$c={cost}"),
            Inner::Scrypt { log_n, r, p } => write!(f, "scrypt$ln={log_n},r={r},p={p}"),
            Inner::Pbkdf2 { digest, rounds } => write!(f, "{}$i={rounds}", digest.name()),
        }
    }
}

/// The longest that [`ForeignFunction`] prints: the longest of each.
pub(in super::super) const LONGEST: usize = {
    let longest = [
        "foreign-argon2id$v=19,m=131072,t=64,p=16".len(),
        "foreign-bcrypt-sha256$c=15".len(),
        "foreign-scrypt$ln=20,r=32,p=16".len(),
        "foreign-pbkdf2-sha256$i=10000000".len(),
    ];
    let mut max = 0;
    let mut index = 0;
    while index < longest.len() {
        if longest[index] > max {
            max = longest[index];
        }
        index += 1;
    }
    max
};

const _: () = assert!(BCRYPT_SALT_LEN == SALT_LEN);
const _: () = assert!(BCRYPT_TAG_LEN >= FOREIGN_TAG_LEN_MIN);
// Neither the blocks that scrypt mixes nor its working block is worth a line in the sum of memory.
const _: () = assert!((SCRYPT_P_MAX + 2) * SCRYPT_R_MAX * 128 <= 128 << 10);
