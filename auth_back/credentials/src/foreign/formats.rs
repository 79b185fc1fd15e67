//! The texts that other systems keep.

use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD_NO_PAD as B64;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hashing::foreign::{Algorithm, BcryptOf, Digest};
use hashing::limits::FOREIGN_TAG_LEN_MAX;
use hashing::{Flavour, ForeignFunction, Params, Tag};
use zeroize::{Zeroize as _, Zeroizing};

use super::{ForeignError, ForeignHash};
use crate::limits::FOREIGN_TEXT_LEN_MAX;

type Parsed<T> = Result<T, ForeignError>;

impl ForeignHash {
    /// The text that other systems read: modular crypt for bcrypt, Django's form for its variant of
    /// bcrypt, PHC for everything else. As good as the password to somebody who guesses: the pepper is
    /// not in it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        print(self)
    }
}

impl FromStr for ForeignHash {
    type Err = ForeignError;

    /// Reads any of the forms that the module documentation lists.
    ///
    /// ```
    /// use credentials::ForeignHash;
    ///
    /// let text = "$2y$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";
    /// let hash: ForeignHash = text.parse()?;
    /// assert_eq!(hash.function().to_string(), "foreign-bcrypt$c=12");
    /// assert!("$2x$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u"
    ///     .parse::<ForeignHash>()
    ///     .is_err());
    /// # Ok::<(), credentials::ForeignError>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, ForeignError> {
        parse(text)
    }
}

/// bcrypt's own alphabet. Implementations leave what they like in the unused bits of the salt.
const BCRYPT64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, LENIENT);
/// Standard base64 with or without padding; some writers leave unused bits set.
const LENIENT64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Characters of bcrypt's salt, and of its tag.
const BCRYPT_SALT_CHARS: usize = 22;
const BCRYPT_TAG_CHARS: usize = 31;

/// Forms that are recognised in order to say why they are not taken.
const NOT_TAKEN: &[(&str, &str, &str)] = &[
    ("$2x$", "bcrypt 2x", "it marks hashes that were made with a defect"),
    ("$1$", "MD5-crypt", "it is broken"),
    ("$apr1$", "Apache's MD5-crypt", "it is broken"),
    ("$5$", "SHA-256-crypt", "it is cheap to guess on graphics cards"),
    ("$6$", "SHA-512-crypt", "it is cheap to guess on graphics cards"),
    ("$y$", "yescrypt", "there is no maintained implementation of it in this language"),
    ("$7$", "scrypt in the form of $7$", "write it as $scrypt$ln=…,r=…,p=…$salt$tag"),
    ("$bcrypt-sha256$", "passlib's bcrypt_sha256", "only Django's is"),
    ("md5$", "salted MD5", "it is broken"),
    ("sha1$", "salted SHA-1", "it is broken"),
    ("{", "an LDAP hash", "only argon2, bcrypt, scrypt and PBKDF2 are"),
];

/// Reads any form.
pub(super) fn parse(text: &str) -> Parsed<ForeignHash> {
    if text.len() > FOREIGN_TEXT_LEN_MAX {
        return Err(ForeignError::TooLong { len: text.len() });
    }
    // What crypt(5) and Django write for somebody who has no password.
    if text.is_empty() || text.starts_with(['!', '*']) {
        return Err(ForeignError::Absent);
    }
    if let Some((_, name, why)) = NOT_TAKEN.iter().find(|(start, ..)| text.starts_with(start)) {
        return Err(ForeignError::NotTaken(name, why));
    }
    match text.strip_prefix('$') {
        Some(rest) => crypt(rest),
        None => django(text),
    }
}

/// PHC and modular crypt, without the `$` that they start with.
fn crypt(text: &str) -> Parsed<ForeignHash> {
    let (name, rest) = text.split_once('$').ok_or(ForeignError::Unknown)?;
    match name {
        "argon2id" | "argon2i" | "argon2d" => argon2(name, rest),
        "2a" | "2b" | "2y" => bcrypt(rest, BcryptOf::Password),
        "scrypt" => {
            let [cost, salt, tag] = fields(rest)?;
            let [log_n, r, p] = numbers(cost, ["ln=", "r=", "p="])?;
            let log_n = u8::try_from(log_n).unwrap_or(u8::MAX);
            let function = ForeignFunction::scrypt(log_n, r, p)?;
            hash(function, bytes("salt", salt)?, &tag_bytes(tag)?)
        }
        // passlib's name for the one with SHA-1.
        "pbkdf2" => pbkdf2(Digest::Sha1, rest),
        name => {
            let digest = Digest::ALL.into_iter().find(|digest| digest.name() == name);
            pbkdf2(digest.ok_or(ForeignError::Unknown)?, rest)
        }
    }
}

