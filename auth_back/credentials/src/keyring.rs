//! Several keys for one purpose: one is active, the others still open what they once sealed.
//!
//! [`PepperKeyring`](super::PepperKeyring) and [`TokenKeyring`](super::TokenKeyring) each wrap a
//! [`Keyring`], so that a ring of one purpose cannot be passed where the other belongs.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::limits::KEYS_PER_RING_MAX;
use super::secret::SecretKey;
use crate::limits::KEY_CHECK_LEN;

/// What a ring of keys is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sealing password records.
    Pepper,
    /// Signing session tokens.
    Token,
}

impl Purpose {
    pub(crate) const ALL: [Self; 2] = [Self::Pepper, Self::Token];

    /// As it stands in file names and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Token => "token",
        }
    }
}

/// The number of a key: 1 to 65535, never given out twice for one purpose.
///
/// It stands in records, tokens and file names, and is no secret. Zero is not a key, so a cleared
/// field cannot be mistaken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(NonZeroU16);

impl KeyId {
    /// The id that a first start gives to its first key.
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    /// The id of that number, unless it is zero.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        match NonZeroU16::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number, 1 to 65535.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not the one decimal form of a number from 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is a decimal number from 1 to 65535 without leading zeros")]
pub struct KeyIdError;

impl FromStr for KeyId {
    type Err = KeyIdError;

    /// Reads the one form that [`Display`](fmt::Display) prints: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let canonical = text.starts_with(|first: char| ('1'..='9').contains(&first));
        let id = if canonical { text.parse().ok() } else { None };
        id.map(Self).ok_or(KeyIdError)
    }
}

/// Why keys do not make a ring. The operator who placed the keys is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The active key is not among the keys.
    #[error("key {0} is to be active and is not there")]
    ActiveMissing(KeyId),
    /// Two keys claim one id.
    #[error("two keys have the id {0}")]
    Duplicate(KeyId),
    /// More keys than [`KEYS_PER_RING_MAX`].
    #[error("{count} keys are more than {KEYS_PER_RING_MAX}")]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

/// Keys of one purpose by id, one of them active. Never empty.
pub struct Keyring {
    active: (KeyId, SecretKey),
    /// In the order of their ids.
    others: Vec<(KeyId, SecretKey)>,
}

impl Keyring {
    /// A ring of these keys, in any order.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when `active` is not among them, when an id appears twice, or when there
    /// are too many.
    pub fn new(active: KeyId, mut keys: Vec<(KeyId, SecretKey)>) -> Result<Self, KeyringError> {
        if keys.len() > KEYS_PER_RING_MAX {
            return Err(KeyringError::TooMany { count: keys.len() });
        }
        keys.sort_by_key(|(id, _)| *id);
        if let Some(pair) = keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(KeyringError::Duplicate(pair[0].0));
        }
        let position = keys
            .binary_search_by_key(&active, |(id, _)| *id)
            .map_err(|_| KeyringError::ActiveMissing(active))?;
        let active = keys.remove(position);
        Ok(Self { active, others: keys })
    }

    /// A ring of one key.
    #[must_use]
    pub fn single(id: KeyId, key: SecretKey) -> Self {
        Self { active: (id, key), others: Vec::new() }
    }

    /// The id of the key that everything new is made under.
    #[must_use]
    pub fn active_id(&self) -> KeyId {
        self.active.0
    }

    /// Every id of the ring in ascending order.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        let others = self.others.iter().map(|(id, _)| *id);
        let mut ids: Vec<_> = others.chain([self.active.0]).collect();
        ids.sort_unstable();
        ids
    }

    /// The key that everything new is made under, with its id.
    pub(super) fn active(&self) -> (KeyId, &SecretKey) {
        (self.active.0, &self.active.1)
    }

    /// The key of that id, active or not.
    pub(super) fn key(&self, id: KeyId) -> Option<&SecretKey> {
        if id == self.active.0 {
            return Some(&self.active.1);
        }
        let position = self.others.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.others[position].1)
    }
}

/// What a [`Keyring`] is wrapped in, so that one purpose's is not passed for another's.
pub trait Ring: From<Keyring> + fmt::Debug + Send + Sync {
    /// What its keys are for.
    const PURPOSE: Purpose;

    /// Its keys.
    fn keys(&self) -> &Keyring;

