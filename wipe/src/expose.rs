//! Who has secret bytes, and lends them to what computes with them.

/// Lends secret bytes for a computation. What is lent stays its owner's to wipe.
///
/// For whoever computes with a secret and need not know what kind it is.
pub trait Expose: Send + Sync {
    /// The bytes.
    fn expose(&self) -> &[u8];
}
