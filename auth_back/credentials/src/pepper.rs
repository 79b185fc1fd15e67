//! The pepper: what the database holds of a password is encrypted under a key that the database
//! never sees.
//!
//! Whoever steals the database alone cannot even begin to guess passwords. The argon2id tag is
//! *sealed* rather than hashed once more under the key, so that a new pepper can be brought in row by
//! row without anybody logging in.
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): its nonce of 192 bits may be drawn
//! at random for each record without a second thought about collisions. Who the record belongs to
//! and all that it says in clear are associated data, so that a sealed tag opens nowhere else.

use std::fmt;

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use hashing::Tag;
use hashing::limits::FOREIGN_TAG_LEN_MAX;

use super::keyring::{KeyId, Keyring, Purpose, Ring};
use super::random::{self, RandomError};
use super::secret::SecretKey;

/// Length of the nonce, in bytes.
pub(super) const NONCE_LEN: usize = 24;
/// Length of what Poly1305 adds, in bytes.
const AUTHENTICATOR_LEN: usize = 16;
/// Length of a sealed tag of `tag_len` bytes.
pub(super) const fn sealed_len(tag_len: usize) -> usize {
    tag_len + AUTHENTICATOR_LEN
}
/// Length of the longest sealed tag, in bytes.
const SEALED_LEN_MAX: usize = sealed_len(FOREIGN_TAG_LEN_MAX);

/// The peppers: one seals every new record, the others still open old ones.
pub struct PepperKeyring(Keyring);

impl PepperKeyring {
    /// Makes these keys the peppers.
    #[must_use]
    pub fn new(keys: Keyring) -> Self {
        Self(keys)
    }

    /// The pepper that new records are sealed under.
    #[must_use]
    pub fn active_id(&self) -> KeyId {
        self.0.active_id()
    }

    /// Every pepper of the ring in ascending order.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.0.ids()
    }

    /// The active pepper, to seal with.
    pub(super) fn active(&self) -> Pepper<'_> {
        Pepper(self.0.active().1)
    }

    /// The pepper of that id, to open with.
    pub(super) fn pepper(&self, id: KeyId) -> Option<Pepper<'_>> {
        self.0.key(id).map(Pepper)
    }
}

impl From<Keyring> for PepperKeyring {
    fn from(keys: Keyring) -> Self {
        Self(keys)
    }
}

impl Ring for PepperKeyring {
    const PURPOSE: Purpose = Purpose::Pepper;

    fn keys(&self) -> &Keyring {
        &self.0
    }
}

impl fmt::Debug for PepperKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PepperKeyring").field(&self.0).finish()
    }
}

/// A number used once with a pepper. Not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce(pub(super) [u8; NONCE_LEN]);

impl Nonce {
    pub(super) fn random() -> Result<Self, RandomError> {
        random::bytes().map(Self)
    }
}

/// A tag under a pepper, ciphertext then authenticator. It is as long as the tag and
/// [`sealed_len`] make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SealedTag {
    bytes: [u8; SEALED_LEN_MAX],
    len: usize,
}

impl SealedTag {
    /// Bytes that were read, unless they are too many or too few for any tag.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        if !(AUTHENTICATOR_LEN..=SEALED_LEN_MAX).contains(&bytes.len()) {
            return None;
        }
        let mut sealed = Self { bytes: [0; SEALED_LEN_MAX], len: bytes.len() };
        sealed.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(sealed)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Length of the tag, in bytes.
    pub(super) fn tag_len(&self) -> usize {
        self.len - AUTHENTICATOR_LEN
    }
}

/// A sealed tag did not open: it, its nonce, its associated data or the key is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAuthentic;

/// One key of the ring, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Pepper<'a>(&'a SecretKey);

impl Pepper<'_> {
    pub(super) fn seal(self, tag: &Tag, nonce: &Nonce, associated: &[u8]) -> SealedTag {
        let tag = tag.expose();
        let mut sealed = SealedTag { bytes: [0; SEALED_LEN_MAX], len: sealed_len(tag.len()) };
        let (text, authenticator) = sealed.bytes[..sealed.len].split_at_mut(tag.len());
        text.copy_from_slice(tag);
        let computed = self
            .cipher()
            .encrypt_inout_detached(&nonce.0.into(), associated, text.into())
            .expect("ChaCha20 takes messages of up to 256 GiB, and this one is a few bytes long");
        authenticator.copy_from_slice(&computed);
        sealed
    }

    pub(super) fn open(
        self,
        sealed: &SealedTag,
        nonce: &Nonce,
        associated: &[u8],
    ) -> Result<Tag, NotAuthentic> {
        let (text, authenticator) = sealed.as_bytes().split_at(sealed.tag_len());
        let authenticator = authenticator.try_into().map_err(|_| NotAuthentic)?;
        // Decrypted where it is wiped.
        let mut tag = Tag::new(text);
        self.cipher()
            .decrypt_inout_detached(
                &nonce.0.into(),
                associated,
                tag.expose_mut().into(),
                authenticator,
            )
            .map_err(|_| NotAuthentic)?;
        Ok(tag)
    }

    /// Set up for each use: that is a copy of 32 bytes, and the copy is wiped on drop.
    fn cipher(self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose().into())
    }
}