fn argon2(name: &str, rest: &str) -> Parsed<ForeignHash> {
    // Version 0x10 was written without one, before there were two.
    let (version, rest) = match rest.strip_prefix("v=") {
        None => (16, rest),
        Some(rest) => {
            let (version, rest) = rest.split_once('$').ok_or(ForeignError::Field("version"))?;
            (number("version", version)?, rest)
        }
    };
    let flavour = Flavour::of(name, version).ok_or(ForeignError::Field("version"))?;
    let [cost, salt, tag] = fields(rest)?;
    // A key id or associated data: a secret of theirs that does not come with the hash.
    if cost.contains(",keyid=") || cost.contains(",data=") {
        return Err(ForeignError::NotTaken(
            "argon2 with a key or data",
            "they are not in the hash",
        ));
    }
    let [m_kib, t, p] = numbers(cost, ["m=", "t=", "p="])?;
    let function = ForeignFunction::argon2(flavour, Params::in_record(m_kib, t, p)?)?;
    hash(function, bytes("salt", salt)?, &tag_bytes(tag)?)
}

/// `12$` and 53 characters.
fn bcrypt(rest: &str, of: BcryptOf) -> Parsed<ForeignHash> {
    let [cost, salt_and_tag] = fields(rest)?;
    if cost.len() != 2 || salt_and_tag.len() != BCRYPT_SALT_CHARS + BCRYPT_TAG_CHARS {
        return Err(ForeignError::Field("length"));
    }
    let (salt, tag) =
        salt_and_tag.split_at_checked(BCRYPT_SALT_CHARS).ok_or(ForeignError::Field("salt"))?;
    let cost = number("cost", cost.strip_prefix('0').unwrap_or(cost))?;
    let function = ForeignFunction::bcrypt(u8::try_from(cost).unwrap_or(u8::MAX), of)?;
    let salt = BCRYPT64.decode(salt).map_err(|_| ForeignError::Field("salt"))?;
    hash(function, salt, &decode("tag", &BCRYPT64, tag)?)
}

/// `i=600000,l=32$salt$tag` or, as passlib writes it, `29000$salt$tag` with `.` for `+`.
fn pbkdf2(digest: Digest, rest: &str) -> Parsed<ForeignHash> {
    let [cost, salt, tag] = fields(rest)?;
    if !cost.starts_with("i=") {
        let function = ForeignFunction::pbkdf2(digest, number("cost", cost)?)?;
        let standard = |text: &str| Zeroizing::new(text.replace('.', "+"));
        return hash(function, bytes("salt", &standard(salt))?, &tag_bytes(&standard(tag))?);
    }
    let (rounds, len) = match cost.split_once(',') {
        None => (cost, None),
        Some((rounds, len)) => {
            (rounds, Some(number("length", len.strip_prefix("l=").unwrap_or_default())?))
        }
    };
    let rounds = number("cost", rounds.strip_prefix("i=").unwrap_or_default())?;
    let tag = tag_bytes(tag)?;
    if len.is_some_and(|len| len as usize != tag.len()) {
        return Err(ForeignError::Field("length"));
    }
    hash(ForeignFunction::pbkdf2(digest, rounds)?, bytes("salt", salt)?, &tag)
}

/// Django's: the algorithm without a `$` before it. Salts are text.
fn django(text: &str) -> Parsed<ForeignHash> {
    let (name, rest) = text.split_once('$').ok_or(ForeignError::Unknown)?;
    match name {
        "argon2" => crypt(rest),
        "bcrypt" => crypt(rest.strip_prefix('$').ok_or(ForeignError::Unknown)?),
        "bcrypt_sha256" => {
            let rest = rest.strip_prefix("$2b$").or_else(|| rest.strip_prefix("$2a$"));
            bcrypt(rest.ok_or(ForeignError::Unknown)?, BcryptOf::Sha256Hex)
        }
        "pbkdf2_sha256" | "pbkdf2_sha1" => {
            let digest = if name == "pbkdf2_sha1" { Digest::Sha1 } else { Digest::Sha256 };
            let [rounds, salt, tag] = fields(rest)?;
            let function = ForeignFunction::pbkdf2(digest, number("cost", rounds)?)?;
            hash(function, salt.into(), &tag_bytes(tag)?)
        }
        "scrypt" => {
            let [n, salt, r, p, tag] = fields(rest)?;
            let n: u32 = number("cost", n)?;
            if !n.is_power_of_two() {
                return Err(ForeignError::Field("cost"));
            }
            let log_n = u8::try_from(n.ilog2()).unwrap_or(u8::MAX);
            let function = ForeignFunction::scrypt(log_n, number("r", r)?, number("p", p)?)?;
            hash(function, salt.into(), &tag_bytes(tag)?)
        }
        _ => Err(ForeignError::Unknown),
    }
}

