//! Keys as they are found.

use super::error::KeysError;
use super::text;
use crate::keyring::KeyId;
use crate::limits::KEY_LEN;
use crate::secret::SecretKey;

/// A key as it was found.
pub(super) struct Found {
    pub(super) id: KeyId,
    pub(super) key: SecretKey,
    pub(super) stands_by: bool,
}

/// Keys in no order.
pub(super) type Keys = Vec<Found>;

/// What to do when there is no key at all for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// Make one, where keys are files: right for a first start, when nothing was made under a key yet.
    Create,
    /// Refuse: right when records refer to keys, since a new key would not open them.
    Refuse,
}

/// The key that `text` is. `place` names it in an error.
pub(super) fn key_of(text: &[u8], place: impl Fn() -> String) -> Result<SecretKey, KeysError> {
    let key = text::parse(text).ok_or_else(|| KeysError::Content(place()))?;
    if *key.expose() == [key.expose()[0]; KEY_LEN] {
        return Err(KeysError::Placeholder(place()));
    }
    Ok(key)
}