#[cfg(test)]
mod tests {
    use hashing::limits::TAG_LEN;

    use super::*;

    const NONCE: Nonce = Nonce([7; NONCE_LEN]);

    fn key(byte: u8) -> SecretKey {
        SecretKey::from([byte; 32])
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn known_answer() {
        let key: [u8; 32] = std::array::from_fn(|index| 0x80 + u8::try_from(index).unwrap());
        let nonce: [u8; 24] = std::array::from_fn(|index| 0x40 + u8::try_from(index).unwrap());
        let associated = b"\x50\x51\x52\x53\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7";
        let mut text = *b"Ladies and Gentlemen of the class of '99: If I could offer you only \
            one tip for the future, sunscreen would be it.";
        let authenticator = XChaCha20Poly1305::new(&key.into())
            .encrypt_inout_detached(&nonce.into(), associated, text.as_mut_slice().into())
            .unwrap();
        assert_eq!(
            text[..16],
            *b"\xbd\x6d\x17\x9d\x3e\x83\xd4\x3b\x95\x76\x57\x94\x93\xc0\xe9\x39"
        );
        assert_eq!(
            authenticator[..],
            *b"\xc0\x87\x59\x24\xc1\xc7\x98\x79\x47\xde\xaf\xd8\x78\x0a\xcf\x49"
        );
    }

    #[test]
    fn what_was_sealed_opens() {
        let key = key(1);
        for len in [0, 1, 20, TAG_LEN, FOREIGN_TAG_LEN_MAX] {
            let tag = vec![9; len];
            let sealed = Pepper(&key).seal(&Tag::new(&tag), &NONCE, b"who");
            assert_eq!(sealed.as_bytes().len(), sealed_len(len));
            assert!(len == 0 || sealed.as_bytes()[..len] != tag);
            let tag = Pepper(&key).open(&sealed, &NONCE, b"who").unwrap();
            assert_eq!(tag.expose(), vec![9; len]);
        }
    }

    #[test]
    fn lengths_of_sealed_tags() {
        for (len, expected) in [(0, false), (15, false), (16, true), (80, true), (81, false)] {
            assert_eq!(SealedTag::new(&vec![0; len]).is_some(), expected, "{len}");
        }
    }

    #[test]
    fn any_change_is_noticed() {
        let (ours, theirs) = (key(1), key(2));
        let sealed = Pepper(&ours).seal(&Tag::new(&[9; TAG_LEN]), &NONCE, b"who");
        let opens = |key, sealed: &SealedTag, nonce: &Nonce, associated: &[u8]| {
            Pepper(key).open(sealed, nonce, associated).is_ok()
        };
        assert!(opens(&ours, &sealed, &NONCE, b"who"));
        assert!(!opens(&theirs, &sealed, &NONCE, b"who"));
        assert!(!opens(&ours, &sealed, &NONCE, b"whom"));
        assert!(!opens(&ours, &sealed, &Nonce([8; NONCE_LEN]), b"who"));
        for index in 0..sealed.len {
            let mut changed = sealed;
            changed.bytes[index] ^= 1;
            assert!(!opens(&ours, &changed, &NONCE, b"who"), "byte {index}");
        }
        let shorter = SealedTag::new(&sealed.as_bytes()[1..]).unwrap();
        assert!(!opens(&ours, &shorter, &NONCE, b"who"));
    }

    #[test]
    fn a_check_value_tells_keys_apart() {
        let values =
            |byte| PepperKeyring::new(Keyring::single(KeyId::FIRST, key(byte))).check_values();
        // printf 'gatehouse pepper check 1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…
        let expected = *b"\x2c\x0d\x05\xe0\xd4\xdb\x61\x8b\x54\x50\xb5\xc1\x72\xb3\x25\x28";
        assert_eq!(values(1), [(KeyId::FIRST, expected)]);
        assert_ne!(values(2), values(1));
        // A key that somebody uses for both is told by two values.
        let as_token_key = super::super::TokenKeyring::new(Keyring::single(KeyId::FIRST, key(1)));
        assert_ne!(as_token_key.check_values(), values(1));
    }

    #[test]
    fn debug_shows_ids_only() {
        let ring = PepperKeyring::new(Keyring::single(KeyId::FIRST, key(0x41)));
        let expected = "PepperKeyring(Keyring { active: 1, others: [] })";
        assert_eq!(format!("{ring:?}"), expected);
    }
}
