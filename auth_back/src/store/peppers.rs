//! What a store knows of peppers: which there are, never what they are.

use std::time::Instant;

use super::{PepperRow, StoreError};

/// The peppers that records in a [`Store`](super::Store) may be sealed under. The store says what
/// holds for every call.
pub trait Peppers {
    /// All of them, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn peppers(&self, deadline: Instant) -> Result<Vec<PepperRow>, StoreError>;

    /// Adds one unless its id is there already, whatever the row there says. When this returns, the
    /// row is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if a value does not fit its column.
    fn insert_pepper(&self, pepper: &PepperRow, deadline: Instant) -> Result<(), StoreError>;

    /// Removes one. False if there is none of that id.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn delete_pepper(&self, id: u16, deadline: Instant) -> Result<bool, StoreError>;
}
