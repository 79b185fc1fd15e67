//! The functions of other systems, with their cost.

use std::fmt;

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::annex::Need;
use crate::arena::Arena;
use crate::error::{CostOutOfRange, HashError};
use crate::flavour::Flavour;
use crate::limits::{
    ANNEX_KIB_MAX, BCRYPT_COST_MAX, BCRYPT_COST_MIN, BCRYPT_PASSWORD_LEN_MAX, FOREIGN_SALT_LEN_MAX,
    FOREIGN_SALT_LEN_MIN, FOREIGN_TAG_LEN_MAX, FOREIGN_TAG_LEN_MIN, PBKDF2_ROUNDS_MAX, SALT_LEN,
    SCRYPT_P_MAX, SCRYPT_R_MAX, SCRYPT_WORK_KIB_MAX,
};
use crate::params::Params;
use crate::tag::Tag;

/// Least salt of argon2, in bytes (RFC 9106, section 3.1).
const ARGON2_SALT_LEN_MIN: usize = 8;
/// Salt of bcrypt, in bytes.
const BCRYPT_SALT_LEN: usize = 16;
/// What bcrypt gives, in bytes: three blocks of eight, of which the last byte was never stored.
const BCRYPT_TAG_LEN: usize = 23;

/// A function that another system hashed with, and its cost, within bounds. Printed and read as it stands
/// in a record, such as `foreign-scrypt$ln=16,r=8,p=1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignFunction(Algorithm);

/// What is computed, and its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Argon2 (RFC 9106) of any flavour.
    Argon2 {
        /// Which of its kinds.
        flavour: Flavour,
        /// Its cost.
        params: Params,
    },
    /// Bcrypt.
    Bcrypt {
        /// Binary logarithm of its rounds.
        cost: u8,
        /// What it is computed of.
        of: BcryptOf,
    },
    /// Scrypt (RFC 7914).
    Scrypt {
        /// Binary logarithm of N.
        log_n: u8,
        /// Block size.
        r: u32,
        /// Parallelism.
        p: u32,
    },
    /// PBKDF2 (RFC 8018, section 5.2).
    Pbkdf2 {
        /// The digest under it.
        digest: Digest,
        /// Its iterations.
        rounds: u32,
    },
}

/// What bcrypt is computed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BcryptOf {
    /// The first 72 bytes of the password.
    Password,
    /// SHA-256 of the password, in lower-case hexadecimal, as Django does.
    Sha256Hex,
}

