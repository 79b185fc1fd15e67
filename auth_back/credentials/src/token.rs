//! Session tokens: what a user shows instead of the password.
//!
//! ```text
//! gate_AQAHAAECAwQFBgcICQoLDA0OD-3zlMq9aSM4YSoPLufXV5UnIGsLXdfgf1645XfJIUfA
//! prefix | base64url of: version (1), key id (2), random (16), HMAC-SHA256 of those 19 bytes (32)
//! ```
//!
//! A token is 128 random bits, which nobody can guess, and a tag by HMAC-SHA256 (RFC 2104, FIPS
//! 180-4) under a key that only the servers have. The tag is checked first, so a made-up token costs
//! a microsecond of one core and never reaches the store. Whether a token that was issued is still
//! good is the store's to say: it keeps SHA-256 of the random part, so whoever reads the store
//! cannot show a token. A plain hash is enough there, because what it hides is random.
//!
//! The base64 alphabet is the one for URLs, without padding (RFC 4648, section 5): a token needs no
//! escaping in a header, a cookie or JSON. The prefix lets scanners find tokens that were leaked
//! into a repository or a log.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64_URL;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::keyring::{KeyId, Keyring, Purpose, Ring};
use super::limits::TOKEN_RANDOM_LEN;
use super::random::{self, RandomError};
use super::secret::SecretKey;

mod device;

pub use device::{DEVICE_TEXT_LEN, DeviceMarker};

const PREFIX: &str = "gate_";
const VERSION: u8 = 1;
/// What the tag is computed over: version, key id, random part.
const SIGNED_LEN: usize = 1 + 2 + TOKEN_RANDOM_LEN;
const HMAC_LEN: usize = 32;
const BODY_LEN: usize = SIGNED_LEN + HMAC_LEN;

/// Length of a token's text, in bytes of ASCII. Every token has it.
pub const TOKEN_TEXT_LEN: usize = PREFIX.len() + BODY_LEN / 3 * 4;

// A multiple of three leaves base64 no unused bits: each token has one text.
const _: () = assert!(BODY_LEN.is_multiple_of(3));

/// A token that carries a good tag: wiped on drop, printed as `***`.
///
/// It keeps no secret in place: tokens move through queues and stack frames, and each move of bytes
/// held in place would leave a copy that nobody wipes.
pub struct Token {
    digest: TokenDigest,
    text: Zeroizing<String>,
}

/// SHA-256 of a token's random part: what a store knows a session by. Printed as `***`; it shows
/// nothing, but there is no reason for it to be in a log either.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

/// Why a text is not one of our tokens. Whoever sent it is at fault, and is told no more than that
/// the token is not accepted (401); the variants are for counters and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not of the form or version of a token.
    #[error("not a token")]
    Malformed,
    /// Its key is not in the ring: the key was retired, or never was.
    #[error("a token under the unknown key {0}")]
    UnknownKey(KeyId),
    /// The tag is not what the key gives.
    #[error("a token with a wrong tag under key {0}")]
    Forged(KeyId),
}

/// The keys of tokens: one signs new tokens, the others still vouch for older ones.
pub struct TokenKeyring(Keyring);

impl TokenKeyring {
    /// Makes these keys the keys of tokens.
    #[must_use]
    pub fn new(keys: Keyring) -> Self {
        Self(keys)
    }

    /// The key that new tokens are signed under.
    #[must_use]
    pub fn active_id(&self) -> KeyId {
        self.0.active_id()
    }

    /// Makes a token for a new session, under the active key.
    ///
    /// ```
    /// use credentials::{KeyId, Keyring, SecretKey, TokenKeyring};
    ///
    /// let keys = TokenKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random()?));
    /// let token = keys.issue()?; // the user gets token.expose(), the store token.digest()
    /// let shown = keys.check(token.expose())?;
    /// assert_eq!(shown.digest(), token.digest());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the system gives no random bytes.
    pub fn issue(&self) -> Result<Token, RandomError> {
        let mut random = random::bytes()?;
        let token = self.sign(&random);
        random.zeroize();
        Ok(token)
    }

    /// Reads a token that somebody shows, and checks its tag in constant time.
    ///
    /// `Ok` says that one of these keys made the token, not that its session is alive.
    ///
    /// # Errors
    ///
    /// [`TokenError`]: no store needs to be asked, the answer is a definite no.
    pub fn check(&self, text: &str) -> Result<Token, TokenError> {
        let body = decode(text).ok_or(TokenError::Malformed)?;
        let (signed, tag) = body.split_at(SIGNED_LEN);
        let [version, id_high, id_low, random @ ..] = signed else {
            return Err(TokenError::Malformed);
        };
        let id = KeyId::new(u16::from_be_bytes([*id_high, *id_low]));
        let (VERSION, Some(id)) = (*version, id) else { return Err(TokenError::Malformed) };
        let key = self.0.key(id).ok_or(TokenError::UnknownKey(id))?;
        mac(key, signed).verify_slice(tag).map_err(|_| TokenError::Forged(id))?;
        Ok(Token { digest: digest(random), text: Zeroizing::new(text.to_owned()) })
    }

    fn sign(&self, random: &[u8; TOKEN_RANDOM_LEN]) -> Token {
        let (id, key) = self.0.active();
        let mut body = Zeroizing::new([0; BODY_LEN]);
        let (signed, tag) = body.split_at_mut(SIGNED_LEN);
        signed[0] = VERSION;
        signed[1..3].copy_from_slice(&id.get().to_be_bytes());
        signed[3..].copy_from_slice(random);
        tag.copy_from_slice(mac(key, signed).finalize().as_bytes());

        let mut text = Zeroizing::new(String::with_capacity(TOKEN_TEXT_LEN));
        text.push_str(PREFIX);
        B64_URL.encode_string(&body[..], &mut text);
        Token { digest: digest(random), text }
    }
}

/// The body of a text that has the form of a token.
fn decode(text: &str) -> Option<Zeroizing<[u8; BODY_LEN]>> {
    let body = text.strip_prefix(PREFIX)?;
    if text.len() != TOKEN_TEXT_LEN {
        return None;
    }
    let mut bytes = Zeroizing::new([0; BODY_LEN]);
    let len = B64_URL.decode_slice(body, &mut bytes[..]).ok()?;
    (len == BODY_LEN).then_some(bytes)
}

fn digest(random: &[u8]) -> TokenDigest {
    TokenDigest(Sha256::digest(random).into())
}

fn mac(key: &SecretKey, message: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.expose())
        .expect("HMAC takes a key of any length")
        .chain_update(message)
}

impl Token {
    /// The text to hand to the user: ASCII, [`TOKEN_TEXT_LEN`] bytes. A secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What the store knows this token's session by.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        self.digest
    }
}

impl TokenDigest {
    /// The digest, as stores keep it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for TokenDigest {
    /// A digest read back from a store.
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(***)")
    }
}

impl From<Keyring> for TokenKeyring {
    fn from(keys: Keyring) -> Self {
        Self(keys)
    }
}

impl Ring for TokenKeyring {
    const PURPOSE: Purpose = Purpose::Token;

    fn keys(&self) -> &Keyring {
        &self.0
    }
}

impl fmt::Debug for TokenKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenKeyring").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests;