fn hash(function: ForeignFunction, salt: Vec<u8>, tag: &[u8]) -> Parsed<ForeignHash> {
    function.check_lengths(salt.len(), tag.len())?;
    Ok(ForeignHash { function, salt, tag: Tag::new(tag) })
}

/// Exactly `N` fields between `$`.
fn fields<const N: usize>(text: &str) -> Parsed<[&str; N]> {
    let mut fields = text.split('$');
    let mut found = [""; N];
    for field in &mut found {
        *field = fields.next().ok_or(ForeignError::Field("number of fields"))?;
    }
    match fields.next() {
        None => Ok(found),
        Some(_) => Err(ForeignError::Field("number of fields")),
    }
}

/// Numbers with these keys before them, in this order, between commas.
fn numbers<const N: usize>(text: &str, keys: [&str; N]) -> Parsed<[u32; N]> {
    let mut parts = text.split(',');
    let mut found = [0; N];
    for (value, key) in found.iter_mut().zip(keys) {
        let part = parts.next().and_then(|part| part.strip_prefix(key));
        *value = number("cost", part.ok_or(ForeignError::Field("cost"))?)?;
    }
    match parts.next() {
        None => Ok(found),
        Some(_) => Err(ForeignError::Field("cost")),
    }
}

fn number(what: &'static str, text: &str) -> Parsed<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    let number = if plain { text.parse().ok() } else { None };
    number.ok_or(ForeignError::Field(what))
}

fn bytes(what: &'static str, text: &str) -> Parsed<Vec<u8>> {
    LENIENT64.decode(text).map_err(|_| ForeignError::Field(what))
}

fn tag_bytes(text: &str) -> Parsed<Zeroizing<Vec<u8>>> {
    decode("tag", &LENIENT64, text)
}

/// Decodes into memory that is wiped and never grows.
fn decode(what: &'static str, engine: &GeneralPurpose, text: &str) -> Parsed<Zeroizing<Vec<u8>>> {
    // Longer than any tag that is taken: `check_lengths` says how long it may be.
    let mut bytes = Zeroizing::new(vec![0; FOREIGN_TEXT_LEN_MAX]);
    match engine.decode_slice(text, &mut bytes) {
        Ok(len) => {
            bytes.truncate(len);
            Ok(bytes)
        }
        Err(_) => Err(ForeignError::Field(what)),
    }
}

/// Writes the form that [`ForeignHash::to_text`] promises.
pub(super) fn print(foreign: &ForeignHash) -> Zeroizing<String> {
    let ForeignHash { function, salt, tag } = foreign;
    let (head, engine, between) = match function.algorithm() {
        Algorithm::Argon2 { flavour, params } => {
            (format!("${}$v={}${params}$", flavour.name(), flavour.version()), &B64, "$")
        }
        Algorithm::Bcrypt { cost, of: BcryptOf::Password } => {
            (format!("$2b${cost:02}$"), &BCRYPT64, "")
        }
        Algorithm::Bcrypt { cost, of: BcryptOf::Sha256Hex } => {
            (format!("bcrypt_sha256$$2b${cost:02}$"), &BCRYPT64, "")
        }
        Algorithm::Scrypt { log_n, r, p } => {
            (format!("$scrypt$ln={log_n},r={r},p={p}$"), &B64, "$")
        }
        Algorithm::Pbkdf2 { digest, rounds } => {
            (format!("${}$i={rounds},l={}$", digest.name(), tag.expose().len()), &B64, "$")
        }
    };
    let mut encoded = [0; FOREIGN_TAG_LEN_MAX * 2];
    let len = engine.encode_slice(tag.expose(), &mut encoded).expect("it is twice as long");
    // Large enough to begin with, so that no growing leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(FOREIGN_TEXT_LEN_MAX));
    text.push_str(&head);
    engine.encode_string(salt, &mut text);
    text.push_str(between);
    text.extend(encoded[..len].iter().copied().map(char::from));
    encoded.zeroize();
    text
}