/// The digest under PBKDF2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl ForeignFunction {
    /// Argon2 of any flavour.
    ///
    /// # Errors
    ///
    /// [`CostOutOfRange`] if it costs more, or less, than is taken.
    pub fn argon2(flavour: Flavour, params: Params) -> Result<Self, CostOutOfRange> {
        in_range("memory in KiB", params.m_kib().into(), 1, ANNEX_KIB_MAX.into())?;
        Ok(Self(Algorithm::Argon2 { flavour, params }))
    }

    /// Argon2id of our own. It may have more memory than is taken from elsewhere; then no record of it
    /// as a foreign one reads back.
    #[must_use]
    pub const fn ours(params: Params) -> Self {
        Self(Algorithm::Argon2 { flavour: Flavour::OURS, params })
    }

    /// Bcrypt.
    ///
    /// # Errors
    ///
    /// [`CostOutOfRange`] if it costs more, or less, than is taken.
    pub fn bcrypt(cost: u8, of: BcryptOf) -> Result<Self, CostOutOfRange> {
        in_range("bcrypt cost", cost.into(), BCRYPT_COST_MIN.into(), BCRYPT_COST_MAX.into())?;
        Ok(Self(Algorithm::Bcrypt { cost, of }))
    }

    /// Scrypt.
    ///
    /// # Errors
    ///
    /// [`CostOutOfRange`] if it costs more, or less, than is taken.
    pub fn scrypt(log_n: u8, r: u32, p: u32) -> Result<Self, CostOutOfRange> {
        // So that no shift overflows, and what it takes fits the annex whatever r is.
        in_range("ln of scrypt", log_n.into(), 1, u64::from(ANNEX_KIB_MAX.ilog2()) + 3)?;
        in_range("r of scrypt", r.into(), 1, SCRYPT_R_MAX.into())?;
        in_range("p of scrypt", p.into(), 1, SCRYPT_P_MAX.into())?;
        let memory_kib = scrypt_kib(log_n, r);
        in_range("memory in KiB", memory_kib, 1, ANNEX_KIB_MAX.into())?;
        in_range("work of scrypt in KiB", memory_kib * u64::from(p), 1, SCRYPT_WORK_KIB_MAX)?;
        Ok(Self(Algorithm::Scrypt { log_n, r, p }))
    }

    /// PBKDF2.
    ///
    /// # Errors
    ///
    /// [`CostOutOfRange`] if it costs more, or less, than is taken.
    pub fn pbkdf2(digest: Digest, rounds: u32) -> Result<Self, CostOutOfRange> {
        in_range("number of PBKDF2 rounds", rounds.into(), 1, PBKDF2_ROUNDS_MAX.into())?;
        Ok(Self(Algorithm::Pbkdf2 { digest, rounds }))
    }

    /// What is computed, and its cost.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        self.0
    }

    /// Reads what [`Display`](fmt::Display) prints, in two parts.
    #[must_use]
    pub fn in_record(name: &str, cost: &str) -> Option<Self> {
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
    ///
    /// # Errors
    ///
    /// [`CostOutOfRange`] if a length is not among them.
    pub fn check_lengths(self, salt_len: usize, tag_len: usize) -> Result<(), CostOutOfRange> {
        let (salts, tags) = match self.0 {
            Algorithm::Argon2 { .. } => (
                (ARGON2_SALT_LEN_MIN, FOREIGN_SALT_LEN_MAX),
                (FOREIGN_TAG_LEN_MIN, FOREIGN_TAG_LEN_MAX),
            ),
            Algorithm::Bcrypt { .. } => {
                ((BCRYPT_SALT_LEN, BCRYPT_SALT_LEN), (BCRYPT_TAG_LEN, BCRYPT_TAG_LEN))
            }
            Algorithm::Scrypt { .. } | Algorithm::Pbkdf2 { .. } => (
                (FOREIGN_SALT_LEN_MIN, FOREIGN_SALT_LEN_MAX),
                (FOREIGN_TAG_LEN_MIN, FOREIGN_TAG_LEN_MAX),
            ),
        };
        let check = |what, len: usize, (min, max): (usize, usize)| {
            in_range(what, len as u64, min as u64, max as u64)
        };
        check("length of the salt", salt_len, salts)?;
        check("length of the tag", tag_len, tags)?;
        if let Algorithm::Pbkdf2 { digest, rounds } = self.0 {
            // Each block of the output costs all the rounds again.
            let work = u64::from(rounds) * tag_len.div_ceil(digest.len()) as u64;
            in_range("number of PBKDF2 rounds", work, 1, PBKDF2_ROUNDS_MAX.into())?;
        }
        Ok(())
    }

    /// What it takes beyond a core.
    #[must_use]
    pub fn need(self) -> Need {
        match self.0 {
            Algorithm::Argon2 { params, .. } => Need::Blocks(params),
            Algorithm::Bcrypt { .. } | Algorithm::Pbkdf2 { .. } => Need::Nothing,
            Algorithm::Scrypt { log_n, r, .. } => {
                Need::Allocator(u32::try_from(scrypt_kib(log_n, r)).unwrap_or(u32::MAX))
            }
        }
    }

    /// Whether a match proves the whole password, and not only how it starts.
    #[must_use]
    pub fn proves(self, password: &[u8]) -> bool {
        let cut = matches!(self.0, Algorithm::Bcrypt { of: BcryptOf::Password, .. });
        !cut || password.len() <= BCRYPT_PASSWORD_LEN_MAX
    }

    /// Computes the function. Takes as long as the cost makes it, and no memory that `arena` does not
    /// give.
    ///
    /// # Errors
    ///
    /// [`HashError`] if `arena` gives too little memory.
    ///
    /// # Panics
    ///
    /// For a tag that is longer than [`FOREIGN_TAG_LEN_MAX`]: lengths are checked where they are read.
    pub fn hash(
        self,
        password: &[u8],
        salt: &[u8],
        tag_len: usize,
        arena: &mut Arena,
    ) -> Result<Tag, HashError> {
        let mut tag = Tag::blank(tag_len);
        match self.0 {
            Algorithm::Argon2 { flavour, params } => {
                return arena.hash_as(flavour, password, salt, params, tag_len);
            }
            Algorithm::Bcrypt { cost, of } => bcrypt(password, cost, of, salt, &mut tag)?,
            Algorithm::Scrypt { log_n, r, p } => {
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
            Algorithm::Pbkdf2 { digest, rounds } => {
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
pub(crate) fn scrypt_kib(log_n: u8, r: u32) -> u64 {
    ((128 * u64::from(r)) << log_n).div_ceil(1024)
}

fn in_range(what: &'static str, value: u64, min: u64, max: u64) -> Result<(), CostOutOfRange> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(CostOutOfRange { what, value, min, max })
    }
}

impl Digest {
    /// Every digest.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name of PBKDF2 with it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "pbkdf2-sha1",
            Self::Sha256 => "pbkdf2-sha256",
            Self::Sha512 => "pbkdf2-sha512",
        }
    }

    /// Its length, in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no digest is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// What the algorithm of a foreign record starts with. Without it, an argon2id that another system
/// computed of text as it was typed could not be told from ours, which is computed of its NFC form.
pub const PREFIX: &str = "foreign-";

impl fmt::Display for ForeignFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        match self.0 {
            Algorithm::Argon2 { flavour, params } => {
                write!(f, "{}$v={},{params}", flavour.name(), flavour.version())
            }
            Algorithm::Bcrypt { cost, of: BcryptOf::Password } => write!(f, "bcrypt$c={cost}"),
            Algorithm::Bcrypt { cost, of: BcryptOf::Sha256Hex } => {
                write!(f, "bcrypt-sha256$c={cost}")
            }
            Algorithm::Scrypt { log_n, r, p } => write!(f, "scrypt$ln={log_n},r={r},p={p}"),
            Algorithm::Pbkdf2 { digest, rounds } => write!(f, "{}$i={rounds}", digest.name()),
        }
    }
}

/// The longest that [`ForeignFunction`] prints: the longest of each.
pub const LONGEST: usize = {
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
