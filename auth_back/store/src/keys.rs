//! What a store knows of keys: which there are, never what they are.

use std::time::Instant;

use super::{KeyRow, StoreError};

/// A list of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyList {
    /// Those that password records may be sealed under.
    Peppers,
    /// Those that session tokens may be signed under.
    TokenKeys,
}

/// The keys that what is in a [`Store`](super::Store) may need. The store says what holds for every call.
pub trait Keys {
    /// All of a list, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn keys(&self, list: KeyList, deadline: Instant) -> Result<Vec<KeyRow>, StoreError>;

    /// Adds one unless its id is there already, whatever the row there says. When this returns, the
    /// row is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if a value does not fit its column.
    fn insert_key(&self, list: KeyList, key: &KeyRow, deadline: Instant) -> Result<(), StoreError>;

    /// Removes one. False if there is none of that id.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn delete_key(&self, list: KeyList, id: u16, deadline: Instant) -> Result<bool, StoreError>;
}
