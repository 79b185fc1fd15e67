//! Markers of known devices: what a program keeps to be told apart from those who guess.
//!
//! ```text
//! gdev_AQAB...
//! prefix | base64url of: version (1), key id (2), random (16), HMAC-SHA256 (32)
//! ```
//!
//! A marker is given with every successful login and shown at the next one. It opens nothing: its
//! program gets an allowance of wrong guesses of its own, which guesses of others do not use up
//! (see the crate `guard`). The tag is computed over everything before it and the username, so it is
//! good for one account, and tells so without the store being asked. That is why it is bound to the
//! name and not to the user's id: a name has one owner, ever. Its key is derived from the token key
//! of that id, for this purpose alone: a marker never passes for a token, nor the other way round.
//!
//! A program keeps its random part over logins, so that it is one device and not many. Markers do
//! not expire; they go when their token key is retired.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64_URL;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    BODY_LEN, KeyId, SIGNED_LEN, SecretKey, TOKEN_RANDOM_LEN, TokenError, TokenKeyring, VERSION,
    mac,
};
use crate::{RandomError, Username, random};

const PREFIX: &str = "gdev_";

/// What the key of markers is derived with (NIST SP 800-108 calls it a label).
const PURPOSE: &[u8] = b"gatehouse: markers of known devices, version 1";

/// Length of a marker's text, in bytes of ASCII. Every marker has it.
pub const DEVICE_TEXT_LEN: usize = PREFIX.len() + BODY_LEN / 3 * 4;

/// A marker that carries a good tag for the account it was checked for: wiped on drop, printed as
/// `***`.
#[derive(ZeroizeOnDrop)]
pub struct DeviceMarker {
    id: [u8; TOKEN_RANDOM_LEN],
    text: Zeroizing<String>,
}

impl TokenKeyring {
    /// Makes a marker for a program that has just logged in: a new one, or `known` under the key
    /// that is active now.
    ///
    /// # Errors
    /// [`RandomError`] when the system gives no random bytes.
    pub fn issue_device(
        &self,
        username: &Username,
        known: Option<&DeviceMarker>,
    ) -> Result<DeviceMarker, RandomError> {
        let mut id = known.map_or_else(random::bytes, |known| Ok(known.id))?;
        let marker = self.sign_device(username, &id);
        id.zeroize();
        Ok(marker)
    }

    /// Reads a marker that somebody shows, and checks in constant time that it is for this account.
    ///
    /// # Errors
    /// [`TokenError`]; whoever shows that is a stranger, and not told more.
    pub fn check_device(
        &self,
        text: &str,
        username: &Username,
    ) -> Result<DeviceMarker, TokenError> {
        let body = decode(text).ok_or(TokenError::Malformed)?;
        let (signed, tag) = body.split_at(SIGNED_LEN);
        let [VERSION, id_high, id_low, device @ ..] = signed else {
            return Err(TokenError::Malformed);
        };
        let id = KeyId::new(u16::from_be_bytes([*id_high, *id_low]));
        let (Some(id), Ok(device)) = (id, device.try_into()) else {
            return Err(TokenError::Malformed);
        };
        let key = self.0.key(id).ok_or(TokenError::UnknownKey(id))?;
        let tagged = device_mac(key, signed, username).verify_slice(tag);
        tagged.map_err(|_| TokenError::Forged(id))?;
        Ok(DeviceMarker { id: device, text: Zeroizing::new(text.to_owned()) })
    }

    fn sign_device(&self, username: &Username, id: &[u8; TOKEN_RANDOM_LEN]) -> DeviceMarker {
        let (key_id, key) = self.0.active();
        let mut body = Zeroizing::new([0; BODY_LEN]);
        let (signed, tag) = body.split_at_mut(SIGNED_LEN);
        signed[0] = VERSION;
        signed[1..3].copy_from_slice(&key_id.get().to_be_bytes());
        signed[3..].copy_from_slice(id);
        tag.copy_from_slice(device_mac(key, signed, username).finalize().as_bytes());

        let mut text = Zeroizing::new(String::with_capacity(DEVICE_TEXT_LEN));
        text.push_str(PREFIX);
        B64_URL.encode_string(&body[..], &mut text);
        DeviceMarker { id: *id, text }
    }
}

/// The body of a text that has the form of a marker.
fn decode(text: &str) -> Option<Zeroizing<[u8; BODY_LEN]>> {
    let body = text.strip_prefix(PREFIX)?;
    if text.len() != DEVICE_TEXT_LEN {
        return None;
    }
    let mut bytes = Zeroizing::new([0; BODY_LEN]);
    let len = B64_URL.decode_slice(body, &mut bytes[..]).ok()?;
    (len == BODY_LEN).then_some(bytes)
}