    /// For each key its id and a value that tells it from another key of that id: HMAC-SHA256 of
    /// a fixed text under the key, cut to [`KEY_CHECK_LEN`] bytes. It may be stored beside what the key is used
    /// for: a key of 256 random bits is not found by guessing.
    fn check_values(&self) -> Vec<(KeyId, [u8; KEY_CHECK_LEN])> {
        let text = match Self::PURPOSE {
            Purpose::Pepper => b"gatehouse pepper check 1",
            Purpose::Token => b"gatehouse token check 01",
        };
        let keys = self.keys();
        let value = |id| {
            // HMAC takes a key of any length.
            let mac = Hmac::<Sha256>::new_from_slice(keys.key(id)?.expose()).ok()?;
            let mac = mac.chain_update(text);
            Some((id, mac.finalize().as_bytes()[..KEY_CHECK_LEN].try_into().ok()?))
        };
        keys.ids().into_iter().filter_map(value).collect()
    }
}

impl Keyring {
    /// Whether there is a key of that id.
    #[must_use]
    pub fn has(&self, id: KeyId) -> bool {
        self.key(id).is_some()
    }

    /// An id that stands for one key here and for another there.
    #[must_use]
    pub fn conflict(&self, other: &Self) -> Option<KeyId> {
        self.ids().into_iter().find(|id| match (self.key(*id), other.key(*id)) {
            (Some(ours), Some(theirs)) => !bool::from(ours.expose().ct_eq(theirs.expose())),
            _ => false,
        })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: Vec<_> = self.others.iter().map(|(id, _)| id.get()).collect();
        f.debug_struct("Keyring")
            .field("active", &self.active.0.get())
            .field("others", &others)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: u16) -> KeyId {
        KeyId::new(id).unwrap()
    }

    /// Builds a ring whose keys consist of their own id, and compares the ids or the error.
    #[track_caller]
    fn check(active: u16, ids: &[u16], expected: Result<&[u16], KeyringError>) {
        let key = |id| SecretKey::from([u8::try_from(id).unwrap_or(0); 32]);
        let keys = ids.iter().map(|&n| (id(n), key(n))).collect();
        let ring = Keyring::new(id(active), keys);
        let found = ring.as_ref().map(|ring| ring.ids().iter().map(|id| id.get()).collect());
        assert_eq!(found.map_err(|error| *error), expected.map(<[u16]>::to_vec));
        if let Ok(ring) = ring {
            assert_eq!(ring.active_id(), id(active));
            for &n in ids {
                assert_eq!(ring.key(id(n)).unwrap().expose(), key(n).expose());
            }
        }
    }

    #[test]
    fn rings() {
        check(1, &[1], Ok(&[1]));
        check(2, &[3, 1, 2], Ok(&[1, 2, 3]));
        check(4, &[3, 1, 2], Err(KeyringError::ActiveMissing(id(4))));
        check(1, &[], Err(KeyringError::ActiveMissing(id(1))));
        check(1, &[1, 2, 1], Err(KeyringError::Duplicate(id(1))));
        check(1, &[2, 2, 1], Err(KeyringError::Duplicate(id(2))));
        check(1, &[1; 65], Err(KeyringError::TooMany { count: 65 }));
    }

    #[test]
    fn unknown_ids_have_no_key() {
        let ring = Keyring::single(id(5), SecretKey::from([1; 32]));
        assert!(ring.key(id(4)).is_none());
        assert!(ring.key(id(5)).is_some());
    }

    #[test]
    fn an_id_has_one_key_for_ever() {
        let ring = |keys: &[(u16, u8)]| {
            let keys: Vec<_> =
                keys.iter().map(|(n, byte)| (id(*n), SecretKey::from([*byte; 32]))).collect();
            Keyring::new(keys[0].0, keys).unwrap()
        };
        let check = |one: &[(u16, u8)], other: &[(u16, u8)], expected: Option<u16>| {
            assert_eq!(ring(one).conflict(&ring(other)).map(KeyId::get), expected);
            assert_eq!(ring(other).conflict(&ring(one)).map(KeyId::get), expected);
        };
        check(&[(1, 7)], &[(1, 7)], None);
        check(&[(1, 7)], &[(1, 8)], Some(1));
        check(&[(1, 7), (2, 8)], &[(2, 8), (3, 9)], None);
        check(&[(1, 7), (2, 8)], &[(3, 9), (2, 9)], Some(2));
        check(&[(1, 7)], &[(2, 7)], None);
    }

    #[test]
    fn debug_shows_ids_only() {
        let ring = Keyring::single(id(5), SecretKey::from([0x41; 32]));
        assert_eq!(format!("{ring:?}"), "Keyring { active: 5, others: [] }");
    }

    #[test]
    fn ids_have_one_text() {
        for (text, expected) in [
            ("1", KeyId::new(1)),
            ("65535", KeyId::new(65535)),
            ("65536", None),
            ("0", None),
            ("01", None),
            ("+1", None),
            ("", None),
            ("1 ", None),
            ("١", None),
        ] {
            assert_eq!(text.parse::<KeyId>().ok(), expected, "{text:?}");
        }
    }
}