/// The signed part has a fixed length, so no two pairs of it and a name run together.
fn device_mac(key: &SecretKey, signed: &[u8], username: &Username) -> Hmac<Sha256> {
    let mut derived = mac(key, PURPOSE).finalize().into_bytes();
    let keyed = Hmac::<Sha256>::new_from_slice(&derived).expect("HMAC takes a key of any length");
    derived.zeroize();
    keyed.chain_update(signed).chain_update(username.as_str())
}

impl DeviceMarker {
    /// The text for the user's program to keep: ASCII, [`DEVICE_TEXT_LEN`] bytes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What it is told apart by.
    #[must_use]
    pub fn id(&self) -> &[u8; TOKEN_RANDOM_LEN] {
        &self.id
    }
}

impl fmt::Debug for DeviceMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceMarker(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keyring;

    /// Made with Python's standard library: `body = b"\x01" + b"\x00\x07" + bytes(range(16))`,
    /// `key = hmac.new(b"\x24" * 32, PURPOSE, "sha256").digest()`, and
    /// `"gdev_" + urlsafe_b64encode(body + hmac.new(key, body + b"ada", "sha256").digest())`.
    const KNOWN: &str = "gdev_AQAHAAECAwQFBgcICQoLDA0OD2HEABjqM4PNknUnPj4mp8VHTQHeI3ag69OyygG5hBS-";

    fn ring(keys: &[(u16, u8)]) -> TokenKeyring {
        let id = |n| KeyId::new(n).unwrap();
        let all = keys.iter().map(|&(n, byte)| (id(n), SecretKey::from([byte; 32]))).collect();
        TokenKeyring::new(Keyring::new(id(keys[0].0), all).unwrap())
    }

    fn name(text: &str) -> Username {
        Username::new(text).unwrap()
    }

    #[test]
    fn known_marker() {
        let id = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let made = ring(&[(7, 0x24)]).sign_device(&name("Ada"), &id);
        assert_eq!(made.expose(), KNOWN);
        assert_eq!(made.expose().len(), DEVICE_TEXT_LEN);
        assert_eq!(format!("{made:?}"), "DeviceMarker(***)");
    }

    #[track_caller]
    fn check(text: &str, username: &str, keys: &[(u16, u8)], expected: bool) {
        let found = ring(keys).check_device(text, &name(username));
        assert_eq!(found.is_ok(), expected, "{text} {username}");
        if let Ok(marker) = found {
            assert_eq!((marker.expose(), marker.id()[15]), (text, 15));
        }
    }

    #[test]
    fn markers_are_good_for_their_account_while_their_key_is_there() {
        check(KNOWN, "ada", &[(7, 0x24)], true);
        check(KNOWN, "ADA", &[(8, 0x25), (7, 0x24)], true);
        check(KNOWN, "bob", &[(7, 0x24)], false);
        check(KNOWN, "ada.", &[(7, 0x24)], false);
        check(KNOWN, "ada", &[(7, 0x25)], false);
        check(KNOWN, "ada", &[(8, 0x24)], false);
    }

    #[test]
    fn forgeries_are_nobodys() {
        let keys = &[(7, 0x24)];
        let token = ring(keys).issue().unwrap();
        let as_marker = token.expose().replacen("gate_", PREFIX, 1);
        for text in ["", PREFIX, token.expose(), &as_marker, &KNOWN[1..], &format!("{KNOWN}A")] {
            check(text, "ada", keys, false);
        }
        for at in 0..KNOWN.len() {
            let mut bytes = KNOWN.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            check(str::from_utf8(&bytes).unwrap(), "ada", keys, false);
        }
        let as_token = KNOWN.replacen(PREFIX, "gate_", 1);
        assert!(ring(keys).check(&as_token).is_err());
    }

    #[test]
    fn a_device_stays_itself_over_logins_and_rotation() {
        let old = ring(&[(7, 0x24)]);
        let first = old.issue_device(&name("ada"), None).unwrap();
        assert_ne!(old.issue_device(&name("ada"), None).unwrap().id(), first.id());
        let rotated = ring(&[(8, 0x25), (7, 0x24)]);
        let shown = rotated.check_device(first.expose(), &name("ada")).unwrap();
        let second = rotated.issue_device(&name("ada"), Some(&shown)).unwrap();
        assert_eq!(second.id(), first.id());
        let retired = ring(&[(8, 0x25)]);
        assert!(retired.check_device(first.expose(), &name("ada")).is_err());
        assert!(retired.check_device(second.expose(), &name("ada")).is_ok());
    }
}
